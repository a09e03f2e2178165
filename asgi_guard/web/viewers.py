"""Viewers: who may see what is not for everybody.

Whoever shows the token (RFC 6750 section 2.1, or as the password of RFC 7617), asks from a listed address or, where
that is allowed, from this very machine. Must never trust an address as local that a proxy may have forwarded for, never
compare a token in a time that tells how much of it was right, and never show it.
"""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Iterable
from hmac import compare_digest
from typing import Final

from asgi_guard.engine.request import Request
from asgi_guard.networks import Networks, is_loopback, pack

_FORWARDING: Final = frozenset(
    b"""cf-connecting-ip fastly-client-ip forwarded forwarded-for true-client-ip via x-client-ip
    x-cluster-client-ip x-envoy-external-address x-original-forwarded-for x-real-ip""".split()
)
_logger: Final = logging.getLogger("asgi_guard")
_HERE: Final = frozenset({b"none", b"same-origin"})


class Viewers:
    """Those who may see.

    Args:
        token: whoever shows it; None lets nobody in by a token.
        allowed: the networks whose clients may.
        is_local_allowed: whether clients on this machine may.
    """

    def __init__(self, token: str | None, allowed: Iterable[str], *, is_local_allowed: bool) -> None:
        self._token = None if token is None else token.encode()
        self._allowed = Networks(allowed)
        self._is_local_allowed = is_local_allowed

    def include(self, request: Request) -> bool:
        """Tell whether the client of a request is one of them."""
        return request.client in self._allowed or self._shows_token(request) or self._is_local(request)

    def _shows_token(self, request: Request) -> bool:
        lines = request.header_lines(b"authorization") if self._token is not None else ()
        if self._token is None or len(lines) != 1:
            return False
        scheme, _, shown = lines[0].partition(b" ")
        if scheme.lower() == b"basic":  # what a browser asks a person for; any user name will do
            shown = _password(shown)
        elif scheme.lower() != b"bearer":
            return False
        return compare_digest(shown.strip(b" "), self._token)

    def _is_local(self, request: Request) -> bool:
        if not self._is_local_allowed or request.client is None or not is_loopback(request.client):
            return False
        names = [name.lower().replace(b"_", b"-") for name, _ in request.scope.get("headers") or ()]
        if any(name in _FORWARDING or name.startswith(b"x-forwarded") for name in names) or names.count(b"host") > 1:
            return False
        # The page of another site has the browser ask from this very machine, and CORS may let it read the answer.
        if request.header(b"origin") is not None or (request.header(b"sec-fetch-site") or b"none") not in _HERE:
            return False
        # So has one whose name was rebound to 127.0.0.1, by that name.
        return _is_nobodys(request.header(b"host") or b"")


class Unseen:
    """Says once, to whoever works on this machine, that nobody may see what is asked for."""

    def __init__(self) -> None:
        self._local = Viewers(None, (), is_local_allowed=True)
        self._has_said_so = False

    def ask(self, request: Request, path: str) -> None:
        """Take note that somebody has asked in vain."""
        if not self._has_said_so and self._local.include(request):
            self._has_said_so = True
            _logger.warning(
                "%s was asked for, and nobody may see it: write endpoints='local' for this machine, or "
                "Endpoints(token=...) for whoever shows it. This is said once",
                path,
            )


def _password(shown: bytes) -> bytes:
    """Return the password of RFC 7617; nothing where it is none."""
    try:
        return b64decode(shown.strip(b" "), validate=True).partition(b":")[2]
    except ValueError:
        return b""


def _is_nobodys(host: bytes) -> bool:
    """Tell whether a host is an address, a name of this machine, or one that nobody can register."""
    name = host.lower().partition(b":")[0].rstrip(b".")
    return b"." not in name or name.endswith(b".localhost") or pack(name.decode("latin-1")) is not None
