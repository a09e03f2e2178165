"""How much is used of what this process may use: by its container if that is limited, else by the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from container_tree import NO_LIMIT_V1, V1, V2, cpu_v1, cpu_v2, lay_out, memory_v1, memory_v2, v1

from asgi_guard.testing import ManualClock
from asgi_guard.watch import system as system_module
from asgi_guard.watch.cgroups import Cgroups
from asgi_guard.watch.system import System, SystemSample

GB = 1 << 30

if sys.platform != "linux":
    pytest.skip("only Linux has /proc and groups", allow_module_level=True)

TICKS = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))


def machine(root: Path, *, busy_seconds: float = 0, total: int = 16 * GB, available: int = 12 * GB) -> None:
    """Write what the machine says: the seconds are those of each core that this process may use."""
    busy = round(busy_seconds * TICKS / 4)
    ticks = f"{busy} {busy} {busy} 777777 888888 0 {busy} 0 999999 999999"
    cores = "".join([f"cpu{core} {ticks}\n" for core in CORES])
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/stat").write_text(f"cpu  1 2 3\n{cores}cpu99999 {ticks}\nintr 5 6 7\nctxt 9\n")
    (root / "proc/meminfo").write_text(
        f"MemTotal: {total >> 10} kB\nMemFree: 1 kB\nMemAvailable: {available >> 10} kB\n"
    )


@pytest.fixture
def clock() -> ManualClock:
    """Give a time that the test moves."""
    return ManualClock()


def begun(root: Path, clock: ManualClock) -> System:
    """Give a meter that has looked once."""
    system = System(root, str(root), clock)
    assert system.sample().cpu_percent is None
    return system


def test_a_container_is_measured_by_its_own_limits(tmp_path, clock) -> None:
    """Of half a core 1.5 s were used in 5 s; the machine, which is hardly in use, is not asked."""
    machine(tmp_path)
    lay_out(tmp_path, "0::/app\n", V2.format(top="/"), {"app": memory_v2(GB, 900 << 20, 40 << 20) | cpu_v2(50_000)})
    system = begun(tmp_path, clock)
    clock.advance(5)
    lay_out(tmp_path, "", "", {"app": cpu_v2(50_000, 1_500_000, periods=50, throttled=20)})

    sample = system.sample()

    assert (sample.source, sample.cpu_cores, sample.time) == ("cgroup2", 0.5, clock.time())
    assert sample.cpu_percent == pytest.approx(60.0)
    assert sample.throttled_percent == pytest.approx(40.0)
    assert (sample.memory_bytes, sample.memory_limit_bytes) == (860 << 20, GB)
    assert sample.memory_percent == pytest.approx(100 * 860 / 1024)


def test_a_parent_that_allows_less_than_its_child_is_what_counts(tmp_path, clock) -> None:
    """The child seems to be at 5 %, and is about to be killed: its neighbours have used up what they share."""
    machine(tmp_path)
    files = {
        "memory/pod": memory_v1(GB, 1000 << 20),
        "memory/pod/app": memory_v1(4 * GB, 200 << 20),
        "cpu,cpuacct/pod": cpu_v1(50_000),
        "cpu,cpuacct/pod/app": cpu_v1(-1),
    }
    lay_out(tmp_path, v1("/pod/app"), V1.format(top="/"), files)
    system = begun(tmp_path, clock)
    clock.advance(2)
    lay_out(tmp_path, v1("/pod/app"), V1.format(top="/"), {"cpu,cpuacct/pod": cpu_v1(50_000, 950_000_000)})

    sample = system.sample()

    assert (sample.source, sample.cpu_cores, sample.memory_limit_bytes) == ("cgroup1", 0.5, GB)
    assert sample.cpu_percent == pytest.approx(95.0)
    assert sample.memory_percent == pytest.approx(100 * 1000 / 1024)


UNLIMITED = {
    "no groups": ("", "", {}),
    "v2 without limits": ("0::/app\n", V2.format(top="/"), {"app": memory_v2("max", GB) | cpu_v2("max", 10**9)}),
    "v1 without limits": (
        v1("/a"),
        V1.format(top="/"),
        {"memory/a": memory_v1(NO_LIMIT_V1), "cpu,cpuacct/a": cpu_v1(-1)},
    ),
    "limits beyond the machine": (
        "0::/app\n",
        V2.format(top="/"),
        {"app": memory_v2(64 * GB, GB) | cpu_v2(100_000 * len(CORES))},
    ),
}


@pytest.mark.parametrize(("group", "mounts", "files"), UNLIMITED.values(), ids=UNLIMITED)
def test_without_limits_the_machine_is_what_may_be_used(tmp_path, clock, group, mounts, files) -> None:
    """Its memory, and those of its cores on which this process may run; a quota of all cores is none."""
    machine(tmp_path, busy_seconds=100)
    lay_out(tmp_path, group, mounts, files)
    system = begun(tmp_path, clock)
    clock.advance(10)
    machine(tmp_path, busy_seconds=104)

    sample = system.sample()

    assert (sample.source, sample.cpu_cores) == ("proc", len(CORES))
    assert sample.cpu_percent == pytest.approx(40.0)
    assert sample.throttled_percent is None
    assert (sample.memory_bytes, sample.memory_limit_bytes, sample.memory_percent) == (4 * GB, 16 * GB, 25.0)


def test_what_cannot_be_found_out_is_none(tmp_path, clock) -> None:
    """As on a system without a `/proc`, without psutil, and with no such disk."""
    system = System(tmp_path, str(tmp_path / "none"), clock)
    system.sample()
    clock.advance(10)

    assert system.sample() == SystemSample(
        time=clock.time(),
        source="none",
        cpu_percent=None,
        cpu_cores=len(CORES),
        memory_percent=None,
        memory_bytes=None,
        memory_limit_bytes=None,
        disk_percent=None,
        disk_free_bytes=None,
        throttled_percent=None,
    )


BROKEN = {
    "a core with too few numbers": ("stat", "cpu0 1 2\n"),
    "a core with words": ("stat", "cpux 1 2 3 4 5 6 7 8\n"),
    "a number that is none": ("stat", f"cpu{CORES[0]} 1 2 3 4 x 6 7 8\n"),
    "memory without numbers": ("meminfo", "MemTotal: much kB\n"),
    "bytes that are no text": ("meminfo", "\udcff\udcfe"),
}


@pytest.mark.parametrize(("file", "content"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_fails_nobody(tmp_path, clock, file, content) -> None:
    """What it would have told is not told."""
    machine(tmp_path)
    (tmp_path / "proc" / file).write_bytes(os.fsencode(content))
    system = begun(tmp_path, clock)
    clock.advance(10)

    sample = system.sample()

    assert (sample.cpu_percent if file == "stat" else sample.memory_percent) is None


def test_cpu_is_told_as_before_within_a_tenth_of_a_second(tmp_path, clock) -> None:
    """The kernel counts in hundredths: over less than that a core is idle or busy, and nothing between."""
    machine(tmp_path)
    system = begun(tmp_path, clock)
    clock.advance(1)
    machine(tmp_path, busy_seconds=0.6)
    first = system.sample()
    clock.advance(0.05)
    machine(tmp_path, busy_seconds=0.64)
    second = system.sample()
    clock.advance(0.05)

    assert (first.cpu_percent, second.cpu_percent) == (pytest.approx(60.0), pytest.approx(60.0))
    assert system.sample().cpu_percent == pytest.approx(40.0)


def test_a_quota_that_is_set_or_lifted_does_not_mix_two_counts(tmp_path, clock) -> None:
    """The group has used 1,000 s, the machine 5 s: the difference is nobody's."""
    machine(tmp_path, busy_seconds=5)
    lay_out(tmp_path, "0::/app\n", V2.format(top="/"), {"app": cpu_v2("max", 10**9)})
    system = begun(tmp_path, clock)
    clock.advance(5)
    lay_out(tmp_path, "", "", {"app": cpu_v2(50_000, 10**9)})
    after_the_change = system.sample()
    clock.advance(5)
    lay_out(tmp_path, "", "", {"app": cpu_v2(50_000, 10**9 + 500_000)})

    assert after_the_change.cpu_percent is None
    assert system.sample().cpu_percent == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("used_us", "percent"), [(9_000_000, 100.0), (0, None)], ids=["over the quota", "counted anew"]
)
def test_a_percentage_is_from_0_to_100(tmp_path, clock, used_us, percent) -> None:
    """A group may use a little more than its quota, and one that is made anew counts anew."""
    lay_out(tmp_path, "0::/app\n", V2.format(top="/"), {"app": cpu_v2(50_000, 1_000_000)})
    system = begun(tmp_path, clock)
    clock.advance(5)
    lay_out(tmp_path, "", "", {"app": cpu_v2(50_000, used_us)})

    assert system.sample().cpu_percent == percent


