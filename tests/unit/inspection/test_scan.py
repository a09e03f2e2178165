"""Scan: what is looked at, once, and in steps that are short."""

from __future__ import annotations

import json
from base64 import b64encode, encodebytes, urlsafe_b64encode
from typing import Any
from urllib.parse import quote

import pytest

from asgi_guard.inspection.engines import has_re2, matcher
from asgi_guard.inspection.extract import Value
from asgi_guard.inspection.rule import PLACES, VALUES, Rule
from asgi_guard.inspection.scan import OVERLAP, WINDOW, Scanner, inspect_value

ENGINES: Any = [
    pytest.param("re2", marks=pytest.mark.skipif(not has_re2(), reason="google-re2 is not installed")),
    "re",
]
ATTACK = "<script>steal(1)</script>"
LONG = f"{ATTACK} and more of it, until a line of base64 is full"


def rule(pattern: str, *needs: str, **fields: Any) -> Rule:
    """Make a rule."""
    given = {"id": "OWN-1", "attack": "xss", "score": 5, "level": 1, "why": "", "positives": (), **fields}
    return Rule(pattern=pattern, needs=needs, **given)


def found(scanner: Scanner, *texts: str, place: Any = "query") -> list[set[str]]:
    """Return the ids that are found, a set for each value in which there are some."""
    values = [Value(place, f"p{index}", text) for index, text in enumerate(texts)]
    return [{finding.rule.id for finding in findings} for findings in scanner.scan(values) if findings]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("before", [0, WINDOW - 10, WINDOW - OVERLAP - 5, WINDOW, 10 * WINDOW - 7])
@pytest.mark.parametrize("after", [0, 5 * WINDOW])
def test_padding_does_not_hide_an_attack(engine, before: int, after: int) -> None:
    """Wherever it stands in however long a value, also where one window ends and the next begins."""
    text = "lorem ipsum " * (before // 12) + " " * (before % 12) + ATTACK + " dolor" * (after // 6)

    assert "xss" in {finding.rule.attack for finding in inspect_value(text, engine=engine)}


@pytest.mark.parametrize(
    ("text", "attack"),
    [
        (f"1 union{' ' * 5_000}select name", "sqli"),
        ("1 union" + " \t" * 5_000 + "select name", "sqli"),
        (f"1 union/*{'x ' * 5_000}*/select name", "sqli"),
        (f"1 union{'%20' * 5_000}select name", "sqli"),
        (f"x/..{'/' * 5_000}..{'/.' * 5_000}/etc/passwd", "traversal"),
        ("".join(f"&#x26;&#x23;x{ord(each):x};&#x23;" for each in " " * 2_000) + ATTACK, "xss"),
    ],
    ids=["blanks", "blanks and tabs", "comment", "encoded blanks", "slashes", "entities"],
)
def test_an_attack_is_not_stretched_out_of_sight(text: str, attack: str) -> None:
    """Over more than a window, by what its language skips."""
    assert attack in {finding.rule.attack for finding in inspect_value(text)}


@pytest.mark.parametrize("around", [" ", "\t", "\r\n", "\0", ";", "; \n"])
def test_what_stands_around_a_value_hides_nothing(around: str) -> None:
    """Shells, databases and most applications take it away."""
    scanner = Scanner([rule("^admin end$", "admin")])

    assert found(scanner, f"admin end{around}", f"{around}admin end", f"{around}admin end{around}") == [{"OWN-1"}] * 3
    assert found(scanner, f"admin{around}", f"x{around}admin end") == []


@pytest.mark.parametrize("engine", ENGINES)
def test_the_ends_of_a_text_are_its_own(engine) -> None:
    """Not those of a window, and not the line break before its end."""
    scanner = Scanner([rule("^admin", "admin"), rule("end$", "end", id="OWN-2")], engine)

    assert found(scanner, "admin", "the end") == [{"OWN-1"}, {"OWN-2"}]
    assert found(scanner, "admin!") == [{"OWN-1"}]
    assert matcher([rule("end$", "end")], engine).find("the end\n", 1) == []
    for shift in range(WINDOW - OVERLAP - 8, WINDOW + 8):
        assert found(scanner, "x" * shift + "admin" + " " * WINDOW) == []
        assert found(scanner, " " * shift + "end" + "x" * WINDOW) == []


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "pattern", ["^[^a]{0,9}admin", r"^\S?admin", r"^\W{0,3}admin", "^.{0,4}admin", r"^\D?admin", "^[^]]?admin"]
)
def test_nothing_that_a_pattern_leaves_open_goes_over_a_cut(engine, pattern: str) -> None:
    """Or each window would have a beginning; who sends the character of the cut hides nothing."""
    scanner = Scanner([rule(pattern, "admin")], engine)
    over = WINDOW - OVERLAP

    assert found(scanner, "admin", "(admin)", "\x01admin here")[-1] == {"OWN-1"}
    assert found(scanner, "x" * (over - 10) + " " * 10 + "admin" + " " * WINDOW) == []
    assert found(scanner, "x" * over + "admin" + " " * WINDOW) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_values_that_are_looked_at_together_do_not_make_an_attack_together(engine) -> None:
    """Nor does one of them hide another."""
    scanner = Scanner([rule(r"alpha.{0,8}omega", "alpha")], engine)

    assert found(scanner, "an alpha and", "an omega as well") == []
    assert found(scanner, "an alpha and", "the alpha, omega", "/* open", "un-alpha-omega", "*/ closed") == [
        {"OWN-1"},
        {"OWN-1"},
    ]


