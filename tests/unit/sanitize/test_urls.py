"""URLs: read strictly, written in one way, and never looked up."""

from __future__ import annotations

import sys

import pytest

from asgi_guard.errors import ConfigError, MissingExtraError
from asgi_guard.sanitize import SanitizeError, URLPolicy, clean_url

CLEAN = {
    "https://example.com": "https://example.com/",
    "HTTPS://EXAMPLE.com/Path": "https://example.com/Path",
    "http://example.com:80/": "http://example.com/",
    "https://example.com:8443/a?b=c#d": "https://example.com:8443/a?b=c#d",
    "http://example.com:/": "http://example.com/",
    "http://example.com./": "http://example.com/",
    "http://example.com?q": "http://example.com/?q",
    "http://example.com/a/../b/./c": "http://example.com/b/c",
    "http://example.com/../../a": "http://example.com/a",
    "http://example.com/a/%2e%2E/b": "http://example.com/b",
    "http://example.com/a/..": "http://example.com/",
    "http://example.com/a%2fb%c3%a9": "http://example.com/a%2Fb%C3%A9",
    "http://example.com/\xe9?\xe9#\xe9": "http://example.com/%C3%A9?%C3%A9#%C3%A9",
    "http://example.com/a'\"<b>": "http://example.com/a'%22%3Cb%3E",
    "http://example.com/?next=https://a.example/@b": "http://example.com/?next=https://a.example/@b",
    "http://b\xfccher.example/": "http://xn--bcher-kva.example/",
    "http://xn--bcher-kva.example/": "http://xn--bcher-kva.example/",
    "http://\u4f8b\u5b50\u3002\u6d4b\u8bd5/": "http://xn--fsqu00a.xn--0zwm56d/",
    "http://\uff45xample.com/": "http://example.com/",
    "http://under_score.example/": "http://under_score.example/",
    "http://localhost:3000/": "http://localhost:3000/",
    "http://192.0.2.1/": "http://192.0.2.1/",
    "http://\uff11\uff12\uff17.0.0.1/": "http://127.0.0.1/",
    "http://127.0.0.1./": "http://127.0.0.1/",
    "http://[2001:DB8::0:1]/": "http://[2001:db8::1]/",
    "http://[::ffff:127.0.0.1]/": "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]:8080/": "http://[::ffff:127.0.0.1]:8080/",
}

BAD = {
    "": "bad_url",
    "example.com": "bad_url",
    "//example.com/": "bad_url",
    "/path": "bad_url",
    "http:/example.com": "bad_url",
    "http:\\\\example.com": "bad_url",
    "http://example.com\\@evil.example/": "bad_url",
    " http://example.com/": "bad_url",
    "http://example.com/a b": "bad_url",
    "http://example.com/\r\nHost: evil.example": "bad_url",
    "http://exa\tmple.com/": "bad_url",
    "http://example.com/\0": "bad_url",
    "http://example.com/\x85": "bad_url",
    "http://example.com/\u2028": "bad_url",
    "http://example.com/%zz": "bad_url",
    "http://example.com/%": "bad_url",
    "javascript:alert(1)": "scheme",
    "javascript://example.com/%0aalert(1)": "scheme",
    "java\nscript://example.com/": "bad_url",
    "data:text/html,x": "scheme",
    "mailto:ann@example.com": "scheme",
    "localhost:8000/x": "scheme",
    "http:example.com": "bad_url",
    "file:///etc/passwd": "scheme",
    "gopher://example.com/": "scheme",
    "ftp://example.com/": "scheme",
    "http://user@example.com/": "credentials",
    "http://user:secret@example.com/": "credentials",
    "http://example.com@evil.example/": "credentials",
    "http://@example.com/": "credentials",
    "http://example.com%40evil.example/": "bad_host",
    "http:///path": "bad_host",
    "http://./": "bad_host",
    "http://../": "bad_host",
    "http://a..b/": "bad_host",
    "http://.example.com/": "bad_host",
    "http://-example.com/": "bad_host",
    "http://example-.com/": "bad_host",
    "http://exa$mple.com/": "bad_host",
    "http://exam%70le.com/": "bad_host",
    "http://" + "a" * 64 + ".example/": "bad_host",
    "http://" + "a." * 127 + "example/": "bad_host",
    "http://[::1": "bad_host",
    "http://[::1]x/": "bad_host",
    "http://[127.0.0.1]/": "bad_host",
    "http://::1/": "bad_host",
    "http://\uff3b::1\uff3d/": "bad_host",
    "http://example.com\uff0fevil.example/": "bad_host",
    "http://example.com\uff1a80/": "bad_host",
    "http://\u2100.example/": "bad_host",
    "http://\U0001f4a9.example/": "bad_host",
    "http://[fe80::1%25eth0]/": "zone",
    "http://example.com:0/": "port",
    "http://example.com:65536/": "port",
    "http://example.com:99999/": "port",
    "http://example.com:123456/": "bad_host",
    "http://example.com:-1/": "bad_host",
    "http://example.com:80:80/": "bad_host",
    "http://example.com:\uff18\uff10/": "bad_host",
    "http://0x7f.1/": "odd_address",
    "http://example.com/" + "a" * 2_048: "too_long",
    "http://example.com/" + "\xe9" * 400: "too_long",
    "http://example.com/\ud800": "not_unicode",
    b"http://example.com/": "not_text",
    None: "not_text",
}


