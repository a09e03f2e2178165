"""URLs of Redis: what one says, and how it is shown.

Must never show a password, also in errors.

| id    | rule that was broken                                            |
|-------|-----------------------------------------------------------------|
| AG430 | a URL of Redis has one of the schemes, and can be read          |
"""

from __future__ import annotations

from importlib import import_module
from typing import Final
from urllib.parse import urlsplit

from asgi_guard.errors.exceptions import MissingExtraError
from asgi_guard.settings import Problems

SENTINEL_SCHEMES: Final = ("redis+sentinel", "valkey+sentinel")
"""With these, a URL names sentinels and the name of their master: `redis+sentinel://h1:26379,h2:26379/mymaster/0`."""

CLUSTER_SCHEMES: Final = ("redis+cluster", "rediss+cluster", "valkey+cluster", "valkeys+cluster")
"""With these, a URL names any node of a cluster."""

SCHEMES: Final = ("redis", "rediss", "valkey", "valkeys", "unix", *SENTINEL_SCHEMES, *CLUSTER_SCHEMES)
"""What a URL of Redis may begin with; `rediss` and `valkeys` speak TLS."""

_NAMES: Final = {
    "valkey": "redis",
    "valkeys": "rediss",
    "redis+cluster": "redis",
    "rediss+cluster": "rediss",
    "valkey+cluster": "redis",
    "valkeys+cluster": "rediss",
}


def plain_url(url: str) -> str:
    """Return the URL of one server as redis-py knows it."""
    scheme, _, rest = url.partition("://")
    return f"{_NAMES.get(scheme, scheme)}://{rest}"


def check_url(problems: Problems, field: str, url: object) -> bool:
    """Check a URL, and never show it."""
    if not isinstance(url, str):
        return problems.text(field, url)
    try:
        is_sound = _is_sound(url)
    except ValueError:
        is_sound = False
    if is_sound:
        return True
    remedy = "Write it like 'redis://127.0.0.1:6379/0'; percent-encode what is special in a password."
    return problems.add("AG430", field, url, f"must be a URL that begins with {', '.join(SCHEMES)}", remedy)


def _is_sound(url: str) -> bool:
    """Tell whether a URL says where to connect to.

    Raises:
        ValueError: it cannot be read.
    """
    parts = urlsplit(url)
    if parts.scheme in SENTINEL_SCHEMES:
        hosts = parts.netloc.rpartition("@")[2].split(",")
        return bool(parts.path.strip("/")) and all(urlsplit(f"//{host}").port for host in hosts)
    if parts.scheme == "unix":
        return bool(parts.path)
    return parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0


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
