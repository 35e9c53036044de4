"""`manage.py models list|info|compare|promote|rollback|drift|integrity`: the registry by hand."""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from accounts.models import User
from accounts.quantities import counted
from accounts.typed import is_whole
from models_registry.approvals import LEAST_REASON, is_written
from models_registry.card import model_card
from models_registry.comparing import (
    CompareError,
    Line,
    compare_versions,
    versions_to_compare,
)
from models_registry.core.drift import FEATURE
from models_registry.core.kept_metrics import as_told
from models_registry.drift_panels import DriftRow, sorted_rows
from models_registry.drift_selectors import check_body
from models_registry.integrity import check_integrity
from models_registry.management.printing import (
    aligned,
    card_text,
    judged_on,
    learnt_from,
    metric_table,
)
from models_registry.metric_rows import Cell
from models_registry.models import ModelVersion, PromotionDecision
from models_registry.monitoring import NoModel, check_drift
from models_registry.promotion import PromotionRefused, promote, review_over, roll_back
from models_registry.selectors import champion_of, version_list
from models_registry.verdicts import ratio, share
from scoring.core.bundle import BundleError
from scoring.deployment import NothingServes, serving_of
from scoring.models import Detector
from scoring.shortfalls import fault_of

COMMAND = "manage.py models"
"""What reasons begin with: the one who is named may not be the one who typed."""
DRIFTING = 10
"""Features that `drift` prints."""
OUTCOMES = ("OUTCOME", "PSI", "KS", "W/STD", "RATE OR MISSING", "P", "STATUS", "")
FEATURES = ("FEATURE", "PSI", "KS", "W/STD", "MISSING", "P", "STATUS", "")
"""Heads of what `drift` prints; why it is unknown comes last."""
PIPE_CLOSED = 141
"""The status that a shell gives to what SIGPIPE ends."""


