"""The doors to what an organizer settles of a data set, and to its scores and ranking."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runapp import standings
from runapp.api.serializers import (
    FoldScoreSerializer,
    RankedSubmissionSerializer,
    RawDataChangeSerializer,
    RawDataSerializer,
)
from runapp.models import RawData, Submission, SubmissionFold
from runapp.services.data_changes import raw_data_change

_INVALID = OpenApiResponse(description="a field is wrong: its name and why")
_NOT_YOURS = OpenApiResponse(description="only its organizer and staff may change a data set")
_UNKNOWN = OpenApiResponse(description="there is no such data set, or you may not see this of it")


def _user(request: Request) -> User:
    return cast(User, request.user)


class RawDataChange(APIView):
    """What an organizer may change of a data set."""

    @extend_schema(
        request=RawDataChangeSerializer,
        responses={200: RawDataSerializer, 400: _INVALID, 403: _NOT_YOURS, 404: _UNKNOWN},
    )
    def patch(self, request: Request, pk: int) -> Response:
        """Change scorer, ranking or limits of a data set; what is left out stays as it is.

        With another scorer all scores are made anew, in the background. Limits hold for the folds that
        are sent to a runner from now on.
        """
        visible = RawData.objects.visible_to(_user(request)).with_shows_details(_user(request))
        raw_data = get_object_or_404(visible, pk=pk)
        serializer = RawDataChangeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        raw_data_change(raw_data, by=_user(request), **serializer.validated_data)
        return Response(RawDataSerializer(visible.get(pk=pk)).data)


class _OfDataSet(generics.ListAPIView[Any]):
    """A list that belongs to a data set, and whether its reader may see test scores."""

    def get_serializer_context(self) -> dict[str, Any]:
        shown = RawData.objects.test_scores_visible_to(_user(self.request))
        has_test_scores = shown.filter(pk=self.kwargs.get("pk")).exists()
        return {**super().get_serializer_context(), "has_test_scores": has_test_scores}


@extend_schema(responses={200: RankedSubmissionSerializer(many=True), 404: _UNKNOWN})
class RankingList(_OfDataSet):
    """The submissions on a data set with their scores, the best first by the mean of their validation scores.

    Of submissions that you may not see there are the names of their owners and the scores alone. Test scores
    are null for who may not see them. Where the organizer hides the ranking, or named no scorer, there is
    no ranking.
    """

    serializer_class = RankedSubmissionSerializer
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Submission]:
        user = _user(self.request)
        visible = RawData.objects.ranking_visible_to(user)
        return standings.ranking(get_object_or_404(visible, pk=self.kwargs["pk"]), user)


@extend_schema(responses={200: FoldScoreSerializer(many=True), 404: _UNKNOWN})
class FoldScoreList(_OfDataSet):
    """The scores of the folds of a data set that you may see, or why they have none.

    Test scores are null for who may not see them.
    """

    serializer_class = FoldScoreSerializer
    filter_backends = ()

    def get_queryset(self) -> QuerySet[SubmissionFold]:
        user = _user(self.request)
        raw_data = get_object_or_404(RawData.objects.visible_to(user), pk=self.kwargs["pk"])
        return standings.scored_folds(raw_data).filter(
            pk__in=SubmissionFold.objects.visible_to(user).order_by().values("pk")
        )