def test_psutil_is_asked_where_no_limit_is_set(monkeypatch, clock) -> None:
    """It agrees with what Linux says."""
    psutil = pytest.importorskip("psutil")
    skip_if_limited()
    sample = System(clock=clock).sample()
    memory, disk = psutil.virtual_memory(), psutil.disk_usage("/")
    monkeypatch.setitem(sys.modules, "psutil", None)
    plain = System(clock=clock).sample()

    assert (sample.source, plain.source) == ("psutil", "proc")
    for one in (sample, plain):
        assert one.memory_limit_bytes == memory.total
        assert one.memory_percent == pytest.approx(memory.percent, abs=3)
        assert one.disk_percent == pytest.approx(disk.percent, abs=0.5)
        assert one.disk_free_bytes == pytest.approx(disk.free, rel=0.02)
        assert one.cpu_cores == len(CORES)


def test_psutil_and_linux_have_counted_the_same_cpu_time() -> None:
    """Since the machine was started, without what is idle, waits for a disk, or is counted twice."""
    psutil = pytest.importorskip("psutil")
    asked, plain = system_module._machine_by_psutil(psutil), system_module._machine_by_proc(Path("/"))

    assert asked is not None
    assert asked.busy_ns == pytest.approx(plain.busy_ns, rel=0.01, abs=2e9)


