"""Every page says what it is for."""

import pytest
from django.urls import resolve

from benchmarks.addresses import readable_pages
from models_registry import comparing
from riskplatform.page_help.pages import PAGES
from scoring.core.surrogate import FAIR_FIT, GOOD_FIT
from tests.world import begin_world, grow_world, shown_of

pytestmark = pytest.mark.django_db


def test_every_page_has_a_help_drawer_and_every_help_a_page(
    client, champion, payments_digest, admin
):
    world = begin_world(champion, payments_digest, admin)
    grow_world(world, 1)
    client.force_login(admin)
    pages = set()
    for name, address in readable_pages(shown_of(world)):
        answer = client.get(address)
        text = answer.content.decode() if "html" in answer.get("Content-Type", "") else ""
        if answer.status_code == 200 and '<aside class="rail">' in text:
            pages.add(name)
            assert 'id="page-help"' in text, f"{name} has no help: see riskplatform/page_help/"
            assert resolve(address).url_name == name
    assert pages == set(PAGES)


def test_the_help_of_the_local_surrogate_tells_the_line_and_the_fits_of_its_page():
    told = " ".join([PAGES["prediction_surrogate"].purpose, *PAGES["prediction_surrogate"].points])
    assert "straight line" in told
    assert f"Below {GOOD_FIT}" in told and f"below {FAIR_FIT}" in told


def test_the_help_of_the_comparison_tells_how_many_versions_it_takes():
    assert (comparing.LEAST, comparing.MOST) == (2, 3)
    assert PAGES["model_compare"].purpose.startswith("Two or three versions")
