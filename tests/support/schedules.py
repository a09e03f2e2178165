"""Schedules of hits that are made to break a limit, and how an algorithm that counts is held against them."""

from __future__ import annotations

from collections import deque
from itertools import accumulate

from hypothesis import strategies as st

from asgi_guard.limiting.counting import EMPTY
from asgi_guard.limiting.rate import Limit

START = 10**15

seconds = st.sampled_from([1, 2, 3, 10, 60, 3_600])
amounts = st.one_of(st.integers(1, 12), st.sampled_from([62, 63, 64, 126, 127]))
costs = st.integers(1, 5)


@st.composite
def schedules(draw, limit: Limit, max_size: int = 150) -> list[tuple[int, int]]:
    """Draw hits as (time, cost), in order: bursts, and steps that land on and beside the edges of slots and windows."""
    slot, one = limit.window_ns // 10, -(-limit.window_ns // limit.amount)
    edges = [0, 1, one - 1, one, slot - 1, slot, slot + 1, limit.window_ns - 1, limit.window_ns, limit.window_ns + slot]
    steps = st.one_of(st.sampled_from(edges), st.integers(0, slot), st.integers(0, 2 * limit.window_ns))
    start = START + draw(st.integers(0, slot))
    times = accumulate(draw(st.lists(steps, max_size=max_size)), initial=start)
    return [(now_ns, draw(costs)) for now_ns in times]


def play(algorithm, schedule) -> tuple[int, list[tuple[int, int]]]:
    """Hit by a schedule; return the state and the hits that were admitted."""
    state, admitted = EMPTY, []
    for now_ns, cost in schedule:
        taken = algorithm.take(state, now_ns, cost)
        if taken is not None:
            state = taken[0]
            admitted.append((now_ns, cost))
    return state, admitted


def most_in_a_window(admitted, window_ns: int) -> int:
    """Return the largest sum of costs in any closed window, with two pointers."""
    most = inside = 0
    window: deque[tuple[int, int]] = deque()
    for now_ns, cost in admitted:
        window.append((now_ns, cost))
        inside += cost
        while window[0][0] < now_ns - window_ns:
            inside -= window.popleft()[1]
        most = max(most, inside)
    return most
