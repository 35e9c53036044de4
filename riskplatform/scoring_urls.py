"""The addresses that integrations and probes ask.

Apart from `urls`, which begins with them, so that a process that only scores never loads a page
(some 10 MB): `middleware.match_url` looks here first. Whoever asks a process for its first page
waits for them once, some 0.4 s.
"""

from django.urls import include, path

from riskplatform import health, metrics

urlpatterns = [
    path("", include("scoring.api.contracts.urls")),
    path("api/v1/", include("scoring.api.urls")),
    path("api/v1/health", health.ApiHealthView.as_view(), name="api_health"),
    path("metrics", metrics.metrics, name="metrics"),
    path("health", health.health, name="health"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
]