class Command(BaseCommand):
    help = (
        "List, describe, compare, promote and roll back versions; check drift and integrity."
        " What each takes: manage.py models promote --help. Example: manage.py models promote v12"
        ' --detector payments --user owner --reason "better on June"'
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True, metavar="what")
        listing = acts.add_parser("list", help="Versions, newest first.")
        listing.add_argument("--detector")
        listing.add_argument("--stage", choices=ModelVersion.Stage.values)
        listing.add_argument("--limit", type=int, default=50)
        info = acts.add_parser("info", help="What serves, or a version's model card.")
        info.add_argument("version", nargs="?", help="v12; what serves unless given")
        compare = acts.add_parser("compare", help="Two or three versions side by side.")
        compare.add_argument("versions", nargs="+", metavar="version", help="v12 v10")
        promotion = acts.add_parser("promote", help="Put a version into service.")
        promotion.add_argument("version", help="v12")
        back = acts.add_parser("rollback", help="Bring back the champion before this one.")
        back.add_argument(
            "--from",
            dest="champion",
            help="v13: only if this one still serves; needed to go back further.",
        )
        for one in (promotion, back):
            one.add_argument("--user", help="On whose behalf: somebody who may promote models.")
            one.add_argument("--reason", default="", help="Kept with the decision.")
        drift = acts.add_parser("drift", help="Compare recent events with the training data now.")
        for one in (info, compare, promotion, back, drift):
            one.add_argument("--detector", required=True)
        integrity = acts.add_parser("integrity", help="What does not hold; status 1 on a fault.")
        for one in (listing, info, compare, drift, integrity):
            one.add_argument("--json", action="store_true", help="As JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['act']}")(options)
            self.stdout.flush()
        except BrokenPipeError:
            # Who reads has seen enough (`| head`). What is left goes nowhere, not to a traceback.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(PIPE_CLOSED)

    def _list(self, options: dict[str, Any]) -> None:
        detector = detector_of(options["detector"]) if options["detector"] else None
        rows = version_list(detector).defer("curves", "parameters", "comparison")
        if options["stage"]:
            rows = rows.filter(stage=options["stage"])
        found = list(rows[: max(options["limit"], 0)])
        if options["json"]:
            self._json([_summary(version) for version in found])
            return
        head = ("DETECTOR", "VERSION", "STAGE", "LEARNER", "AP", "RECALL@1%", "TRAINED", "DIGEST")
        self._table(head, [
            (v.detector.slug, v.label, v.stage, v.learner,
             ratio(told.get("average_precision")), share(told.get("recall_at_1pct_fpr")),
             f"{v.trained_at:%Y-%m-%d %H:%M}", v.digest[:12])
            for v in found
            for told in (as_told(v.metrics),)
        ])  # fmt: skip

    def _info(self, options: dict[str, Any]) -> None:
        detector = detector_of(options["detector"])
        if options["version"]:
            version = version_of(detector, options["version"])
            card = model_card(version)
            if options["json"]:
                self._json(card)
            else:
                self._lines(card_text(card))
            return
        found = _serving(detector)
        if options["json"]:
            self._json(found)
            return
        self._lines(aligned([pair for pair in _served(found) if pair[1]]))
        if found["data"]:
            self._lines(learnt_from(found))
            self.stdout.write(judged_on(found["metrics"]))
            self._lines(metric_table(found["metrics"], currency=found["currency"]))

    def _compare(self, options: dict[str, Any]) -> None:
        detector = detector_of(options["detector"])
        ids = [version_of(detector, label).pk for label in options["versions"]]
        try:
            if not 2 <= len(dict.fromkeys(ids)) <= 3:
                raise CompareError("Two or three different versions are compared.")
            found = compare_versions(versions_to_compare(ids))
        except CompareError as problem:
            raise CommandError(str(problem)) from problem
        labels = [version.label for version in found.versions]
        tables: dict[str, list[Line]] = {
            name: getattr(found, name)
            for name in ("metrics", "thresholds", "parameters", "features", "data")
        }
        if options["json"]:
            printed = {
                name: [
                    {
                        "name": line.name,
                        "values": [cell.text for cell in line.cells],
                        "intervals": [cell.interval for cell in line.cells],
                    }
                    for line in lines
                ]
                for name, lines in tables.items()
            }
            self._json({"versions": labels, "verdicts": found.verdicts, **printed})
            return
        for verdict in found.verdicts:
            self.stdout.write(verdict)
        for name, lines in tables.items():
            if not lines:
                self.stdout.write(f"{name.upper()}  the same")
                continue
            self._table(
                (name.upper(), *labels),
                [(line.name, *map(_cell, line.cells)) for line in lines],
            )

    def _promote(self, options: dict[str, Any]) -> None:
        version = version_of(detector_of(options["detector"]), options["version"])
        decision = decide(
            version, user=options["user"], reason=options["reason"], command=f"{COMMAND} promote"
        )
        before = decision.previous.label if decision.previous else "rules only"
        self.stdout.write(f"{version} serves from the next event on, in place of {before}.")

    def _rollback(self, options: dict[str, Any]) -> None:
        detector = detector_of(options["detector"])
        leaves = version_of(detector, options["champion"]).pk if options["champion"] else None
        try:
            decision = roll_back(
                detector,
                actor=owner_of(options["user"]),
                reason=f"{COMMAND} rollback: {options['reason'].strip() or 'no reason given'}",
                expected=leaves,
            )
        except (PromotionRefused, BundleError) as problem:
            raise CommandError(f"{problem} Nothing was changed.") from problem
        if over := review_over(decision.version, detector):
            self.stdout.write(f"{decision.version} is back. {over}")
        else:
            self.stdout.write(f"{decision.version} serves again from the next event on.")

    def _drift(self, options: dict[str, Any]) -> None:
        try:
            detector = detector_of(options["detector"])
            check = check_drift(detector, now=timezone.now())
        except NoModel as problem:
            raise CommandError(str(problem)) from problem
        if options["json"]:
            self._json(check_body(check, detector))
            return
        self.stdout.write(f"{check.status} over {check.rows:,} events of {check.model_version}")
        rows = sorted_rows(check)
        self._table(OUTCOMES, [_moved(row) for row in rows if row.found.role != FEATURE])
        features = [row for row in rows if row.found.role == FEATURE]
        self._table(FEATURES, [_moved(row) for row in features[:DRIFTING]])
        if len(features) > DRIFTING:
            self.stdout.write(f"and {len(features) - DRIFTING} more; --json has them all")

    def _integrity(self, options: dict[str, Any]) -> None:
        report = check_integrity()
        if options["json"]:
            self._json([{"kind": f.kind, "level": f.level, "detector": f.detector,
                         "subject": f.subject, "text": f.text, "remedy": f.remedy}
                        for f in report.findings])  # fmt: skip
        else:
            for found in report.findings:
                self.stdout.write(f"{found.level}: {found.subject}: {found.text}")
                self.stdout.write(f"    {found.remedy}")
            self.stdout.write("; ".join(report.checked))
        if report.faults:
            raise CommandError(f"{counted(report.faults, 'fault')}.", returncode=1)

    def _json(self, found: Any) -> None:
        self.stdout.write(json.dumps(found, cls=DjangoJSONEncoder, indent=1))

    def _table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self._lines(aligned([head, *rows]))

    def _lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.stdout.write(line)


