"""Debug: the traceback of an exception as a page, for whoever develops on this machine.

Values are cut to 200 characters, those whose name sounds like a secret are hidden, everything is escaped, and there is
no console: nothing that a page sends is ever run. The page loads nothing and runs no script.
Must never be shown unless the settings say `debug`, and then to loopback peers alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from traceback import TracebackException
from typing import Final

from asgi_guard.errors.details import HIDDEN_NAMES
from asgi_guard.settings import HIDDEN

_SECRET: Final = re.compile(HIDDEN_NAMES, re.IGNORECASE)
_SHOWN_CHARACTERS: Final = 200
_FRAMES: Final = 60
_CHAINED: Final = 8
_STYLE: Final = (
    "body{font:14px/1.5 monospace;margin:2em;max-width:110ch}"
    "pre{white-space:pre-wrap;margin:0 0 1em}h1{font-size:1.2em}"
)

HEADERS: Final = (
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    (b"cache-control", b"no-store"),
)
"""What goes out with the page."""


def page(exc: BaseException, title: str, facts: Mapping[str, str]) -> bytes:
    """Write the page.

    Args:
        exc: the exception, with those that it was raised from.
        title: the status and its phrase.
        facts: what is told of the request, by name; values whose name sounds like a secret are hidden.
    """
    told = "".join(
        f"<tr><th align=left>{escape(name)}</th><td>{_shown(name, value)}</td></tr>" for name, value in facts.items()
    )
    blocks = "".join(f"<pre>{escape(block)}</pre>" for block in _blocks(exc))
    html = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(title)}</h1>{blocks}<table>{told}</table>"
        "<p>You see this because the error envelope has debug=True, and you are on the same machine.</p></html>"
    )
    return html.encode("utf-8", "replace")


def _blocks(exc: BaseException) -> Iterable[str]:
    try:
        link: TracebackException | None = _link(exc, capture_locals=True)
    except Exception:  # noqa: BLE001  before Python 3.12, where the `repr` of one of them fails
        link = _link(exc, capture_locals=False)
    for _ in range(_CHAINED):
        if link is None:
            return
        yield _one(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _link(exc: BaseException, *, capture_locals: bool) -> TracebackException:
    return TracebackException.from_exception(exc, limit=-_FRAMES, capture_locals=capture_locals, compact=True)


def _one(link: TracebackException) -> str:
    lines = [*link.format_exception_only()]
    for frame in link.stack:
        lines.append(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n    {frame.line}\n')
        lines.extend(f"      {name} = {_value(name, value)}\n" for name, value in sorted((frame.locals or {}).items()))
    return "".join(lines)


def _value(name: str, value: str) -> str:
    if _SECRET.search(name) or _SECRET.search(value[:_SHOWN_CHARACTERS]):
        return HIDDEN
    return value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}..."


def _shown(name: str, value: str) -> str:
    return escape(_value(name, value))
