"""Settings of the validation: nonsense does not start, and what is wrong is said with what to write instead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from asgi_guard import ConfigError, Exclusion, Guard, Rule, Validation
from asgi_guard.testing import call, capture_events

pytestmark = pytest.mark.anyio

OWN = Rule(
    id="OWN-ORDERS-001",
    attack="own",
    score=5,
    level=1,
    pattern=r"order \d{1,9} or",
    needs=("order",),
    why="Somebody tries the orders of others.",
    positives=("order 12 or 1",),
)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, and answer."""
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def complaints(make: Any, **fields: Any) -> list[str]:
    """Return what is said of wrong settings."""
    with pytest.raises(ConfigError) as caught:
        make(**fields)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"needs": "order"},
            "AG106 Validation.rules[0].needs must be a list of texts, not 'order'. Put it in brackets",
        ),
        ({"positives": "order"}, "AG106 Validation.rules[0].positives must be a list of texts, not 'order'. Put it"),
        ({"views": "sql"}, "AG106 Validation.rules[0].views must be a list of texts, not 'sql'. Put it in brackets"),
        ({"needs": None}, "AG106 Validation.rules[0].needs must be a list of texts, not None. Give a list"),
        ({"needs": ("Order",)}, "must be a text in lower case and ASCII, not 'Order'. Write 'order'."),
        ({"views": ("sqll",)}, "AG705 Validation.rules[0].views[0] must be known, not 'sqll'. Did you mean 'sql'?"),
        ({"pattern": r"order \d+"}, "must repeat at most 100 times, which + does not say"),
        ({"pattern": r"order \d{1,500}"}, "must repeat at most 100 times, which {1,500} does not say"),
        ({"positives": ("ordr 1 or",)}, "None of needs is in it, which are ('order',)."),
        ({"level": "high"}, "AG701 Validation.rules[0].level must be a whole number from 1 to 3, not 'high'."),
        ({"level": 4}, "AG701 Validation.rules[0].level must be a whole number from 1 to 3, not 4."),
        ({"level": True}, "AG701 Validation.rules[0].level must be a whole number from 1 to 3, not True."),
        ({"score": 2.0}, "AG701 Validation.rules[0].score must be a whole number from 2 to 5, not 2.0."),
        ({"id": "AG-SQLI-001"}, "AG714 Validation.rules[0].id must not begin with AG-"),
    ],
    ids=str,
)
def test_a_wrong_rule_is_said_with_its_remedy(fields: dict[str, Any], said: str) -> None:
    """By field, with what was given; and nothing else is said."""
    (complaint,) = complaints(Validation, rules=[replace(OWN, **fields)])

    assert said in complaint


@pytest.mark.parametrize("level", ["high", "1", 0, 4, True, 1.0, [1]])
def test_a_wrong_level_is_said_with_those_that_there_are(level: Any) -> None:
    """Whoever writes a word does not know them."""
    (complaint,) = complaints(Validation, level=level)

    assert complaint == (
        f"AG101 Validation.level must be 1 (balanced), 2 (strict) or 3 (paranoid), not {level!r}. "
        "Write the number, without quotes."
    )


def test_a_status_without_a_hash_is_said() -> None:
    """It is no reason to raise something else."""
    assert complaints(Validation, status=[400])[0].startswith("AG713")


@pytest.mark.parametrize(
    ("misspelt", "meant"), [("AG-SQLI-999", "AG-SQLI-"), ("ag-xss-001", "AG-XSS-001"), ("sqll", "sqli"),
                            ("OWN-ORDERS-002", "OWN-ORDERS-001")]
)  # fmt: skip
def test_a_misspelt_rule_in_an_exclusion_is_said_with_the_nearest(misspelt: str, meant: str) -> None:
    """It would exclude nothing, and nobody would see why."""
    (complaint,) = complaints(Validation, rules=[OWN], exclude=[Exclusion(rules=[misspelt])])

    assert complaint.startswith(f"AG709 Validation.exclude[0].rules[0] must be a rule or a class, not '{misspelt}'.")
    assert f"Did you mean '{meant}" in complaint


def test_two_rules_with_one_id_do_not_start() -> None:
    """An exclusion by it would be about both."""
    (complaint,) = complaints(Validation, rules=[OWN, replace(OWN, score=4)])

    assert complaint.startswith("AG714 Validation.rules[1].id must be the id of one rule, not 'OWN-ORDERS-001'.")


