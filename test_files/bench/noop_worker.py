"""A Celery application with one task that does nothing, on datarun's broker with datarun's settings."""

from celery import Celery

from datarun.celery import app as datarun_app

QUEUE = "bench_noop"

app = Celery("noop")
app.config_from_object({
    **datarun_app.conf.table(with_defaults=False, censored=False),
    "task_queues": None,
    "task_routes": None,
    "task_default_queue": QUEUE,
    "beat_schedule": {},
})  # fmt: skip


@app.task(name="bench.noop")
def noop() -> None:
    """Nothing at all."""
