"""What this process uses: CPU time, memory, open files, threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from asgi_guard.testing import ManualClock
from asgi_guard.watch.process import ProcessMeter, ProcessSample

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")


@linux_only
def test_it_agrees_with_psutil() -> None:
    """In memory, files, threads, CPU time, and when the process began."""
    psutil = pytest.importorskip("psutil")
    process = psutil.Process()
    sample = ProcessMeter().sample()
    times = process.cpu_times()

    assert sample.cpu_seconds == pytest.approx(times.user + times.system, abs=0.5)
    assert sample.memory_bytes == pytest.approx(process.memory_info().rss, rel=0.05)
    assert sample.threads == process.num_threads()
    assert sample.started_at == pytest.approx(process.create_time(), abs=2)


@linux_only
def test_each_open_file_counts() -> None:
    """And is gone when it is closed."""
    meter = ProcessMeter()
    before = meter.sample().open_files
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(10)]
    opened = meter.sample().open_files
    for file in files:
        os.close(file)

    assert (opened - before, meter.sample().open_files) == (10, before)


@linux_only
def test_open_files_are_listed_where_the_folder_has_no_size(tmp_path) -> None:
    """As on Linux before 6.2; the one that lists them is left out."""
    proc = on_paper(tmp_path, files=4)

    assert proc.sample().open_files == (tmp_path / "proc/self/fd").stat().st_size or 3


@linux_only
def test_each_thread_counts() -> None:
    """Of Python's threads."""
    meter = ProcessMeter()
    before = meter.sample().threads
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    during = meter.sample().threads
    end.set()
    thread.join()

    assert during == before + 1


@linux_only
def test_memory_that_is_taken_counts() -> None:
    """Once it is written to."""
    meter = ProcessMeter()
    before = meter.sample().memory_bytes
    held = bytearray(b"x") * (64 << 20)

    assert meter.sample().memory_bytes - before == pytest.approx(len(held), rel=0.2)


@linux_only
def test_a_forked_process_is_measured_itself() -> None:
    """By a meter that was made before."""
    script = (
        "import os\n"
        "from asgi_guard.watch.process import ProcessMeter\n"
        "meter = ProcessMeter(); before = meter.sample()\n"
        "import time; time.sleep(0.05)\n"
        "child = os.fork()\n"
        "if child: raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "after = meter.sample()\n"
        "os._exit(0 if after.started_at > before.started_at and after.cpu_seconds < before.cpu_seconds else 3)\n"
    )

    assert subprocess.run([sys.executable, "-c", script], timeout=50, check=False).returncode == 0


def on_paper(root: Path, *, name: str = "python", files: int = 1) -> ProcessMeter:
    """Write what the kernel says about a process that has begun a second after the machine."""
    folder = root / "proc/self"
    (folder / "fd").mkdir(parents=True)
    for number in range(files):
        (folder / "fd" / str(number)).touch()
    fields = ["0"] * 30
    fields[17], fields[19] = "7", str(os.sysconf("SC_CLK_TCK"))
    (folder / "stat").write_text(f"12 ({name}) S {' '.join(fields[1:])}\n")
    (folder / "statm").write_text("900 100 1 2 3 4 5\n")
    return ProcessMeter(ManualClock(), root)


@linux_only
@pytest.mark.parametrize("name", ["python", "a (b) c", ") S 9 9"])
def test_a_program_may_have_any_name(tmp_path, name) -> None:
    """Also one that looks like the fields behind it."""
    sample = on_paper(tmp_path, name=name).sample()

    assert (sample.threads, sample.memory_bytes) == (7, 100 * os.sysconf("SC_PAGE_SIZE"))


@linux_only
def test_the_beginning_does_not_move_with_the_clock(tmp_path) -> None:
    """A clock that is set on, or back, has not begun the process anew."""
    meter = on_paper(tmp_path)
    clock = meter._clock
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    began = meter.sample().started_at
    clock.jump(3_600)

    assert began == pytest.approx(clock.time() - 3_600 - uptime + 1, abs=1)
    assert meter.sample().started_at == began


@pytest.mark.parametrize("content", ["", "12 (python) S 0", "12 python"], ids=["empty", "short", "no bracket"])
def test_a_broken_file_fails_nobody(tmp_path, monkeypatch, content) -> None:
    """CPU time is known without it."""
    monkeypatch.setitem(sys.modules, "psutil", None)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/stat").write_text(content)
    sample = ProcessMeter(root=tmp_path).sample()

    assert sample == ProcessSample(sample.cpu_seconds)


@linux_only
def test_without_the_other_files_the_rest_is_told(tmp_path) -> None:
    """As where another user looks."""
    meter = on_paper(tmp_path, files=0)
    (tmp_path / "proc/self/statm").unlink()
    (tmp_path / "proc/self/fd").rmdir()
    sample = meter.sample()

    assert (sample.memory_bytes, sample.open_files, sample.threads) == (None, None, 7)


def test_where_there_is_no_proc_psutil_is_asked(tmp_path) -> None:
    """About this process."""
    psutil = pytest.importorskip("psutil")
    sample = ProcessMeter(root=tmp_path).sample()

    assert sample.memory_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)
    assert sample.threads == psutil.Process().num_threads()
    assert sample.started_at == psutil.Process().create_time()
    assert sample.open_files


def test_psutil_that_is_refused_fails_nobody(tmp_path, monkeypatch) -> None:
    """In some sandboxes it may not look."""

    def refuse() -> None:
        raise PermissionError

    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace(Process=refuse))
    sample = ProcessMeter(root=tmp_path).sample()

    assert sample == ProcessSample(sample.cpu_seconds)
