"""Whether links in messages lead to the platform."""

import pytest

from notifications.apps import check_site_url


@pytest.mark.parametrize(
    ("embedded", "home", "told"),
    [
        (False, "http://localhost:8000", ["notifications.W001"]),
        (False, "https://risk.example.com", []),
        (True, "http://localhost:8000", []),
    ],
)
def test_who_runs_it_for_others_is_told_of_links_that_lead_nowhere(settings, embedded, home, told):
    settings.EMBEDDED, settings.SITE_URL = embedded, home
    assert [found.id for found in check_site_url()] == told
