"""Pages of triage: the queue, alerts, cases, entities."""

from django.urls import path

from cases import (
    case_act_views,
    case_file_views,
    case_views,
    entity_views,
    views,
    work_queue_views,
)

urlpatterns = [
    path("", views.queue, name="queue"),
    path("alerts/<int:pk>/", views.alert_detail, name="alert_detail"),
    path("alerts/<int:pk>/label/", views.alert_label, name="alert_label"),
    path("alerts/<int:pk>/assign/", views.alert_assign, name="alert_assign"),
    path("alerts/<int:pk>/open-case/", views.alert_open_case, name="alert_open_case"),
    path("cases/", case_views.case_index, name="case_list"),
    path("cases/export.<slug:form>", case_file_views.case_export, name="case_export"),
    path("cases/<int:pk>/", case_views.case_detail, name="case_detail"),
    path("cases/<int:pk>/comment/", case_act_views.case_comment, name="case_comment"),
    path("cases/<int:pk>/move/", case_act_views.case_move, name="case_move"),
    path("cases/<int:pk>/close/", case_act_views.case_close, name="case_close"),
    path("cases/<int:pk>/approve/", case_act_views.case_approve, name="case_approve"),
    path("cases/<int:pk>/return/", case_act_views.case_return, name="case_return"),
    path("cases/<int:pk>/assign/", case_act_views.case_assign, name="case_assign"),
    path("cases/<int:pk>/hand-over/", case_act_views.case_hand_over, name="case_hand_over"),
    path("cases/<int:pk>/answer/", case_act_views.case_answer, name="case_answer"),
    path("cases/<int:pk>/priority/", case_act_views.case_priority, name="case_priority"),
    path("cases/<int:pk>/tags/", case_act_views.case_tags, name="case_tags"),
    path("cases/<int:pk>/type/", case_act_views.case_type, name="case_type"),
    path("cases/<int:pk>/merge/", case_act_views.case_merge, name="case_merge"),
    path("cases/<int:pk>/unmerge/", case_act_views.case_unmerge, name="case_unmerge"),
    path("cases/<int:pk>/add-alert/", case_act_views.case_add_alert, name="case_add_alert"),
    path(
        "cases/<int:pk>/remove-alert/",
        case_act_views.case_remove_alert,
        name="case_remove_alert",
    ),
    path("cases/<int:pk>/attach/", case_act_views.case_attach, name="case_attach"),
    path("cases/<int:pk>/checks/<int:check>/", case_act_views.case_check, name="case_check"),
    path(
        "cases/<int:pk>/files/<int:attachment>/",
        case_file_views.case_attachment,
        name="case_attachment",
    ),
    path("cases/<int:pk>/report/", case_file_views.case_report, name="case_report"),
    path(
        "cases/<int:pk>/report.pdf",
        case_file_views.case_report,
        {"form": "pdf"},
        name="case_report_pdf",
    ),
    path(
        "cases/<int:pk>/alerts.<slug:form>",
        case_file_views.case_alerts_export,
        name="case_alerts_export",
    ),
    path("cases/team-queues/", work_queue_views.work_queue_list, name="work_queue_list"),
    path("cases/team-queues/new/", work_queue_views.work_queue_detail, name="work_queue_new"),
    path(
        "cases/team-queues/<int:pk>/", work_queue_views.work_queue_detail, name="work_queue_detail"
    ),
    path(
        "cases/team-queues/<int:pk>/members/",
        work_queue_views.work_queue_member,
        name="work_queue_member",
    ),
    path(
        "cases/team-queues/members/<int:pk>/availability/",
        work_queue_views.work_queue_availability,
        name="work_queue_availability",
    ),
    path("cases/types/", work_queue_views.case_type_list, name="case_type_list"),
    path("cases/types/new/", work_queue_views.case_type_detail, name="case_type_new"),
    path("cases/types/<int:pk>/", work_queue_views.case_type_detail, name="case_type_detail"),
    path("entities/<slug:slug>/<slug:token>/", entity_views.entity_detail, name="entity_detail"),
]
