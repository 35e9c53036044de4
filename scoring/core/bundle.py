"""The unit of deployment: one folder, named by its digest, that any process can load.

    <digest>/manifest.json   format, detector declaration, encoder, calibration, thresholds,
                             reference statistics, training lineage, metrics, digests of the files
             model.onnx      the model            (absent in a rules-only bundle)
             explain.npz     arrays for exact contributions (likewise; read without pickle)

The digest is the SHA-256 of manifest.json, which holds the SHA-256 of every other file; a changed
byte anywhere refuses to load. A bundle is written beside its place and renamed into it.
"""

import hashlib
import json
import os
import secrets
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from scoring.core.attribution import ExplainError
from scoring.core.decision import Thresholds
from scoring.core.encoder import Encoder, EncoderError
from scoring.core.explain import Explainer
from scoring.core.features import FeaturePlan
from scoring.core.inference import Calibration, Model, ModelError
from scoring.core.policy import Policy
from scoring.core.reader import SpecError, in_brief
from scoring.core.rule_text import filled_text
from scoring.core.rules import Rule, compile_rule, readable
from scoring.core.schema import EventParser
from scoring.core.shape import is_number
from scoring.core.spec import DetectorSpec, parse_spec
from scoring.core.vocabulary import RuleError

FORMAT = 1
MANIFEST, MODEL, EXPLAIN = "manifest.json", "model.onnx", "explain.npz"


class BundleError(ValueError):
    """A bundle that must not serve: damaged, of another format, or incomplete."""


class BundleNotWritten(BundleError):
    """A bundle for which the folder has no place: the disk is full, or nobody may write there."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """The fitted part of a bundle."""

    encoder: Encoder
    model: Model
    explainer: Explainer
    calibration: Calibration
    thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class Bundle:
    """A loaded bundle, compiled and ready to score. `predictor` is None in a rules-only bundle.

    `overdue`: past its review date; its model is not asked (scoring.deployment).
    """

    digest: str
    manifest: Mapping[str, Any]
    spec: DetectorSpec
    plan: FeaturePlan
    parser: EventParser
    predictor: Predictor | None
    policy: Policy
    """The rules that it was trained with: for who has nothing but the bundle."""
    overdue: bool = False

    @property
    def reference(self) -> Mapping[str, Any]:
        """Reference statistics by feature name."""
        found: Mapping[str, Any] = self.manifest.get("reference", {})
        return found


def sha256(data: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(data).hexdigest()


def write_bundle(root: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """Write a bundle under `root` and return its digest; writing it twice changes nothing, except
    that what lies there damaged is written anew.

    Raises BundleNotWritten; nothing is left behind then.
    """
    full = {
        **manifest,
        "format": FORMAT,
        "files": {name: sha256(data) for name, data in sorted(files.items())},
    }
    text = json.dumps(full, sort_keys=True, indent=1, allow_nan=False).encode()
    return place_bundle(root, {**files, MANIFEST: text})


def place_bundle(root: Path, files: Mapping[str, bytes]) -> str:
    """Put a bundle's files, the manifest among them, in their place as they are; its digest.

    What lies there damaged is replaced. Raises BundleNotWritten; nothing is left behind then.
    """
    digest = sha256(files[MANIFEST])
    place = root / digest
    if is_whole(place, digest):
        return digest
    beside = root / f".{digest}.{secrets.token_hex(4)}"
    damaged = beside.with_name(f"{beside.name}.damaged")
    try:
        beside.mkdir(parents=True)
        for name, data in files.items():
            with (beside / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        if place.exists() and not is_whole(place, digest):
            place.rename(damaged)
        beside.rename(place)
    except OSError as error:
        # Another process wrote the very same bundle first; anything else is a real failure.
        if not is_whole(place, digest):
            text = f"Bundle {digest[:12]} cannot be written: {error.strerror}."
            raise BundleNotWritten(text) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(damaged, ignore_errors=True)
    return digest


def is_whole(place: Path, digest: str) -> bool:
    """Whether a bundle lies there, every byte as it was written."""
    try:
        read_files(place, digest)
    except BundleError:
        return False
    return True


def read_manifest(place: Path, digest: str) -> dict[str, Any]:
    """The manifest of a bundle, checked against its digest; no other file is read.

    Raises BundleError.
    """
    try:
        text = (place / MANIFEST).read_bytes()
    except OSError as error:
        raise BundleError(f"Bundle {digest[:12]} cannot be read: {error.strerror}.") from error
    if sha256(text) != digest:
        raise BundleError(f"Bundle {digest[:12]}: manifest.json was changed; it is not loaded.")
    manifest: dict[str, Any] = json.loads(text)
    if manifest.get("format") != FORMAT:
        found = manifest.get("format")
        raise BundleError(f"Bundle {digest[:12]} has format {found}; {FORMAT} is what is read.")
    return manifest


def declared_by(manifest: Mapping[str, Any], digest: str) -> DetectorSpec:
    """The declaration in a bundle's manifest. Raises BundleError where it cannot be read any more:
    an older release wrote it."""
    try:
        return parse_spec(manifest["detector"], stored=True)
    except SpecError as error:
        why = in_brief(error.problems)
    except KeyError:
        why = "there is none"
    raise BundleError(
        f"Bundle {digest[:12]} is incomplete: its declaration cannot be read any more ({why}). "
        "Train and promote a version anew."
    )


def fault_at(place: Path, digest: str) -> str:
    """Why the bundle there cannot be loaded, as far as its manifest and the presence of its files
    tell, which is read quickly; empty where they tell nothing."""
    try:
        manifest = read_manifest(place, digest)
        declared_by(manifest, digest)
    except BundleError as fault:
        return str(fault)
    lost = [name for name in manifest["files"] if not (place / name).is_file()]
    return f"Bundle {digest[:12]}: {', '.join(lost)} cannot be read." if lost else ""


def read_files(place: Path, digest: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Manifest and files of a bundle, every byte checked. Raises BundleError."""
    manifest = read_manifest(place, digest)
    files = {}
    for name, expected in manifest["files"].items():
        try:
            files[name] = (place / name).read_bytes()
        except OSError as error:
            raise BundleError(f"Bundle {digest[:12]}: {name} cannot be read.") from error
        if sha256(files[name]) != expected:
            raise BundleError(f"Bundle {digest[:12]}: {name} was changed; it is not loaded.")
    return manifest, files


