"""Containers on paper: the files in which the kernel tells what they may use, of both versions, below any folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

NO_LIMIT_V1 = "9223372036854771712"

V2 = "30 23 0:26 {top} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 {top} /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 {top} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)
HYBRID = V1 + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"


def v1(group: str, *, accounts: str | None = None) -> str:
    """Write the membership of a process in one group of every controller."""
    return f"9:name=systemd:/elsewhere\n4:memory:{group}\n2:cpuacct:{accounts or group}\n1:cpu:{group}\n0::/unused\n"


def memory_v2(limit: object, used: int = 0, inactive: int = 0, kills: int = 0) -> dict[str, str]:
    """Write the memory files of a group of version 2."""
    return {
        "memory.max": f"{limit}\n",
        "memory.current": f"{used}\n",
        "memory.stat": f"anon 1\ninactive_file {inactive}\nactive_file 5\n",
        "memory.events": f"low 0\noom 9\noom_kill {kills}\n",
    }


def memory_v1(limit: object, used: int = 0, inactive: int = 0, kills: int = 0) -> dict[str, str]:
    """Write the memory files of a group of version 1."""
    return {
        "memory.limit_in_bytes": f"{limit}\n",
        "memory.usage_in_bytes": f"{used}\n",
        "memory.stat": f"inactive_file 1\ntotal_inactive_file {inactive}\n",
        "memory.oom_control": f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n",
    }


def cpu_v2(quota: object, used_us: int = 0, periods: int = 0, throttled: int = 0) -> dict[str, str]:
    """Write the CPU files of a group of version 2."""
    stat = f"usage_usec {used_us}\nuser_usec 0\nnr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec 7\n"
    return {"cpu.max": f"{quota} 100000\n", "cpu.stat": stat}


def cpu_v1(quota: object, used_ns: int = 0, periods: int = 0, throttled: int = 0) -> dict[str, str]:
    """Write the CPU files of a group of version 1."""
    stat = f"nr_periods {periods}\nnr_throttled {throttled}\nthrottled_time 7\n"
    return {
        "cpu.cfs_quota_us": f"{quota}\n",
        "cpu.cfs_period_us": "100000\n",
        "cpu.stat": stat,
        "cpuacct.usage": f"{used_ns}\n",
    }


def lay_out(root: Path, group: str, mounts: str, files: Mapping[str, Mapping[str, str]]) -> None:
    """Write a tree.

    Args:
        root: below which `/proc` and `/sys` are to be.
        group: which groups the process is in.
        mounts: where they are mounted.
        files: contents by name, by folder below `/sys/fs/cgroup`.
    """
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/cgroup").write_text(group)
    (root / "proc/self/mountinfo").write_text(mounts)
    for folder, contents in files.items():
        place = root / "sys/fs/cgroup" / folder
        place.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (place / name).write_text(content)
