"""Sockets: the conformance kit over real sockets, on real servers.

    report = check_served("my_package:MyMiddleware", server="hypercorn-trio")
    print(report)
    report.raise_for_failures()

The server runs in a process of its own, on a free port of this machine, once with the bare application and once with
the wrapped one. A rule that fails bare is the server's and is named as such; one that passes bare and fails wrapped is
the middleware's. `SERVERS` has the servers by name; each must be installed to be asked.
"""

from __future__ import annotations

from asgi_guard.testing.sockets.kit import (
    SOCKET_RULES,
    Complaints,
    Outcome,
    SocketReport,
    Verdict,
    ask_bare,
    check_served,
)
from asgi_guard.testing.sockets.rule import SocketRule
from asgi_guard.testing.sockets.servers import SERVERS, Server

__all__ = [
    "SERVERS",
    "SOCKET_RULES",
    "Complaints",
    "Outcome",
    "Server",
    "SocketReport",
    "SocketRule",
    "Verdict",
    "ask_bare",
    "check_served",
]
