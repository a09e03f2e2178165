"""Authentication, for endpoint tests: headers that carry credentials, tokens, and a question: is it asked for them?

    response = await client.get("/me", headers=bearer(signed_jwt({"sub": "ada"}, "secret")))
    await assert_requires_authentication(client, "GET", "/me", good=bearer(token), expired=bearer(old))

Rule 1: the tokens are for tests: HS256 only, and a key that a test knows. Nothing here verifies anything.
Rule 2: what was refused is counted only if the good credentials pass: a page that is always 401 proves nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from asgi_guard.testing.client import Response

Credentials: TypeAlias = Mapping[str, str]
"""Headers that carry credentials."""


class _Asks(Protocol):
    async def request(self, method: str, path: str, *, headers: Any = ..., **options: Any) -> Response: ...


@dataclass(frozen=True, slots=True)
class AuthenticationReport:
    """What an endpoint answered to each kind of credentials.

    Attributes:
        statuses: the statuses, by kind of credentials: `good`, `missing`, `malformed: ...`, `wrong`, `expired` ....
    """

    statuses: Mapping[str, int]

    @property
    def failures(self) -> tuple[str, ...]:
        """What should have been otherwise, each in a sentence."""
        return tuple(
            f"{kind}: answered {status}, and should have been {'let in' if kind == 'good' else '401'}"
            for kind, status in self.statuses.items()
            if (status in {401, 403} or status >= 500 if kind == "good" else status != 401)
        )

    def raise_for_failures(self) -> None:
        """Raise if an answer was not as it should be.

        Raises:
            AssertionError: with each of them.
        """
        if self.failures:
            raise AssertionError("the authentication does not hold:\n  " + "\n  ".join(self.failures))


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a bearer token (RFC 6750)."""
    return {"Authorization": f"Bearer {token}"}


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header that carries a name and a password (RFC 7617).

    Args:
        user: the name, without a colon.
        password: the password.

    Raises:
        ValueError: the name has a colon, which ends it.
    """
    if ":" in user:
        raise ValueError("a user name of Basic authentication has no colon (RFC 7617, 2)")
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def cookie(**cookies: str) -> dict[str, str]:
    """Return the header that carries cookies, by name."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def signed_jwt(claims: Mapping[str, Any], key: str | bytes, *, header: Mapping[str, Any] | None = None) -> str:
    """Make a token (RFC 7519) signed by HMAC-SHA256.

    Args:
        claims: what it says, such as `{"sub": "ada", "exp": 1_900_000_000}`.
        key: the secret that both sides know.
        header: further fields of its header, such as `kid`.
    """
    said = _said({"alg": "HS256", "typ": "JWT", **(header or {})}, claims)
    secret = key.encode() if isinstance(key, str) else key
    return f"{said}.{_base64url(hmac.new(secret, said.encode(), hashlib.sha256).digest())}"


def unsigned_jwt(claims: Mapping[str, Any]) -> str:
    """Make a token that nobody signed (`alg` is `none`), as an attacker does; no verifier may accept it."""
    return f"{_said({'alg': 'none', 'typ': 'JWT'}, claims)}."


async def assert_requires_authentication(
    client: _Asks,
    method: str,
    path: str,
    *,
    good: Credentials,
    expired: Credentials | None = None,
    **options: Any,
) -> AuthenticationReport:
    """Check that an endpoint refuses every caller without the right credentials with 401, and lets the right one in.

    Without credentials, with malformed and with wrong ones it is asked, each made from the good ones; a JWT is also
    tried without a signature and with another one; then with the expired ones, and with the good ones last.

    Args:
        client: a `Client`, or whatever has its `request`.
        method: the request method.
        path: the path.
        good: the headers of a caller that is let in; see `bearer`, `basic` and `cookie`.
        expired: the headers of a caller whose credentials were good once; None where they do not expire.
        **options: further arguments of each request, such as `json`.

    Raises:
        ValueError: `good` has neither an `Authorization` nor a `Cookie`.
        AssertionError: an answer was not as it should be.
    """
    cases: dict[str, Credentials] = {
        "missing": {},
        **dict(_bad(good)),
        **({"expired": expired} if expired is not None else {}),
        "good": good,
    }
    statuses: dict[str, int] = {}
    for kind, headers in cases.items():
        statuses[kind] = (await client.request(method, path, headers=headers, **options)).status
    report = AuthenticationReport(statuses)
    report.raise_for_failures()
    return report


def _bad(good: Credentials) -> Iterator[tuple[str, Credentials]]:
    """Make credentials that must be refused from some that are not."""
    by_name = {name.lower(): (name, value) for name, value in good.items()}
    if "authorization" in by_name:
        name, value = by_name["authorization"]
        scheme, _, secret = value.partition(" ")
        yield "malformed: no secret", {**good, name: scheme}
        yield "malformed: no scheme", {**good, name: secret}
        yield "malformed: another scheme", {**good, name: f"Unheard {secret}"}
        yield "wrong", {**good, name: f"{scheme} {_altered(secret)}"}
        if (parts := secret.split("."))[2:] and scheme.lower() == "bearer":
            yield "wrong: unsigned", {**good, name: f"Bearer {_NO_ALGORITHM}.{parts[1]}."}
            yield "wrong: no signature", {**good, name: f"Bearer {parts[0]}.{parts[1]}."}
            another = _altered(parts[2])  # the claims stay whole: who looks at nothing else lets them in
            yield "wrong: another signature", {**good, name: f"Bearer {parts[0]}.{parts[1]}.{another}"}
    elif "cookie" in by_name:
        name, value = by_name["cookie"]
        pairs = [pair.partition("=") for pair in value.split("; ")]
        yield "malformed: empty", {**good, name: "; ".join(f"{key}=" for key, _, _ in pairs)}
        yield "wrong", {**good, name: "; ".join(f"{key}={_altered(secret)}" for key, _, secret in pairs)}
    else:
        raise ValueError("good must have an Authorization or a Cookie: see bearer, basic and cookie")


def _altered(secret: str) -> str:
    """Change a secret in its middle: at the end of base64 a change may mean nothing."""
    middle = len(secret) // 2
    return f"{secret[:middle]}{'A' if secret[middle : middle + 1] != 'A' else 'B'}{secret[middle + 1 :]}"


def _said(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    return ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_NO_ALGORITHM = _base64url(b'{"alg":"none","typ":"JWT"}')
