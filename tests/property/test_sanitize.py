"""Sanitisers: whatever comes in, what comes out keeps to its bound and goes in again unchanged, or a reason is given.

Nothing else is ever raised.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from asgi_guard.networks import Networks
from asgi_guard.sanitize import (
    REASONS,
    SanitizeError,
    clean_email,
    clean_filename,
    clean_html,
    clean_text,
    clean_url,
    resolve_url,
)
from asgi_guard.sanitize.hosts import is_public

NASTY = st.sampled_from(
    [
        *"\0\t\n\r\x1b\x7f\x85\xad .-_~/\\:<>&\"'%@[]#?",
        *"\u034f\u0300\u0316\u0338\u0390\u1100\u1161\u1160\u115f\u2024\u2026\u2028\u202e\u200b\u200c\u200d\u2066",
        *"\u3002\u3164\ufe0f\ufeff\uff0e\uff0f\uff11\uffa0\ufffe\ufdfa\ud800\U0001f468\U000e0041\U0001d160\u1e9b\u0958",
        "..",
        "CON",
        "aux.",
        "com\xb9",
        "<pre>\n",
        "<b>",
        "</p>",
        "<p>",
        "<a href=",
        "<table>",
        "<!--",
        "&lt",
        "http://",
        "https://",
        "127.1",
        "0x7f",
        "xn--",
        "example.com",
        "@example.com",
        "%2e",
        "%",
    ]
)
ANY = st.one_of(
    st.text(),
    st.text(st.characters(codec=None, exclude_categories=[])),
    st.lists(st.one_of(NASTY, st.sampled_from(string.ascii_letters + string.digits)), max_size=60).map("".join),
)
THINGS = st.one_of(ANY, st.none(), st.binary(), st.integers(), st.lists(st.text()))
HOSTS = st.lists(st.one_of(NASTY, st.sampled_from("0123456789abcdefx.:-")), max_size=24).map("".join)
URLS = st.one_of(
    THINGS,
    st.builds("{}{}{}".format, st.sampled_from(["http://", "https://", "HTTP://", "http:/", "ftp://", ""]), HOSTS, ANY),
)


def kept(clean: Callable[[Any], str], value: object) -> str | None:
    """Return what comes out, after it went in again; None for a reason."""
    try:
        found = clean(value)
    except SanitizeError as error:
        check_error(error)
        return None
    assert clean(found) == found
    return found


def check_error(error: SanitizeError) -> None:
    """An error says a reason that is known, as a sentence."""
    assert str(error) == f"{error.field} {REASONS[error.reason]}"


@given(THINGS, st.booleans(), st.sampled_from(["NFC", "NFKC"]), st.integers(1, 100))
@example("e\u034f\u0301", False, "NFC", 10)
@example("\u1100\u200b\u1161", False, "NFC", 10)
@example("\xb4a", False, "NFKC", 10)
def test_text(value: object, multiline: bool, form: Any, bound: int) -> None:
    """One line where one was asked for, normalised, and nothing in it that cannot be seen."""
    found = kept(partial(clean_text, multiline=multiline, form=form, max_length=bound), value)
    if found is None:
        return

    assert len(found) <= bound
    assert unicodedata.is_normalized(form, found)
    assert found == found.strip()
    assert not any(unicodedata.category(c) == "Cc" and not (multiline and c in "\n\t") for c in found)
    assert multiline or len(found.splitlines()) <= 1
    assert not any(unicodedata.bidirectional(c) in {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI"} for c in found)


@given(THINGS, st.integers(32, 255))
@example("a" * 240 + "\u200d" * 40 + ".txt", 255)
@example("CON" + " " * 300, 32)
@example("com1" + "." + "a" * 300, 32)
@example("." + "\u0301" * 20 + "/.a", 32)
def test_filename(value: object, bound: int) -> None:
    """One part of a path on every system, which is no device, is not hidden, and is no longer than it may be."""
    found = kept(partial(clean_filename, max_bytes=bound), value)
    if found is None:
        return

    assert 0 < len(found.encode()) <= bound
    assert len(unicodedata.normalize("NFD", found).encode("utf-16-le")) <= 2 * bound
    for form in (found, unicodedata.normalize("NFKC", found)):
        assert not re.search(r'[\x00-\x1f\x7f<>:"/\\|?*~]', form)
    assert PurePosixPath(found).name == PureWindowsPath(found).name == found
    assert not PureWindowsPath(found).is_reserved()
    assert not PureWindowsPath(unicodedata.normalize("NFKC", found)).is_reserved()
    assert found[0] not in ".- "
    assert found[-1] not in ". "


@given(THINGS, st.integers(1, 500))
@example("<pre>" + "\n" * 20 + "x</pre>", 500)
@example("<p><table><a><a><p>", 500)
def test_html(value: object, bound: int) -> None:
    """No tag that was not allowed, and nothing that a second reader sees another way."""
    found = kept(partial(clean_html, max_length=bound), value)
    if found is None:
        return

    assert len(found) <= bound
    assert not re.search(r"(?i)<(script|style|img|svg|math|iframe|form|!--)", found)


@given(st.one_of(THINGS, st.builds("{}@{}".format, ANY, st.one_of(ANY, st.just("example.com"))), st.emails()))
def test_email(value: object) -> None:
    """One recipient, on one line."""
    found = kept(clean_email, value)
    if found is None:
        return

    assert len(found) <= 254
    assert found.count("@") == 1
    assert not re.search(r"[\s<>,;\x00-\x1f]", found)


@given(URLS)
@example("http://a/\u212b")
@example("http://a?\u0300")
@example("http://[::ffff:1.2.3.4]/")
def test_url(value: object) -> None:
    """ASCII, and two other readers see the host that we see."""
    found = kept(clean_url, value)
    if found is None:
        return

    assert len(found) <= 2_048
    assert found.isascii()
    assert found.isprintable()
    theirs, others = urlsplit(found), httpx.URL(found)
    assert theirs.scheme in {"http", "https"}
    assert theirs.username is None
    assert ip_or_name(theirs.hostname or "") == ip_or_name(others.raw_host.decode())


def ip_or_name(host: str) -> str:
    """Return a host in one form, as two parsers write IPv6 addresses differently."""
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return host


@given(URLS, st.lists(st.one_of(st.ip_addresses().map(str), ANY), max_size=4))
def test_resolved_url(value: object, answers: list[str]) -> None:
    """Whatever was asked and answered, the addresses are addresses, and public ones."""
    try:
        found = resolve_url(value, resolver=lambda host, port: answers)
    except SanitizeError as error:
        check_error(error)
        return

    assert found.addresses
    assert all(is_public(address, Networks()) for address in found.addresses)


@given(st.one_of(st.ip_addresses(), st.ip_addresses(v=4)))
@example(ip_address("64:ff9b::100:0"))
@example(ip_address("64:ff9b::808:808"))
def test_no_address_is_public_that_the_standard_library_knows_as_private(address: Any) -> None:
    """Ours is the stricter of the two, whichever release of Python runs."""
    if is_public(str(address), Networks()):
        inner = getattr(address, "ipv4_mapped", None) or address
        if address.packed[:12] == bytes.fromhex("0064ff9b0000000000000000"):  # NAT64
            inner = ip_address(address.packed[12:])
        assert not any(
            (inner.is_private, inner.is_loopback, inner.is_link_local, inner.is_multicast, inner.is_reserved)
        )


@given(ANY)
def test_no_text_that_is_no_address_is_public(text: str) -> None:
    """And nothing is raised about it."""
    assert isinstance(is_public(text, Networks()), bool)
