"""Users: who asks, by a bearer token of which only a hash is kept.

Rule 1: a token is never logged, and never compared in a time that tells how much of it was right: it is hashed first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from asgi_guard import AuthenticationError, AuthorizationError
from asgi_guard.audit import report
from asgi_guard.tokens import hash_token, new_token
from reconciliation.settings import User

PREFIX: Final = "rec"
_LONGEST: Final = 256


class UnknownTokenError(AuthenticationError):
    error_code = "UNKNOWN_TOKEN"
    message = "Show a token that is known: Authorization: Bearer ..."
    logs_traceback = False


class NotForAuditorsError(AuthorizationError):
    error_code = "READ_ONLY"
    message = "Auditors read, and upload nothing."


class Users:
    """All users."""

    def __init__(self, users: Iterable[User]) -> None:
        self._by_hash = {user.token_hash: user for user in users}

    def known(self, authorization: str | None) -> User | None:
        """Tell who shows this; None where nobody does."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not 0 < len(token) <= _LONGEST:
            return None
        return self._by_hash.get(hash_token(token.strip()))

    def must_be_known(self, authorization: str | None) -> User:
        """Tell who shows this, and write down who nobody knows.

        Raises:
            UnknownTokenError: nobody does.
        """
        user = self.known(authorization)
        if user is None:
            report("authn_login_fail", "failure", reason="no token" if not authorization else "unknown token")
            raise UnknownTokenError
        return user

    def must_be_clerk(self, user: User) -> None:
        """Let in those who may upload.

        Raises:
            NotForAuditorsError: the user may not.
        """
        if user.role != "clerk":
            report("authz_fail", "refused", subject=user.name, reason="an auditor tried to upload")
            raise NotForAuditorsError


def new_user(name: str, role: str) -> tuple[str, str]:
    """Make a user: return the token, and what stands for it in `RECONCILIATION_USERS`."""
    token = new_token(prefix=PREFIX)
    return token, f"{name}:{role}:{hash_token(token)}"
