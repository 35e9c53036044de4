"""Files beside versions: written once, named by their digest, read back with every byte checked."""

import os
import secrets
from pathlib import Path
from typing import Any

from models_registry.models import ModelVersion
from models_registry.registry_models import Artefact
from scoring.core.bundle import sha256
from scoring.deployment import bundle_root

FOLDER = "artefacts"


class ArtefactError(ValueError):
    """An artefact that is missing or was changed."""


def artefact_path(digest: str) -> Path:
    """Where an artefact lies, beside the bundles that all processes share."""
    return bundle_root() / FOLDER / digest


def store_artefact(
    version: ModelVersion, *, kind: str, content: bytes, detail: dict[str, Any]
) -> Artefact:
    """Write the file, then its row; the artefact of that kind that was there before is replaced,
    and so is the very file where it was damaged. Raises OSError; nothing is left behind then."""
    digest = sha256(content)
    path = artefact_path(digest)
    if not _holds(path, digest):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{digest}.{secrets.token_hex(4)}")
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    row, _ = Artefact.objects.update_or_create(
        version=version,
        kind=kind,
        defaults={"digest": digest, "size": len(content), "detail": detail},
    )
    return row


def _holds(path: Path, digest: str) -> bool:
    """Whether the file is there, every byte as it was written."""
    try:
        return sha256(path.read_bytes()) == digest
    except OSError:
        return False


def read_artefact(artefact: Artefact) -> bytes:
    """The bytes as they were written. Raises ArtefactError."""
    try:
        content = artefact_path(artefact.digest).read_bytes()
    except OSError as error:
        raise ArtefactError(f"{artefact} cannot be read: {error.strerror}.") from error
    if sha256(content) != artefact.digest:
        raise ArtefactError(f"{artefact} was changed; it is not read.")
    return content
