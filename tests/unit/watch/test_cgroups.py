"""What a container may use: the tightest limit of all groups around the process, in both versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from container_tree import HYBRID, NO_LIMIT_V1, V1, V2, cpu_v1, cpu_v2, lay_out, memory_v1, memory_v2, v1

from asgi_guard.watch.cgroups import MAX_LEVELS, Cgroups, CpuLimit, MemoryLimit

GB = 1 << 30


def seen(root: Path, group: str, mounts: str, files: dict[str, dict[str, str]]) -> Cgroups:
    """Lay out a tree, and look at it."""
    lay_out(root, group, mounts, files)
    return Cgroups(root)


MEMORY = {
    "v2: one limit": (
        "0::/app\n",
        V2.format(top="/"),
        {"app": memory_v2(GB, 900, 200, 3)},
        MemoryLimit(GB, 700, 3),
    ),
    "v2: the parent allows less than the child": (
        "0::/pod/app\n",
        V2.format(top="/"),
        {"pod": memory_v2(GB, 900), "pod/app": memory_v2(4 * GB, 100)},
        MemoryLimit(GB, 900, 0),
    ),
    "v2: the child allows less than the parent": (
        "0::/pod/app\n",
        V2.format(top="/"),
        {"pod": memory_v2(4 * GB, 900), "pod/app": memory_v2(GB, 100)},
        MemoryLimit(GB, 100, 0),
    ),
    "v2: of two alike the outer one, in which the neighbours are": (
        "0::/pod/app\n",
        V2.format(top="/"),
        {"pod": memory_v2(GB, 900), "pod/app": memory_v2(GB, 100)},
        MemoryLimit(GB, 900, 0),
    ),
    "v2: only a grandparent has one": (
        "0::/a/b/c\n",
        V2.format(top="/"),
        {"a": memory_v2(GB, 5), "a/b": memory_v2("max"), "a/b/c": memory_v2("max")},
        MemoryLimit(GB, 5, 0),
    ),
    "v2: none": ("0::/app\n", V2.format(top="/"), {"app": memory_v2("max", 900)}, None),
    "v2: a namespace, whose root is mounted": (
        "0::/\n",
        V2.format(top="/"),
        {"": memory_v2(GB, 5)},
        MemoryLimit(GB, 5, 0),
    ),
    "v2: what is mounted is further out than the namespace": (
        "0::/\n",
        V2.format(top="/../.."),
        {"": memory_v2(GB, 5)},
        MemoryLimit(GB, 5, 0),
    ),
    "v2: below what is mounted from further out": (
        "0::/../../app\n",
        V2.format(top="/../.."),
        {"app": memory_v2(GB, 5)},
        MemoryLimit(GB, 5, 0),
    ),
    "v2: aside from the namespace, in what is mounted from further out": (
        "0::/../neighbour\n",
        V2.format(top="/../.."),
        {"": memory_v2(GB, 5), "neighbour": memory_v2(5, 5)},
        MemoryLimit(GB, 5, 0),
    ),
    "v2: outside of what is mounted, where others live": (
        "0::/../../neighbour\n",
        V2.format(top="/"),
        {"": memory_v2(GB, 5), "neighbour": memory_v2(GB, 5)},
        None,
    ),
    "v2: the second mount has it": (
        "0::/pod/app\n",
        V2.format(top="/other").replace("/sys/fs/cgroup", "/mnt") + V2.format(top="/pod"),
        {"app": memory_v2(GB, 5)},
        MemoryLimit(GB, 5, 0),
    ),
    "v2: a name with a blank in it": (
        "0::/a b\n",
        V2.format(top="/").replace("/sys/fs/cgroup", "/sys/fs/cgroup/x\\040y"),
        {"x y/a b": memory_v2(GB, 5)},
        MemoryLimit(GB, 5, 0),
    ),
    "v2: a group that has been removed": ("0::/gone (deleted)\n", V2.format(top="/"), {}, None),
    "v2: usage cannot be read": (
        "0::/app\n",
        V2.format(top="/"),
        {"app": {"memory.max": f"{GB}"}},
        MemoryLimit(GB, None, None),
    ),
    "v2: more is cached than used, in two looks": (
        "0::/app\n",
        V2.format(top="/"),
        {"app": memory_v2(GB, 100, 200)},
        MemoryLimit(GB, 0, 0),
    ),
    "v1: one limit": (
        v1("/app"),
        V1.format(top="/"),
        {"memory/app": memory_v1(GB, 900, 200, 3)},
        MemoryLimit(GB, 700, 3),
    ),
    "v1: the parent allows less than the child": (
        v1("/pod/app"),
        V1.format(top="/"),
        {"memory/pod": memory_v1(GB, 900), "memory/pod/app": memory_v1(4 * GB, 100)},
        MemoryLimit(GB, 900, 0),
    ),
    "v1: only the parent has one": (
        v1("/pod/app"),
        V1.format(top="/"),
        {"memory/pod": memory_v1(GB, 900), "memory/pod/app": memory_v1(NO_LIMIT_V1, 100)},
        MemoryLimit(GB, 900, 0),
    ),
    "v1: none": (v1("/app"), V1.format(top="/"), {"memory/app": memory_v1(NO_LIMIT_V1, 900)}, None),
    "v1: the group itself is what is mounted": (
        v1("/docker/4f"),
        V1.format(top="/docker/4f"),
        {"memory": memory_v1(GB, 900)},
        MemoryLimit(GB, 900, 0),
    ),
    "v1: only the group is mounted, but the table says the root is": (
        v1("/docker/4f"),
        V1.format(top="/"),
        {"memory": memory_v1(GB, 900)},
        MemoryLimit(GB, 900, 0),
    ),
    "v1: another group is mounted": (
        v1("/garden/bad/4f"),
        V1.format(top="/garden/good/4f"),
        {"memory": memory_v1(GB, 900)},
        None,
    ),
    "both: version 1 has the controller": (
        v1("/app"),
        HYBRID.format(top="/"),
        {"memory/app": memory_v1(GB, 900), "unified/unused": memory_v2(1, 1)},
        MemoryLimit(GB, 900, 0),
    ),
    "both: version 2 has the controller": (
        "1:cpu,cpuacct:/\n0::/app\n",
        HYBRID.format(top="/"),
        {"unified/app": memory_v2(GB, 900)},
        MemoryLimit(GB, 900, 0),
    ),
    "nonsense": ("::\nx\n0::\n", "- -\n1 2 3 / \\999 - cgroup2 x y\n - cgroup2\n", {}, None),
}


@pytest.mark.parametrize(("group", "mounts", "files", "limit"), MEMORY.values(), ids=MEMORY)
def test_the_tightest_limit_on_memory_counts_with_what_is_used_of_it(tmp_path, group, mounts, files, limit) -> None:
    """Of all groups around the process that are known to be around it."""
    assert seen(tmp_path, group, mounts, files).memory() == limit


CPU = {
    "v2: half a core": (
        "0::/app\n",
        V2.format(top="/"),
        {"app": cpu_v2(50_000, 12, 40, 10)},
        ("app", 0.5, 12_000, 40, 10),
    ),
    "v2: the parent allows less than the child": (
        "0::/pod/app\n",
        V2.format(top="/"),
        {"pod": cpu_v2(150_000, 30), "pod/app": cpu_v2(400_000, 10)},
        ("pod", 1.5, 30_000, 0, 0),
    ),
    "v2: the child allows less than the parent": (
        "0::/pod/app\n",
        V2.format(top="/"),
        {"pod": cpu_v2(150_000, 30), "pod/app": cpu_v2(100_000, 10)},
        ("pod/app", 1.0, 10_000, 0, 0),
    ),
    "v2: no quota": ("0::/app\n", V2.format(top="/"), {"app": cpu_v2("max", 12)}, None),
    "v2: no accounts": (
        "0::/app\n",
        V2.format(top="/"),
        {"app": {"cpu.max": "100000 100000\n"}},
        ("app", 1.0, None, 0, 0),
    ),
    "v1: half a core": (
        v1("/app"),
        V1.format(top="/"),
        {"cpu,cpuacct/app": cpu_v1(50_000, 12, 40, 10)},
        ("cpu,cpuacct/app", 0.5, 12, 40, 10),
    ),
    "v1: the parent allows less than the child": (
        v1("/pod/app"),
        V1.format(top="/"),
        {"cpu,cpuacct/pod": cpu_v1(150_000, 30), "cpu,cpuacct/pod/app": cpu_v1(400_000, 10)},
        ("cpu,cpuacct/pod", 1.5, 30, 0, 0),
    ),
    "v1: the accounts are of another group": (
        v1("/app", accounts="/"),
        V1.format(top="/"),
        {"cpu,cpuacct": {"cpuacct.usage": "99\n"}, "cpu,cpuacct/app": cpu_v1(50_000)},
        ("cpu,cpuacct/app", 0.5, None, 0, 0),
    ),
    "v1: the accounts are of a neighbour": (
        v1("/app", accounts="/other"),
        V1.format(top="/"),
        {"cpu,cpuacct/other": {"cpuacct.usage": "99\n"}, "cpu,cpuacct/app": cpu_v1(50_000)},
        ("cpu,cpuacct/app", 0.5, None, 0, 0),
    ),
    "v1: no quota": (v1("/app"), V1.format(top="/"), {"cpu,cpuacct/app": cpu_v1(-1, 12)}, None),
    "a period of nothing": ("0::/\n", V2.format(top="/"), {"": {"cpu.max": "1 0\n"}}, None),
}


@pytest.mark.parametrize(("group", "mounts", "files", "quota"), CPU.values(), ids=CPU)
def test_the_tightest_quota_of_cpu_time_counts_with_what_is_used_of_it(tmp_path, group, mounts, files, quota) -> None:
    """In cores, with the time that the whole group has used, and how often it had to wait."""
    found = seen(tmp_path, group, mounts, files).cpu()

    if quota is None:
        assert found is None
    else:
        assert found == CpuLimit(tmp_path / "sys/fs/cgroup" / quota[0], *quota[1:])


def test_a_limit_that_is_changed_counts_at_once(tmp_path) -> None:
    """The groups are found once, their limits are read each time."""
    cgroups = seen(tmp_path, "0::/app\n", V2.format(top="/"), {"app": memory_v2(GB)})
    (tmp_path / "sys/fs/cgroup/app/memory.max").write_text(f"{2 * GB}")

    assert cgroups.memory() == MemoryLimit(2 * GB, 0, 0)


def test_at_most_so_many_groups_are_asked(tmp_path) -> None:
    """The outermost: one beyond them is not read."""
    deep = ["g"] * MAX_LEVELS
    files = {"/".join(deep): memory_v2(1), "g": memory_v2(GB)}

    assert seen(tmp_path, f"0::/{'/'.join(deep)}\n", V2.format(top="/"), files).memory() == MemoryLimit(GB, 0, 0)


@pytest.mark.parametrize(
    ("group", "mounts", "version"),
    [("0::/\n", V2.format(top="/"), 2), (v1("/"), V1.format(top="/"), 1), ("", "", 0)],
    ids=["v2", "v1", "none"],
)
def test_the_version_is_told(tmp_path, group, mounts, version) -> None:
    """That of the controllers, where both are mounted."""
    assert seen(tmp_path, group, mounts, {}).version == version


def test_where_there_are_no_groups_nothing_is_limited(tmp_path) -> None:
    """As on other systems, which have no such files."""
    cgroups = Cgroups(tmp_path)

    assert (cgroups.version, cgroups.memory(), cgroups.cpu()) == (0, None, None)
