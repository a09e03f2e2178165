"""URLs of Redis: what one says, and how it is shown.

Must never show a password, also in errors.

| id    | rule that was broken                                            |
|-------|-----------------------------------------------------------------|
| AG430 | a URL of Redis says where it is, and nothing that has no effect |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Final
from urllib.parse import parse_qsl, urlsplit

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

_TEXT: Final = re.compile(".+", re.DOTALL)
_SWITCH: Final = re.compile("true|false|yes|no|1|0", re.IGNORECASE)
_SAYS: Final[Mapping[str, re.Pattern[str]]] = {
    "db": re.compile("[0-9]{1,9}"),
    "username": _TEXT,
    "password": _TEXT,
    "client_name": re.compile("[!-~]+"),
    "socket_keepalive": _SWITCH,
    "ssl_ca_certs": _TEXT,
    "ssl_ca_data": _TEXT,
    "ssl_ca_path": _TEXT,
    "ssl_cert_reqs": re.compile("none|optional|required"),
    "ssl_certfile": _TEXT,
    "ssl_check_hostname": _SWITCH,
    "ssl_ciphers": _TEXT,
    "ssl_keyfile": _TEXT,
    "ssl_password": _TEXT,
}
"""What the query may say, as redis-py reads it. The rest is decided here: with another protocol no news are heard."""

_FORM: Final = f"must be a URL that begins with {', '.join(SCHEMES)}, and says where"
_ENCODED: Final = "must have no '#', and no '@', '/' and '?' in a password, but percent-encoded"
_SAID: Final = f"must have a number for its database, and nothing in its query but {', '.join(_SAYS)}"
_ONE_DATABASE: Final = "must name no database of a cluster, which has only one"
_NO_TLS: Final = f"must begin with {', '.join(TLS_SCHEMES)} where its query speaks of TLS"


def plain_url(url: str) -> str:
    """Return the URL of one server as redis-py knows it."""
    scheme, _, rest = url.partition("://")
    return f"{_NAMES.get(scheme, scheme)}://{rest}"


def check_url(problems: Problems, field: str, url: object) -> bool:
    """Check a URL, and never show it."""
    if not isinstance(url, str):
        return problems.text(field, url)
    try:
        rule = _broken_rule(url)
    except ValueError:
        rule = _FORM
    remedy = "Write it like 'redis://127.0.0.1:6379/0'; percent-encode what is special in a password."
    return not rule or problems.add("AG430", field, url, rule, remedy)


def _broken_rule(url: str) -> str:
    """Return what a URL breaks; redis-py would find out at the first call, or understand something else.

    Raises:
        ValueError: it cannot be read.
    """
    parts = urlsplit(url)
    host, path = parts.netloc.rpartition("@")[2], parts.path.strip("/")
    if parts.scheme in SENTINEL_SCHEMES:
        path, _, database = path.partition("/")
        is_whole = bool(path) and all(urlsplit(f"//{one}").port for one in host.split(","))
    elif parts.scheme == "unix":
        database, is_whole = "", bool(path)
    else:
        database, is_whole = path, parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    if not is_whole:
        return _FORM
    is_file = parts.scheme == "unix" and not parts.netloc
    if not url.isprintable() or "#" in url or ("@" in parts.path + parts.query and not is_file):
        return _ENCODED  # what begins as a password and goes on as a path would be shown
    said = [("db", database or "0"), *parse_qsl(parts.query, keep_blank_values=True)]
    if not all(name in _SAYS and _SAYS[name].fullmatch(value) for name, value in said):
        return _SAID
    if parts.scheme in CLUSTER_SCHEMES and any(name == "db" and int(value) for name, value in said):
        return _ONE_DATABASE
    is_plain = parts.scheme not in TLS_SCHEMES and any(name.startswith("ssl_") for name, _ in said)
    return _NO_TLS if is_plain else ""


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
