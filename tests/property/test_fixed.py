"""`fixed` against its definition: a list of the hits of the window that is open."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.limiting.counting import EMPTY
from asgi_guard.limiting.fixed import Fixed
from asgi_guard.limiting.rate import Limit

SECOND = 1_000_000_000

steps = st.one_of(st.sampled_from([0, 1, SECOND - 1, SECOND, SECOND + 1]), st.integers(0, 2 * SECOND))


@given(st.integers(1, 7), st.lists(st.tuples(st.sampled_from(["hit", "charge", "refund"]), steps, st.integers(1, 4))))
def test_a_window_is_a_list_of_hits(amount, script) -> None:
    """Hits, charges and refunds in any order; a window that has lost all its hits was never opened."""
    algorithm = Fixed(Limit(amount, 1))
    state, now_ns = EMPTY, 10**15
    begun_ns, hits, older = 0, [], []
    for what, step_ns, cost in script:
        now_ns += step_ns
        if now_ns >= begun_ns + SECOND:
            older, hits = older + hits, []
        room = amount - sum(cost for _, cost in hits)
        if what == "refund":
            first = (hits or older or [(now_ns + 1, cost)])[0]
            hits, older = (hits[1:], older) if hits else (hits, older[1:])
            state = algorithm.refund(state, *first)
        else:
            fits = cost <= room
            assert (algorithm.take(state, now_ns, cost) is not None) == fits
            if fits or what == "charge":
                begun_ns = begun_ns if hits else now_ns
                hits += [(now_ns, min(cost, room))] if room else []
                state = (
                    algorithm.charge(state, now_ns, cost)
                    if what == "charge"
                    else algorithm.take(state, now_ns, cost)[0]
                )

        reset_ns = begun_ns + SECOND - now_ns if hits else 0
        remaining = amount - sum(cost for _, cost in hits)
        assert algorithm.look(state, now_ns, 0) == ((remaining,), (reset_ns,), (0,))
