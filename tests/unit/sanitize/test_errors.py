"""What every sanitiser shares: one error, and names that can be imported from one place."""

from __future__ import annotations

import pickle
import sys

import pytest

from asgi_guard import sanitize
from asgi_guard.errors import MissingExtraError
from asgi_guard.sanitize import REASONS, SanitizeError


@pytest.mark.parametrize("reason", REASONS)
def test_an_error_is_a_sentence_and_survives_a_trip(reason: sanitize.Reason) -> None:
    """Worker processes hand errors on by pickling them."""
    error = pickle.loads(pickle.dumps(SanitizeError("name", reason)))

    assert (error.field, error.reason) == ("name", reason)
    assert str(error) == f"name {REASONS[reason]}"
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("name", sanitize.__all__)
def test_every_name_is_there(name: str) -> None:
    """Those of httpx too, once they are asked for."""
    assert getattr(sanitize, name) is getattr(sanitize, name)


def test_a_name_that_is_not_there_is_told() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="clean_sql"):
        sanitize.clean_sql  # noqa: B018


def test_without_httpx_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And everything else works."""
    monkeypatch.delitem(sys.modules, "asgi_guard.sanitize.transports", raising=False)
    monkeypatch.delattr(sanitize, "transports", raising=False)
    monkeypatch.delitem(vars(sanitize), "SafeTransport", raising=False)
    monkeypatch.setitem(sys.modules, "httpx", None)

    with pytest.raises(MissingExtraError, match=r"asgi-guard\[httpx\]"):
        sanitize.SafeTransport  # noqa: B018
