"""Passwords: which are taken, judged by expectation; why others are not; and that none takes long."""

from __future__ import annotations

import sys
import time
from random import Random
from string import ascii_lowercase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import ConfigError
from asgi_guard.passwords import REASONS, PasswordPolicy, strength
from asgi_guard.passwords.guesses import LOOKED_AT, read
from asgi_guard.passwords.words import WORDS

USER = ["Ada Lovelace", "ada.lovelace@shop.example", "Analytica"]
EIGHT = PasswordPolicy(min_length=8)

WEAK: dict[str, str] = {
    # what everybody takes, in any case, with leet, backwards, with something before or behind
    "password": "common", "Password": "common", "PASSWORD1": "common", "passw0rd": "common", "p@ssw0rd": "common",
    "P@$$w0rd": "common", "pa55word": "common", "password!": "common", "password123": "common", "!password!": "common",
    "drowssap": "common", "dr0wssap1": "common", "letmein1": "common", "letmein!!": "common", "Welcome1": "common",
    "welcome123": "common", "iloveyou": "common", "iloveyou2": "common", "ILoveYou!": "common", "trustno1": "common",
    "sunshine": "common", "princess1": "common", "football": "common", "Football7": "common", "baseball1": "common",
    "superman": "common", "batman123": "common", "starwars": "common", "Starwars1": "common", "admin123": "common",
    "administrator": "common", "changeme": "common", "ChangeMe1": "common", "Ch4ng3m3": "common", "secret12": "common",
    "monkey123": "common", "dragon99": "common", "shadow12": "common", "michael1": "common", "jennifer": "common",
    "Jordan23": "common", "qwerty123": "common", "abc12345": "sequence", "master01": "common", "hello123": "common",
    "passwort": "common", "motdepasse": "common", "contrasena": "common", "wachtwoord": "common", "kennwort1": "common",
    "liverpool": "common", "chelsea1": "common", "pokemon1": "common", "minecraft": "common", "computer1": "common",
    "internet!": "common", "whatever": "common", "freedom1": "common", "cookie12": "common", "chocolate": "common",
    "Summer2024": "common", "Winter2023!": "common", "January1": "common", "Monday123": "common",
    "london2012": "common",
    # walks
    "qwertyui": "keyboard", "qwertyuiop": "keyboard", "asdfghjkl": "keyboard", "zxcvbnm,.": "keyboard",
    "1qaz2wsx": "keyboard", "1qaz2wsx3edc": "keyboard", "qazwsxedc": "keyboard", "1q2w3e4r": "keyboard",
    "poiuytrewq": "keyboard", "qwertzuiop": "keyboard", "azertyuiop": "keyboard", "lkjhgfdsa": "keyboard",
    "qsdfghjklm": "keyboard", "1qay2wsx": "keyboard", "QWERTYUIOP": "keyboard",
    "йцукенгш": "keyboard",
    # words that are in no list
    "elephants": "word", "Elephant7": "word", "strawberry": "word", "Hedgehog12": "word", "marmalade!": "word",
    "Grandmother": "word", "dishwasher9": "word", "Schmetterling": "word", "elephantelephant": "repeat",
    "mypasswordisgreat": "common",
    # counting
    "12345678": "sequence", "123456789": "sequence", "87654321": "sequence", "abcdefgh": "sequence",
    "abcdefghijkl": "sequence", "hgfedcba": "sequence", "ABCDEFGH": "sequence", "абвгдежз": "sequence",
    # repeating
    "aaaaaaaa": "repeat", "11111111": "repeat", "!!!!!!!!": "repeat", "abcabcabc": "repeat", "xyxyxyxyxy": "repeat",
    "passpasspass": "repeat", "77777777777": "repeat", "qzqzqzqzqz": "repeat", "MondayMonday": "repeat",
    # dates
    "19850312": "date", "12031985": "date", "1985-03-12": "date", "12.03.1985": "date", "20240229": "date",
    "31/12/1999": "date", "1999199": "too_short",
    # the user's own
    "lovelace": "user_data", "AdaLovelace": "user_data", "Lovelace1": "user_data", "ecalevol1": "user_data",
    "analytica7": "user_data", "ada.lovelace": "user_data", "shop1234": "user_data",
}  # fmt: skip
STRONG = [
    "correct horse battery staple", "purple monkey dishwasher", "my dog eats 7 shoes daily", "zebra-violin-quantum-17",
    "xkcdfroggylampshade", "kJ8#mQ2!vX", "9f8e7d6c5b4a3210", "T4$kq!92mZ", "gXr7-pLw2-mQz9", "stamp lorry walnut kite",
    "der blaue Vogel singt laut", "un éléphant boit du thé", "wagon tulip 83 marble", "Vq9)hT2(pL",
    "tHr33 bl1nd m1c3 run",
    "оранжевый трактор летит", "星空の下で歩く象とりす", "كتاب قديم على الرف", "h7Kp2xQw9R", "lemon_gravel_otter",
    "we ate 12 pies at noon", "mangrove7pickle", "no cat ever knits well", "Uf!4pY#8eW", "brisk-anvil-cedar-42",
    "quilted raven sonata", "7 umbrellas, 2 llamas", "tepid kazoo farewell", "jigsaw+turnip+velvet", "PqzR88-vex-Lomt",
]  # fmt: skip


