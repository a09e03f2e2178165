"""GraphQL: what one small document may ask for is counted."""

from __future__ import annotations

import re
import time
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import Validation
from asgi_guard.inspection.extract import Value
from asgi_guard.inspection.graphql import STEP, check_document
from asgi_guard.inspection.inspector import Inspector
from asgi_guard.inspection.limits import CrossedError, Limits

LIMITS = Limits(depth=3, aliases=2)


@pytest.mark.parametrize(
    "document",
    [
        "{ a { b { c } } }",
        "query Q($x: [Int] = {a: {b: {c: {d: 1}}}}) { one: a(x: {y: {z: {w: 1}}}, v: 2) { b } two: c }",
        '{ a(text: "{{{{{{ a: b: c: \\" {{{") { b } }',
        '{ a(text: """{{{{{{ " a: b: c:""") { b } }',
        "{ a # {{{{{ a: b: c:\n { b } }",
        "{{{{{{ no document, a template }}}}}}"[6:],
        "if (a) { b { c { d { e } } } }",
    ],
)
def test_an_ordinary_document_passes(document: str) -> None:
    """Objects of the input, strings and comments do not count; nor does what is no GraphQL."""
    assert list(check_document(document, LIMITS)) == []


@pytest.mark.parametrize(
    ("document", "limit"),
    [
        ("{ a { b { c { d } } } }", "depth"),
        ("query { a(x: 1) { b { c { d } } } }", "depth"),
        ("mutation M { " + "{" * 5, "depth"),
        ("{ x1: a x2: a x3: a }", "aliases"),
        ('subscription { x1: a(y: "(") x2: a x3 : a }', "aliases"),
    ],
)
def test_one_that_asks_for_too_much_is_said(document: str, limit: str) -> None:
    """By its depth or its aliases."""
    with pytest.raises(CrossedError) as caught:
        list(check_document(document, LIMITS))

    assert caught.value.limit == limit


def test_documents_are_counted_where_they_stand() -> None:
    """In the parameter or the key `query`, which a body is that is one; unless the class is off."""
    deep = "{ a " * 40

    def crossed(inspector: Inspector, name: str) -> list[str]:
        looked = inspector.look([Value("body", name, deep)], {})
        return [seen.limit for seen in looked if isinstance(seen, CrossedError)]

    inspector = Inspector(Validation())
    assert [crossed(inspector, name) for name in ("query", "", "text")] == [["depth"], [], []]
    assert crossed(Inspector(Validation(attacks={"graphql": "off"})), "query") == []


@pytest.mark.parametrize("quotes", ['"\\' * 50_000, '"' * 50_001, '"\\"' * 50_000, '"""' * 33_333, "a" * 200_000])
def test_strings_that_end_nowhere_are_skipped_once(quotes: str) -> None:
    """To look for the end of each would take the square of their number."""
    started = time.process_time()
    list(check_document("{" + quotes, LIMITS))
    assert time.process_time() - started < 1  # it takes milliseconds, and took a minute


_TEXTS = st.lists(
    st.one_of(
        st.sampled_from(["{", "}", "(", ")", ":", '"', '"""', '\\"', "\\", "#", "\n", " ", "a", "b1", "1", ";", "ä"]),
        st.sampled_from(["a: b ", "{ a ", " } ", '"x: {"', "# {a:\n", "x " * STEP, '"' + "y" * STEP, "a" * 63 + ":"]),
    ),
    max_size=30,
).map(lambda pieces: "query {" + "".join(pieces))


@given(_TEXTS)
def test_it_is_counted_in_steps_as_it_would_be_at_once(text: str) -> None:
    """However long names, strings and blanks are."""
    code = re.sub(r'"""[\s\S]*?(?:"""|\Z)|"(?:\\.|[^"\\])*+(?:"|\\?\Z)|#[^\n]*', " ", text, flags=re.DOTALL)
    depth = deepest = brackets = aliases = 0
    for mark in re.findall(r"[{}()]|(?<![A-Za-z0-9_])[A-Za-z_][A-Za-z0-9_]*+\s*+:", code):
        if mark in "()":
            brackets = max(0, brackets + (1 if mark == "(" else -1))
        elif not brackets:
            depth += (mark == "{") - (mark == "}")
            aliases += mark[-1] == ":" and depth > 0
            deepest = max(deepest, depth)
    asks_too_much = (deepest > LIMITS.depth or aliases > LIMITS.aliases) and not re.search(r"[;'`<>*/+%^~?\\]", code)

    with pytest.raises(CrossedError) if asks_too_much else nullcontext():
        list(check_document(text, LIMITS))


def test_a_long_document_lets_others_run() -> None:
    """It is counted in steps, of strings as of code."""
    for piece in ("{ a } ", "a b ", "\\n", "(a: 1) "):
        opening = '"' if "n" in piece else ""
        text = "{" + opening + piece * 20_000
        assert len(list(check_document(text, LIMITS))) >= len(text) // STEP // 2
