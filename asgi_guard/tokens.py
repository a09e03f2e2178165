"""Tokens: made, compared and kept so that nobody can guess, time or steal them; and the format of a JWT.

    token = new_token(prefix="shop")                       # give it away once
    stored = hash_token(token)                             # keep this
    verify_token(presented, stored)                        # later
    check_jwt_format(header_value)                         # before anything is looked up for it

Standard: RFC 7519 and RFC 7515 for the format of a JWT; RFC 8725 for what must never be taken.
Must never be taken for a verification: a JWT of the right format may have been written by anybody. Verify it with PyJWT
or joserfc, with the algorithm named by you and not by the token.

| id    | rule that was broken                                     |
|-------|----------------------------------------------------------|
| AG980 | a token has 16 to 256 bytes of randomness                |
| AG981 | a prefix is at most 32 letters and digits                |
"""

from __future__ import annotations

import json
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b, sha256
from hmac import compare_digest
from typing import Any, Final, Literal, TypeAlias, cast
from zlib import crc32

from asgi_guard.settings import Problems

Reason: TypeAlias = Literal[
    "not_text", "too_long", "not_three_parts", "bad_base64", "bad_header", "no_algorithm", "algorithm", "own_key"
]

REASONS: Final[Mapping[Reason, str]] = {
    "not_text": "must be text",
    "too_long": "is too long",
    "not_three_parts": "must have three parts, with dots between them",
    "bad_base64": "must be base64url, without padding and without anything else",
    "bad_header": "must have a header that is a JSON object, with each name once",
    "no_algorithm": "must name the algorithm of its signature, which `none` is not",
    "algorithm": "must have an algorithm that is allowed",
    "own_key": "must not bring or point to the key that it is verified with",
}
"""Each reason, and the rest of the sentence that begins with `A token`."""

_PART: Final = re.compile(r"[A-Za-z0-9_-]+")
_PREFIX: Final = re.compile(r"[A-Za-z0-9]{0,32}")
_ALGORITHM: Final = re.compile(r"[\x21-\x7e]+")
_OWN_KEYS: Final = frozenset({"jwk", "jku", "x5u", "x5c"})
_CHECKSUM: Final = 6
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LONGEST: Final = 8_192


