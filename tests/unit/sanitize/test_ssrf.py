"""SSRF: no way to write an inner address leads there, and no answer of the DNS does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable

import anyio
import pytest

from asgi_guard.sanitize import PinnedURL, SanitizeError, URLPolicy, resolve, resolve_url, resolve_url_async

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.216.34"

# How an inner address can be written as the host of a URL.
WRITTEN = {
    "127.0.0.1": "not_public",
    "127.0.0.1.": "not_public",
    "127.1": "odd_address",
    "127.0.1": "odd_address",
    "0x7f.1": "odd_address",
    "0x7f.0.0.1": "odd_address",
    "0x7f.0x0.0x0.0x1": "odd_address",
    "0X7F000001": "odd_address",
    "0x7f000001": "odd_address",
    "0x": "odd_address",
    "2130706433": "odd_address",
    "017700000001": "odd_address",
    "0177.0.0.1": "odd_address",
    "0177.0.0.01": "odd_address",
    "00000177.0.0.1": "odd_address",
    "127.0.0.01": "odd_address",
    "127.000.000.001": "odd_address",
    "127.0.0.1.0x0": "odd_address",
    "127.0.0.256": "odd_address",
    "4294967296": "odd_address",
    "425.510.425.510": "odd_address",
    "1.2.3.4.5": "odd_address",
    "example.0x7f": "odd_address",
    "\uff11\uff12\uff17.\uff10.\uff10.\uff11": "not_public",
    "127\u30020\u30020\u30021": "not_public",
    "127\uff0e0\uff0e0\uff0e1": "not_public",
    "\u2460\u2461\u2466.0.0.1": "not_public",
    "\u2460\u2461\u2466.1": "odd_address",
    "127.0.0.\u2460": "not_public",
    "\U0001d7cf\U0001d7d0\U0001d7d5.0.0.1": "not_public",
    "127\u200b.0.0.1": "not_public",
    "127\xad.0.0.1": "not_public",
    "\u0661\u0662\u0667.0.0.1": "bad_host",
    "%31%32%37.0.0.1": "odd_address",
    "127.0.0.1%00.example.com": "bad_host",
    "127.0.0.1%23.example.com": "bad_host",
    "0": "odd_address",
    "0.0.0.0": "not_public",
    "10.0.0.1": "not_public",
    "100.64.0.1": "not_public",
    "100.100.100.200": "not_public",
    "168.63.129.16": "not_public",
    "169.254.169.254": "not_public",
    "0xa9fea9fe": "odd_address",
    "2852039166": "odd_address",
    "0251.0376.0251.0376": "odd_address",
    "172.16.0.1": "not_public",
    "172.31.255.255": "not_public",
    "192.0.0.192": "not_public",
    "192.0.2.1": "not_public",
    "192.88.99.1": "not_public",
    "192.168.1.1": "not_public",
    "198.18.0.1": "not_public",
    "198.51.100.1": "not_public",
    "203.0.113.1": "not_public",
    "224.0.0.1": "not_public",
    "240.0.0.1": "not_public",
    "255.255.255.255": "not_public",
    "[::]": "not_public",
    "[::1]": "not_public",
    "[0:0:0:0:0:0:0:1]": "not_public",
    "[0000:0000:0000:0000:0000:0000:0000:0001]": "not_public",
    "[::127.0.0.1]": "not_public",
    "[::7f00:1]": "not_public",
    "[::8.8.8.8]": "not_public",
    "[::ffff:127.0.0.1]": "not_public",
    "[::ffff:7f00:1]": "not_public",
    "[::FFFF:A9FE:A9FE]": "not_public",
    "[0:0:0:0:0:ffff:127.0.0.1]": "not_public",
    "[::ffff:0:127.0.0.1]": "not_public",
    "[64:ff9b::127.0.0.1]": "not_public",
    "[64:ff9b::a9fe:a9fe]": "not_public",
    "[64:ff9b:1::8.8.8.8]": "not_public",
    "[64:ff9b::1:808:808]": "not_public",
    "[2002:7f00:1::]": "not_public",
    "[2002:0808:0808::1]": "not_public",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]": "not_public",
    "[2001::1]": "not_public",
    "[2001:db8::1]": "not_public",
    "[3fff::1]": "not_public",
    "[5f00::1]": "not_public",
    "[2606:4700::5efe:127.0.0.1]": "not_public",
    "[2606:4700::200:5efe:10.0.0.1]": "not_public",
    "[100::1]": "not_public",
    "[fc00::1]": "not_public",
    "[fd00:ec2::254]": "not_public",
    "[fe80::1]": "not_public",
    "[fec0::1]": "not_public",
    "[ff02::1]": "not_public",
    "[fe80::1%25eth0]": "zone",
    "[::1%25]": "zone",
    "[::1%lo]": "bad_url",
    "[v1.127.0.0.1]": "bad_host",
    "[::1.2.3]": "bad_host",
    "[[::1]]": "bad_host",
    "localhost": "not_public",
    "LOCALHOST": "not_public",
    "localhost.": "not_public",
    "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3": "not_public",
    "anything.localhost": "not_public",
    "127.0.0.1.nip.example": "not_public",
    "user@127.0.0.1": "credentials",
    "example.com@127.0.0.1": "credentials",
    "127.0.0.1\\.example.com": "bad_url",
    "example.com\\@127.0.0.1": "bad_url",
    "127.0.0.1 .example.com": "bad_url",
    "127.0.0.1:80:80": "bad_host",
}

# What a resolver may say, of which one is not public, or none is an address.
ANSWERED = {
    "loopback": ["127.0.0.1"],
    "one good, one bad": [PUBLIC, "10.0.0.1"],
    "one bad, one good": ["::1", "2606:4700::1111"],
    "a mapped one": ["::ffff:192.168.0.1"],
    "one with a zone": ["fe80::1%eth0"],
    "a public one with a zone": ["2606:4700::1111%1"],
    "a name": ["localhost"],
    "an old form": ["0x7f.1"],
    "nothing at all": [""],
}


def answering(*addresses: str) -> resolve.Resolver:
    """Return a resolver that says the same of every host."""
    return lambda host, port: addresses


def inner(host: str, port: int) -> Iterable[str]:
    """Be a DNS where every name leads inside."""
    return ["127.0.0.1"]


async def inner_async(host: str, port: int) -> Iterable[str]:
    """Be the same, awaited."""
    return ["127.0.0.1"]


@pytest.mark.parametrize(("host", "reason"), WRITTEN.items(), ids=[ascii(host) for host in WRITTEN])
def test_an_inner_address_is_refused_in_every_writing(host: str, reason: str) -> None:
    """Even where every name leads inside."""
    with pytest.raises(SanitizeError) as error:
        resolve_url(f"http://{host}/", resolver=inner)

    assert error.value.reason == reason


async def test_an_inner_address_is_refused_in_every_writing_where_it_is_awaited() -> None:
    """By the same reasons."""
    for host, reason in WRITTEN.items():
        with pytest.raises(SanitizeError) as error:
            await resolve_url_async(f"http://{host}/", resolver=inner_async)

        assert (host, error.value.reason) == (host, reason)


def test_the_table_is_long() -> None:
    """A new form is a new row."""
    assert len(WRITTEN) + len(ANSWERED) >= 110


@pytest.mark.parametrize("addresses", ANSWERED.values(), ids=ANSWERED)
def test_one_bad_answer_refuses_all(addresses: list[str]) -> None:
    """A client that tries them in turn would come to it."""
    with pytest.raises(SanitizeError) as error:
        resolve_url("https://example.com/", resolver=answering(*addresses))

    assert error.value.reason == "not_public"


PUBLIC_ADDRESSES = [PUBLIC, "8.8.8.8", "1.1.1.1", "2606:4700::1111", "2001:4860:4860::8888", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address_is_pinned(address: str) -> None:
    """Written in the URL or said by the DNS; NAT64 carries every IPv4 site where there is only IPv6."""
    host = f"[{address}]" if ":" in address else address

    assert resolve_url(f"http://{host}/").addresses == (address,)
    assert resolve_url("http://example.com/", resolver=answering(address)).addresses == (address,)


def test_the_result_has_what_a_connection_needs() -> None:
    """The name for TLS and `Host`, the addresses for the socket."""
    asked: list[tuple[str, int]] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return [PUBLIC, "::ffff:8.8.8.8"]

    found = resolve_url("HTTPS://B\xfccher.example/a", resolver=resolver)

    assert found == PinnedURL(
        "https://xn--bcher-kva.example/a", "https", "xn--bcher-kva.example", 443, (PUBLIC, "8.8.8.8")
    )
    assert asked == [("xn--bcher-kva.example", 443)]


def test_an_inner_address_can_be_allowed() -> None:
    """And only that: the ones beside it are as far away as before."""
    policy = URLPolicy(allowed=["127.0.0.1", "10.2.0.0/16", "fd00::/8"])

    assert resolve_url("http://127.0.0.1:8000/", policy).addresses == ("127.0.0.1",)
    assert resolve_url("http://[::ffff:10.2.3.4]/", policy).addresses == ("10.2.3.4",)
    assert resolve_url("http://search.internal/", policy, resolver=answering("fd00::1")).addresses == ("fd00::1",)
    with pytest.raises(SanitizeError, match="public"):
        resolve_url("http://127.0.0.2/", policy)


def failing(host: str, port: int) -> Iterable[str]:
    """Know no name."""
    raise OSError("no such name")


def confused(host: str, port: int) -> Iterable[str]:
    """Fail as the codec of the standard library does."""
    raise UnicodeError("label too long")


@pytest.mark.parametrize("resolver", [failing, confused, answering()], ids=["fails", "is confused", "says nothing"])
def test_a_host_that_is_not_known_is_refused(resolver: resolve.Resolver) -> None:
    """Whatever the reason was."""
    with pytest.raises(SanitizeError) as error:
        resolve_url("http://example.com/", resolver=resolver)

    assert error.value.reason == "not_resolved"


def test_a_resolver_with_a_fault_tells_it_to_its_author() -> None:
    """It is no fault of the value, and must not look like one."""

    def broken(host: str, port: int) -> Iterable[str]:
        raise KeyError(host)

    with pytest.raises(KeyError):
        resolve_url("http://example.com/", resolver=broken)


def test_a_system_without_threads_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the place is free again."""

    def none(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        for _ in range(resolve.MAX_LOOKUPS + 1):
            with pytest.raises(SanitizeError, match="in time"):
                resolve_url("http://example.com/", resolver=answering(PUBLIC))

    assert resolve_url("http://example.com/", resolver=answering(PUBLIC)).addresses == (PUBLIC,)


def test_a_flood_of_answers_is_cut() -> None:
    """Even if it never ends."""

    def endless(host: str, port: int) -> Iterable[str]:
        while True:
            yield PUBLIC

    assert len(resolve_url("http://example.com/", resolver=endless).addresses) == resolve.MAX_ADDRESSES


async def test_a_name_that_never_answers_ends_in_time() -> None:
    """The loop goes on meanwhile."""
    policy = URLPolicy(timeout_seconds=0.05)

    async def never(host: str, port: int) -> Iterable[str]:
        await anyio.sleep(10)
        return [PUBLIC]

    began = time.monotonic()
    with pytest.raises(SanitizeError, match="in time"):
        await resolve_url_async("http://example.com/", policy, resolver=never)

    assert time.monotonic() - began < 5


def test_the_system_is_asked_without_a_resolver_and_without_a_loop() -> None:
    """In a thread, which ends."""
    policy = URLPolicy(allowed=["127.0.0.0/8", "::1"])

    assert resolve_url("http://localhost/", policy).addresses
    with pytest.raises(SanitizeError, match="public"):
        resolve_url("http://localhost/")


@pytest.mark.long
def test_names_that_never_answer_take_no_more_than_their_threads() -> None:
    """Beyond them everyone else waits, and is refused in time."""
    policy = URLPolicy(timeout_seconds=0.05)
    answer = threading.Event()
    before = threading.active_count()

    def never(host: str, port: int) -> Iterable[str]:
        answer.wait(30)
        return [PUBLIC]

    for _ in range(resolve.MAX_LOOKUPS + 3):
        with pytest.raises(SanitizeError, match="in time"):
            resolve_url("http://example.com/", policy, resolver=never)
    most = threading.active_count()
    answer.set()

    assert most - before <= resolve.MAX_LOOKUPS
    assert resolve_url("http://example.com/", resolver=answering(PUBLIC)).addresses == (PUBLIC,)


async def test_the_system_is_asked_without_a_resolver() -> None:
    """`localhost` is known to every system, and inner on each."""
    policy = URLPolicy(allowed=["127.0.0.0/8", "::1"])

    assert (await resolve_url_async("http://localhost/", policy)).addresses
    with pytest.raises(SanitizeError, match="public"):
        await resolve_url_async("http://localhost/")


async def test_names_that_never_answer_take_no_more_threads_where_they_are_awaited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look-up that was given up still has its thread."""
    answer = threading.Event()
    under_way = 0
    most = 0

    def never(*_args: object, **_options: object) -> list:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        answer.wait(30)
        under_way -= 1
        return []

    async def refused() -> None:
        with pytest.raises(SanitizeError, match="in time"):
            await resolve_url_async("http://example.com/", URLPolicy(timeout_seconds=0.2))

    monkeypatch.setattr(resolve, "getaddrinfo", never)
    for _ in range(2):
        async with anyio.create_task_group() as group:
            for _ in range(resolve.MAX_LOOKUPS + 8):
                group.start_soon(refused)
    answer.set()

    assert 0 < most <= resolve.MAX_LOOKUPS


def test_each_loop_has_its_own_look_ups() -> None:
    """A limiter belongs to the loop in which it was made."""
    policy = URLPolicy(allowed=["127.0.0.0/8", "::1"])

    for _ in range(2):
        assert asyncio.run(resolve_url_async("http://localhost/", policy)).addresses