def decide(
    version: ModelVersion, *, user: str | None, reason: str, command: str
) -> PromotionDecision:
    """Promote on somebody's behalf, without a second person: where a champion serves that takes a
    written reason, and is marked as an override. Raises CommandError; nothing changes then."""
    actor, serves = owner_of(user), champion_of(version.detector)
    if serves not in (None, version):
        check_reason(serves, reason)
    detail = {"override": serves is not None, "four_eyes": False, "command": command}
    said = f"{command}: {reason.strip() or 'the first champion'}"
    try:
        return promote(version, actor=actor, reason=said, detail=detail)
    except (PromotionRefused, BundleError) as problem:
        raise CommandError(f"{problem} Nothing was changed.") from problem


def check_reason(serves: ModelVersion, reason: str) -> None:
    """What takes the place of a champion past the second person says why. Raises CommandError."""
    if not is_written(reason):
        raise CommandError(
            f"{serves.label} serves {serves.detector.name}. Ask for the promotion on the version's "
            "page, where a second person approves it, or say why not with --reason, in "
            f"{LEAST_REASON} letters or more."
        )


def _serving(detector: Detector) -> dict[str, Any]:
    """What serves; parameters, data and metrics as its card has them, empty for rules alone."""
    try:
        serving, champion = serving_of(detector), champion_of(detector)
    except NothingServes as error:
        raise CommandError(str(error)) from error
    card = model_card(champion) if champion else {}
    return {
        "detector": detector.slug,
        "currency": card.get("detector", {}).get("currency") or "",
        "model_version": serving.version,
        "bundle_digest": serving.bundle.digest,
        "degraded": serving.degraded,
        "fault": fault_of(serving),
        "learner": serving.bundle.manifest.get("learner", ""),
        "trained_at": champion.trained_at if champion else None,
        "parameters": card.get("parameters", {}),
        "data": card.get("data"),
        "metrics": as_told(champion.metrics) if champion else {},
    }


def _served(found: dict[str, Any]) -> list[tuple[str, str]]:
    trained = found["trained_at"]
    return [
        ("Detector", found["detector"]),
        ("Serves", found["model_version"]),
        ("Bundle", found["bundle_digest"]),
        ("Degraded", "yes: rules decide alone" if found["degraded"] else "no"),
        ("Fault", found["fault"]),
        ("Learner", found["learner"]),
        ("Trained", f"{trained:%Y-%m-%d %H:%M} UTC" if trained else ""),
    ]


def _cell(cell: Cell) -> str:
    text = f"{cell.text} {cell.ceiling}".rstrip()
    return f"{text} ({cell.interval})" if cell.interval else text


def _moved(row: DriftRow) -> tuple[str, ...]:
    """A line under OUTCOMES or FEATURES."""
    found = row.found
    return (
        *(found.name, row.psi, row.ks, row.wasserstein, row.shares, row.p),
        *(found.status, found.reason),
    )


def _summary(version: ModelVersion) -> dict[str, Any]:
    return {
        "id": version.pk,
        "detector": version.detector.slug,
        "version": version.label,
        "stage": version.stage,
        "learner": version.learner,
        "trained_at": version.trained_at,
        "bundle_digest": version.digest,
        "metrics": as_told(version.metrics),
    }


def detector_of(slug: str) -> Detector:
    """Raises CommandError."""
    detector = Detector.objects.filter(slug=slug).first()
    if detector is None:
        raise CommandError(f"There is no detector '{slug}'.")
    return detector


def version_of(detector: Detector, label: str) -> ModelVersion:
    """The version `v12` of a detector. Raises CommandError."""
    digits = label.removeprefix("v")
    number = int(digits) if is_whole(digits, digits=9) else 0
    rows = ModelVersion.objects.select_related("detector", "dataset", "trained_by")
    version = rows.filter(detector=detector, number=number).first()
    if version is None:
        raise CommandError(f"{detector.slug} has no version '{label}'.")
    return version


def owner_of(username: str | None) -> User | None:
    """On whose behalf: somebody who could do it on the page too; None is the platform."""
    if username is None:
        return None
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active user '{username}'.")
    if not user.has_perm("models_registry.promote_model"):
        raise CommandError(f"'{username}' may not promote models or roll them back.")
    return user
