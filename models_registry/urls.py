"""Pages of this app."""

from django.urls import path

from models_registry import registry_views, views

urlpatterns = [
    path("models/", views.ModelList.as_view(), name="model_list"),
    path("models/<int:pk>/", views.ModelDetail.as_view(), name="model_detail"),
    path("models/<int:pk>/promote/", views.model_promote, name="model_promote"),
    path("models/<int:pk>/reject/", views.model_reject, name="model_reject"),
    path("models/train/<slug:slug>/", views.model_train, name="model_train"),
    path("models/roll-back/<slug:slug>/", views.model_roll_back, name="model_roll_back"),
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
]