@pytest.mark.parametrize(("password", "reason"), WEAK.items(), ids=WEAK)
def test_what_whoever_guesses_tries_first_is_not_taken(password: str, reason: str) -> None:
    """And the person is told why."""
    assessment = EIGHT.assess(password, user=USER)

    assert not assessment.is_accepted
    assert reason in {problem.reason for problem in assessment.problems}
    assert assessment.password == ""


@pytest.mark.parametrize(("commonest", "taken_at_most"), [(100, 0), (1_000, 3), (10_000, 170)])
def test_hardly_any_that_zxcvbn_calls_weakest_is_taken_without_it(commonest: int, taken_at_most: int) -> None:
    """Of those that are long enough; a list of so many would refuse good ones."""
    lists = pytest.importorskip("zxcvbn.frequency_lists").FREQUENCY_LISTS
    long_enough = [password for password in lists["passwords"][:commonest] if len(password) >= 8]
    taken = [password for password in long_enough if EIGHT.assess(password).is_accepted]

    assert len(long_enough) > commonest / 5
    assert len(taken) <= taken_at_most, taken


def test_words_typed_with_the_other_layout_are_words() -> None:
    """Whoever guesses knows that `fktrcfylh` are the keys of a Russian name."""
    for password in ("fktrcfylh", "ghbdtn123", "cjkysirj", "gfhjkm12"):
        assert "common" in {problem.reason for problem in EIGHT.assess(password).problems}


def test_one_text_about_the_user_is_not_taken_for_its_letters() -> None:
    """It is as easily written as a list of one."""
    assert "user_data" in {problem.reason for problem in EIGHT.assess("lovelace1815", user="Ada Lovelace").problems}
    assert strength("zanzibarian", user="zanzibarian").score == 0


def test_the_meter_takes_any_text() -> None:
    """Half a character comes in by a JSON escape."""
    assert strength("\ud800", user=["\udfff"]).score == 0


def test_letters_that_were_drawn_are_no_words() -> None:
    """Sixteen of them are taken, and nobody is told of a dictionary."""
    draw = Random(7)
    drawn = ["".join(draw.choices(ascii_lowercase, k=16)) for _ in range(500)]

    assert [password for password in drawn if not EIGHT.assess(password).is_accepted] == []


@pytest.mark.parametrize("password", STRONG)
def test_what_nobody_guesses_is_taken(password: str) -> None:
    """In any language, with or without digits and signs."""
    assessment = EIGHT.assess(password, user=USER)

    assert [problem.reason for problem in assessment.problems] == []
    assert assessment.password == password


def test_fifteen_characters_are_asked_for_where_there_is_no_second_factor() -> None:
    """NIST SP 800-63B-4; and said how to come by them."""
    (problem,) = PasswordPolicy().assess("kJ8#mQ2!vX").problems

    assert problem.reason == "too_short"
    assert problem.message == "The password is too short: use at least 15 characters, such as four words."


@pytest.mark.parametrize(
    ("password", "reason"),
    [(None, "not_text"), (b"bytes", "not_text"), ("a" * 257, "too_long"), ("lemon gravel\x00otter 7", "control")],
)
def test_what_is_no_password_is_not_taken(password: Any, reason: str) -> None:
    """Of any character that a keyboard types, and no other."""
    assert reason in {problem.reason for problem in PasswordPolicy().assess(password).problems}


