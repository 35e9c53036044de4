"""Who only scores or is probed loads no page, and finds the addresses that everybody finds."""

import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.urls import resolve

from riskplatform.middleware import PROBES, SCORING_URLS, match_url

SCORED = (
    *("/api/v1/detectors/payments/score", "/api/v1/detectors/payments/score/batch"),
    *("/api/v1/predict", "/api/v1/scoring/score", "/v1/fraud/predict", "/detect"),
    *("/api/v1/predictions/a/b", "/api/v1/health"),
)
ASK = """
import json, sys
from django.core.management import call_command
from django.test import RequestFactory
from riskplatform.wsgi import application
from riskplatform.middleware import match_url
call_command("migrate", verbosity=0)
for path in {scored!r}:
    match_url(path)
for path in {probes!r}:
    environ = RequestFactory().get(path, headers={{"host": "localhost"}}).environ
    told = []
    b"".join(application(environ, lambda status, headers, *_: told.append(status)))
    assert told == ["200 OK"], (path, told)
print(json.dumps("cases.urls" in sys.modules))
match_url("/api/v1/models")
print(json.dumps("cases.urls" in sys.modules))
"""


@pytest.mark.parametrize("path", [*SCORED, *sorted(PROBES)])
def test_both_sets_of_addresses_lead_to_the_same_view(path):
    everybody, scoring = resolve(path, settings.ROOT_URLCONF), resolve(path, SCORING_URLS)
    assert everybody.view_name == scoring.view_name == match_url(path).view_name
    assert everybody.kwargs == scoring.kwargs


def test_a_process_that_only_scores_loads_no_pages(tmp_path):
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "riskplatform.settings",
        "RISK_VAR_DIR": str(tmp_path),
    }
    asked = ASK.format(scored=SCORED, probes=sorted(PROBES))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", asked],
        env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.split() == ["false", "true"], done.stderr