@pytest.mark.parametrize(("given", "expected"), CLEAN.items(), ids=[ascii(given) for given in CLEAN])
def test_a_url_has_one_form(given: str, expected: str) -> None:
    """Cleaning it again changes nothing."""
    assert clean_url(given) == expected
    assert clean_url(expected) == expected


@pytest.mark.parametrize(("given", "reason"), BAD.items(), ids=[ascii(given)[:60] for given in BAD])
def test_what_readers_differ_about_is_refused(given: object, reason: str) -> None:
    """Where one sees another host than the next, an attacker chooses which."""
    with pytest.raises(SanitizeError) as error:
        clean_url(given, field="homepage")

    assert (error.value.field, error.value.reason) == ("homepage", reason)


def test_schemes_and_ports_are_a_choice() -> None:
    """What is not named is refused; the port of the scheme counts as if it stood there."""
    policy = URLPolicy(schemes=["https", "wss"], ports=[443])

    assert clean_url("wss://example.com", policy) == "wss://example.com/"
    with pytest.raises(SanitizeError, match="scheme"):
        clean_url("http://example.com", policy)
    with pytest.raises(SanitizeError, match="port"):
        clean_url("https://example.com:22", policy)


WRONG = {
    "a scheme that runs code": ({"schemes": ["javascript"]}, "AG940"),
    "a scheme that reads files": ({"schemes": ["https", "file"]}, "AG940"),
    "a scheme in capitals": ({"schemes": ["HTTPS"]}, "AG940"),
    "a scheme with its colon": ({"schemes": ["https:"]}, "AG940"),
    "no scheme": ({"schemes": []}, "AG106"),
    "one text": ({"schemes": "https"}, "AG106"),
    "a port of text": ({"ports": ["80"]}, "AG941"),
    "a port that is none": ({"ports": [0]}, "AG941"),
    "one port": ({"ports": 80}, "AG941"),
    "a network that is none": ({"allowed": ["10.0.0.0/33"]}, "AG300"),
    "a name": ({"allowed": ["intranet"]}, "AG302"),
    "no length": ({"max_length": 0}, "AG101"),
    "no time": ({"timeout_seconds": 0}, "AG102"),
}


@pytest.mark.parametrize(("settings", "problem"), WRONG.values(), ids=WRONG)
def test_a_policy_of_nonsense_does_not_start(settings: dict, problem: str) -> None:
    """With the id of the rule."""
    with pytest.raises(ConfigError, match=problem):
        URLPolicy(**settings)


def test_every_problem_of_a_policy_is_told_at_once() -> None:
    """So that it is mended once."""
    with pytest.raises(ConfigError) as error:
        URLPolicy(schemes=["file"], ports=[0], allowed=["x"], max_length=1, timeout_seconds=99)

    assert len(error.value.problems) == 5


def test_without_idna_a_name_in_ascii_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other one tells the command."""
    monkeypatch.setitem(sys.modules, "idna", None)

    assert clean_url("http://example.com/\xe9") == "http://example.com/%C3%A9"
    with pytest.raises(MissingExtraError, match=r"asgi-guard\[sanitize\]"):
        clean_url("http://b\xfccher.example/")
