"""Paths of the dashboard, below ``/``."""

from django.urls import path

from runapp.dashboard import data_sets, folds, submissions
from runapp.dashboard.account import account
from runapp.dashboard.data_set_settings import data_set_settings
from runapp.dashboard.overview import overview
from runapp.dashboard.predictions import predictions_file
from runapp.dashboard.ranking import ranking_page
from runapp.dashboard.runner_list import runner_list

urlpatterns = [
    path("", overview, name="overview"),
    path("account/", account, name="account"),
    path("runners/", runner_list, name="runner-list"),
    path("data-sets/", data_sets.data_set_list, name="data-sets"),
    path("data-sets/<int:pk>/", data_sets.data_set_page, name="data-set"),
    path("data-sets/<int:pk>/settings/", data_set_settings, name="data-set-settings"),
    path("data-sets/<int:pk>/ranking/", ranking_page, name="ranking"),
    path("submissions/", submissions.submission_list, name="submissions"),
    path("submissions/<int:pk>/", submissions.submission_page, name="submission"),
    path("submissions/<int:pk>/<str:name>/", folds.submission_action, name="submission-action"),
    path("folds/<int:pk>/", folds.fold_page, name="fold"),
    path("folds/<int:pk>/<str:name>/", folds.fold_action, name="fold-action"),
    path("folds/<int:pk>/<str:part>-predictions.<str:kind>", predictions_file, name="predictions-file"),
]
