"""`/api/v1/auth/`: tokens for people."""

from django.urls import path

from accounts import api

urlpatterns = [
    path("login", api.LoginView.as_view(), name="api_login"),
    path("refresh", api.RefreshView.as_view(), name="api_refresh"),
    path("logout", api.LogoutView.as_view(), name="api_logout"),
]
