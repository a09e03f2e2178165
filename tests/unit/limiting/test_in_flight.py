"""Places that are taken at the same time: at most so many, each given back once, or by its lease."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest

from asgi_guard.limiting.in_flight import InFlight


def test_there_are_so_many_places_and_no_more() -> None:
    """One that is given back is free for the next."""
    places = InFlight()

    assert [places.take(holder, 0, maximum=2) for holder in "abc"] == [True, True, False]
    places.give_back("a")
    assert [places.take(holder, 0, maximum=2) for holder in "cd"] == [True, False]
    assert len(places) == 2


def test_who_has_no_place_gives_none_back() -> None:
    """However often."""
    places = InFlight()
    places.take("a", 0, maximum=2)

    for holder in "bbaaa":
        places.give_back(holder)
        assert len(places) == (0 if holder == "a" else 1)


@pytest.mark.parametrize(("after", "is_free"), [(0, False), (59.9, False), (60, True), (10**9, True)])
def test_a_place_is_free_again_when_its_lease_is_over(after, is_free) -> None:
    """And then its holder gives nothing back any more."""
    places = InFlight()
    places.take("stuck", 1_000, maximum=1, lease_seconds=60)

    assert places.take("next", 1_000 + after, maximum=1, lease_seconds=60) is is_free
    places.give_back("stuck")
    assert len(places) == is_free


def test_without_a_lease_a_place_is_kept_for_ever() -> None:
    """It was asked for."""
    places = InFlight()
    places.take("stuck", 0, maximum=1)

    assert not places.take("next", 10**12, maximum=1)


def test_fewer_places_than_are_taken_take_nobodys_away() -> None:
    """Until enough are given back, or their leases are over."""
    places = InFlight()
    for holder in range(5):
        places.take(holder, holder, maximum=5, lease_seconds=60)

    assert not places.take("next", 62, maximum=2, lease_seconds=60)
    assert len(places) == 2
    assert places.take("next", 63, maximum=2, lease_seconds=60)
    assert sorted(map(str, places._taken_at)) == ["4", "next"]


def test_refusing_costs_the_same_however_many_have_come_and_gone() -> None:
    """Only the place that was taken first is looked at: an attacker may ask as often as it likes."""
    places = InFlight()
    looks = 0

    class Time(float):
        def __sub__(self, other: float) -> float:
            nonlocal looks
            looks += 1
            return float(self) - other

    for holder in range(10_000):
        places.take(holder, 0, maximum=10_000, lease_seconds=60)
    for _ in range(100):
        assert not places.take("one too many", Time(1), maximum=10_000, lease_seconds=60)

    assert looks == 100


def test_threads_never_share_a_place() -> None:
    """With or without a GIL."""
    places, barrier, most = InFlight(), Barrier(4), 3
    seen: list[int] = []

    def work(name: int) -> None:
        barrier.wait()
        for turn in range(2_000):
            holder = (name, turn)
            if places.take(holder, 0, maximum=most):
                seen.append(len(places))
                places.give_back(holder)

    threads = [Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(places) == 0
    assert max(seen) <= most
