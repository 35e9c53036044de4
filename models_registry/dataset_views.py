"""What a version learnt from: counts, time span, lineage; and which events, as a file."""

import csv
from collections.abc import Iterator
from typing import Any, cast

from django.contrib.auth.decorators import login_required, permission_required
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.csv_tables import safe
from accounts.models import User
from accounts.services import record_audit
from models_registry.datasets import dataset_rows
from models_registry.models import Dataset
from models_registry.registry_models import Lineage
from models_registry.verdicts import share
from scoring.models import Label

SOURCES = dict(Label.Source.choices)
COLUMNS = ("prediction_id", "external_id", "event_time", "part")


@login_required
@permission_required("models_registry.view_modelversion", raise_exception=True)
@require_safe
def dataset_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """The page of a dataset."""
    dataset = _dataset_or_404(pk)
    detail: dict[str, Any] = dataset.detail
    versions = dataset.versions.select_related("detector").defer(
        "curves", "metrics", "parameters", "comparison"
    )
    context = {
        "title": f"Data of {dataset.detector.name}",
        "crumbs": [("Models", reverse("model_list"))],
        "dataset": dataset,
        "detail": detail,
        "versions": versions,
        "is_elsewhere": dataset.is_elsewhere,  # type: ignore[attr-defined]
        "counts": _counts(dataset, detail),
        "sources": [
            (SOURCES.get(source, source), count)
            for source, count in sorted(detail.get("label_sources", {}).items())
        ],
        "recomputed": sorted(detail.get("recomputed", {}).items()),
    }
    return render(request, "models_registry/dataset_detail.html", context)


def _dataset_or_404(pk: int) -> Dataset:
    """With `is_elsewhere`: whether it came with an import. Its events are then on the platform that
    it came from: of the same days here are others."""
    imported = Lineage.objects.filter(
        version__dataset=OuterRef("pk"), origin=Lineage.Origin.IMPORTED
    )
    rows = Dataset.objects.select_related("detector").annotate(is_elsewhere=Exists(imported))
    return get_object_or_404(rows, pk=pk)


def _counts(dataset: Dataset, detail: dict[str, Any]) -> list[tuple[str, int, str, str]]:
    """(what, how many, share of all events, what it means)."""
    names = (
        ("Positive", dataset.positives, "the newest label says so"),
        ("Legitimate by a label", detail.get("legitimate"), "somebody looked or reported"),
        ("Unknown", detail.get("unknown"), "no label was known"),
        ("of them too young", detail.get("young"), "the truth may still come: never a negative"),
        ("Not sure", detail.get("unsure"), "analysts disagree: such a label weighs less"),
        ("Duplicates", detail.get("duplicates"), "same entity, moment and amount as another"),
        (
            "Amounts in another currency",
            detail.get("other_currency"),
            "nothing is converted: costs count them as unknown",
        ),
    )
    return [
        (name, count, share(count / dataset.rows if dataset.rows else None), meaning)
        for name, count, meaning in names
        if count is not None
    ]


class _Line:
    """A file for the csv module that hands back what is written."""

    def write(self, text: str) -> str:
        return text


@login_required
@permission_required("models_registry.train_model", raise_exception=True)
@require_safe
def dataset_rows_csv(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """Ids of the events of a dataset, oldest first, with the part that each was in. Audited."""
    dataset = _dataset_or_404(pk)
    if dataset.is_elsewhere:  # type: ignore[attr-defined]
        raise Http404("Its events are stored where the version was trained.")
    record_audit(actor=cast(User, request.user), action="dataset.rows_downloaded", subject=dataset)
    answer = StreamingHttpResponse(_lines(dataset), content_type="text/csv; charset=utf-8")
    name = f"{dataset.detector.slug}-{dataset.digest[:12]}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _lines(dataset: Dataset) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield str(writer.writerow(COLUMNS))
    for pk, external_id, event_time, part in dataset_rows(dataset):
        yield str(writer.writerow([pk, safe(external_id), event_time.isoformat(), part]))
