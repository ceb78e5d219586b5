"""Paths of the API, below ``/runapp/``."""

from django.urls import path

from runapp.api import score_views, views

urlpatterns = [
    path("", views.ApiRoot.as_view(), name="api-root"),
    path("submissionfold/", views.SubmissionFoldList.as_view(), name="submissionfold"),
    path("submissionfold/<int:pk>/", views.SubmissionFoldDetail.as_view(), name="submissionfold-detail"),
    path(
        "submissionfold/<int:pk>/cancel/", views.SubmissionFoldCancel.as_view(), name="submissionfold-cancel"
    ),
    path(
        "submissionfold/<int:pk>/retrain/",
        views.SubmissionFoldRetrain.as_view(),
        name="submissionfold-retrain",
    ),
    path("submissionfold-light/", views.SubmissionFoldLightList.as_view(), name="submissionfold-light"),
    path("runners/", views.RunnerList.as_view(), name="runners"),
    path("testpredictions/list/", views.GetTestPredictionList.as_view(), name="testpredictions-list"),
    path("testpredictions/new/", views.GetTestPredictionNew.as_view(), name="testpredictions-new"),
]

_data = [
    ("", views.RawDataList, "rawdata"),
    ("split/", views.SplitTrainTest, "rawdata-split"),
    ("customsplit/", views.CustomSplitTrainTest, "rawdata-customsplit"),
    ("<int:pk>/", score_views.RawDataChange, "rawdata-change"),
    ("<int:pk>/ranking/", score_views.RankingList, "rawdata-ranking"),
    ("<int:pk>/scores/", score_views.FoldScoreList, "rawdata-scores"),
]
urlpatterns += [path(f"rawdata/{tail}", view.as_view(), name=name) for tail, view, name in _data]
# The former releases' examples write raw_data/; both lead to the same place.
urlpatterns += [path(f"raw_data/{tail}", view.as_view(schema=None)) for tail, view, _ in _data]