def test_a_word_or_a_number_ends_the_look() -> None:
    """No rule that comes with this is about one, so that most values cost nothing; one of a user's may be."""
    scanner = Scanner([rule("select", "select")], "re", skips_words=True)

    assert found(scanner, "select", "12345678901", "") == []
    assert scanner.scanned == 0
    assert found(Scanner([rule("select", "select")], "re"), "select") == [{"OWN-1"}]


def test_a_harmless_value_is_looked_at_once() -> None:
    """The same ones come again and again; each place has rules of its own."""
    scanner = Scanner([rule("a <b>", "<b>", places=("cookie",))], "re")
    assert found(scanner, "a <b> here") == []
    once = scanner.scanned

    assert found(scanner, "a <b> here") == []
    assert scanner.scanned == once
    assert found(scanner, "a <b> here", place="cookie") == [{"OWN-1"}]
    assert found(scanner, "a <b> here", place="cookie") == [{"OWN-1"}]


def test_what_is_remembered_is_bounded() -> None:
    """An attacker sends a new value each time."""
    scanner = Scanner([rule("<b>", "<b>")], "re")
    for number in range(10_000):
        found(scanner, f"value number {number}")

    assert len(scanner._clean) <= 4_096


def test_what_is_not_opened_deep_inside_is_opened_where_it_comes_alone() -> None:
    """Or an attacker would have it remembered as harmless first."""
    scanner = Scanner([rule("^secret key$", "secret", places=("name",))], "re")
    hidden = nested = '{"secret key": "a; b"}'
    for _ in range(3):
        nested = json.dumps([nested])

    assert found(scanner, nested) == []
    assert found(scanner, hidden) == [{"OWN-1"}]


@pytest.mark.parametrize("place", PLACES)
def test_a_rule_is_looked_for_in_its_places(place) -> None:
    """And in no other."""
    scanner = Scanner([rule("a <b>", "<b>")], "re")

    assert bool(found(scanner, "a <b>", place=place)) is (place in VALUES)


@pytest.mark.parametrize(
    "text",
    [
        b64encode(ATTACK.encode()).decode(),
        b64encode(b"%3Cscript%3Ealert(1)").decode(),
        json.dumps({"a": [ATTACK]}),
        '["\\u003cscript\\u003ealert(1)"]',
    ],
)
def test_one_level_of_base64_or_json_in_a_value_is_opened(text: str) -> None:
    """Tokens, states and filters travel so."""
    assert "xss" in {finding.rule.attack for finding in inspect_value(text)}


JSON_WITHIN = json.dumps({"a": "<b>"})


