"""Pages about background work, under /jobs/."""

from django.urls import path

from jobs import views

urlpatterns = [
    path("jobs/", views.JobList.as_view(), name="job_list"),
    path("jobs/<int:job_id>/", views.JobDetail.as_view(), name="job_detail"),
    path("jobs/<int:job_id>/cancel/", views.job_cancel, name="job_cancel"),
]