UNREADABLE = (
    *(ValueError, TypeError, EOFError, BadZipFile, zlib.error),
    # A way of packing that there is not, or a shape beyond all memory.
    *(RuntimeError, OverflowError, MemoryError),
)


def _arrays(data: bytes) -> dict[str, Any]:
    """The arrays of explain.npz; objects are never unpickled. Raises BundleError."""
    try:
        with np.load(BytesIO(data), allow_pickle=False) as stored:
            found = dict(stored)
    except UNREADABLE as error:
        raise BundleError(f"{EXPLAIN} holds no plain arrays") from error
    if not all(isinstance(values, np.ndarray) for values in found.values()):
        raise BundleError(f"{EXPLAIN} holds no plain arrays")
    return found


def _predictor(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Predictor:
    return Predictor(
        encoder=Encoder.from_dict(manifest["encoder"]),
        model=Model(files[MODEL], link=manifest["link"]),
        explainer=Explainer.from_arrays(_arrays(files[EXPLAIN])),
        calibration=Calibration.from_dict(manifest["calibration"]),
        thresholds=Thresholds.from_dict(manifest["thresholds"]),
    )


def compile_rules(spec: DetectorSpec, *, stored: bool = False) -> tuple[Rule, ...]:
    """The detector's rules, compiled; they may not read PII. Raises RuleError naming the rule.

    `stored`: as `compile_expression` and `filled_text`.
    """
    known = readable(spec)
    found = []
    for rule in spec.rules:
        try:
            made = compile_rule(rule, known, hidden=spec.pii_fields, stored=stored)
            found.append(replace(made, text=filled_text(rule, spec, stored=stored)))
        except RuleError as error:
            raise RuleError(f"Rule {rule.code}: {error}", part=error.part) from error
    return tuple(found)


def _check_reference(reference: Any) -> None:
    """What is usual is told by feature, with deciles or without. Raises BundleError."""
    wrong = not isinstance(reference, dict) or not all(
        isinstance(known, dict) and _are_deciles(known.get("deciles"))
        for known in reference.values()
    )
    if wrong:
        raise BundleError("its reference does not say what is usual as it should")


def _are_deciles(values: Any) -> bool:
    if values is None or values == []:
        return True
    return isinstance(values, list) and len(values) > 1 and all(map(is_number, values))


def assemble(digest: str, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Bundle:
    """Compile a bundle from its checked parts. Raises BundleError."""
    spec = declared_by(manifest, digest)
    try:
        _check_reference(manifest.get("reference", {}))
        return Bundle(
            digest=digest,
            manifest=manifest,
            spec=spec,
            plan=FeaturePlan(spec),
            parser=EventParser(spec),
            predictor=_predictor(manifest, files) if MODEL in files else None,
            policy=Policy.of_rules(compile_rules(spec, stored=True)),
        )
    except (
        RuleError,
        EncoderError,
        ModelError,
        ExplainError,
        BundleError,
        KeyError,
        OSError,
    ) as error:
        raise BundleError(f"Bundle {digest[:12]} is incomplete: {error}") from error


def load_bundle(root: Path, digest: str) -> Bundle:
    """Load `root/<digest>`. Raises BundleError when any byte differs from what was written."""
    manifest, files = read_files(root / digest, digest)
    return assemble(digest, manifest, files)
