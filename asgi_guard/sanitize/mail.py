"""E-mail addresses: one that can exist, in the form in which it can be compared; by email-validator.

Standard: RFC 5321, RFC 6531 for letters of other scripts. The local part keeps its case, since only its own server
knows what it means; the domain is in lower case. No comments, no quotes, no display names, no line ends: a header that
is made of the result has one recipient.
Must never ask the DNS, and must never be taken for a proof: only a message that is answered proves an address.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.errors.exceptions import MissingExtraError
from asgi_guard.sanitize.errors import SanitizeError, checked_text

MAX_EMAIL: Final = 254
"""The characters of an address (RFC 5321 section 4.5.3.1.3)."""


def clean_email(value: object, *, field: str = "email") -> str:
    """Return an e-mail address, normalised: NFC, the domain in lower case.

    Args:
        value: what was given; blanks around it are left out.
        field: what to call it in an error.

    Raises:
        SanitizeError: `not_text`, `not_unicode`, `too_long` (over 254 characters), or `bad_email`.
        MissingExtraError: the extra `sanitize` is not installed.
    """
    text = checked_text(value, field, MAX_EMAIL).strip(" ")
    try:
        import email_validator
    except ImportError:
        raise MissingExtraError("clean_email", "sanitize") from None
    try:
        found = email_validator.validate_email(text, check_deliverability=False, strict=True)
    except (email_validator.EmailNotValidError, UnicodeError):
        raise SanitizeError(field, "bad_email") from None
    return found.normalized
