"""OCSF: what each class asks for, where the entry knows it."""

from __future__ import annotations

from typing import Any

import pytest

from asgi_guard.audit import Entry, to_ocsf


@pytest.mark.parametrize(
    ("event", "fields", "expected"),
    [
        (
            "malicious_attack_tool",
            {"reason": "A scanner.", "facts": {"attack": "scanner"}},
            {"finding_info": {"title": "malicious_attack_tool", "desc": "A scanner.", "types": ["scanner"]}},
        ),
        ("authn_login_fail", {"subject": "u7"}, {"user": {"uid": "u7"}, "actor": {"user": {"uid": "u7"}}}),
        (
            "authz_fail",
            {"method": "GET", "path": "/a", "request_id": "r"},
            {"api": {"operation": "GET /a", "request": {"uid": "r"}}},
        ),
        ("authz_fail", {}, {"api": {"operation": "authz_fail"}}),
        ("sys_startup", {}, {"app": {"name": "asgi_guard", "vendor_name": "asgi_guard"}}),
        ("guard_refused", {"facts": {"status": 429}}, {"http_response": {"code": 429}}),
        ("guard_refused", {"facts": {"status": "x"}}, {}),
    ],
)
def test_each_class_has_what_it_asks_for(event: str, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    """And nothing that the entry does not tell."""
    told = to_ocsf({**Entry(event=event, time=1.0, **fields).told(), "chain": "c", "seq": 7})

    for name, value in expected.items():
        if name == "finding_info":
            assert told[name] == {**value, "uid": "c:7", "created_time": 1_000}
        else:
            assert told[name] == value
    classes = {"finding_info", "user", "api", "app", "http_response"}
    assert classes & set(told) == classes & set(expected)
