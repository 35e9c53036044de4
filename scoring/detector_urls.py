"""Pages of detectors, mounted at `detectors/`."""

from django.urls import path

from scoring import (
    declaration_views,
    detector_views,
    list_views,
    rule_health_views,
    rule_request_views,
    rule_views,
)

urlpatterns = [
    path("", detector_views.detector_list, name="detector_list"),
    # No slug of a detector has a hyphen.
    path("new-detector/", declaration_views.detector_new, name="detector_new"),
    path("<slug:slug>/", detector_views.detector_detail, name="detector_detail"),
    path(
        "<slug:slug>/declaration/",
        declaration_views.detector_declaration,
        name="detector_declaration",
    ),
    path("<slug:slug>/rules/", rule_health_views.rule_list, name="rule_list"),
    path("<slug:slug>/rules/overlap/", rule_health_views.rule_overlap, name="rule_overlap"),
    path("<slug:slug>/rules/new/", rule_views.rule_new, name="rule_new"),
    path("<slug:slug>/rules/<slug:code>/", rule_views.rule_detail, name="rule_detail"),
    path("<slug:slug>/rules/<slug:code>/move/", rule_views.rule_move, name="rule_move"),
    path("<slug:slug>/rules/<slug:code>/tune/", rule_views.rule_tune, name="rule_tune"),
    path(
        "<slug:slug>/rule-requests/<int:pk>/approve/",
        rule_request_views.rule_request_approve,
        name="rule_request_approve",
    ),
    path(
        "<slug:slug>/rule-requests/<int:pk>/refuse/",
        rule_request_views.rule_request_refuse,
        name="rule_request_refuse",
    ),
    path(
        "<slug:slug>/rule-requests/<int:pk>/withdraw/",
        rule_request_views.rule_request_withdraw,
        name="rule_request_withdraw",
    ),
    path("<slug:slug>/snoozes/<int:pk>/revoke/", list_views.snooze_revoke, name="snooze_revoke"),
    path("<slug:slug>/lists/", list_views.lists, name="lists"),
    path("<slug:slug>/lists/<int:pk>/revoke/", list_views.list_revoke, name="list_revoke"),
    path("<slug:slug>/policy/", list_views.policy, name="policy"),
    path("<slug:slug>/policy/settings/", list_views.policy_settings, name="policy_settings"),
]
