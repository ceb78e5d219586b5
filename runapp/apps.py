from django.apps import AppConfig


class RunappConfig(AppConfig):
    name = "runapp"
    verbose_name = "datarun"

    def ready(self) -> None:
        # Registers what drf-spectacular must know before it draws the schema, and what follows a deletion.
        from runapp.api import schema  # noqa: F401
        from runapp.services import deletion  # noqa: F401
