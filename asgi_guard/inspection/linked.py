"""Linked: what a page of another site says in its link, which is what session fixation needs (CWE-384).

An attacker who may not set a cookie has a victim follow a link that names the session. Within a site such links are the
old way to do without cookies, and so are not told apart from it. Sites are compared by the last two labels of their
hosts: that never takes two hosts of one site for two.
Must never cost a request whose query names nothing of the kind more than one search.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_NAMED: Final = re.compile(rb"(?i)sess|sid|cfid|cftoken|cakephp|shiny-token|%")
_HOST: Final = re.compile(rb"(?i)https?://(?:[^/?#@]*@)?(\[[^\]/?#]*\]|[^/?#:]+)")


def may_name_session(query: bytes) -> bool:
    """Tell whether a query could name a session; a name that is percent-encoded could."""
    return _NAMED.search(query) is not None


def is_linked(headers: Collection[tuple[bytes, bytes]]) -> bool:
    """Tell whether a request comes from a page of another site; one without a Referer does not."""
    host = referer = b""
    for name, value in headers:
        known = name.lower()
        if known == b"host":
            host = value
        elif known == b"referer":
            referer = value
    here, there = _HOST.match(b"http://" + host), _HOST.match(referer)
    return here is not None and there is not None and _site(here[1]) != _site(there[1])


def _site(host: bytes) -> list[bytes]:
    return host.lower().rstrip(b".").split(b".")[-2:]