def test_classes_are_asked_for_only_on_request() -> None:
    """They make passwords worse."""
    policy = PasswordPolicy(min_length=8, min_classes=3)

    assert {problem.reason for problem in policy.assess("lemon_gravel_otter").problems} == {"classes"}
    assert policy.assess("Lemon_gravel_otter").is_accepted
    assert EIGHT.assess("lemon gravel otter").is_accepted


def test_every_keyboard_types_the_same() -> None:
    """A letter and its accent, in one character or in two, give what is hashed."""
    one, two = "un \u00e9l\u00e9phant boit", "un e\u0301le\u0301phant boit"

    assert EIGHT.assess(one).password == EIGHT.assess(two).password == one


def test_blanks_and_what_is_behind_the_bound_of_the_look_are_kept() -> None:
    """No character is left out of what is hashed."""
    long = " lemon gravel otter " * 8

    assert PasswordPolicy().assess(long).password == long


def test_an_assessment_does_not_show_the_password() -> None:
    """It is logged sooner or later."""
    assert "gravel" not in repr(EIGHT.assess("lemon gravel otter"))


def test_the_name_of_the_site_is_tried_first() -> None:
    """Whoever guesses knows where he is."""
    policy = PasswordPolicy(min_length=8, own_words=["Zanzibar"])

    assert {problem.reason for problem in policy.assess("Zanzibar1").problems} == {"too_easy", "user_data"}


@pytest.mark.parametrize(
    ("fields", "ids"),
    [
        ({"min_length": 7}, ["AG101"]),
        ({"max_length": 63}, ["AG960"]),
        ({"min_length": 128, "max_length": 100}, ["AG960"]),
        ({"min_bits": 200}, ["AG102"]),
        ({"min_classes": 5}, ["AG961"]),
        ({"own_words": "shop"}, ["AG106"]),
    ],
    ids=str,
)
def test_nonsense_does_not_start(fields: dict[str, Any], ids: list[str]) -> None:
    """As with all settings."""
    with pytest.raises(ConfigError) as caught:
        PasswordPolicy(**fields)

    assert [problem.id for problem in caught.value.problems] == ids


@given(st.text(max_size=300), st.lists(st.text(), max_size=3))
def test_any_text_is_judged(password: str, user: list[str]) -> None:
    """With reasons that there are, and what is hashed is what was typed."""
    assessment = EIGHT.assess(password, user=user)

    assert {problem.reason for problem in assessment.problems} <= set(REASONS)
    assert assessment.is_accepted is bool(assessment.password)


@given(st.text(max_size=40), st.text(max_size=10))
def test_more_characters_are_never_easier_than_their_beginning_by_much(password: str, more: str) -> None:
    """Unless they make a piece of what people choose of it."""
    assert read(password + more).bits >= 0
    assert read(password).bits <= sum(8.0 for _ in password) + 1


@pytest.mark.parametrize("piece", ["a", "ab", "1q", "password", "19", "@4$", "aB3"])
def test_no_password_takes_long(piece: str) -> None:
    """A megabyte is not looked at, and of a long one the beginning."""
    started = time.process_time()
    EIGHT.assess((piece * 1_000_000)[:1_000_000])
    EIGHT.assess((piece * 256)[:256], user=["x" * 10_000] * 1_000)
    assert time.process_time() - started < 1  # it takes milliseconds
    assert LOOKED_AT <= 128


def test_strength_is_a_score_for_a_meter() -> None:
    """By zxcvbn."""
    pytest.importorskip("zxcvbn_rs_py")
    weak, strong = strength("password"), strength("correct horse battery staple" * 100, user=["Ada"])

    assert (weak.score, weak.source) == (0, "zxcvbn")
    assert (strong.score, strong.guesses_log10 > 10) == (4, True)


@pytest.mark.parametrize(("password", "score"), [("", 0), ("password", 0), ("Tuesday7!", 1), ("lemon gravel otter", 4)])
def test_without_zxcvbn_there_is_a_score_as_well(password: str, score: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this package."""
    monkeypatch.setattr("asgi_guard.passwords.meter.find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "zxcvbn_rs_py", None)

    assert (strength(password).score, strength(password).source) == (score, "asgi_guard")


def test_the_words_are_those_that_people_choose() -> None:
    """Each once, in lower case, and long enough to be looked for."""
    assert all(word == word.casefold() and len(word) >= 3 for word in WORDS)
    assert len(WORDS) > 700
