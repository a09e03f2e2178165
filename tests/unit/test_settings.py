"""What settings are refused, and what a person is told about it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import settings
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.settings import HIDDEN, SHOWN_LENGTH, Problem, Problems, build, shown


class Unshowable:
    """Its own representation fails."""

    def __repr__(self) -> str:
        raise ZeroDivisionError


# The check, its arguments after the field, and whether it finds the value sound.
CHECKS: list[tuple[str, tuple[Any, ...], dict[str, Any], bool]] = [
    ## integer
    ("integer", (5,), {}, True),
    ("integer", (1,), {"minimum": 1, "maximum": 8}, True),
    ("integer", (8,), {"minimum": 1, "maximum": 8}, True),
    ("integer", (10**309,), {}, True),
    ("integer", (0,), {"minimum": 1, "maximum": 8}, False),
    ("integer", (9,), {"minimum": 1, "maximum": 8}, False),
    ("integer", (0,), {"minimum": 1}, False),
    ("integer", (9,), {"maximum": 8}, False),
    ("integer", (True,), {}, False),
    ("integer", (5.0,), {}, False),
    ("integer", ("5",), {}, False),
    ("integer", (None,), {}, False),
    ## number
    ("number", (5,), {}, True),
    ("number", (0.5,), {"minimum": 0.5, "maximum": 1.5}, True),
    ("number", (1.5,), {"minimum": 0.5, "maximum": 1.5}, True),
    ("number", (10**309,), {}, True),
    ("number", (0.4,), {"minimum": 0.5}, False),
    ("number", (1.6,), {"maximum": 1.5}, False),
    ("number", (float("nan"),), {}, False),
    ("number", (float("inf"),), {}, False),
    ("number", (float("-inf"),), {"maximum": 1}, False),
    ("number", (False,), {}, False),
    ("number", ("0.5",), {}, False),
    ## boolean
    ("boolean", (True,), {}, True),
    ("boolean", (False,), {}, True),
    ("boolean", (1,), {}, False),
    ("boolean", (0,), {}, False),
    ("boolean", ("false",), {}, False),
    ("boolean", (None,), {}, False),
    ## text
    ("text", ("x",), {}, True),
    ("text", ("x" * 256,), {}, True),
    ("text", ("two words",), {}, True),
    ("text", ("Käse",), {"ascii_only": False}, True),
    ("text", ("",), {}, False),
    ("text", ("x" * 257,), {}, False),
    ("text", ("xxx",), {"max_length": 2}, False),
    ("text", ("Käse",), {}, False),
    ("text", ("a\nb",), {"ascii_only": False}, False),
    ("text", ("a\u202eb",), {"ascii_only": False}, False),
    ("text", (b"x",), {}, False),
    ("text", (5,), {}, False),
    ## choice
    ("choice", ("strict", ["strict", "gcra"]), {}, True),
    ("choice", ("stric", ["strict", "gcra"]), {}, False),
    ("choice", ("STRICT", ["strict", "gcra"]), {}, False),
    ("choice", (["strict"], ["strict", "gcra"]), {}, False),
    ("choice", (None, ["strict", "gcra"]), {}, False),
    ## sequence of text
    ("sequence_of_text", (["a", "b"],), {}, True),
    ("sequence_of_text", (("a",),), {"minimum": 1}, True),
    ("sequence_of_text", ({"a", "b"},), {}, True),
    ("sequence_of_text", (frozenset("ab"),), {}, True),
    ("sequence_of_text", ([],), {}, True),
    ("sequence_of_text", ([],), {"minimum": 1}, False),
    ("sequence_of_text", ("https://app.example",), {}, False),
    ("sequence_of_text", (b"ab",), {}, False),
    ("sequence_of_text", (["a", ""],), {}, False),
    ("sequence_of_text", (["a", 5],), {}, False),
    ("sequence_of_text", (["aaa"],), {"max_length": 2}, False),
    ("sequence_of_text", ({"a": "b"},), {}, False),
    ("sequence_of_text", (iter(["a"]),), {}, False),
    ("sequence_of_text", (None,), {}, False),
    ## header name
    ("header_name", ("X-Request-ID",), {}, True),
    ("header_name", ("!#$%&'*+-.^_`|~09azAZ",), {}, True),
    ("header_name", ("",), {}, False),
    ("header_name", ("X Request",), {}, False),
    ("header_name", ("X-Request-ID:",), {}, False),
    ("header_name", ("X\r\nSet-Cookie",), {}, False),
    ("header_name", ("Käse",), {}, False),
    ("header_name", (b"X-Request-ID",), {}, False),
    ## header value
    ("header_value", ("max-age=60",), {}, True),
    ("header_value", ("",), {}, True),
    ("header_value", ("a\tb",), {}, True),
    ("header_value", ("Käse",), {}, True),
    ("header_value", ("a\rb",), {}, False),
    ("header_value", ("a\nb",), {}, False),
    ("header_value", ("a\x00b",), {}, False),
    ("header_value", ("a\x7fb",), {}, False),
    ("header_value", (" a",), {}, False),
    ("header_value", ("a\t",), {}, False),
    ("header_value", ("…",), {}, False),
    ("header_value", (b"a",), {}, False),
    ## callable
    ("callable", (len,), {}, True),
    ("callable", (Problems,), {}, True),
    ("callable", ("len",), {}, False),
    ("callable", (None,), {}, False),
]

# The check, the value, and the sentence that tells what to do.
REMEDIES: list[tuple[str, tuple[Any, ...], str]] = [
    ("integer", ("5",), "Write it without quotes."),
    ("integer", (True,), "True and False are not numbers here."),
    ("number", (None,), "Give a number that keeps to this."),
    ("boolean", ("no",), "Write True or False, without quotes."),
    ("text", (5,), "Write it in quotes."),
    ("text", ("",), "Give at least one character."),
    ("text", ("x" * 257,), "Shorten it."),
    ("text", ("Käse",), "Leave out what is not printable ASCII."),
    ("choice", ("sttrict", ["strict", "gcra"]), "Did you mean 'strict'?"),
    ("choice", ("GCRA", ["strict", "gcra"]), "Did you mean 'gcra'?"),
    ("choice", ("same_origin", ["same-origin", "none"]), "Did you mean 'same-origin'?"),
    ("choice", ("xyz", ["strict", "gcra"]), "Choose one of them."),
    ("choice", (5, ["strict", "gcra"]), "Choose one of them."),
    ("sequence_of_text", ("https://a.example",), "Put it in brackets: ['https://a.example']."),
    ("sequence_of_text", (5,), 'Give a list, such as ["a", "b"].'),
]


class TestChecks:
    """Each check takes what is sound and notes what is not, without raising."""

    @pytest.mark.parametrize(("check", "arguments", "keywords", "sound"), CHECKS)
    def test_a_check_tells_sound_from_wrong(
        self, check: str, arguments: tuple[Any, ...], keywords: dict[str, Any], sound: bool
    ) -> None:
        """What it returns and what it notes agree."""
        problems = Problems("Part")

        assert getattr(problems, check)("field", *arguments, **keywords) is sound
        assert (problems.found == ()) is sound

    @pytest.mark.parametrize(("check", "arguments", "remedy"), REMEDIES)
    def test_the_remedy_says_what_to_do(self, check: str, arguments: tuple[Any, ...], remedy: str) -> None:
        """It guesses the cause."""
        problems = Problems("Part")

        getattr(problems, check)("field", *arguments)

        assert [problem.remedy for problem in problems.found] == [remedy]

    @pytest.mark.parametrize(
        ("bounds", "rule"),
        [
            ({}, "must be an integer"),
            ({"minimum": 1}, "must be an integer of at least 1"),
            ({"maximum": 8}, "must be an integer of at most 8"),
            ({"minimum": 1, "maximum": 8}, "must be an integer from 1 to 8"),
        ],
    )
    def test_the_rule_names_the_bounds(self, bounds: dict[str, int], rule: str) -> None:
        """Nobody has to look them up."""
        problems = Problems("Part")

        problems.integer("field", "x", **bounds)

        assert problems.found[0].rule == rule

    def test_each_bad_item_is_told_with_its_place(self) -> None:
        """Also those after the first one."""
        problems = Problems("CORS")

        problems.sequence_of_text("origins", ["https://a.example", "", 5])

        assert [problem.field for problem in problems.found] == ["CORS.origins[1]", "CORS.origins[2]"]


class TestProblems:
    """Problems are collected, and told together."""

    def test_nothing_is_raised_when_nothing_is_wrong(self) -> None:
        """The usual case is silent."""
        Problems("Part").raise_if_any()

    def test_all_problems_are_raised_at_once(self) -> None:
        """Settings are put right in one go, not one error a start."""
        problems = Problems("RateLimit")
        problems.integer("max_keys", "5", minimum=1)
        problems.boolean("shadow", 1)

        with pytest.raises(ConfigError) as caught:
            problems.raise_if_any()

        assert caught.value.problems == problems.found
        assert str(caught.value) == (
            "2 settings are wrong:\n"
            "  AG101 RateLimit.max_keys must be an integer of at least 1, not '5'. Write it without quotes.\n"
            "  AG103 RateLimit.shadow must be True or False, not 1. Write True or False, without quotes."
        )

    def test_a_part_adds_what_only_it_can_check(self) -> None:
        """With an id of its own."""
        problems = Problems("CORS")

        assert not problems.add("AG201", "credentials", True, "needs explicit origins", "List the origins.")
        assert problems.found == (
            Problem("AG201", "CORS.credentials", "True", "needs explicit origins", "List the origins."),
        )

    def test_problems_of_several_parts_become_one_list(self) -> None:
        """A guard tells those of all its parts."""
        one, other = Problems("CORS"), Problems("Guard")
        one.boolean("credentials", 1)
        other.boolean("cors", 1)

        other.extend(one.found)

        assert [problem.field for problem in other.found] == ["Guard.cors", "CORS.credentials"]

    @pytest.mark.parametrize(("check", "arguments", "keywords", "sound"), CHECKS)
    def test_a_secret_is_never_shown(
        self, check: str, arguments: tuple[Any, ...], keywords: dict[str, Any], sound: bool
    ) -> None:
        """Start-up errors end up in logs and in screenshots."""
        problems = Problems("Endpoints", secrets=["token"])

        getattr(problems, check)("token", *arguments, **keywords)

        assert {problem.value for problem in problems.found} <= {HIDDEN}
        assert (problems.found == ()) is sound

    def test_a_secret_does_not_slip_out_through_the_remedy(self) -> None:
        """Nor through an item of a list of secrets."""
        problems = Problems("Endpoints", secrets=["tokens"])

        problems.sequence_of_text("tokens", "hunter2")
        problems.sequence_of_text("tokens", ["hunter2\n"])

        assert "hunter2" not in " ".join(map(str, problems.found))

    def test_every_id_stands_in_the_table_once(self) -> None:
        """People search for ids: each has one meaning, and it is written down."""
        source = Path(settings.__file__).read_text(encoding="utf-8")
        used = {
            node.value
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Constant) and re.fullmatch(r"AG\d{3}", str(node.value))
        }
        documented = re.findall(r"^\| (AG\d{3}) \|", settings.__doc__ or "", re.MULTILINE)

        assert documented == sorted(used)


class TestShown:
    """A value is shown as Python writes it, within a bound."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("a\nb", "'a\\nb'"),
            (None, "None"),
            ([1, "a"], "[1, 'a']"),
            ("x" * 78, f"'{'x' * 78}'"),
            pytest.param(10**5000, "int", id="more digits than Python prints"),
        ],
    )
    def test_a_value_looks_as_in_a_program(self, value: object, text: str) -> None:
        """So that it can be found there."""
        assert shown(value) == text

    def test_a_value_that_cannot_be_shown_does_not_hide_the_problem(self) -> None:
        """Its place in memory and its type are all that is known."""
        assert "Unshowable" in shown(Unshowable())

    @given(
        st.recursive(st.text() | st.integers() | st.binary(), lambda inner: st.lists(inner) | st.tuples(inner, inner))
    )
    def test_no_value_is_shown_at_length(self, value: object) -> None:
        """80 characters, whatever it is."""
        assert 0 < len(shown(value)) <= SHOWN_LENGTH

    def test_a_long_value_ends_in_dots(self) -> None:
        """It is seen that something is missing."""
        assert shown(["x" * 60] * 3).endswith("...")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Settings as every part has them."""

    rate: str
    max_keys: int = 100
    token: str | None = None
    names: list[str] = field(default_factory=list)
    table: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        problems = Problems("Part", secrets=["token"])
        problems.text("rate", self.rate)
        problems.integer("max_keys", self.max_keys, minimum=1)
        problems.raise_if_any()


@dataclass(frozen=True, slots=True, kw_only=True)
class AllDefaults:
    """Settings that need nothing to be said."""

    max_keys: int = 100


class TestBuild:
    """The settings of a part come in several forms, and a wrong form is a settings error, never a TypeError."""

    @pytest.mark.parametrize("form", [True, None])
    def test_true_means_the_defaults(self, form: bool | None) -> None:
        """So does nothing at all, in `OptionalMiddleware(app)`."""
        assert build(AllDefaults, form, {}) == AllDefaults()

    def test_fields_are_taken_by_name(self) -> None:
        """As in `PartMiddleware(app, rate="5/second")`."""
        assert build(Part, None, {"rate": "5/second", "max_keys": 7}) == Part(rate="5/second", max_keys=7)

    def test_an_instance_is_taken_as_it_is(self) -> None:
        """As in `PartMiddleware(app, Part(rate="5/second"))`."""
        part = Part(rate="5/second")

        assert build(Part, part, {}) is part

    @pytest.mark.parametrize(
        ("form", "fields", "told"),
        [
            ## a form that no part has
            (
                False,
                {},
                ["AG112 Part must be given as True, as an instance, or by its fields, not a value of type bool."],
            ),
            (
                "hunter2",
                {},
                ["AG112 Part must be given as True, as an instance, or by its fields, not a value of type str."],
            ),
            (
                AllDefaults(),
                {},
                ["AG112 Part must be given as True, as an instance, or by its fields, not a value of type All"],
            ),
            ## two forms at once
            (Part(rate="x"), {"max_keys": 7}, ["AG112 Part must be given as an instance or by its fields, not both."]),
            ## unknown fields
            (None, {"rate": "x", "max_key": 7}, ["AG110 Part.max_key is not a field. Did you mean 'max_keys'?"]),
            (None, {"rate": "x", "MAX-KEYS": 7}, ["AG110 Part.MAX-KEYS is not a field. Did you mean 'max_keys'?"]),
            (
                None,
                {"rate": "x", "z": 7},
                ["AG110 Part.z is not a field. The fields are: rate, max_keys, token, names."],
            ),
            (None, {"rate": "x", "table": {}}, ["AG110 Part.table is not a field. "]),
            ## missing fields
            (True, {}, ["AG111 Part.rate is required. Give it: rate=..."]),
            ## several at once
            (None, {"max_key": 7}, ["AG110 Part.max_key", "AG111 Part.rate"]),
            (None, {"rate": "", "max_keys": 0}, ["AG104 Part.rate", "AG101 Part.max_keys"]),
            (None, {"rate": "", "max_key": 0}, ["AG110 Part.max_key", "AG104 Part.rate"]),
        ],
    )
    def test_everything_wrong_is_told_at_once(self, form: object, fields: dict[str, object], told: list[str]) -> None:
        """With the field, the rule and what was likely meant."""
        with pytest.raises(ConfigError) as caught:
            build(Part, form, fields)

        sentences = [str(problem) for problem in caught.value.problems]
        assert len(sentences) == len(told)
        assert all(sentence.startswith(start) for sentence, start in zip(sentences, told, strict=True))

    @pytest.mark.parametrize(("form", "fields"), [("hunter2", {}), (None, {"rate": "x", "tokne": "hunter2"})])
    def test_a_secret_in_the_wrong_place_is_not_shown(self, form: object, fields: dict[str, object]) -> None:
        """A misspelt `token` is still a token."""
        with pytest.raises(ConfigError) as caught:
            build(Part, form, fields)

        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None