def test_a_class_that_is_misspelt_is_said_and_not_what_is_to_be_done_about_it() -> None:
    """The key is wrong, and its value is not."""
    (complaint,) = complaints(Validation, attacks={"sqlii": "detect"})

    assert complaint == ("AG710 Validation.attacks must name classes that there are, not 'sqlii'. Did you mean 'sqli'?")


def test_the_id_of_a_rule_is_no_class() -> None:
    """What was meant is an exclusion."""
    (complaint,) = complaints(Validation, attacks={"AG-SQLI-001": "off"})

    assert complaint.endswith("To switch one rule off, write Exclusion(rules=['AG-SQLI-001']).")


@pytest.mark.parametrize(
    ("path", "instead"), [("/cms/*", "/cms"), ("/cms*", "/cms"), ("/users/{id}/bio", "/users"), ("*", "/")]
)
def test_a_pattern_is_no_path(path: str, instead: str) -> None:
    """It would cover nothing: a path stands for all that is below it."""
    (complaint,) = complaints(Exclusion, paths=[path])

    assert complaint.startswith("AG708 Exclusion.paths[0] must be the beginning of a path, and no pattern")
    assert f"Write '{instead}'" in complaint


async def test_a_guard_takes_its_settings_as_a_dict() -> None:
    """As a file has them, exclusions among them, also when it is reconfigured."""
    guard = Guard(app, validation={"level": 2, "exclude": [{"paths": ["/cms"], "rules": ["xss"]}]})
    attack = "?q=%3Cscript%3Ealert(1)"

    assert guard.part("validation").settings == Validation(level=2, exclude=[Exclusion(paths=["/cms"], rules=["xss"])])
    assert [(await call(guard, path=path + attack)).status for path in ("/cms", "/")] == [200, 400]
    guard.reconfigure(validation={"mode": "detect"})
    assert (await call(guard, path="/" + attack)).status == 200


def test_all_that_is_wrong_with_a_dict_is_said() -> None:
    """With what is wrong with other parts."""
    said = complaints(
        lambda **parts: Guard(app, **parts),
        validation={"level": 9, "lvl": 1, "exclude": [{"paths": ["cms"]}]},
        https="sometimes",
    )  # fmt: skip

    assert [complaint.split(" must")[0].split(" is ")[0] for complaint in said] == [
        "AG105 HTTPS.mode",
        "AG708 validation.exclude[0].paths[0]",
        "AG110 validation.lvl",
        "AG101 validation.level",
    ]


@pytest.mark.parametrize(("action", "status"), [("block", 400), ("detect", 200), ("off", 200)])
async def test_a_graphql_document_that_is_too_deep_is_refused_only_where_its_class_blocks(action, status) -> None:
    """Where it is detected it is told, and what comes behind it is still looked at."""
    events = capture_events()
    guard = Guard(app, validation=Validation(attacks={"graphql": action}), listeners=[events])
    deep = "/?query=" + "{a" * 40

    assert (await call(guard, path=deep)).status == status
    assert [event.is_refused for event in events if hasattr(event, "limit")] == {
        "block": [True], "detect": [False], "off": []
    }[action]  # fmt: skip
    assert (await call(guard, path=deep + "&q=%3Cscript%3Ealert(1)")).status == 400


@pytest.mark.parametrize(
    ("names", "sent", "status"),
    [
        (["X-Note"], {"headers": {"x-note": "<script>alert(1)</script>"}}, 200),
        (["x-note"], {"headers": {"X-Note": "<script>alert(1)</script>"}}, 200),
        (["Note"], {"path": "/?Note=<script>alert(1)</script>"}, 200),
        (["Note"], {"path": "/?note=<script>alert(1)</script>"}, 400),
        (["prénom"], {"path": "/?pr%C3%A9nom=<script>alert(1)</script>"}, 200),
    ],
)
async def test_names_are_excluded_as_applications_know_them(names: list[str], sent: Any, status: int) -> None:
    """In any language, and those of headers in any case."""
    guarded = Guard(app, validation=Validation(exclude=[Exclusion(names=names)]))

    assert (await call(guarded, "GET", **{"path": "/", **sent})).status == status
