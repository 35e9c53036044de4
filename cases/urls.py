"""Pages of triage: the queue, alerts, cases, entities."""

from django.urls import path

from cases import case_views, dashboard_views, entity_views, second_look_views, views

urlpatterns = [
    path("", views.queue, name="queue"),
    path("alerts/<int:pk>/", views.alert_detail, name="alert_detail"),
    path("alerts/<int:pk>/label/", views.alert_label, name="alert_label"),
    path("alerts/<int:pk>/assign/", views.alert_assign, name="alert_assign"),
    path("alerts/<int:pk>/open-case/", views.alert_open_case, name="alert_open_case"),
    path("cases/", case_views.case_index, name="case_list"),
    path("cases/<int:pk>/", case_views.case_detail, name="case_detail"),
    path("cases/<int:pk>/comment/", case_views.case_comment, name="case_comment"),
    path("cases/<int:pk>/move/", case_views.case_move, name="case_move"),
    path("cases/<int:pk>/close/", case_views.case_close, name="case_close"),
    path("dashboards/", dashboard_views.dashboards, name="dashboards"),
    path("dashboards/analysts/", dashboard_views.dashboard_analysts, name="dashboard_analysts"),
    path("dashboards/alerts/", dashboard_views.dashboard_alerts, name="dashboard_alerts"),
    path("dashboards/events/", dashboard_views.dashboard_events, name="dashboard_events"),
    path("dashboards/csv/<slug:panel>/", dashboard_views.dashboard_csv, name="dashboard_csv"),
    path("second-looks/", second_look_views.second_looks, name="second_looks"),
    path("second-looks/take/", second_look_views.second_look_take, name="second_look_take"),
    path("second-looks/answer/", second_look_views.second_look_answer, name="second_look_answer"),
    path(
        "second-looks/agreement/",
        second_look_views.second_look_agreement,
        name="second_look_agreement",
    ),
    path("second-looks/share/", second_look_views.second_look_share, name="second_look_share"),
    path(
        "second-looks/<int:pk>/", second_look_views.second_look_dispute, name="second_look_dispute"
    ),
    path("entities/<slug:slug>/<slug:token>/", entity_views.entity_detail, name="entity_detail"),
]
