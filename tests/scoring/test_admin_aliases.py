"""Other names of detectors, in Django's admin: who moved one is in the audit trail."""

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from scoring.models import Detector
from scoring.source_models import DetectorAlias

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin_page(client, admin):
    client.force_login(admin)
    return client


def written() -> list[tuple[str, str, str]]:
    entries = AuditEntry.objects.filter(action__startswith="detector_alias.").order_by("number")
    return [(entry.action, entry.object_label, entry.detail["detector"]) for entry in entries]


def test_every_change_of_another_name_is_in_the_trail(
    admin_page, payments_detector: Detector, fraud_detector: Detector
) -> None:
    form = {"alias": "shop", "detector": payments_detector.pk}
    admin_page.post(reverse("admin:scoring_detectoralias_add"), form)
    alias = DetectorAlias.objects.get()
    form["detector"] = fraud_detector.pk
    admin_page.post(reverse("admin:scoring_detectoralias_change", args=[alias.pk]), form)
    admin_page.post(reverse("admin:scoring_detectoralias_delete", args=[alias.pk]), {"post": "yes"})
    assert written() == [
        ("detector_alias.added", "shop", "payments"),
        ("detector_alias.changed", "shop", "fraud"),
        ("detector_alias.deleted", "shop", "fraud"),
    ]


def test_each_of_several_deleted_names_has_a_line(admin_page, payments_detector: Detector) -> None:
    for name in ("shop", "till"):
        DetectorAlias.objects.create(alias=name, detector=payments_detector)
    chosen = list(DetectorAlias.objects.values_list("pk", flat=True))
    admin_page.post(
        reverse("admin:scoring_detectoralias_changelist"),
        {"action": "delete_selected", "_selected_action": chosen, "post": "yes"},
    )
    assert not DetectorAlias.objects.exists()
    assert {label for _, label, _ in written()} == {"shop", "till"}


def test_a_name_that_was_moved_says_what_it_was(
    admin_page, payments_detector: Detector, fraud_detector: Detector
) -> None:
    alias = DetectorAlias.objects.create(alias="shop", detector=payments_detector)
    url = reverse("admin:scoring_detectoralias_change", args=[alias.pk])
    for _ in range(2):  # Saved again as it is, it leaves no line.
        admin_page.post(url, {"alias": "till", "detector": fraud_detector.pk})
    detail = AuditEntry.objects.get(action="detector_alias.changed").detail
    assert (detail["before"], detail["after"]) == (
        {"alias": "shop", "detector": "payments"},
        {"alias": "till", "detector": "fraud"},
    )
