"""The doors of the API: read a request, call a service or a selector, write an answer."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from runapp.api.filters import SubmissionFoldFilter
from runapp.api.serializers import (
    CustomSplitSerializer,
    PredictionListSerializer,
    PredictionNewSerializer,
    PredictionSerializer,
    RawDataCreateSerializer,
    RawDataSerializer,
    RunnerSerializer,
    SplitSerializer,
    SubmissionFoldCreateSerializer,
    SubmissionFoldLightSerializer,
    SubmissionFoldSerializer,
    TaskSerializer,
)
from runapp.contract import Priority
from runapp.errors import InvalidInput
from runapp.models import RawData, SubmissionFold
from runapp.services.data import custom_split_ask, raw_data_create, split_ask
from runapp.services.fold_changes import fold_cancel, fold_retrain
from runapp.services.folds import FoldRequest, fold_submit, force_parse
from runapp.services.predictions import predictions_new, predictions_of
from runapp.services.runners import known_runners

_INVALID = OpenApiResponse(description="a field is wrong: its name and why")
_UNSPLIT = OpenApiResponse(description="the data set was never split, or its split failed")
_UNKNOWN = OpenApiResponse(description="there is no such fold that you may see")
_FINISHED = OpenApiResponse(description="the fold is finished")
_TOO_LARGE = OpenApiResponse(description="more bytes than the server accepts")


def _validated(serializer_class: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _user(request: Request) -> User:
    return cast(User, request.user)


def _raw_data(raw_data_id: int, user: User) -> RawData:
    raw_data = RawData.objects.visible_to(user).filter(pk=raw_data_id).first()
    if raw_data is None:
        raise InvalidInput("raw_data_id", f"there is no data set {raw_data_id}")
    return raw_data


class ApiRoot(APIView):
    """Where the lists are."""

    @extend_schema(responses={200: dict[str, str]})
    def get(self, request: Request) -> Response:
        """Links to the lists."""
        names = ("rawdata", "submissionfold", "submissionfold-light", "runners")
        return Response({name: reverse(name, request=request) for name in names})


class RawDataList(generics.ListAPIView[RawData]):
    """List all data sets or upload one."""

    serializer_class = RawDataSerializer

    def get_queryset(self) -> QuerySet[RawData]:
        return RawData.objects.visible_to(self.request.user).with_shows_details(self.request.user)

    @extend_schema(
        request=RawDataCreateSerializer, responses={201: RawDataSerializer, 400: _INVALID, 413: _TOO_LARGE}
    )
    def post(self, request: Request) -> Response:
        """Upload a data set.

        One file is a CSV whose first row names the columns. Of several files exactly one is a `.py` with
        the functions `prepare_data`, `get_train_data`, `get_test_data`, `train_submission` and
        `test_submission`.
        """
        made = raw_data_create(owner=_user(request), **_validated(RawDataCreateSerializer, request))
        serializer = RawDataSerializer(self.get_queryset().get(pk=made.pk))
        return Response(serializer.data, status=status.HTTP_201_CREATED)


class SplitTrainTest(APIView):
    """Split a standard data set into train and test."""

    @extend_schema(request=SplitSerializer, responses={200: TaskSerializer, 400: _INVALID})
    def post(self, request: Request) -> Response:
        """Have a standard data set split into train and test. The answer names the task that does it."""
        values = _validated(SplitSerializer, request)
        raw_data = _raw_data(values.pop("raw_data_id"), _user(request))
        return Response({"task_id": split_ask(raw_data=raw_data, by=_user(request), **values)})


class CustomSplitTrainTest(APIView):
    """Split a custom data set into train and test."""

    @extend_schema(request=CustomSplitSerializer, responses={200: TaskSerializer, 400: _INVALID})
    def post(self, request: Request) -> Response:
        """Have a custom data set prepared by its `prepare_data`. The answer names the task that does it."""
        raw_data = _raw_data(_validated(CustomSplitSerializer, request)["raw_data_id"], _user(request))
        return Response({"task_id": custom_split_ask(raw_data=raw_data, by=_user(request))})


class SubmissionFoldList(generics.ListAPIView[SubmissionFold]):
    """List all folds or post one."""

    serializer_class = SubmissionFoldSerializer
    filterset_class = SubmissionFoldFilter

    def get_queryset(self) -> QuerySet[SubmissionFold]:
        return SubmissionFold.objects.visible_to(self.request.user)

    @extend_schema(
        request=SubmissionFoldCreateSerializer,
        responses={201: SubmissionFoldSerializer, 400: _INVALID, 409: _UNSPLIT, 413: _TOO_LARGE},
    )
    def post(self, request: Request) -> Response:
        """Have a submission trained and tested on a fold, with its files where it is new."""
        values = _validated(SubmissionFoldCreateSerializer, request)
        fold_request = FoldRequest(
            fold_id=values["databoard_sf_id"],
            submission_id=values["databoard_s_id"],
            train_is=values["train_is"],
            test_is=values["test_is"],
            priority=Priority(values["priority"]),
            raw_data_id=values.get("raw_data"),
            files=values.get("files"),
            force=force_parse(values.get("force")),
        )
        fold = fold_submit(fold_request, owner=_user(request))
        fold.refresh_from_db()
        return Response(SubmissionFoldSerializer(fold).data, status=status.HTTP_201_CREATED)


class SubmissionFoldDetail(generics.RetrieveAPIView[SubmissionFold]):
    """One fold."""

    serializer_class = SubmissionFoldSerializer
    queryset = SubmissionFold.objects.none()  # tells the schema the name of the id

    def get_queryset(self) -> QuerySet[SubmissionFold]:
        return SubmissionFold.objects.visible_to(self.request.user)


class SubmissionFoldCancel(APIView):
    """End a fold before it is finished."""

    @extend_schema(
        request=None,
        responses={200: SubmissionFoldSerializer, 404: _UNKNOWN, 409: _FINISHED},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Cancel a fold. In the queue it is never started, running it is stopped within a second."""
        return Response(SubmissionFoldSerializer(fold_cancel(pk, by=_user(request))).data)


