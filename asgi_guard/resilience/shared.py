"""Shared circuits: what the replicas of one circuit breaker have in common over Redis.

Each replica goes by its own circuit; a call that succeeds tells nobody, and no call waits but one that may be a probe.
What replicas tell in the background is kept by `shared.lua`:

* Each failure, and each slow call, with how its own window stands: the calls, the failures and the slow ones in it. It
  tells once more when its window is free of failures again. Where that may be too much in the windows of all replicas
  together, all are asked how theirs stand by now, at most once in a second, and the circuit opens if it is too much a
  tenth of a second later. Who does not answer does not count: a replica that was killed may have been the worst.
* A circuit that opens anywhere opens everywhere, for as long, also where that has grown. So do commands act everywhere.
* Probes are leased: at most `half_open_max` are under way, of all replicas. A lease that nobody gives back ends.

Others hear of it in milliseconds. While Redis is away, and where it does not answer in time, each replica goes by its
own circuit alone. A user of Redis needs the rights to `evalsha`, `eval`, `get`, `set`, `time`, `publish` and
`subscribe`, on keys and channels `asgi-guard:*`.

| id    | rule that was broken                                               |
|-------|--------------------------------------------------------------------|
| AG439 | a shared circuit has a name, by which replicas find it             |
| AG440 | `shared` is a `RedisStore` or a URL of Redis                       |
| AG441 | a shared circuit guards what is `async def`                        |
| AG442 | a shared circuit is used on asyncio                                |
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import blake2b
from secrets import token_hex
from typing import Final, Protocol, TypeAlias

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.redis.server import PerLoop, Server, server_at
from asgi_guard.redis.urls import check_url, need_redis
from asgi_guard.resilience.circuit import COMMANDS, Circuit, Outcome, Permit, State, Trigger
from asgi_guard.resilience.policy import BreakerPolicy
from asgi_guard.resilience.replicas import COUNTING_SECONDS, NO_LEASE, STATES, Lease, Post, Told, Words, settings_of
from asgi_guard.settings import Problem, Problems

Do: TypeAlias = Callable[..., object]

_SECOND: Final = 1_000_000_000
_COUNTING_NS: Final = round(COUNTING_SECONDS * _SECOND)


class InRedis(Protocol):
    """What has a Redis: a `RedisStore` does."""

    @property
    def server(self) -> Server:
        """Where it is."""
        ...


class Shared:
    """The part that one circuit breaker has in the circuit of all replicas.

    Args:
        server: where that is kept.
        name: of the circuit, which is that of all breakers with this name and policy.
        policy: of the breaker.
        circuit: of the breaker.
        do: calls a function with the lock of the circuit held, its last argument the time, and tells listeners what
            comes of it.
    """

    __slots__ = (
        "_ask_at_ns",
        "_circuit",
        "_count_at_ns",
        "_do",
        "_is_blamed",
        "_key",
        "_leases",
        "_longest_ns",
        "_posts",
        "_replica",
        "_server",
        "_settings",
        "_version",
    )

    def __init__(self, server: Server, name: str, policy: BreakerPolicy, circuit: Circuit, do: Do) -> None:
        self._server = server
        self._circuit = circuit
        self._do = do
        self._longest_ns = round(policy.longest_open * _SECOND)
        self._settings = settings_of(policy)
        told = repr((name, self._settings)).encode()
        self._key = b"%b{circuit:%b}" % (server.prefix, blake2b(told, digest_size=16).hexdigest().encode())
        self._replica = token_hex(8)
        self._posts = PerLoop(self._new_post)
        self._leases: dict[Permit, Lease] = {}
        self._version = 0
        self._ask_at_ns = 0
        self._count_at_ns = 0
        self._is_blamed = False  # its window is told to have failures

    async def ask(self, now_ns: int) -> Lease | None:
        """Ask whether a call may be a probe, if it would be one.

        Args:
            now_ns: the time.

        Returns:
            The lease, which goes to `hold` or `give_back`; `NO_LEASE` where the own circuit decides; None for no.

        Raises:
            ConfigError: the event loop is not asyncio's.
        """
        post = self._join()
        circuit = self._circuit
        is_probe = circuit.state is State.HALF_OPEN or (circuit.state is State.OPEN and now_ns >= circuit.until_ns)
        if not is_probe or post.is_away:
            return NO_LEASE
        if now_ns < self._ask_at_ns:
            return None
        return await post.lease()

    def hold(self, permit: Permit, lease: Lease) -> None:
        """Say which permit a lease is for."""
        if permit.ends_ns:
            self._leases[permit] = lease
        else:  # the circuit closed meanwhile
            self.give_back(lease)

    def give_back(self, lease: Lease) -> None:
        """Give back the lease of a probe that is not made, if there is one."""
        if lease.name:
            self._say(("done", lease.version, lease.name, "neutral"))

    def leave(self, permit: Permit, outcome: Outcome, now_ns: int, *, is_heard: bool) -> None:
        """Tell others how a call ended, if that is news.

        Args:
            permit: what it was admitted with.
            outcome: how it ended.
            now_ns: the time.
            is_heard: it has counted in its own circuit.
        """
        lease = self._leases.pop(permit, NO_LEASE)
        is_bad = outcome.failed or outcome.slow
        circuit = self._circuit
        if lease.name:
            said = "failure" if is_bad else "success" if outcome.counts else "neutral"
            self._say(("done", lease.version, lease.name, said))
        elif is_heard and not permit.ends_ns and (is_bad or (self._is_blamed and circuit.is_calm)):
            said = "mend" if not is_bad else "trip" if circuit.state is State.OPEN else "fail"
            self._is_blamed = said == "fail"
            self._say_window(said, now_ns)

    def command(self, trigger: Trigger) -> None:
        """Tell others what a person has said; outside an event loop, by one that has joined."""
        words = ("set", self._version, STATES.index(COMMANDS[trigger]), "")
        try:
            self._join().say(words)
        except ConfigError:
            any(post.say_from_elsewhere(words) for post in self._posts.all())  # once is enough

    def adopt(self, told: Told, known: int | None, now_ns: int) -> None:
        """Do as others do.

        Args:
            told: how things stand.
            known: the version that was known when this was asked for; None if it is news.
            now_ns: the time.
        """
        if known is None and told.version < self._version:
            # What is known already, or more than ever was: anybody may publish, and Redis may have lost what it knew.
            self._say(("look", self._version, "", ""))
            return
        if told.version < self._version and (known != self._version or not told.version):
            return
        circuit = self._circuit
        self._ask_at_ns = now_ns + min(told.wait_ns, self._longest_ns)
        until_ns = now_ns if told.admitted else self._ask_at_ns
        if told.version != self._version:
            self._version = told.version
            self._is_blamed = False
            open_ns = min(told.open_ns, self._longest_ns)
            # To those who hold no lease, a circuit that others probe is open.
            circuit.follow(State.OPEN if told.state is State.HALF_OPEN else told.state, until_ns, open_ns)
        elif circuit.state is State.OPEN and told.state in {State.OPEN, State.HALF_OPEN}:
            circuit.until_ns = until_ns
        if told.wanted == "judge":
            asyncio.get_running_loop().call_later(COUNTING_SECONDS, self._say_window, told.wanted, now_ns)
        elif told.wanted and now_ns >= self._count_at_ns and any(circuit.window.totals(now_ns)):
            self._count_at_ns = now_ns + _COUNTING_NS  # once, in however many event loops it is heard
            self._say_window(told.wanted, now_ns)

    async def aclose(self) -> None:
        """Close the connections of the event loop that runs."""
        post = self._posts.pop()
        if post is not None:
            await post.aclose()
        await self._server.aclose()

    def _join(self) -> Post:
        """Return the post of the event loop that runs, which hears what others tell.

        Raises:
            ConfigError: it is not asyncio's.
        """
        try:
            post = self._posts.get()
        except RuntimeError:
            rule, remedy = "is used on asyncio, and this is another event loop", "Run on asyncio or uvloop."
            raise ConfigError([Problem("AG442", "circuit_breaker.shared", "", rule, remedy)]) from None
        if post.is_closed:
            self._posts.pop()
            post = self._posts.get()
        return post

    def _say(self, words: Words) -> None:
        """Tell others, unless it was closed: a call that ends late must not open what nobody closes."""
        post = self._posts.peek()
        if post is not None and not post.is_closed:
            post.say(words)

    def _say_window(self, said: str, now_ns: int) -> None:
        """Tell how the own window stands."""
        self._say((said, self._version, "{} {} {}".format(*self._circuit.window.totals(now_ns)), ""))

    def _new_post(self) -> Post:
        return Post(
            self._server,
            self._key,
            self._replica,
            settings=self._settings,
            version=lambda: self._version,
            follow=lambda told, known: self._do(self.adopt, told, known),
        )


def share(shared: InRedis | str, name: str, policy: BreakerPolicy, circuit: Circuit, do: Do) -> Shared:
    """Make the part of a circuit breaker; see `Shared`.

    Args:
        shared: a `RedisStore` or a URL.
        name: of the circuit.
        policy: of the breaker.
        circuit: of the breaker.
        do: as for `Shared`.

    Raises:
        ConfigError: it cannot be shared.
        MissingExtraError: redis-py is not installed.
    """
    problems = Problems("circuit_breaker", secrets=("shared",))
    if not name:
        problems.add("AG439", "name", name, "must be given to a shared circuit", 'Write name="payments".')
    if isinstance(shared, str):
        check_url(problems, "shared", shared)
    elif not isinstance(getattr(shared, "server", None), Server):
        problems.add("AG440", "shared", shared, "must be a RedisStore or a URL", "Write 'redis://127.0.0.1:6379/0'.")
    problems.raise_if_any()
    need_redis("circuit_breaker(shared=...)")
    return Shared(server_at(shared) if isinstance(shared, str) else shared.server, name, policy, circuit, do)
