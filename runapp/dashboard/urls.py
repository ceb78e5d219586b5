"""Paths of the dashboard, below ``/``."""

from django.urls import path

from runapp.dashboard import views

urlpatterns = [
    path("", views.overview, name="overview"),
]
