"""Resolve: the addresses that a URL leads to, looked up once, each of them public; whoever fetches connects to these.

A check that leaves a name behind is none: the name is looked up again by the connection, and the DNS of an attacker
answers differently the second time (DNS rebinding). So the addresses are the result. One that is not public refuses
all: a client that tries them in turn would come to it.
Rule 1: a look-up ends in time for the caller. `getaddrinfo` cannot be stopped, so it runs in a thread that is left
behind, and of these there are at most 32: names that never answer take no more of the process than that, and whoever
finds no place among them in time is refused.
Rule 2: what a resolver says is no more trusted than the URL.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from socket import SOCK_STREAM, getaddrinfo
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import Final, TypeAlias

from anyio import CapacityLimiter, fail_after, to_thread
from anyio.lowlevel import RunVar

from asgi_guard.networks import pack, unpack
from asgi_guard.sanitize.errors import SanitizeError
from asgi_guard.sanitize.hosts import clean_host, is_public
from asgi_guard.sanitize.urls import DEFAULT_POLICY, CleanURL, URLPolicy, parse_url

Resolver: TypeAlias = Callable[[str, int], Iterable[str]]
"""Returns the addresses of a host, which is told with the port; raises `OSError` where there are none."""

AsyncResolver: TypeAlias = Callable[[str, int], Awaitable[Iterable[str]]]
"""The same, awaited."""

MAX_ADDRESSES: Final = 32
"""Of one host; what comes after them is left out, and never connected to."""

MAX_LOOKUPS: Final = 32
"""The look-ups of a process that may be under way in threads; and as many of each event loop may wait for one."""

_lookups: Final = BoundedSemaphore(MAX_LOOKUPS)
_async_lookups: Final[RunVar[CapacityLimiter]] = RunVar("asgi_guard_lookups")


@dataclass(frozen=True, slots=True)
class PinnedURL(CleanURL):
    """A clean URL, and the only addresses to connect to for it.

    Attributes:
        addresses: at least one, in the order in which the resolver prefers them. Connect to one of these, and keep
            `host` for TLS and for the `Host` header.
    """

    addresses: tuple[str, ...]


def system_resolver(host: str, port: int) -> list[str]:
    """Ask the system, as connections do."""
    found = getaddrinfo(host, port, type=SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def resolve_url(
    value: object,
    policy: URLPolicy = DEFAULT_POLICY,
    *,
    resolver: Resolver = system_resolver,
    field: str = "url",
) -> PinnedURL:
    """Return a URL that may be fetched, with the addresses to fetch it from.

    Args:
        value: what was given.
        policy: which URLs are taken, and how long the look-up may take.
        resolver: looks the host up, in a thread.
        field: what to call it in an error.

    Raises:
        SanitizeError: `not_resolved`, `not_public`, or a reason of `clean_url`.
        MissingExtraError: the host is not ASCII, and the extra `sanitize` is not installed.
    """
    found = parse_url(value, policy, field)
    addresses = addresses_of(found.host, found.port, policy, resolver, field)
    return PinnedURL(found.url, found.scheme, found.host, found.port, addresses)


async def resolve_url_async(
    value: object,
    policy: URLPolicy = DEFAULT_POLICY,
    *,
    resolver: AsyncResolver | None = None,
    field: str = "url",
) -> PinnedURL:
    """Return a URL that may be fetched, with the addresses to fetch it from; on asyncio or trio.

    Args:
        value: what was given.
        policy: which URLs are taken, and how long the look-up may take.
        resolver: looks the host up; None asks the system, in a thread.
        field: what to call it in an error.

    Raises:
        SanitizeError: `not_resolved`, `not_public`, or a reason of `clean_url`.
        MissingExtraError: the host is not ASCII, and the extra `sanitize` is not installed.
    """
    found = parse_url(value, policy, field)
    addresses = await addresses_of_async(found.host, found.port, policy, resolver, field)
    return PinnedURL(found.url, found.scheme, found.host, found.port, addresses)


def addresses_of(host: str, port: int, policy: URLPolicy, resolver: Resolver, field: str) -> tuple[str, ...]:
    """Return the addresses of a host to connect to.

    Raises:
        SanitizeError: see `resolve_url`.
    """
    literal = _literal(host, policy, field)
    if literal:
        return literal
    answer: Future[list[str]] = Future()

    def look_up() -> None:
        try:
            answer.set_result(_heard(resolver(host, port)))
        except BaseException as error:  # noqa: BLE001  it is raised again by whoever waits
            answer.set_exception(error)
        finally:
            _lookups.release()

    until = monotonic() + policy.timeout_seconds
    if not _lookups.acquire(timeout=policy.timeout_seconds):
        raise SanitizeError(field, "not_resolved")
    try:
        Thread(target=look_up, name="asgi_guard look-up", daemon=True).start()
    except RuntimeError:  # the system has no more threads
        _lookups.release()
        raise SanitizeError(field, "not_resolved") from None
    try:
        heard = answer.result(max(until - monotonic(), 0))
    except (OSError, UnicodeError):  # a `TimeoutError` is one too
        heard = []
    return _checked(heard, policy, field)


async def addresses_of_async(
    host: str, port: int, policy: URLPolicy, resolver: AsyncResolver | None, field: str
) -> tuple[str, ...]:
    """Return the addresses of a host to connect to.

    Raises:
        SanitizeError: see `resolve_url_async`.
    """
    literal = _literal(host, policy, field)
    if literal:
        return literal
    try:
        with fail_after(policy.timeout_seconds):
            if resolver is None:
                heard = await _system_async(host, port, policy.timeout_seconds)
            else:
                heard = _heard(await resolver(host, port))
    except (OSError, UnicodeError):  # a `TimeoutError` is one too
        heard = []
    return _checked(heard, policy, field)


async def _system_async(host: str, port: int, timeout: float) -> list[str]:  # noqa: ASYNC109  it is the thread's
    try:
        limiter = _async_lookups.get()
    except LookupError:
        limiter = CapacityLimiter(MAX_LOOKUPS)
        _async_lookups.set(limiter)
    return await to_thread.run_sync(_in_its_turn, host, port, timeout, abandon_on_cancel=True, limiter=limiter)


def _in_its_turn(host: str, port: int, timeout: float) -> list[str]:
    """Ask the system, unless too many wait for it: the limiter forgets a thread that is left behind."""
    if not _lookups.acquire(timeout=timeout):
        raise TimeoutError
    try:
        return _heard(system_resolver(host, port))
    finally:
        _lookups.release()


def _literal(host: str, policy: URLPolicy, field: str) -> tuple[str, ...]:
    """Return the address that a host is; nothing where it is a name.

    Raises:
        SanitizeError: it is neither, or an address that is not allowed.
    """
    clean = clean_host(f"[{host}]" if ":" in host else host, field).strip("[]")
    return () if pack(clean) is None else _checked([clean], policy, field)


def _heard(addresses: Iterable[str]) -> list[str]:
    return list(islice(addresses, MAX_ADDRESSES))


def _checked(addresses: list[str], policy: URLPolicy, field: str) -> tuple[str, ...]:
    if not addresses:
        raise SanitizeError(field, "not_resolved")
    packed = [pack(address) for address in addresses if is_public(address, policy.networks)]
    usable = tuple(unpack(address) for address in packed if address is not None)
    if len(usable) < len(addresses):
        raise SanitizeError(field, "not_public")
    return usable
