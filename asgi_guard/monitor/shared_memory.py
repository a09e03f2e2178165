"""Shared memory: one aggregate for the workers of a server, exact even when one of them is killed.

Each worker counts in a file of its own, which it holds locked; the kernel gives the lock back when it dies, however it
dies. Whoever is asked adds up its own numbers, the files of the living and of the dead, and the sum of those who died
before; then it folds the files of the dead into that sum and removes them.
Must never lose or repeat a count: a reader that finds the sum replaced while it read starts again, and a file whose
name stands in the sum is skipped. Must never wait for another worker, which may be stopped, and never fail a request:
what cannot be shared is counted in this process, and a broken file is left out; each is said once in the log.

| id    | rule that was broken          |
|-------|-------------------------------|
| AG852 | the folder can be written     |
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from threading import Lock
from typing import Final
from weakref import WeakSet

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.monitor import dead as dead_ones
from asgi_guard.monitor.cell_file import BROKEN, CellFile, FileSlots
from asgi_guard.monitor.cells import MAX_METRICS, MAX_SERIES, Aggregate, Series, Slots
from asgi_guard.monitor.dead import NOBODY, Dead
from asgi_guard.monitor.folder import PrivateFolder, is_unlocked, lock, unlock
from asgi_guard.monitor.snapshot import Snapshot
from asgi_guard.settings import Problems

_WORKER: Final = "worker-"
_UNBORN: Final = "new-worker-"
_SUM: Final = "dead.json"
_LOCK: Final = "lock"
_LEADER: Final = "leader"
_SAID: Final = "said-"
_LEFT: Final = "left-"
_HASHES_WITH: Final = "secret"
_MOST_SAID: Final = 64 << 20
_PER_SERIES: Final = 1_536  # integers: its row, its key, and every page that it can have, of all but odd ones
_ATTEMPTS: Final = 16

_of_this_process: Final[WeakSet[SharedAggregate]] = WeakSet()


class SharedAggregate(Aggregate):
    """All that the workers of one server have counted: `merged` tells of all, `snapshot` of this one.

    Args:
        folder: the directory that they share, which is of this user alone; it is made where it is not there, the one
            above it must be. The numbers of earlier workers that are in it go on.
        max_series: how many series each worker may have, 1 to 100,000; overflow series come on top. A file may hold
            12 KiB for each, and takes up what is used of that.
        clock: the time of exemplars.
        opens: whether the folder is opened at once. Else that is done by `open`, in the process that serves, and until
            then everything is counted in this process alone.

    Raises:
        ConfigError: the folder is not of this user alone, cannot be written, or the system has no such locks; or
            `max_series` is out of bounds.
    """

    is_shared: bool = True

    def __init__(
        self, folder: str | Path, *, max_series: int = MAX_SERIES, clock: Clock = SYSTEM_CLOCK, opens: bool = True
    ) -> None:
        super().__init__(max_series=max_series, clock=clock)
        self._path = Path(folder)
        self._folder: PrivateFolder
        self._is_open = False
        self._unshared = Slots()
        self._reading = Lock()
        self._opening = Lock()
        self._peers: dict[str, CellFile] = {}
        self._last_read: dict[tuple[str, bool], Snapshot] = {}
        self._dead = NOBODY
        self._dead_descriptor: int | None = None
        self._dead_identity: int | None = None
        self._name = ""
        self._leading: int | None = None
        if opens:
            self.open()

    def open(self) -> None:
        """Count in the folder from now on, unless that is done already. What was counted goes along, but durations.

        Raises:
            ConfigError: see the constructor.
        """
        with self._opening:
            if self._is_open:
                return
            problems = Problems("SharedAggregate")
            self._folder = PrivateFolder(self._path, problems)
            problems.raise_if_any()
            try:
                self._slots = self._begin()
                self._fold()
            except OSError as exc:
                self._folder.close()
                problems.add("AG852", "folder", str(self._path), "must be writable", f"Choose another: {exc.strerror}.")
            problems.raise_if_any()
            self._is_open = True
            self.pressure.secret = self._common_secret()
            with self._lock:
                for series in (*self._series.values(), *self._overflows.values()):
                    self._carry(series)
            _of_this_process.add(self)

    def merged(self, *, with_exponential: bool = True) -> Snapshot:
        """Return what all workers have counted, living and dead; it reads files, so call it in a thread.

        Raises:
            OSError: the folder cannot be read, as where the process has no descriptors left: no answer is better than
                one in which counters go back.
        """
        own = self.snapshot(with_exponential=with_exponential)
        if not self._is_open:
            return own
        with self._reading:
            others = self._others(with_exponential=with_exponential)
        return Snapshot(()).merged(*[other.agreeing_with(own) for other in others], own)

    def by_worker(self) -> list[tuple[int, Snapshot]]:
        """Return what each living process has counted, with its number; this one first."""
        found = [(os.getpid(), self.snapshot(with_exponential=False))]
        if not self._is_open:
            return found
        with self._reading:
            self._meet(self._read_dead())
            for name, peer in self._peers.items():
                part = None if is_unlocked(peer.descriptor) else self._read(name, peer, with_exponential=False)
                if part is not None:
                    number = name.removeprefix(_WORKER).partition("-")[0]
                    found.append((int(number) if number.isdecimal() else 0, part))
        return found

    def leads(self) -> bool:
        """Whether this process speaks for all, which it does from the first time until it ends."""
        if not self._is_open or self._leading is not None:
            return True
        descriptor = self._folder.open(_LEADER, os.O_RDWR | os.O_CREAT)
        if lock(descriptor):
            self._leading = descriptor
            return True
        os.close(descriptor)
        return False

    def publish(self, name: str, data: bytes) -> None:
        """Let the others read something.

        Raises:
            OSError: the folder cannot be written.
        """
        if self._is_open:
            self._folder.replace(f"{_SAID}{name}", data)

    def published(self, name: str) -> bytes | None:
        """Return what was published under a name, at most 64 MiB of it.

        Raises:
            OSError: it cannot be read.
        """
        return self._read_whole(f"{_SAID}{name}") if self._is_open else None

    def _read_whole(self, name: str) -> bytes | None:
        try:
            descriptor = self._folder.open(name)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:  # noqa: PTH123
            return file.read(_MOST_SAID)

    def leave(self, data: bytes) -> None:
        """Leave something for the process that leads, in the place of what was left before.

        Raises:
            OSError: the folder cannot be written.
        """
        if self._is_open and self._name:
            self._folder.replace(f"{_LEFT}{self._name}", data)

    def left(self) -> list[bytes]:
        """Return what each other living process has left."""
        found: list[bytes | None] = []
        for name in list(self._peers):
            try:
                found.append(self._read_whole(f"{_LEFT}{name}"))
            except OSError as exc:
                self._complain(f"{_LEFT}{name} cannot be read", exc)
        return [data for data in found if data is not None]

    def step_down(self) -> None:
        """Leave it to another process to speak for all."""
        if self._leading is not None:
            os.close(self._leading)
            self._leading = None

    def _others(self, *, with_exponential: bool) -> list[Snapshot]:
        while True:
            dead = self._read_dead()
            names = self._meet(dead)
            parts = [dead.snapshot if with_exponential else dead.plain]
            is_work_left = not dead.folded.isdisjoint(names)
            for name, peer in self._peers.items():
                has_died = is_unlocked(peer.descriptor)
                part = self._read(name, peer, with_exponential=with_exponential)
                if part is not None:
                    is_work_left |= has_died
                    parts.append(part.without_levels() if has_died else part)
            if self._is_current():
                break
        if is_work_left:
            self._fold()
        return parts

    def _read_dead(self) -> Dead:
        """Read the sum, where it was replaced. Its file stays open: its number is not given to another meanwhile."""
        if not self._is_current():
            self._close_dead()
            try:
                self._dead_descriptor = self._folder.open(_SUM)
            except FileNotFoundError:
                self._dead = NOBODY
                return self._dead
            except PermissionError as exc:
                self._dead_identity = self._folder.identity(_SUM)
                self._complain(f"{_SUM} is broken: what dead workers have counted is lost", exc)
                return self._dead
            self._dead_identity = os.fstat(self._dead_descriptor).st_ino
            try:
                size = min(os.fstat(self._dead_descriptor).st_size, dead_ones.MOST_BYTES)
                self._dead = dead_ones.understood(os.pread(self._dead_descriptor, size, 0))
            except BROKEN as exc:
                self._complain(f"{_SUM} is broken: what dead workers have counted is lost", exc)
        return self._dead

    def _is_current(self) -> bool:
        """Whether the sum that was read last is still the one in the folder."""
        return self._folder.identity(_SUM) == self._dead_identity

    def _close_dead(self) -> None:
        """Close it; what was in it is known until another is read, which may be broken."""
        self._dead_identity = None
        if self._dead_descriptor is not None:
            os.close(self._dead_descriptor)
            self._dead_descriptor = None

    def _meet(self, dead: Dead) -> list[str]:
        """Open the files that are new, and close those that are gone or in the sum; return all names."""
        found = self._folder.names()
        names = {name for name in found if name.startswith(_WORKER)} - dead.folded - {self._name}
        for name in self._peers.keys() - names:
            self._part_with(name)
        for name in sorted(names - self._peers.keys()):
            try:
                self._peers[name] = CellFile(self._folder.open(name))
            except FileNotFoundError:
                pass  # folded in the meantime: the sum was replaced before
            except OSError as exc:
                if exc.errno in {errno.EMFILE, errno.ENFILE}:
                    raise
                self._complain(f"{name} cannot be read", exc)
        return found

    def _part_with(self, name: str) -> None:
        self._peers.pop(name).close()
        for with_exponential in (True, False):
            self._last_read.pop((name, with_exponential), None)

    def _read(self, name: str, peer: CellFile, *, with_exponential: bool = True) -> Snapshot | None:
        """Read what a peer has counted; where that fails, it is what it was the last time: no counter goes back."""
        try:
            found = self._last_read[name, with_exponential] = peer.read(with_exponential=with_exponential)
        except BROKEN as exc:
            self._complain(f"{name} is broken", exc)
            return self._last_read.get((name, with_exponential))
        return found

    def _fold(self) -> None:
        """Add the dead to the sum, and remove their files; unless another worker is doing so."""
        try:
            with self._folder.locked(_LOCK) as is_mine:
                if is_mine:
                    self._fold_alone()
        except OSError as exc:
            self._complain("dead workers cannot be folded, their files stay", exc)

    def _fold_alone(self) -> None:
        dead = self._read_dead()
        names = self._meet(dead)
        died = [(name, peer) for name, peer in self._peers.items() if is_unlocked(peer.descriptor)]
        read = {name: self._read(name, peer) for name, peer in died}
        parts = {name: part.without_levels() for name, part in read.items() if part is not None}
        folded = dead.folded.intersection(names).union(parts)
        if parts:
            total = dead.snapshot.agreeing_with(*parts.values()).merged(*parts.values()).bounded(self.max_series)
            self._folder.replace(_SUM, dead_ones.written(total, folded))
        for name in folded:
            self._folder.remove(name)
            self._folder.remove(f"{_LEFT}{name}")
        for name in names:
            if name.startswith(_UNBORN) and self._folder.is_abandoned(name):
                self._folder.remove(name)

    def _begin(self) -> FileSlots:
        """Make the file of this worker, which has its name once it is locked and whole."""
        for _ in range(_ATTEMPTS):
            name = f"{os.getpid()}-{os.urandom(8).hex()}"
            descriptor = self._folder.open(f"{_UNBORN}{name}", os.O_RDWR | os.O_CREAT | os.O_EXCL)
            try:
                if lock(descriptor):
                    slots = FileSlots(descriptor, (self.max_series + MAX_METRICS) * _PER_SERIES)
                    self._folder.rename(f"{_UNBORN}{name}", f"{_WORKER}{name}")
                    self._name = f"{_WORKER}{name}"
                    return slots
            except FileNotFoundError:
                pass  # another worker took it for one that was left behind
            except OSError:  # the disk is full: what was begun would stay there, and locked
                self._folder.remove(f"{_UNBORN}{name}")
                os.close(descriptor)
                raise
        raise FileNotFoundError(errno.ENOENT, "the files of new workers vanish")

    def _common_secret(self) -> bytes:
        """Return what all hash with: whoever comes first has made it up."""
        found = self._read_whole(_HASHES_WITH)
        if not found:
            self._folder.begin(_HASHES_WITH, os.urandom(16))
            found = self._read_whole(_HASHES_WITH)
        return found or self.pressure.secret

    def _place(self, series: Series) -> None:
        try:
            super()._place(series)
        except OSError as exc:
            self._complain("there is no more place in the folder: new series are counted in this process alone", exc)
            with self._unshared.lock:
                series.move(self._unshared)

    def _move(self, slots: Slots) -> None:
        """Count from 0, in other slots."""
        self._slots = slots
        self._unshared = Slots()
        for series in (*self._series.values(), *self._overflows.values()):
            self._place(series)

    def renew_locks(self) -> None:
        """Go on in a process that was just forked, with locks that nobody holds."""
        super().renew_locks()
        self._reading, self._opening = Lock(), Lock()
        self._unshared.lock = Lock()

    def restart(self) -> None:
        """Give a process that was just forked a file of its own: what its parent has counted stays the parent's."""
        self.renew_locks()
        self._folder.leave_lock()
        self.step_down()
        self._close_dead()
        self._dead = NOBODY
        for name in tuple(self._peers):
            self._part_with(name)
        inherited = self._slots
        try:
            slots: Slots = self._begin()
        except OSError as exc:
            self._complain("a forked worker cannot share its numbers", exc)
            slots = Slots()
        self._move(slots)
        if isinstance(inherited, FileSlots):
            inherited.close()  # as long as it is open here, the parent seems to live

    def close(self) -> None:
        """Leave the numbers to the others, and count on in this process alone, from 0."""
        _of_this_process.discard(self)
        with self._reading, self._lock:
            self.step_down()
            left = self._slots
            self._move(Slots())
            self._name = ""
            if isinstance(left, FileSlots):
                unlock(left.descriptor)
                os.close(left.descriptor)


def _restart_all() -> None:
    for aggregate in tuple(_of_this_process):
        aggregate.restart()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_all)
