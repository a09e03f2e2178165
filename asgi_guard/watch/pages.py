"""Pages: the summary and the dashboard, as the endpoints serve them.

Must never say that they are there to whoever may not see them, unless the settings say so; and never put a summary
together on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from asgi_guard.engine.replies import Reply
from asgi_guard.engine.request import Request

if TYPE_CHECKING:
    from anyio import CapacityLimiter
    from anyio.lowlevel import RunVar

    from asgi_guard.monitor.cells import Aggregate
    from asgi_guard.watch.watcher import Watcher

MAX_QUERY_BYTES: Final = 256
"""What is read of a query."""

WINDOWS: Final = ("1m", "5m", "60m")
_NO_WINDOW: Final = f"windows= takes {', '.join(WINDOWS)}, with commas between.\n".encode()
_NO_STORE: Final = ((b"cache-control", b"no-store"),)
_limiters: list[RunVar[CapacityLimiter]] = []  # of each event loop its own; it is made where the first one is asked for


class Pages:
    """What is to be seen of one aggregate, as far as somebody watches it.

    Args:
        aggregate: what was counted.
        summary_path: where the summary is, from the root of the application; None where it is not served.
        dashboard_path: where the page is.
        is_on: whether the stack that shows them has a monitor of its own; another in the process may have one.
    """

    def __init__(
        self,
        aggregate: Aggregate,
        summary_path: str | None,
        dashboard_path: str | None,
        is_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self._aggregate = aggregate
        self._is_on = is_on
        self._link = None if summary_path is None else _link(dashboard_path or "/", summary_path)

    async def summary(self, request: Request) -> Reply | None:
        """Answer with the summary; None where nobody watches."""
        if self._aggregate.to_watch is None or not self._is_on():
            return None
        query: bytes = request.scope.get("query_string") or b""
        asked = ",".join(parse_qs(query[:MAX_QUERY_BYTES].decode("latin-1")).get("windows", WINDOWS)).split(",")
        if not set(asked).issubset(WINDOWS):
            return Reply(400, headers=_NO_STORE, body=_NO_WINDOW, content_type=b"text/plain; charset=utf-8")
        body: bytes = await _in_thread(partial(self._written, asked))
        return Reply(200, headers=_NO_STORE, body=body, content_type=b"application/json")

    async def dashboard(self, request: Request) -> Reply | None:
        """Answer with the page; None where nobody watches, or where it would find no summary."""
        if self._aggregate.to_watch is None or self._link is None or not self._is_on():
            return None
        from asgi_guard.watch.page import dashboard_page

        page = await _in_thread(partial(dashboard_page, self._link))
        reply: Reply = page.reply(b",".join(request.header_lines(b"accept-encoding")))
        return reply

    def warnings(self) -> list[str]:
        """Return a sentence for each alert that fires."""
        watcher: Watcher | None = self._aggregate.watcher
        return [] if watcher is None else watcher.warnings()

    def _written(self, windows: Collection[str]) -> bytes:
        from asgi_guard.watch.watcher import watch  # in a thread: it takes a while

        watcher = watch(self._aggregate)
        watcher.begin()
        return watcher.summary(windows)


def _link(page: str, target: str) -> str:
    """Return how a page leads to another path, so that it is right behind a proxy that takes a prefix away."""
    here, there = page.split("/")[:-1], target.split("/")
    while here and here[0] == there[0] and len(there) > 1:
        here, there = here[1:], there[1:]
    return "/".join([*[".."] * len(here), *there])


async def _in_thread(work: Callable[[], Any]) -> Any:
    """Run it in a thread that is not the application's, whose threads may all be busy; one at a time."""
    from anyio import CapacityLimiter, to_thread
    from anyio.lowlevel import RunVar

    if not _limiters:
        _limiters.append(RunVar("asgi_guard_summary"))
    limiter = _limiters[0].get(None)
    if limiter is None:
        limiter = CapacityLimiter(1)
        _limiters[0].set(limiter)
    return await to_thread.run_sync(work, limiter=limiter)
