"""URLs of Redis: what one says, and how it is shown.

Must never show a password, also in errors.

| id    | rule that was broken                                            |
|-------|-----------------------------------------------------------------|
| AG430 | a URL of Redis says where it is, and nothing that has no effect |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from os import path
from typing import Final, TypeAlias
from urllib.parse import SplitResult, parse_qsl, urlsplit

from asgi_guard.errors.exceptions import MissingExtraError
from asgi_guard.settings import Problems

SENTINEL_SCHEMES: Final = ("redis+sentinel", "valkey+sentinel")
"""With these, a URL names sentinels and the name of their master: `redis+sentinel://h1:26379,h2:26379/mymaster/0`."""

CLUSTER_SCHEMES: Final = ("redis+cluster", "rediss+cluster", "valkey+cluster", "valkeys+cluster")
"""With these, a URL names any node of a cluster."""

SCHEMES: Final = ("redis", "rediss", "valkey", "valkeys", "unix", *SENTINEL_SCHEMES, *CLUSTER_SCHEMES)
"""What a URL of Redis may begin with."""

TLS_SCHEMES: Final = ("rediss", "valkeys", "rediss+cluster", "valkeys+cluster")
"""With these, it speaks TLS, and the query may say how."""

_NAMES: Final = {
    "valkey": "redis",
    "valkeys": "rediss",
    "redis+cluster": "redis",
    "rediss+cluster": "rediss",
    "valkey+cluster": "redis",
    "valkeys+cluster": "rediss",
}

_ONE_DATABASE: Final = ("must name no database of a cluster, which has only one", "Leave it out.")

_Kind: TypeAlias = tuple[Callable[[str], object], str]

_is_number: Final = re.compile("[0-9]{1,9}").fullmatch
_NUMBER: Final[_Kind] = (_is_number, "a number")
_SWITCH: Final[_Kind] = (re.compile("true|false|yes|no|1|0", re.IGNORECASE).fullmatch, "true or false")
_WORD: Final[_Kind] = (re.compile("[!-~]+").fullmatch, "a text without blanks")
_TEXT: Final[_Kind] = (bool, "a text")
_FILE: Final[_Kind] = (path.isfile, "a file that is there")
_SAYS: Final[Mapping[str, _Kind]] = {
    "db": _NUMBER,
    "username": _TEXT,
    "password": _TEXT,
    "client_name": _WORD,
    "socket_keepalive": _SWITCH,
    "ssl_ca_certs": _FILE,
    "ssl_ca_data": _TEXT,
    "ssl_ca_path": (path.isdir, "a folder that is there"),
    "ssl_cert_reqs": (re.compile("none|optional|required").fullmatch, "none, optional or required"),
    "ssl_certfile": _FILE,
    "ssl_check_hostname": _SWITCH,
    "ssl_ciphers": _TEXT,
    "ssl_keyfile": _FILE,
    "ssl_password": _TEXT,
}
"""What the query may say, as redis-py reads it. The rest is decided here: with another protocol no news are heard."""


def plain_url(url: str) -> str:
    """Return the URL of one server as redis-py knows it."""
    scheme, _, rest = url.partition("://")
    return f"{_NAMES.get(scheme, scheme)}://{rest}"


def check_url(problems: Problems, field: str, url: object) -> bool:
    """Check a URL, and never show it: redis-py would find out at the first call, or understand something else."""
    if not isinstance(url, str):
        return problems.text(field, url)
    broken = [*_broken(url)]
    for rule, remedy in broken:
        problems.add("AG430", field, url, rule, remedy)
    return not broken


def _broken(url: str) -> Iterator[tuple[str, str]]:
    """Give each rule that a URL breaks, and what to do."""
    like = "Write it like 'redis://127.0.0.1:6379/0'."
    try:
        parts = urlsplit(url)
    except ValueError:  # such as one bracket of two
        yield "must be a URL", like
        return
    is_file = parts.scheme == "unix" and not parts.netloc
    if parts.scheme not in SCHEMES:
        yield f"must be a URL that begins with {', '.join(SCHEMES)}", like
    elif not url.isprintable() or "#" in url or ("@" in parts.path + parts.query and not is_file):
        # What begins as a password and goes on as a path would be shown.
        rule = "must have no '#', and no '@', '/' and '?' in a password, but percent-encoded"
        yield rule, "Write %23, %40, %2F and %3F in their place; urllib.parse.quote(password, safe='') does."
    else:
        yield from _broken_place(parts)
        yield from _broken_query(parts)


def _broken_place(parts: SplitResult) -> Iterator[tuple[str, str]]:
    """Give what is wrong with where it leads to."""
    hosts = parts.netloc.rpartition("@")[2]
    names = parts.path.strip("/")
    if parts.scheme in SENTINEL_SCHEMES:
        service, _, names = names.partition("/")
        like = "Write it like 'redis+sentinel://h1:26379,h2:26379/service/0'."
        if not all(map(_port, hosts.split(","))):
            yield "must name each sentinel by its host and its port", like
        if not service:
            yield "must name the service that the sentinels watch", like
    elif parts.scheme == "unix":
        if not names:
            yield "must name the path of a socket", "Write it like 'unix:///run/redis.sock?db=0'."
        return
    elif not parts.hostname:
        yield "must name a host", f"Write it like '{parts.scheme}://127.0.0.1:6379'."
    elif _port(hosts, 6379) is None:
        yield "must have a port from 1 to 65535", "Mend what stands after the host, or leave it out for 6379."
    if names and not _is_number(names):
        yield "must have a number for its database", "Write it like 'redis://127.0.0.1:6379/0', or leave it out."
    elif parts.scheme in CLUSTER_SCHEMES and int(names or 0):
        yield _ONE_DATABASE


def _broken_query(parts: SplitResult) -> Iterator[tuple[str, str]]:
    """Give what is wrong with what it says besides. What it says may be a secret, but for names that are known."""
    said = parse_qsl(parts.query, keep_blank_values=True)
    if any(name not in _SAYS for name, _ in said):
        rule = f"must have nothing in its query but {', '.join(_SAYS)}"
        yield rule, "Leave out the rest; time limits are settings of their own."
    for name, value in said:
        is_sound, what = _SAYS.get(name, _TEXT)
        if name in _SAYS and not is_sound(value):
            yield f"must name {what} as {name} in its query", "Mend it, or leave it out."
        elif name == "db" and parts.scheme in CLUSTER_SCHEMES and int(value):
            yield _ONE_DATABASE
    if parts.scheme not in TLS_SCHEMES and any(name.startswith("ssl_") for name, _ in said):
        yield f"must begin with {', '.join(TLS_SCHEMES)} where its query speaks of TLS", "Speak TLS, or leave that out."


def _port(host: str, usual: int | None = None) -> int | None:
    """Return the port of a host; None where there is none, or no host."""
    try:
        parts = urlsplit(f"//{host}")
        port = usual if parts.port is None else parts.port
    except ValueError:
        return None
    return (port or None) if parts.hostname else None


def shown_url(url: str) -> str:
    """Return a URL without what may be a secret: the user, the password and the query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def need_redis(feature: str) -> None:
    """Import redis-py.

    Raises:
        MissingExtraError: with the command that installs it.
    """
    try:
        import_module("redis.asyncio")  # now, and not in the middle of the first request
    except ImportError:
        raise MissingExtraError(feature, "redis") from None
