"""Every address of the platform; the apps are named by `include()` alone."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.utils.functional import lazy
from django.views.generic import RedirectView

from riskplatform.api_docs import ApiDocs, ApiSchema

urlpatterns = [
    path("", include("riskplatform.scoring_urls")),
    path("", include("cases.urls")),
    path("", include("scoring.urls")),
    path("", include("models_registry.urls")),
    path("", include("jobs.urls")),
    path("notifications/", include("notifications.urls")),
    path("accounts/", include("accounts.urls")),
    path("manage/", include("accounts.admin_urls")),
    # Django's own page would set a password without the lockout and the audit trail.
    path("admin/password_change/", RedirectView.as_view(pattern_name="password_change")),
    path("admin/", admin.site.urls),
    path("api/v1/auth/", include("accounts.api_urls")),
    path("api/v1/", include("cases.api_urls")),
    path("api/v1/", include("models_registry.api_urls")),
    path("api/schema/", ApiSchema.as_view(), name="api_schema"),
    path("api/docs/", ApiDocs.as_view(url_name="api_schema"), name="api_docs"),
    # Asked for by pages that name no icon: the admin's, the API's, an error of the proxy.
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("favicon.svg"))),
]

handler400 = "riskplatform.errors.bad_request"
handler403 = "riskplatform.errors.permission_denied"
handler404 = "riskplatform.errors.page_not_found"
handler500 = "riskplatform.errors.server_error"
