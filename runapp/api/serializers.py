"""The JSON of the API: what is read from requests and written into answers."""

from typing import Any

from rest_framework import serializers

from runapp.contract import DATA_SET_LIMITS, Priority
from runapp.models import Ranking, RawData, Submission, SubmissionFold
from runapp.models.submission import SCORE_FIELDS
from runapp.models.submission_fold import NO_FOLD_SCORES

#: The largest number of a column of ids or limits.
_MAX_INTEGER = 2**31 - 1


def _id_field(**options: Any) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=0, max_value=_MAX_INTEGER, **options)


def _files_field(**options: Any) -> serializers.DictField:
    return serializers.DictField(
        child=serializers.CharField(trim_whitespace=False, allow_blank=True),
        help_text="content by file name, each base64(zlib(bytes))",
        **options,
    )


def _limit_field(name: str) -> serializers.IntegerField:
    return serializers.IntegerField(
        min_value=DATA_SET_LIMITS[name],
        max_value=_MAX_INTEGER,
        required=False,
        allow_null=True,
        help_text=str(RawData._meta.get_field(name).help_text),  # type: ignore[union-attr]  # no relation
    )


def _scorer_field(**options: Any) -> serializers.CharField:
    return serializers.CharField(
        max_length=60, allow_blank=True, help_text="name of a scikit-learn scorer; empty for none", **options
    )


def _ranking_field(**options: Any) -> serializers.ChoiceField:
    return serializers.ChoiceField(
        choices=Ranking.choices, help_text="what submitters see of the ranking", **options
    )


def _shape_field() -> serializers.ListField:
    return serializers.ListField(child=serializers.IntegerField(), allow_null=True, read_only=True)


#: What only the organizer of a data set and staff are told of it; to others these fields are empty.
_ORGANIZERS_FIELDS = {
    "files_path": "", "split_task_id": "", "split_log": "", "held_out_test": None, "random_state": None,
}  # fmt: skip


class RawDataSerializer(serializers.ModelSerializer[RawData]):
    """A data set of ``with_shows_details``."""

    class Meta:
        model = RawData
        fields = (
            "id", "name", "files_path", "workflow_elements", "target_column", "custom", "owner",
            "created_at", "split_state", "split_task_id", "split_log", "held_out_test", "random_state",
            "n_train_rows", "n_test_rows", "scorer", "ranking", *DATA_SET_LIMITS,
        )  # fmt: skip
        read_only_fields = fields

    def to_representation(self, instance: RawData) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        return shown if instance.shows_details else shown | _ORGANIZERS_FIELDS


class RawDataCreateSerializer(serializers.Serializer[Any]):
    """A data set to upload."""

    name = serializers.CharField(max_length=100)
    target_column = serializers.CharField(max_length=200, allow_blank=True, default="", trim_whitespace=False)
    workflow_elements = serializers.CharField(max_length=200, allow_blank=True, default="")
    files = _files_field()
    scorer = _scorer_field(default="")
    ranking = _ranking_field(default=Ranking.VALIDATION.value)
    max_fold_seconds = _limit_field("max_fold_seconds")
    max_memory_mb = _limit_field("max_memory_mb")
    max_output_mb = _limit_field("max_output_mb")
    max_scratch_mb = _limit_field("max_scratch_mb")
    max_processes = _limit_field("max_processes")


class RawDataChangeSerializer(serializers.Serializer[Any]):
    """What an organizer may change of a data set; what is left out stays as it is."""

    scorer = _scorer_field(required=False)
    ranking = _ranking_field(required=False)
    max_fold_seconds = _limit_field("max_fold_seconds")
    max_memory_mb = _limit_field("max_memory_mb")
    max_output_mb = _limit_field("max_output_mb")
    max_scratch_mb = _limit_field("max_scratch_mb")
    max_processes = _limit_field("max_processes")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if unknown := set(self.initial_data) - set(self.fields):
            known = ", ".join(self.fields)
            raise serializers.ValidationError(
                {min(unknown): [f"This cannot be changed; what can be changed is {known}."]}
            )
        return attrs


class SplitSerializer(serializers.Serializer[Any]):
    """How a standard data set is split."""

    raw_data_id = _id_field()
    held_out_test = serializers.FloatField(help_text="part of the rows kept for testing, above 0 and below 1")
    random_state = serializers.IntegerField(min_value=0, max_value=2**32 - 1, default=42)

    def validate_held_out_test(self, value: float) -> float:
        if not 0 < value < 1:
            raise serializers.ValidationError("This must be above 0 and below 1.")
        return value


class CustomSplitSerializer(serializers.Serializer[Any]):
    """Which custom data set is prepared."""

    raw_data_id = _id_field()


class TaskSerializer(serializers.Serializer[Any]):
    """The task that does what was asked for."""

    task_id = serializers.CharField()


class _ShapesSerializer(serializers.ModelSerializer[SubmissionFold]):
    full_train_predictions_shape = _shape_field()
    test_predictions_shape = _shape_field()


class SubmissionFoldSerializer(_ShapesSerializer):
    """A fold with all its fields; its scores are with its data set, which says who may see them."""

    class Meta:
        model = SubmissionFold
        exclude = tuple(NO_FOLD_SCORES)


