"""Pipeline: several policies around one function, always in the order in which they make sense.

    retry( breaker( timeout( bulkhead( call ) ) ) )

Each attempt is a call of its own to the circuit, so that an open one ends the retries. Each attempt has the whole
timeout, waiting for a place included, and one that takes too long speaks against the other side. A full bulkhead does
not: it is on this side.

| id    | rule that was broken                                                        |
|-------|-----------------------------------------------------------------------------|
| AG611 | a part is what it is called: a Retry, a CircuitBreaker, a Bulkhead, or short |
| AG612 | at least one part, and no function: that comes afterwards                   |
"""

from __future__ import annotations

from functools import reduce

from asgi_guard.resilience.around import Around, AsyncFunction, PlainFunction
from asgi_guard.resilience.breaker import CircuitBreaker
from asgi_guard.resilience.bulkhead import Bulkhead
from asgi_guard.resilience.deadline import deadline
from asgi_guard.resilience.retry import Retry
from asgi_guard.settings import Problem, Problems


class Pipeline(Around):
    """Policies around a function: a decorator and an object.

    Attributes:
        policies: from the outside in.
    """

    __slots__ = ("policies",)

    def __init__(self, *policies: Around) -> None:
        self.policies: tuple[Around, ...] = policies

    def around_async(self, function: AsyncFunction) -> AsyncFunction:
        """Put all of them around an `async def`."""
        return reduce(lambda inner, policy: policy.around_async(inner), reversed(self.policies), function)

    def around_plain(self, function: PlainFunction) -> PlainFunction:
        """Put all of them around a plain function."""
        return reduce(lambda inner, policy: policy.around_plain(inner), reversed(self.policies), function)


def resilient(
    function: None = None,
    /,
    *,
    retry: Retry | int | None = None,
    breaker: CircuitBreaker | None = None,
    timeout: float | None = None,
    bulkhead: Bulkhead | int | None = None,
) -> Pipeline:
    """Make a decorator of several policies; None leaves one out.

    Args:
        function: only there to say that the parentheses are missing: without parts there is nothing to do.
        retry: what `retry_on_failure` returns; or the number of retries.
        breaker: what `circuit_breaker` returns.
        timeout: seconds for each attempt, above 0; only around an `async def`.
        bulkhead: a `Bulkhead`; or how many calls it lets through at a time.

    Raises:
        ConfigError: a value is wrong, or all are None.
    """
    problems = Problems("resilient")
    given = (("retry", retry, Retry), ("breaker", breaker, CircuitBreaker), ("bulkhead", bulkhead, Bulkhead))
    for field, part, kind in given:
        is_short = isinstance(part, int) and not isinstance(part, bool) and kind is not CircuitBreaker
        if part is not None and not is_short and not isinstance(part, kind):
            rule = f"must be a {kind.__name__}{'' if kind is CircuitBreaker else ' or a number'}"
            problems.add("AG611", field, part, rule, "Make it before, or leave it out.")
    if timeout is not None:
        problems.number("timeout", timeout, minimum=0.001, maximum=86_400)
    if all(part is None for part in (retry, breaker, timeout, bulkhead)):
        remedy = "Give what it shall do, and decorate with what that returns: @resilient(retry=3)."
        problems.extend([Problem("AG612", "resilient", "", "must be told what to do", remedy)])
    elif function is not None:
        remedy = "Write resilient(...)(function), or @resilient(...) above it."
        problems.extend([Problem("AG612", "resilient", "", "takes no function next to what it shall do", remedy)])
    problems.raise_if_any()
    parts = (
        Retry(retry) if isinstance(retry, int) else retry,
        breaker,
        None if timeout is None else deadline(timeout),
        Bulkhead(bulkhead) if isinstance(bulkhead, int) else bulkhead,
    )
    return Pipeline(*[part for part in parts if part is not None])
