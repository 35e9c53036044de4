"""Pages of this app."""

from django.urls import path

from models_registry import (
    backtest_views,
    dataset_views,
    drift_views,
    evaluation_views,
    promotion_views,
    registry_views,
    retraining_views,
    views,
)

urlpatterns = [
    path("models/", views.ModelList.as_view(), name="model_list"),
    path("models/<int:pk>/", views.ModelDetail.as_view(), name="model_detail"),
    path("models/<int:pk>/promote/", promotion_views.model_promote, name="model_promote"),
    path("models/<int:pk>/shadow/", promotion_views.shadow_start, name="shadow_start"),
    path("models/<int:pk>/shadow/stop/", promotion_views.shadow_stop, name="shadow_stop"),
    path("models/<int:pk>/shadow/judge/", promotion_views.shadow_judge, name="shadow_judge"),
    path(
        "models/promotions/<int:pk>/approve/",
        promotion_views.promotion_approve,
        name="promotion_approve",
    ),
    path(
        "models/promotions/<int:pk>/refuse/",
        promotion_views.promotion_refuse,
        name="promotion_refuse",
    ),
    path(
        "models/promotions/<int:pk>/withdraw/",
        promotion_views.promotion_withdraw,
        name="promotion_withdraw",
    ),
    path("models/<int:pk>/reject/", views.model_reject, name="model_reject"),
    path("models/<int:pk>/evaluate/", evaluation_views.model_evaluate, name="model_evaluate"),
    path("models/<int:pk>/thresholds/", evaluation_views.model_thresholds, name="model_thresholds"),
    path("models/datasets/<int:pk>/", dataset_views.dataset_detail, name="dataset_detail"),
    path("models/datasets/<int:pk>/rows.csv", dataset_views.dataset_rows_csv, name="dataset_rows"),
    path("models/train/<slug:slug>/", views.model_train, name="model_train"),
    path("models/roll-back/<slug:slug>/", views.model_roll_back, name="model_roll_back"),
    path("models/<slug:slug>/drift/", drift_views.drift, name="drift"),
    path("models/<slug:slug>/drift/check/", drift_views.drift_check, name="drift_check"),
    path("models/<slug:slug>/drift.csv", drift_views.drift_csv, name="drift_csv"),
    path("models/<slug:slug>/retraining/", retraining_views.retraining, name="retraining"),
    path("models/compare/", registry_views.ModelCompare.as_view(), name="model_compare"),
    path("models/integrity/", registry_views.model_integrity, name="model_integrity"),
    path(
        "models/<int:pk>/explanation/",
        registry_views.ModelExplanation.as_view(),
        name="model_explanation",
    ),
    path("models/<int:pk>/explain/", registry_views.model_explain, name="model_explain"),
    path("models/<int:pk>/track/", registry_views.model_track, name="model_track"),
    path("models/<int:pk>/card/", registry_views.model_card_page, name="model_card"),
    path("models/<int:pk>/bundle/", registry_views.model_export, name="model_export"),
    path("models/import/<slug:slug>/", registry_views.ModelImport.as_view(), name="model_import"),
    path("detectors/<slug:slug>/backtests/", backtest_views.backtest_list, name="backtest_list"),
    path(
        "detectors/<slug:slug>/backtests/rule/", backtest_views.backtest_rule, name="backtest_rule"
    ),
    path(
        "detectors/<slug:slug>/backtests/thresholds/",
        backtest_views.backtest_thresholds,
        name="backtest_thresholds",
    ),
    path(
        "detectors/<slug:slug>/backtests/<int:pk>/",
        backtest_views.backtest_detail,
        name="backtest_detail",
    ),
    path(
        "detectors/<slug:slug>/backtests/<int:pk>/cancel/",
        backtest_views.backtest_cancel,
        name="backtest_cancel",
    ),
]
