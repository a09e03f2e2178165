"""Cell file: the integers of one process, in a file that others can read while it counts, and after it was killed.

Layout, version 1, in 64-bit integers of the machine's byte order: page 0, whose counts nobody reads; a header of magic
number, size, integers in use, and the address of the first record. A record says, as JSON, what stands where; it begins
with the address of the next one and with its length and check sum, and is linked last, so that a reader sees all of it
or nothing. The records only ever become more.
Must never fail whoever counts: a full disk is noticed by the system call that reserves, not by a signal at an addition.
Must never trust what is read: files are bounded, and broken ones are a `ValueError`.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
from collections.abc import Iterator
from typing import Any, Final
from zlib import crc32

from asgi_guard.monitor.buckets import PAGE
from asgi_guard.monitor.cells import Series, Slots
from asgi_guard.monitor.metric import Metric, understood
from asgi_guard.monitor.rows import point_at
from asgi_guard.monitor.snapshot import Point, Snapshot

MAGIC: Final = int.from_bytes(b"AGcell\0\x01", "big")

_MAGIC, _SIZE, _USED, _FIRST = range(PAGE, PAGE + 4)
_HEADER_END: Final = PAGE + 8
_LENGTH_BITS: Final = 31
_CHUNK: Final = 8_192  # integers that are reserved at once, 64 KiB

BROKEN: Final = (ValueError, LookupError, TypeError, OSError, RecursionError)
"""What reading a file may raise that somebody else has written."""


class FileSlots(Slots):
    """The row of integers, in a file.

    Args:
        descriptor: an empty file, which is closed with the slots.
        size: how many integers it may hold; the file takes up what is used of them.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        super().__init__()
        self.descriptor: int = descriptor
        os.ftruncate(descriptor, 8 * size)
        self._map = mmap.mmap(descriptor, 8 * size)
        self._row: memoryview[int] = memoryview(self._map).cast("q")
        self.cells: list[int] | memoryview[int] = self._row
        self._reserved = 0
        self._used = 0
        self._last = _FIRST
        self._metrics: dict[str, int] = {}
        self.take(_HEADER_END)
        self._row[_SIZE] = size
        self._row[_MAGIC] = MAGIC

    def take(self, count: int) -> int:
        """Reserve neighbouring integers, all 0, and return where they begin; the lock is held.

        Raises:
            OSError: the file, or the disk, is full.
        """
        at, end = self._used, self._used + count
        if end > len(self._row):
            raise OSError(errno.ENOSPC, "no place for another series")
        while end > self._reserved:  # storing into a hole of a file would be a fatal signal where the disk is full
            room = min(_CHUNK, len(self._row) - self._reserved)
            written = os.pwrite(self.descriptor, bytes(8 * room), 8 * self._reserved)
            if written < 8 * room:  # the disk is full, which is an error only where nothing at all could be written
                raise OSError(errno.ENOSPC, "no place for another series")
            self._reserved += room
        self._used = end
        self._row[_USED] = end
        return at

    def take_page(self) -> int:
        """Reserve a page, or return page 0 where there is no place."""
        try:
            return self.take(PAGE)
        except OSError:
            return 0

    def publish(self, series: Series) -> None:
        """Let others find a series.

        Raises:
            OSError: there is no place to say where it is.
        """
        metric = series.metric
        if metric.name not in self._metrics:
            self._append("metric", *metric.told())
            self._metrics[metric.name] = len(self._metrics)
        self._append("series", self._metrics[metric.name], series.at, series.values, series.is_overflow)

    def _append(self, *record: object) -> None:
        text = json.dumps(record).encode()
        at = self.take(2 + -(-len(text) // 8))
        self._map[8 * (at + 2) : 8 * (at + 2) + len(text)] = text
        self._row[at + 1] = len(text) | crc32(text) << _LENGTH_BITS
        self._row[self._last] = at
        self._last = at

    def close(self) -> None:
        """Close the file; whoever still adds here fails."""
        self._row.release()
        self._map.close()
        os.close(self.descriptor)


class CellFile:
    """The file of another process.

    Args:
        descriptor: the file, which is closed with it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor: int = descriptor
        self._last = _FIRST
        self._metrics: list[Metric] = []
        self._series: list[tuple[int, Metric, tuple[str, ...], bool]] = []

    def read(self, *, with_exponential: bool = True) -> Snapshot:
        """Read off every series; the process may be counting.

        Raises:
            ValueError, LookupError, TypeError, OSError, RecursionError: the file is broken, or is none of these.
        """
        header = memoryview(os.pread(self.descriptor, 8 * _HEADER_END, 0)).cast("q")
        used = header[_USED]
        size = os.fstat(self.descriptor).st_size
        if header[_MAGIC] != MAGIC or header[_SIZE] * 8 != size or not _HEADER_END <= used * 8 <= size:
            raise ValueError("this is no file of cells")
        data = os.pread(self.descriptor, 8 * used, 0)
        cells = memoryview(data).cast("q")
        # What was added between the two reads may be linked from what was read, and is not in it: it is newer.
        (newest,) = memoryview(os.pread(self.descriptor, 8, 8 * _USED)).cast("q")
        for record in self._new_records(data, cells, newest):
            self._note(record)
        return Snapshot(self._points(cells, newest, with_exponential=with_exponential))

    def _new_records(self, data: bytes, cells: memoryview[int], newest: int) -> Iterator[Any]:
        while at := cells[self._last]:
            if at <= self._last:
                raise ValueError("the records go back")
            if len(cells) <= at < newest:
                return
            length = cells[at + 1] & ((1 << _LENGTH_BITS) - 1)
            text = data[8 * (at + 2) : 8 * (at + 2) + length]
            if crc32(text) != cells[at + 1] >> _LENGTH_BITS:
                return  # on some machines another processor sees the link before what it leads to
            self._last = at
            yield json.loads(text)

    def _note(self, record: list[Any]) -> None:
        what, *told = record
        if what == "metric":
            self._metrics.append(understood(told))
            return
        number, at, values, is_overflow = told
        metric = self._metrics[int(number)]
        if at < _HEADER_END or len(values) != len(metric.attributes):
            raise ValueError("a record is broken")
        self._series.append((at, metric, tuple(map(str, values)), bool(is_overflow)))

    def _points(self, cells: memoryview[int], newest: int, *, with_exponential: bool) -> Iterator[Point]:
        for at, metric, values, is_overflow in self._series:
            yield point_at(cells, at, metric, values, is_overflow, exponential=with_exponential, newest=newest)

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)
