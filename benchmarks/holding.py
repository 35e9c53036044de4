"""Hold processes to a share of a processor each, so that a machine has processors to spare.

With the kernel's control groups (Linux; version 1 and 2), which only root may make.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
PERIOD_US = 10_000
"""What a share is of: a process that used it up waits for the rest of these microseconds."""


@contextmanager
def held(pids: Iterable[int], share: float) -> Iterator[bool]:
    """Each process and its threads in a group of its own with `share` of one processor.

    Whether it could be done: where no group can be made all of them stay free.
    """
    with ExitStack() as stack:
        try:
            for pid in pids:
                stack.enter_context(_group(pid, share))
        except OSError:
            stack.close()
            yield False
        else:
            yield True


@contextmanager
def _group(pid: int, share: float) -> Iterator[None]:
    quota = round(PERIOD_US * share)
    first = (GROUPS / "cpu").is_dir()
    root = GROUPS / "cpu" if first else GROUPS
    home = root / _home(pid, "cpu" if first else "").lstrip("/")
    group = root / f"risk-bench-{os.getpid()}-{pid}"
    group.mkdir()
    try:
        if first:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (root / "cgroup.subtree_control").write_text("+cpu")
            (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        (group / "cgroup.procs").write_text(str(pid))
        yield
        (home / "cgroup.procs").write_text(str(pid))
    finally:
        group.rmdir()


def _home(pid: int, controller: str) -> str:
    """The group that a process is in now, of version 1's controller or ('') of version 2."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path
    return "/"
