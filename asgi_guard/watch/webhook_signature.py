"""Signatures of webhooks: how one is made, and how whoever receives it checks it.

Standard: Standard Webhooks 1.0.0, its symmetric scheme: HMAC-SHA256 over `id.timestamp.body`, in base64 after `v1,`.
Must never compare in a time that depends on how much of a signature is right.

| id    | rule that was broken                                                               |
|-------|------------------------------------------------------------------------------------|
| AG888 | a secret is `whsec_` and base64, or text or bytes as they are: at least 24 bytes   |
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from asgi_guard.settings import Problems

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"

TOLERANCE_SECONDS: Final = 300.0
"""How far the timestamp of an attempt may be from now: within it a receiver knows the ids that it has seen."""

_PREFIX: Final = "whsec_"
_FEWEST_BYTES: Final = 24  # 192 bits, as the standard has it
_MOST_SIGNATURES: Final = 8  # while secrets are changed there are two
_MOST_CHARACTERS: Final = 1_024
_DIGITS: Final = re.compile(r"[0-9]{1,12}")


def key_of(problems: Problems, secret: Any) -> bytes:
    """Return the key that a secret stands for; empty, with the problem noted, where it is none."""
    raw = secret
    if isinstance(raw, str):
        try:
            encoded = raw.removeprefix(_PREFIX)
            raw = raw.encode() if encoded == raw else b64decode(encoded, validate=True)
        except (binascii.Error, UnicodeEncodeError, ValueError):
            raw = b""
    if isinstance(raw, bytes) and len(raw) >= _FEWEST_BYTES:
        return raw
    rule = f"must be {_PREFIX} and base64, or text or bytes: at least {_FEWEST_BYTES} bytes"
    remedy = 'Make one: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(), and keep it out of the code.'
    problems.add("AG888", "secret", secret, rule, remedy)
    return b""


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Sign one attempt: return what stands in `webhook-signature`."""
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, sha256)
    return f"v1,{b64encode(digest).decode()}"


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secret: str | bytes,
    now: float,
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> bool:
    """Tell whether a webhook is what the owner of the secret sent, and not long ago; for whoever receives it.

    The same message may come several times, by a retry or from somebody who has listened: keep the ids of the last
    minutes, and act on each once.

    Args:
        headers: of the request, by name in any case.
        body: exactly as it came; a body that was parsed and written again is another one.
        secret: the one that it is signed with.
        now: the time of day, in UNIX seconds.
        tolerance_seconds: how far its timestamp may be from now.

    Raises:
        ConfigError: the secret is none.
    """
    problems = Problems("verify", secrets={"secret"})
    key = key_of(problems, secret)
    problems.raise_if_any()
    found = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp = found.get(ID, ""), found.get(TIMESTAMP, "")
    given = found.get(SIGNATURE, "")
    # A dot in the id would let the same signed bytes be cut in another place.
    is_whole = 0 < len(message_id) <= _MOST_CHARACTERS and "." not in message_id and message_id.isascii()
    if not is_whole or _DIGITS.fullmatch(timestamp) is None or len(given) > _MOST_CHARACTERS:
        return False
    if abs(now - int(timestamp)) > tolerance_seconds:
        return False
    right = signature(key, message_id, int(timestamp), body).encode()
    candidates = given.encode("utf-8", "surrogatepass").split(b" ")[:_MOST_SIGNATURES]
    return any(hmac.compare_digest(candidate, right) for candidate in candidates)