class SubmissionFoldLightSerializer(serializers.ModelSerializer[SubmissionFold]):
    """A fold's state."""

    class Meta:
        model = SubmissionFold
        fields = ("databoard_sf_id", "databoard_s", "state", "new")


class PredictionSerializer(_ShapesSerializer):
    """A fold's predictions, and how it went."""

    class Meta:
        model = SubmissionFold
        fields = (
            "databoard_sf_id", "databoard_s", "test_predictions", "test_predictions_shape",
            "full_train_predictions", "full_train_predictions_shape", "state", "outcome", "log_messages",
            "train_time", "validation_time", "test_time", "train_cpu_time", "test_cpu_time",
            "train_memory", "test_memory", "new", "runner", "isolation", "attempts",
        )  # fmt: skip


class _ScoresSerializer(serializers.ModelSerializer[Any]):
    """Scores, whose fields named for the test set are null unless the context ``has_test_scores``."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        values = dict(super().to_representation(instance))
        if not self.context.get("has_test_scores"):
            values |= {name: None for name in values if "test" in name}
        return values


class RankedSubmissionSerializer(_ScoresSerializer):
    """A submission of a ranking, and its scores; greater is better."""

    owner = serializers.CharField(
        source="owner.username", default=None, allow_null=True, help_text="name of who sent it"
    )
    databoard_s_id = serializers.IntegerField(allow_null=True, help_text="its id, if you may see it")
    n_folds = serializers.IntegerField(help_text="its folds, finished or not")
    bagged_validation_note = serializers.CharField(allow_null=True, help_text="why it has none")
    bagged_test_note = serializers.CharField(allow_null=True, help_text="why it has none")

    class Meta:
        model = Submission
        fields = (
            "databoard_s_id", "owner", "n_folds", "n_scored_folds", *SCORE_FIELDS,
            "bagged_validation_note", "bagged_test_note",
        )  # fmt: skip
        read_only_fields = fields

    def to_representation(self, instance: Any) -> dict[str, Any]:
        values = super().to_representation(instance)
        hidden = () if instance.is_seen else ("databoard_s_id", "bagged_validation_note", "bagged_test_note")
        return values | dict.fromkeys(hidden)


class FoldScoreSerializer(_ScoresSerializer):
    """The scores of a fold; greater is better."""

    test_note = serializers.CharField(allow_null=True, help_text="why there is no test score")

    class Meta:
        model = SubmissionFold
        fields = ("databoard_sf_id", "databoard_s", "state", *NO_FOLD_SCORES)
        read_only_fields = fields


class RunnerSerializer(serializers.Serializer[Any]):
    """A runner, as it described itself last."""

    runner = serializers.CharField(source="mark.runner", help_text="node name of its worker")
    host = serializers.CharField(source="mark.host")
    queues = serializers.ListField(
        source="mark.queues", child=serializers.CharField(), help_text="the queues that it takes from"
    )
    places = serializers.IntegerField(source="mark.places", help_text="how many folds it runs at a time")
    free_places = serializers.IntegerField()
    refuses = serializers.CharField(
        source="mark.refuses", help_text="why it takes no tasks at present; empty while it takes them"
    )
    isolation = serializers.CharField(
        source="mark.isolation", help_text="level at which it isolates folds: full, partial or none"
    )
    isolation_reason = serializers.CharField(
        source="mark.isolation_reason", help_text="what is missing to the level full"
    )
    versions = serializers.DictField(
        source="mark.versions",
        child=serializers.CharField(),
        help_text="versions of datarun, Python and the libraries that folds use, by name",
    )
    is_alive = serializers.BooleanField(help_text="whether it was heard of within the last 30 s")
    silent_seconds = serializers.FloatField(help_text="how long ago it described itself")


class SubmissionFoldCreateSerializer(serializers.Serializer[Any]):
    """A fold to train, and its submission where that is new."""

    databoard_sf_id = _id_field(help_text="id of the fold, chosen by the caller")
    databoard_s_id = _id_field(help_text="id of the submission, chosen by the caller")
    train_is = serializers.CharField(help_text="training indices: base64(zlib(little-endian int64))")
    test_is = serializers.CharField(help_text="test indices, encoded likewise")
    priority = serializers.ChoiceField(choices=[p.value for p in Priority], default=Priority.LOW.value)
    raw_data = _id_field(
        required=False, allow_null=True, help_text="the data set, where the submission is new"
    )
    files = _files_field(required=False, allow_null=True)
    force = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=100,
        help_text="comma-separated: submission_fold trains a known fold anew, submission replaces its files",
    )


class PredictionListSerializer(serializers.Serializer[Any]):
    """Folds whose predictions are asked for."""

    list_submission_fold = serializers.ListField(child=_id_field(), max_length=100_000)


class PredictionNewSerializer(serializers.Serializer[Any]):
    """Which new predictions are asked for."""

    raw_data_id = _id_field(required=False, allow_null=True, help_text="only folds on this data set")
    errors = serializers.BooleanField(  # type: ignore[assignment]  # DRF moves fields out of the class
        default=False, help_text="also folds that failed"
    )
    ack = serializers.BooleanField(
        default=True, help_text="false: hand out, but count as handed out only when asked for by id"
    )
