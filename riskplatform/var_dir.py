"""What a process keeps on disk: in embedded mode its database, secrets and the file broker.

Who else works on the machine reads none of it: sessions lie in the database, and what they open.
"""

import base64
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir

from django.core.exceptions import ImproperlyConfigured


def new_pii_key() -> str:
    """A fresh `id:base64` entry for RISK_PII_KEYS (32 random bytes)."""
    return f"k{secrets.token_hex(2)}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def keep_secret(path: Path, make: Callable[[], str] = new_pii_key) -> str:
    """Read the secret at `path`; the first process to ask makes it, readable by its owner only.

    Written beside and linked into place, so two processes that start together agree on one value.
    """
    if not path.exists():
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.touch(mode=0o600)
        beside.write_text(make())
        try:
            os.link(beside, path)
        except FileExistsError:
            # Another process was first; its secret counts.
            return path.read_text().strip()
        finally:
            beside.unlink()
    return path.read_text().strip()


def own_folder(folder: Path, *, ours: bool = True) -> None:
    """Make a folder that its owner alone enters. `ours`: one that is there is closed to others.

    Raises ImproperlyConfigured, naming the variable, where there can be none.
    """
    try:
        there = folder.exists()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"{folder} cannot be made a folder ({error.strerror})."
            " Name one that this user may write to in RISK_VAR_DIR."
        ) from error
    if there and ours:
        _close_to_others(folder)


def own_temporary_folder(instead: str) -> Path:
    """This user's folder where the machine keeps what passes, and where anybody makes folders.

    Raises ImproperlyConfigured where somebody else was first, naming the variable that is set
    `instead`: they would read what we write there, or hold us up.
    """
    folder = Path(gettempdir()) / f"riskplatform-{os.geteuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ImproperlyConfigured(
            f"{folder} is not a folder of this user. Remove it, or name another in {instead}."
        )
    folder.chmod(0o700)
    return folder


def own_database(path: Path) -> Path:
    """Make the file that SQLite would make for everybody to read; its journals get its mode."""
    if not path.exists():
        path.touch(mode=0o600)
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        _close_to_others(file)
    return path


def _close_to_others(path: Path) -> None:
    """Take from who is neither the owner nor of the group what earlier versions left them."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if found.st_mode & stat.S_IRWXO and found.st_uid == os.geteuid():
        path.chmod(stat.S_IMODE(found.st_mode) & ~stat.S_IRWXO)


def prepare_broker_folders(root: Path) -> dict[str, object]:
    """Celery transport options of the file broker under `root` (made when absent)."""
    own_folder(root)
    folders = {name: root / name for name in ("messages", "processed", "control")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "data_folder_in": str(folders["messages"]),
        "data_folder_out": str(folders["messages"]),
        "processed_folder": str(folders["processed"]),
        "store_processed": False,
        "control_folder": str(folders["control"]),
        "polling_interval": 0.2,
    }
