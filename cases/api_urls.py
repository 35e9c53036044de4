"""`/api/v1/`: alerts and cases."""

from django.urls import path

from cases import api

urlpatterns = [
    path("alerts", api.AlertListView.as_view(), name="api_alerts"),
    path("alerts/<int:pk>", api.AlertView.as_view(), name="api_alert"),
    path("cases", api.CaseListView.as_view(), name="api_cases"),
    path("cases/<int:pk>", api.CaseView.as_view(), name="api_case"),
]