def test_what_guests_use_counts_once() -> None:
    """It is in the time of users already, and to wait for a disk is not to work."""
    times = {"user": 5.0, "nice": 1.0, "system": 2.0, "idle": 90.0, "iowait": 3.0, "guest": 4.0, "guest_nice": 0.5}

    assert system_module._busy_seconds(times) == 8.0


def test_psutil_is_imported_when_it_is_asked_for() -> None:
    """Not to make a meter, which may be in a constructor; and not at all about another root than the real one."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from asgi_guard.watch.system import System\n"
        "System(); System(Path('/nowhere')).sample()\n"
        "print('psutil' in sys.modules)\n"
    )

    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=50, check=True).stdout == b"False\n"
    )


def test_psutil_that_is_refused_leaves_linux_to_be_asked(monkeypatch, clock) -> None:
    """In some sandboxes it finds no times."""

    def refuse(**_: object) -> None:
        raise RuntimeError("no times here")

    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace(cpu_times=refuse))

    assert system_module._machine_by_psutil(sys.modules["psutil"]) is None
    assert System(clock=clock)._machine().source == "proc"


# A real container ----------------------------------------------------------------------------------------------------

LIMIT = 256 << 20
CHILD = """
import json, os, sys, time
for procs in sys.argv[1:]:
    with open(procs, "w") as file:
        file.write(str(os.getpid()))
from asgi_guard.watch.system import System
held = bytearray(b"x") * (160 << 20)
system = System()
system.sample()
end = time.monotonic() + 1
while time.monotonic() < end:
    pass
sample = system.sample()
told = {name: getattr(sample, name) for name in sample.__slots__}
try:
    import psutil
    told["psutil"] = psutil.virtual_memory().percent
except ImportError:
    pass
print(json.dumps(told))
"""


def skip_if_limited() -> None:
    """Skip what needs the whole machine."""
    if System().sample().source.startswith("cgroup"):
        pytest.skip("the machine that the tests run on is a container with limits")


@pytest.fixture
def real_groups() -> Iterator[list[Path]]:
    """Make a group with 256 MB and half a core below the one that the tests run in, and give its lists of processes."""
    own = Cgroups()
    name = f"asgi-guard-test-{os.getpid()}"
    is_old = own.version == 1
    wanted = {
        own._memory.levels[-1:]: {"memory.limit_in_bytes": str(LIMIT)} if is_old else {"memory.max": str(LIMIT)},
        own._cpu.levels[-1:]: {"cpu.cfs_quota_us": "50000"} if is_old else {"cpu.max": "50000 100000"},
        own._accounts[-1:]: {},
    }
    with ExitStack() as made:
        try:
            procs = []
            for level, files in wanted.items():
                for parent in level:
                    group = parent / name
                    if not group.exists():
                        group.mkdir()
                        made.callback(removed, group)
                    for file, content in files.items():
                        (group / file).write_text(content)
                    procs.append(group / "cgroup.procs")
        except OSError as exc:
            pytest.skip(f"no group can be made here: {exc.strerror}")
        if not procs:
            pytest.skip("there are no groups here")
        yield [*dict.fromkeys(procs)]


def removed(group: Path) -> None:
    """Remove a group that nobody is in any more."""
    with suppress(OSError):
        group.rmdir()


@pytest.mark.long
def test_in_a_real_container_its_limits_are_seen_where_psutil_sees_the_machine(real_groups) -> None:
    """A process that holds 160 of 256 MB and wants a whole core of its half is near its limits, and is told so."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, real_groups)], capture_output=True, text=True, timeout=50, check=False
    )
    assert not done.stderr
    told = json.loads(done.stdout)

    assert told["source"] in {"cgroup1", "cgroup2"}
    assert (told["memory_limit_bytes"], told["cpu_cores"]) == (LIMIT, 0.5)
    assert 60 < told["memory_percent"] < 95
    assert told["cpu_percent"] > 25  # others want the machine as well
    assert told["throttled_percent"] > 5
    assert told.get("psutil", 0) < 50
