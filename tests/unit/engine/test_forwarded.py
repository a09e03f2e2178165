from __future__ import annotations

import pytest

from asgi_guard.engine.forwarded import Hop, forwarded


@pytest.mark.parametrize("line", [b'for="192.0.2.1', b'"', b'for=a"b"c"'])
def test_what_is_no_forwarded_element_ends_the_reading(line) -> None:
    """What stands to the left of it is nobody's word."""
    assert list(forwarded([b"for=203.0.113.9", line])) == [Hop(None)]
