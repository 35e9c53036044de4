"""What embedded mode keeps on disk beside its database: generated secrets and the file broker."""

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path


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


def prepare_broker_folders(root: Path) -> dict[str, object]:
    """Celery transport options of the file broker under `root` (made when absent)."""
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
