"""Tokens: nobody can guess, time or steal them; and what looks like a JWT."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import ConfigError
from asgi_guard.tokens import (
    REASONS,
    TokenError,
    check_jwt_format,
    equal,
    has_checksum,
    hash_token,
    new_token,
    verify_token,
)

PAYLOAD = {"sub": "u7"}


def part(value: Any) -> str:
    """Encode a part of a JWT."""
    octets = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(octets).decode().rstrip("=")


def jwt(header: Any = None, payload: Any = None, signature: str = "c2lnbmF0dXJl") -> str:
    """Write a JWT."""
    return f"{part({'alg': 'RS256', 'kid': 'k1'} if header is None else header)}.{part(payload or PAYLOAD)}.{signature}"


def test_the_header_of_a_jwt_is_returned() -> None:
    """With what one looks the key up by."""
    header = check_jwt_format(jwt({"alg": "ES256", "kid": "k1", "typ": "JWT"}), algorithms=["RS256", "ES256"])

    assert (header.algorithm, header.key_id) == ("ES256", "k1")
    assert header.fields["typ"] == "JWT"
    assert check_jwt_format(jwt({"alg": "RS256", "kid": 7})).key_id is None


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, "not_text"),
        (b"a.b.c", "not_text"),
        ("", "not_three_parts"),
        ("a.b", "not_three_parts"),
        ("a.b.c.d.e", "not_three_parts"),
        (jwt()[:-1] + "\n", "bad_base64"),
        (jwt() + "=", "bad_base64"),
        (jwt().replace(".", ". "), "bad_base64"),
        (jwt(signature=""), "bad_base64"),
        (jwt(signature="a"), "bad_base64"),
        (jwt(signature="aa+a"), "bad_base64"),
        (jwt(signature="é"), "bad_base64"),
        (jwt(signature="c2lnYR"), "bad_base64"),  # the same octets as c2lnYQ: a list of revoked tokens has the other
        (jwt([]), "bad_header"),
        (jwt({"alg": "RS256", "crit": []}), "bad_header"),
        (jwt({"alg": "RS256", "crit": "b64"}), "bad_header"),
        (jwt({"alg": "RS256", "crit": ["exp"]}), "bad_header"),
        (jwt({"alg": "RS256", "crit": [["alg"]]}), "bad_header"),
        (jwt({"alg": "RS256", "crit": ["alg", "alg"]}), "bad_header"),
        (jwt({"alg": "RS256", "crit": None}), "bad_header"),
        (jwt(b"{"), "bad_header"),
        (jwt(b"\xff"), "bad_header"),
        (jwt(b'{"alg":"RS256","alg":"none"}'), "bad_header"),
        (jwt(b'{"alg":"RS256","n":NaN}'), "bad_header"),
        (jwt(payload=b"[" * 5_000), "bad_header"),
        (jwt(payload=[1]), "bad_header"),
        (jwt({}), "no_algorithm"),
        (jwt({"alg": "none"}), "no_algorithm"),
        (jwt({"alg": "NoNe"}), "no_algorithm"),
        (jwt({"alg": " none "}), "no_algorithm"),
        (jwt({"alg": "none\0"}), "no_algorithm"),
        (jwt({"alg": "\uff4e\uff4f\uff4e\uff45"}), "no_algorithm"),
        (jwt({"alg": ""}), "no_algorithm"),
        (jwt({"alg": ["RS256"]}), "no_algorithm"),
        (jwt({"alg": "HS256"}), "algorithm"),
        (jwt({"alg": "RS256", "jwk": {}}), "own_key"),
        (jwt({"alg": "RS256", "jku": "https://evil.example/"}), "own_key"),
        (jwt({"alg": "RS256", "x5c": []}), "own_key"),
        ("a" * 8_193, "too_long"),
    ],
    ids=str,
)
def test_what_is_none_is_refused_with_a_reason(token: Any, reason: str) -> None:
    """And never shown."""
    with pytest.raises(TokenError) as caught:
        check_jwt_format(token, algorithms=["RS256"])

    assert caught.value.reason == reason
    assert str(caught.value) == f"A token {REASONS[caught.value.reason]}"


@given(st.text() | st.binary() | st.none() | st.builds(jwt, st.dictionaries(st.text(), st.text()) | st.binary()))
def test_nothing_raises_anything_else(token: Any) -> None:
    """Whatever a client sends."""
    with suppress(TokenError):
        check_jwt_format(token)


def test_algorithms_are_a_list() -> None:
    """Of one text every part would be allowed, such as `S2` of `RS256`."""
    with pytest.raises(ConfigError, match="AG106"):
        check_jwt_format(jwt({"alg": "S2"}), algorithms="RS256")


def test_what_is_critical_is_there() -> None:
    """Whether it is understood, whoever verifies has to tell."""
    assert check_jwt_format(jwt({"alg": "RS256", "b64": False, "crit": ["b64"]})).algorithm == "RS256"


def test_half_a_character_is_no_token() -> None:
    """A client brings it in by a JSON escape."""
    assert not has_checksum("shop_\ud800aaaaaaaaa")
    assert not verify_token("\ud800", hash_token("x"))


def test_every_byte_of_a_key_counts() -> None:
    """Also those behind the bound of the hash."""
    assert len({hash_token("x", "k" * size) for size in (63, 64, 65, 200)}) == 4


def test_tokens_are_long_enough_and_differ() -> None:
    """Of letters, digits, hyphens and underscores: nothing has to be encoded."""
    tokens = {new_token() for _ in range(100)}

    assert len(tokens) == 100
    assert all(len(token) == 43 and token.replace("-", "a").replace("_", "a").isalnum() for token in tokens)
    assert len(new_token(16)) == 22


def test_a_token_with_a_prefix_can_be_recognised() -> None:
    """By scanners for leaked secrets; a mistyped one too, without asking anybody."""
    token = new_token(prefix="shop")

    assert token.startswith("shop_")
    assert has_checksum(token)
    wrong = token[:-7] + ("a" if token[-7] != "a" else "b") + token[-6:]
    assert not any(map(has_checksum, (wrong, token[:-1], "shop_", "", new_token(), "é_ééééééé")))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"nbytes": 15}, "AG980"), ({"nbytes": 257}, "AG980"), ({"nbytes": True}, "AG980"), ({"nbytes": "32"}, "AG980"),
        ({"prefix": "a_b"}, "AG981"), ({"prefix": "a" * 33}, "AG981"), ({"prefix": None}, "AG981"),
    ],
    ids=str,
)  # fmt: skip
def test_too_little_is_refused(arguments: dict[str, Any], problem: str) -> None:
    """A short token can be guessed."""
    with pytest.raises(ConfigError) as caught:
        new_token(**arguments)

    assert [found.id for found in caught.value.problems] == [problem]


def test_secrets_are_compared_whatever_they_are() -> None:
    """Text and bytes, also what is not ASCII, which `hmac.compare_digest` refuses."""
    assert equal("é", "é".encode())
    assert equal("\ud800", "\ud800")
    assert not equal("é", "e")
    assert not equal("", b"a")


@pytest.mark.parametrize("key", ["", "pepper", b"k" * 64])
def test_what_is_kept_tells_nothing_and_verifies(key: Any) -> None:
    """With the key that it was made with, and no other."""
    token = new_token()
    stored = hash_token(token, key)

    assert len(stored) == 64
    assert verify_token(token, stored, key)
    assert not verify_token(new_token(), stored, key)
    assert not verify_token(token, stored, "another")
    assert token not in stored
