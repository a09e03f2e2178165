"""Errors: the one error that a sanitiser raises about a value, and all the reasons that it can have.

Rule 1: the message is a fixed sentence: what was given never stands in it, so that it may be logged and shown.
Rule 2: a reason, once given, keeps its meaning: applications tell it to their users in their own words.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from asgi_guard.settings import Problems

Reason: TypeAlias = Literal[
    "not_text",
    "not_unicode",
    "too_long",
    "too_many_marks",
    "empty",
    "too_many_tags",
    "unstable",
    "bad_email",
    "bad_url",
    "scheme",
    "credentials",
    "bad_host",
    "odd_address",
    "zone",
    "port",
    "not_resolved",
    "not_public",
]

REASONS: Final[dict[Reason, str]] = {
    "not_text": "must be text",
    "not_unicode": "must be Unicode without half characters",
    "too_long": "is too long",
    "too_many_marks": "has too many accents on one letter",
    "empty": "is empty, or nothing of it can be kept",
    "too_many_tags": "has too many tags",
    "unstable": "is HTML that means something else each time it is read",
    "bad_email": "must be an e-mail address",
    "bad_url": "must be a whole URL, such as https://example.com/, without blanks and backslashes",
    "scheme": "must begin with a scheme that is allowed",
    "credentials": "must not have a user name or a password in it",
    "bad_host": "must have a host name that can exist",
    "odd_address": "must have its IPv4 address as four decimal numbers",
    "zone": "must have no zone in its IPv6 address",
    "port": "must have a port that is allowed",
    "not_resolved": "must have a host name that is known, and found in time",
    "not_public": "must lead to the public internet",
}
"""Each reason, and the rest of the sentence that begins with the field."""


class SanitizeError(ValueError):
    """A value cannot be made clean, or must not be used.

    Args:
        field: the name that the caller gave to what was checked.
        reason: why; one of `REASONS`.

    Attributes:
        field: see above.
        reason: see above; stable.
    """

    def __init__(self, field: str, reason: Reason) -> None:
        super().__init__(field, reason)
        self.field: str = field
        self.reason: Reason = reason

    def __str__(self) -> str:
        return f"{self.field} {REASONS[self.reason]}"


def checked_text(value: object, field: str, max_length: int, slack: int = 1) -> str:
    """Return a value that is text, of whole characters, and not too long to work on.

    Args:
        value: what was given.
        field: what to call it.
        max_length: characters, at least 1.
        slack: how many times longer it may be while it has not been cleaned.

    Raises:
        SanitizeError: it is something else.
        ConfigError: the bound is none.
    """
    if type(max_length) is not int or max_length < 1:
        problems = Problems("sanitize")
        problems.integer("max_length", max_length, minimum=1)
        problems.raise_if_any()
    if not isinstance(value, str):
        raise SanitizeError(field, "not_text")
    if len(value) > max_length * slack:
        raise SanitizeError(field, "too_long")
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, which a JSON escape brings in, and which no file and no socket takes
        raise SanitizeError(field, "not_unicode") from None
    return value