class SubmissionFoldRetrain(APIView):
    """Train a fold anew."""

    @extend_schema(request=None, responses={200: SubmissionFoldSerializer, 404: _UNKNOWN, 409: _UNSPLIT})
    def post(self, request: Request, pk: int) -> Response:
        """Train a fold anew with the files its submission has. Its former results are dropped."""
        fold = fold_retrain(pk, by=_user(request))
        fold.refresh_from_db()
        return Response(SubmissionFoldSerializer(fold).data)


class SubmissionFoldLightList(generics.ListAPIView[SubmissionFold]):
    """The state of all folds."""

    serializer_class = SubmissionFoldLightSerializer
    filterset_class = SubmissionFoldFilter

    def get_queryset(self) -> QuerySet[SubmissionFold]:
        visible = SubmissionFold.objects.visible_to(self.request.user)
        return visible.only(*SubmissionFoldLightSerializer.Meta.fields)


class RunnerList(APIView):
    """The runners."""

    @extend_schema(responses={200: RunnerSerializer(many=True)})
    def get(self, request: Request) -> Response:
        """Every runner that was there within the last day, as it described itself last."""
        del request
        return Response(RunnerSerializer(known_runners(), many=True).data)


class GetTestPredictionList(APIView):
    """Predictions of folds by their ids."""

    @extend_schema(
        request=PredictionListSerializer, responses={200: PredictionSerializer(many=True), 400: _INVALID}
    )
    def post(self, request: Request) -> Response:
        """Predictions of those among the named folds that exist and that you may see.

        The finished ones among them that you posted are no longer new.
        """
        fold_ids = _validated(PredictionListSerializer, request)["list_submission_fold"]
        return Response(PredictionSerializer(predictions_of(fold_ids, by=_user(request)), many=True).data)


class GetTestPredictionNew(APIView):
    """Predictions that were not handed out before."""

    @extend_schema(
        request=PredictionNewSerializer, responses={200: PredictionSerializer(many=True), 400: _INVALID}
    )
    def post(self, request: Request) -> Response:
        """Predictions not handed out before, of folds that you posted.

        Two callers at the same moment never get the same fold. Staff also get those that nobody posted,
        because their poster's account was deleted.
        """
        values = _validated(PredictionNewSerializer, request)
        raw_data_id = values.get("raw_data_id")
        if raw_data_id is not None:
            _raw_data(raw_data_id, _user(request))
        folds = predictions_new(
            by=_user(request), raw_data_id=raw_data_id, errors=values["errors"], ack=values["ack"]
        )
        return Response(PredictionSerializer(folds, many=True).data)
