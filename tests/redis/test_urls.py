"""URLs of Redis: what one says is what is done, or it is refused; and nobody sees a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.limiting.redis import RedisStore

HERE = Path(__file__)
SOUND = [
    "redis://localhost",
    "redis://localhost/",
    "redis://localhost:6379/15?client_name=shop",
    "rediss://user:hunter2%2F%40%23%3F@localhost?ssl_cert_reqs=none&ssl_check_hostname=false",
    f"valkeys+cluster://localhost/0?ssl_ca_certs={HERE}&ssl_ca_path={HERE.parent}",
    "redis+sentinel://user:hunter2@h1:26379,h2:26379/service/3?socket_keepalive=1",
    "unix:///run/redis@2.sock?db=1&password=hunter2%40",
    "unix://user:hunter2@/run/redis.sock",
]


@pytest.mark.parametrize("url", SOUND)
def test_what_says_where_a_redis_is_is_taken(url) -> None:
    """With a user, a database, and how to speak TLS."""
    assert "hunter2" not in repr(RedisStore(url))


REFUSED = {
    "percent-encoded": [
        "redis://user:12/34hunter2@localhost:6379/0",
        "redis+sentinel://user:12/34hunter2@localhost:26379/service",
        "unix://user:12/34hunter2@/run/redis.sock",
        "redis://user:8?hunter2@localhost",
        "redis://user:8#hunter2@localhost",
        "redis://localhost\n/0",
    ],
    "must have a number for its database": [
        "redis://localhost/hunter2",
        "redis+sentinel://localhost:26379/service/hunter2",
        f"redis+cluster://localhost/{'9' * 5_000}",
    ],
    "must name a number as db in its query": ["redis://localhost?db=hunter2", "redis://localhost?db="],
    "must have nothing in its query but": [
        "redis://localhost?protocol=3",
        "redis://localhost?socket_timeout=0.001",
        "redis://localhost?encoding=utf-16",
        "redis://localhost?hunter2=1",
        "redis://localhost?hunter2",
    ],
    "must name a text without blanks as client_name": ["redis://localhost?client_name=x%20hunter2"],
    "must name none, optional or required as ssl_cert_reqs": ["rediss://localhost?ssl_cert_reqs=CERT_NONE"],
    "must name a file that is there as ssl_ca_certs": ["rediss://localhost?ssl_ca_certs=/hunter2.pem"],
    "must name a file that is there as ssl_keyfile": ["rediss://localhost?ssl_keyfile=/"],
    "must name a folder that is there as ssl_ca_path": ["rediss://localhost?ssl_ca_path=/hunter2"],
    "where its query speaks of TLS": ["redis://localhost?ssl_cert_reqs=none"],
    "must name no database of a cluster": ["redis+cluster://localhost/1", "redis+cluster://localhost?db=1"],
    "must be a URL that begins with redis": ["http://:hunter2@localhost", "localhost:6379", "redis"],
    "must be a URL, not": ["redis://:hunter2@[::1"],
    "must name a host": ["redis://", "redis://:hunter2@:6379", "redis+cluster://"],
    "must have a port from 1 to 65535": ["redis://:hunter2@localhost:99999", "redis://h:0", "redis://h:hunter2"],
    "must name each sentinel by its host and its port": [
        "redis+sentinel://localhost/service",
        "redis+sentinel://h1:26379,h2/service",
        "redis+sentinel://h1:26379,:26379/service",
        "redis+sentinel://h1:26379,h2:hunter2/service",
    ],
    "must name the service": ["redis+sentinel://localhost:26379", "redis+sentinel://localhost:26379/"],
    "must name the path of a socket": ["unix://", "unix://:hunter2@"],
}


@pytest.mark.parametrize(("rule", "url"), [(rule, url) for rule, urls in REFUSED.items() for url in urls])
def test_what_would_be_understood_otherwise_is_refused(rule, url) -> None:
    """At once: redis-py would say so at the first call, connect to somewhere else, or take no notice."""
    with pytest.raises(ConfigError, match=rf"AG430 RedisStore\.url .*{rule}") as refused:
        RedisStore(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("secret", ["text", "\ud800", b"\xff"], ids=ascii)
def test_any_secret_will_do(secret) -> None:
    """Also what an environment variable has that is not UTF-8."""
    assert RedisStore("redis://localhost", secret=secret).secret != RedisStore("redis://localhost").secret


def test_all_that_is_wrong_with_one_is_told_at_once() -> None:
    """The port, the database twice and the query."""
    with pytest.raises(ConfigError) as refused:
        RedisStore("redis://localhost:0/x?timeout=1&db=y")
    assert len(refused.value.problems) == 4
