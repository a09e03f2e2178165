"""Names: what the application tracks, and what the watcher counts of the process and of its machine, as one table.

Standard: OpenTelemetry's semantic conventions for processes and systems, where they have a name; a ratio is 0 to 1.
Must never have an attribute that a client writes.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.monitor.metric import HTTP_DURATION_BOUNDS, Kind, Metric

TRACKED_REQUEST: Final = Metric(
    "asgi_guard.tracked_request.duration",
    "s",
    "Duration of requests that the application has measured itself.",
    Kind.HISTOGRAM,
    ("http.request.method", "http.route", "http.response.status_code"),
    HTTP_DURATION_BOUNDS,
    is_exponential=True,
)

PROCESS_CPU_TIME: Final = Metric(
    "process.cpu.time",
    "s",
    "CPU time that the process has used, in user and in kernel mode.",
    Kind.COUNTER,
)

PROCESS_MEMORY_USAGE: Final = Metric(
    "process.memory.usage",
    "By",
    "Physical memory that the process has in use.",
    Kind.UP_DOWN,
)

PROCESS_OPEN_FILES: Final = Metric(
    "process.unix.file_descriptor.count",
    "{file_descriptor}",
    "Number of file descriptors that the process has open: files, sockets, pipes.",
    Kind.UP_DOWN,
)

PROCESS_THREADS: Final = Metric(
    "process.thread.count",
    "{thread}",
    "Number of threads in the process.",
    Kind.UP_DOWN,
)

EVENT_LOOP_LAG: Final = Metric(
    "asgi_guard.event_loop.lag",
    "s",
    "Time that a callback waited before the event loop ran it: what every request waits, too.",
    Kind.HISTOGRAM,
    (),
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    is_exponential=True,
)

GC_PAUSE: Final = Metric(
    "asgi_guard.gc.pause",
    "s",
    "Time for which the garbage collector stopped the process.",
    Kind.HISTOGRAM,
    ("cpython.gc.generation",),
    (0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
    is_exponential=True,
)

SYSTEM_CPU_UTILIZATION: Final = Metric(
    "system.cpu.utilization",
    "1",
    "Share in use of the CPU time that may be used: by a quota of a container, or on this machine.",
    Kind.GAUGE,
)

SYSTEM_MEMORY_UTILIZATION: Final = Metric(
    "system.memory.utilization",
    "1",
    "Share in use of the memory that may be used: by a limit of a container, or on this machine.",
    Kind.GAUGE,
)

SYSTEM_MEMORY_USAGE: Final = Metric(
    "system.memory.usage",
    "By",
    "Memory in use, of what may be used, without caches of files that can be dropped.",
    Kind.GAUGE,
)

SYSTEM_FILESYSTEM_UTILIZATION: Final = Metric(
    "system.filesystem.utilization",
    "1",
    "Share in use of the file system that is watched.",
    Kind.GAUGE,
)

ALERTS_FIRING: Final = Metric(
    "asgi_guard.alerts.firing",
    "{alert}",
    "Whether an alert is firing: 0 or 1.",
    Kind.GAUGE,
    ("asgi_guard.alert.name",),
)