class TokenError(ValueError):
    """A token does not have the format that was asked for.

    Args:
        reason: why; one of `REASONS`.

    Attributes:
        reason: see above; stable.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason

    def __str__(self) -> str:
        return f"A token {REASONS[self.reason]}"


@dataclass(frozen=True, slots=True)
class JWTHeader:
    """The header of a token that looks like a JWT; nobody has verified it.

    Attributes:
        algorithm: that it says it is signed with.
        key_id: of the key that it names; None where it names none.
        fields: all of the header.
    """

    algorithm: str
    key_id: str | None
    fields: Mapping[str, Any]


def check_jwt_format(
    token: object, *, algorithms: Collection[str] | None = None, max_length: int = _LONGEST
) -> JWTHeader:
    """Return the header of a token that has the format of a signed JWT; the signature is not looked at.

    Args:
        token: what was given, without `Bearer`.
        algorithms: those that are allowed, such as `["RS256"]`; None allows every one but `none`.
        max_length: the characters of a token, at least 16.

    Raises:
        TokenError: it has another format. `own_key` refuses what lets an attacker choose the key (RFC 8725, 3.10).
        ConfigError: `algorithms` is one text, of which every part would be allowed.
    """
    if isinstance(algorithms, str):
        problems = Problems("check_jwt_format")
        problems.sequence_of_text("algorithms", algorithms)
        problems.raise_if_any()
    if not isinstance(token, str):
        raise TokenError("not_text")
    if len(token) > max_length:
        raise TokenError("too_long")
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenError("not_three_parts")
    header, payload, _ = [_decoded(part) for part in parts]
    fields = _object(header)
    _object(payload)
    algorithm = fields.get("alg")
    if not isinstance(algorithm, str) or not _ALGORITHM.fullmatch(algorithm) or algorithm.lower() == "none":
        raise TokenError("no_algorithm")
    if algorithms is not None and algorithm not in algorithms:
        raise TokenError("algorithm")
    if not _OWN_KEYS.isdisjoint(fields):
        raise TokenError("own_key")
    if "crit" in fields and not _names_fields(fields["crit"], fields):
        raise TokenError("bad_header")
    key_id = fields.get("kid")
    return JWTHeader(algorithm, key_id if isinstance(key_id, str) else None, fields)


def _decoded(part: str) -> bytes:
    """Decode base64url as RFC 7515 has it: what a lenient decoder passes over, an attacker writes (section 2)."""
    if _PART.fullmatch(part) is None or len(part) % 4 == 1:
        raise TokenError("bad_base64")
    octets = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if urlsafe_b64encode(octets).rstrip(b"=").decode() != part:  # bits that nobody reads: one token in several writings
        raise TokenError("bad_base64")
    return octets


def _names_fields(given: Any, fields: Mapping[str, Any]) -> bool:
    """Tell whether what must be understood is named as RFC 7515 section 4.1.11 has it: each once, and it is there."""
    if not isinstance(given, list) or not given:
        return False
    names = cast("list[object]", given)
    return all(isinstance(name, str) and name in fields for name in names) and len(set(names)) == len(names)


def _object(octets: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(octets.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise TokenError("bad_header") from None
    if not isinstance(found, dict):
        raise TokenError("bad_header")
    return found  # pyright: ignore[reportUnknownVariableType]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice: two readers would see two tokens (RFC 7519 section 4)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)  # NaN is no JSON


def new_token(nbytes: int = 32, *, prefix: str = "") -> str:
    """Return a token that nobody can guess: letters, digits, `-` and `_`.

    With a prefix it is `prefix_` and ends in six characters of a checksum (CRC-32), so that scanners for leaked secrets
    find it, and know a mistyped one without asking anybody.

    Args:
        nbytes: of randomness, 16 to 256.
        prefix: what it begins with, at most 32 letters and digits.

    Raises:
        ConfigError: an argument is out of its bounds.
    """
    problems = Problems("new_token")
    if not isinstance(nbytes, int) or isinstance(nbytes, bool) or not 16 <= nbytes <= 256:
        problems.add("AG980", "nbytes", nbytes, "must be a number from 16 to 256", "Leave it out: 32 are plenty.")
    if not isinstance(prefix, str) or _PREFIX.fullmatch(prefix) is None:  # pyright: ignore[reportUnnecessaryIsInstance]
        problems.add("AG981", "prefix", prefix, "must be at most 32 letters and digits", 'Write "shop", say.')
    problems.raise_if_any()
    token = secrets.token_urlsafe(nbytes)
    return f"{prefix}_{token}{_checksum(token)}" if prefix else token


def has_checksum(token: str) -> bool:
    """Tell whether a token with a prefix ends in the checksum that `new_token` has given it."""
    body = token.partition("_")[2]
    return len(body) > _CHECKSUM and equal(_checksum(body[:-_CHECKSUM]), body[-_CHECKSUM:])


def _checksum(token: str) -> str:
    number, found = crc32(_octets(token)), ""
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, len(_ALPHABET))
        found = _ALPHABET[digit] + found
    return found


def equal(one: str | bytes, other: str | bytes) -> bool:
    """Compare two secrets in a time that does not tell where they differ (CWE-208); text is compared as UTF-8."""
    return compare_digest(_octets(one), _octets(other))


def _octets(given: str | bytes) -> bytes:
    return given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given


def hash_token(token: str | bytes, key: str | bytes = b"") -> str:
    """Return what to keep of a token, so that whoever reads the database has none that works.

    A token of `new_token` needs neither salt nor a slow function: nobody tries 2 to the 128 of them. A password needs
    both: use argon2 for it.

    Args:
        token: of at least 16 random bytes.
        key: a secret that does not stand in the database, at most 64 bytes, of a longer one its hash; empty has none.

    Returns:
        64 hexadecimal digits: SHA-256, or BLAKE2b with the key.
    """
    secret = _octets(key)
    if secret:
        secret = secret if len(secret) <= blake2b.MAX_KEY_SIZE else blake2b(secret).digest()
        return blake2b(_octets(token), key=secret, digest_size=32, person=b"asgi_guard.token").hexdigest()
    return sha256(_octets(token)).hexdigest()


def verify_token(token: str | bytes, stored: str, key: str | bytes = b"") -> bool:
    """Tell whether a token is the one of which this was kept.

    Args:
        token: what was given.
        stored: what `hash_token` has returned.
        key: the same as then.
    """
    return equal(hash_token(token, key), stored)
