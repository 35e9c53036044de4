"""Pages of those who manage users, API keys and the audit trail."""

from django.urls import path

from accounts import audit_views, key_views, user_views

urlpatterns = [
    path("users/", user_views.user_list, name="user_list"),
    path("users/new/", user_views.user_new, name="user_new"),
    path("users/<int:pk>/", user_views.user_detail, name="user_detail"),
    path("users/<int:pk>/roles/", user_views.user_roles, name="user_roles"),
    path("users/<int:pk>/active/", user_views.user_active, name="user_active"),
    path("users/<int:pk>/log-ins/", user_views.user_end_log_ins, name="user_end_log_ins"),
    path("users/<int:pk>/unlock/", user_views.user_unlock, name="user_unlock"),
    path("users/<int:pk>/link/", user_views.user_link, name="user_link"),
    path("roles/", user_views.role_list, name="role_list"),
    path("keys/", key_views.key_list, name="key_list"),
    path("keys/new/", key_views.key_new, name="key_new"),
    path("keys/<int:pk>/", key_views.key_detail, name="key_detail"),
    path("keys/<int:pk>/revoke/", key_views.key_revoke, name="key_revoke"),
    path("audit/", audit_views.audit_list, name="audit_list"),
    path("audit/export.csv", audit_views.audit_export, name="audit_export"),
    path("audit/<int:number>/", audit_views.audit_entry, name="audit_entry"),
]