@pytest.mark.parametrize(
    "text",
    [
        JSON_WITHIN,
        quote(JSON_WITHIN),
        quote(quote(JSON_WITHIN)),
        " " * 1_100 + JSON_WITHIN,
        "\ufeff" + JSON_WITHIN,
        b64encode(JSON_WITHIN.encode()).decode(),
        b64encode(JSON_WITHIN.encode("utf-8-sig")).decode(),
        json.dumps([quote(JSON_WITHIN)]),
        '{"a": "%22, %22b%22: %22%3Cb>"}',
    ],
    ids=["plain", "escaped", "twice", "blanks", "a mark", "base64", "both", "in another", "behind another"],
)
def test_the_values_of_json_are_looked_at_however_it_is_written(text: str) -> None:
    """A rule may be about what a value begins with, which only whoever opens the document sees."""
    scanner = Scanner([rule("^<b>$", "<b>", places=("cookie",))], "re")

    assert {"OWN-1"} in found(scanner, text, place="cookie")


def test_a_key_of_json_in_a_value_is_a_name() -> None:
    """Where a document database takes a filter from a parameter."""
    assert "name" in {finding.place for finding in inspect_value('{"user": {"$ne": null}}')}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_steps_are_short(engine) -> None:
    """Between two of them others may run: no step looks at more than some windows."""
    scanner = Scanner([rule("<b>", "<b>")], engine)
    text = "%3Cscript&lt;\\x3c /**/ ' ${ifs} //  \t" * 2_000
    longest = before = 0
    for _ in scanner.scan([Value("body", "", text)]):
        longest, before = max(longest, scanner.scanned - before), scanner.scanned

    assert longest <= 3 * WINDOW
    assert scanner.scanned <= 40 * len(text)


@pytest.mark.parametrize("text", ["\ud800<b>", "\U0001f600 <b>", "İ <b>", "\x0b<b>", "<b>\x00"])
@pytest.mark.parametrize("engine", ENGINES)
def test_odd_characters_are_no_reason_to_fail(engine, text: str) -> None:
    """Lone surrogates come out of JSON."""
    assert found(Scanner([rule("<b>", "<b>")], engine), text) == [{"OWN-1"}]


@pytest.mark.skipif(not has_re2(), reason="google-re2 is not installed")
@pytest.mark.parametrize("engine", ENGINES)
def test_to_prepare_again_costs_nothing(engine, monkeypatch) -> None:
    """A lifespan that starts again, as in each test of a suite, does not compile all rules again."""
    matcher = Scanner([rule("attack", "attack")], engine)._matcher
    matcher.prepare()
    monkeypatch.setattr(type(matcher), "_made", None)

    matcher.prepare()

    assert matcher.find("an attack", 1) == [0]


def test_the_better_engine_is_taken_where_it_is_there() -> None:
    """Unless somebody says otherwise."""
    assert Scanner([]).engine == "re2"
    assert Scanner([], "re").engine == "re"


def test_others_may_run_while_a_value_of_many_values_is_taken_apart() -> None:
    """A thousand short texts inside of one are as much work as a thousand parameters."""
    inside = json.dumps([f"a;b, {number}" for number in range(3_000)])
    steps = [*Scanner([rule("a b", "a b", places=("cookie",))]).scan([Value("query", "q", inside)])]

    assert steps.count(None) >= len(inside) // WINDOW + 3_000 * len("a;b, 100") // WINDOW - 1


@pytest.mark.parametrize(
    "hidden",
    [
        encodebytes(LONG.encode()).decode(),
        encodebytes(LONG.encode()).decode().replace("\n", "\r\n"),
        b64encode(b64encode(LONG.encode())).decode(),
        f"eyJhbGciOiJIUzI1NiJ9.{b64encode(LONG.encode()).decode().rstrip('=')}.c2lnbmF0dXJl",
        f"session.{urlsafe_b64encode(LONG.encode()).decode()}",
    ],
    ids=["lines", "lines of a mail", "twice", "a token", "behind a dot"],
)
def test_base64_is_found_however_it_is_written(hidden: str) -> None:
    """Decoders pass line breaks over, and an application takes a token apart before it decodes."""
    assert inspect_value(hidden, level=1)
