"""Pages of notifications, under /notifications/."""

from django.urls import path

from notifications import route_views, views

urlpatterns = [
    path("", views.NotificationList.as_view(), name="notification_list"),
    path("bell/", views.bell, name="notification_bell"),
    path("read/", views.read_all, name="notification_read_all"),
    path("<int:pk>/open/", views.open_notification, name="notification_open"),
    path("<int:pk>/read/", views.read_one, name="notification_read"),
    path("preferences/", views.Preferences.as_view(), name="notification_preferences"),
    path("routes/", route_views.RouteList.as_view(), name="notification_route_list"),
    path("routes/new/", route_views.RouteNew.as_view(), name="notification_route_new"),
    path("routes/<int:pk>/", route_views.RouteDetail.as_view(), name="notification_route_detail"),
    path("routes/<int:pk>/test/", route_views.route_test, name="notification_route_test"),
    path("routes/<int:pk>/secret/", route_views.route_secret, name="notification_route_secret"),
    path("routes/<int:pk>/remove/", route_views.route_remove, name="notification_route_remove"),
    path("deliveries/", route_views.DeliveryList.as_view(), name="notification_delivery_list"),
    path(
        "deliveries/<uuid:pk>/",
        route_views.DeliveryDetail.as_view(),
        name="notification_delivery_detail",
    ),
    path(
        "deliveries/<uuid:pk>/resend/",
        route_views.delivery_resend,
        name="notification_delivery_resend",
    ),
]
