"""Start a server for a measurement, wait until it answers, stop it; look at its processes."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Row
from riskplatform.supervisor import answers

START_SECONDS = 90.0
TRAINING = (
    *("lightgbm", "xgboost", "sklearn", "imblearn", "shap", "numba", "pandas"),
    *("llvmlite", "onnx/"),
)


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str], *, url: str, environment: Mapping[str, str], folder: Path
) -> Iterator[int]:
    """The process id of `command`, once `url` answers 200."""
    server = subprocess.Popen(
        list(command), cwd=folder, env=dict(environment), start_new_session=True
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(url):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(command[:4])}... did not start.")
            time.sleep(0.1)
        yield server.pid
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def look_at(parent: int) -> Row:
    """Memory of the server's largest process, and any training library mapped into it.

    Reads /proc (Linux): a library whose code was never imported is not in the memory map.
    """
    resident = {pid: _resident(pid) for pid in family(parent)}
    worker = max(resident, key=resident.__getitem__)
    maps = Path(f"/proc/{worker}/maps").read_text()
    return {
        "worker MB": round(resident[worker] / 1024, 1),
        "whole server MB": round(sum(resident.values()) / 1024, 1),
        "onnxruntime loaded": "onnxruntime" in maps,
        "training libraries loaded": [n.strip("/") for n in TRAINING if f"/{n}" in maps],
    }


def processor_seconds(parent: int) -> float:
    """Processor time that a server and its children have used so far."""
    ticks = 0
    for pid in family(parent):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def family(parent: int) -> list[int]:
    """A process and its children."""
    found = [parent]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue  # It ended meanwhile.
        if re.search(rf"^PPid:\s+{parent}$", text, re.M):
            found.append(int(status.parent.name))
    return found


def _resident(pid: int) -> int:
    """Resident kilobytes."""
    found = re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) if found else 0
