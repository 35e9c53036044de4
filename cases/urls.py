"""Pages of triage: the queue, alerts, cases, entities."""

from django.urls import path

from cases import (
    alert_views,
    case_views,
    entity_views,
    hand_views,
    palette_views,
    queue_views,
    views,
)

urlpatterns = [
    path("", queue_views.queue, name="queue"),
    path("queue/views/", queue_views.view_save, name="view_save"),
    path("queue/views/<int:pk>/", queue_views.view_change, name="view_change"),
    path("queue/budget/", queue_views.queue_budget, name="queue_budget"),
    path("palette/", palette_views.palette, name="palette"),
    path("alerts/bulk/", hand_views.alerts_bulk, name="alerts_bulk"),
    path("alerts/undo/<uuid:batch>/", hand_views.undo, name="undo_closing"),
    path("alerts/<int:pk>/lock/", hand_views.alert_lock, name="alert_lock"),
    path("alerts/<int:pk>/release/", hand_views.alert_release, name="alert_release"),
    path("alerts/<int:pk>/take-over/", hand_views.alert_take_over, name="alert_take_over"),
    path("alerts/<int:pk>/snooze/", hand_views.alert_snooze, name="alert_snooze"),
    path("alerts/<int:pk>/comment/", hand_views.alert_comment, name="alert_comment"),
    path("alerts/<int:pk>/", views.alert_detail, name="alert_detail"),
    path("alerts/<int:pk>/label/", views.alert_label, name="alert_label"),
    path("alerts/<int:pk>/assign/", views.alert_assign, name="alert_assign"),
    path("alerts/<int:pk>/open-case/", views.alert_open_case, name="alert_open_case"),
    path("alerts/<int:pk>/similar/", alert_views.alert_similar, name="alert_similar"),
    path("cases/", case_views.case_index, name="case_list"),
    path("cases/<int:pk>/", case_views.case_detail, name="case_detail"),
    path("cases/<int:pk>/comment/", case_views.case_comment, name="case_comment"),
    path("cases/<int:pk>/move/", case_views.case_move, name="case_move"),
    path("cases/<int:pk>/close/", case_views.case_close, name="case_close"),
    path("entities/<slug:slug>/<slug:token>/", entity_views.entity_detail, name="entity_detail"),
    path(
        "entities/<slug:slug>/<slug:token>/timeline/",
        alert_views.entity_timeline,
        name="entity_timeline",
    ),
    path("entities/<slug:slug>/<slug:token>/links/", alert_views.entity_links, name="entity_links"),
]
