"""One fold in the runner's own sandbox, without any service."""

import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runapp.contract import Outcome
from runapp.environment import Environment
from runapp.errors import DatarunError
from runapp.runner import launch
from runapp.runner.job import FoldReport
from runapp.runner.limits import DEFAULT_FOLD_SECONDS, run_limits
from runapp.runner.local_job import local_job


class Command(BaseCommand):
    help = "Train and test one submission on a folder of split data in the runner's sandbox."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "data_dir", type=_folder, help="train.csv and test.csv, or specific.py and its files"
        )
        parser.add_argument("submission_dir", type=_folder, help="the submission's files")
        parser.add_argument("--target-column", help="the last column of train.csv unless given")
        parser.add_argument(
            "--train-is", type=Path, help="text file of training rows by position, all unless given"
        )
        parser.add_argument(
            "--seconds", type=float, default=DEFAULT_FOLD_SECONDS, help="limit of wall clock time"
        )

    def handle(self, *, data_dir: Path, submission_dir: Path, **options: Any) -> None:
        limits = run_limits(Environment.read(), soft=None, hard=None, default_seconds=options["seconds"])
        try:
            launcher = launch.launcher()
            train_is = (
                None
                if options["train_is"] is None
                else np.loadtxt(options["train_is"], dtype=np.int64, ndmin=1)
            )
            with local_job(
                launcher,
                data_dir,
                submission_dir,
                limits,
                target_column=options["target_column"],
                train_is=train_is,
            ) as job:
                report = launcher.run_fold(job, limits, on_stage=lambda *_: None, is_cancelled=lambda: False)
        except (DatarunError, OSError, ValueError) as error:
            raise CommandError(str(error)) from None
        self._print(report, launcher.isolation)
        if report.outcome is not Outcome.OK:
            sys.exit(1)

    def _print(self, report: FoldReport, isolation: str) -> None:
        self.stdout.write(f"outcome    {report.outcome}\nisolation  {isolation}")
        measures = report.measures
        for step, seconds in (
            ("train", measures.train_time),
            ("validation", measures.validation_time),
            ("test", measures.test_time),
        ):
            self.stdout.write(f"{step:10} {seconds:.3f} s")
        cpu_seconds = measures.train_cpu_time + measures.test_cpu_time
        peak_mb = max(measures.train_memory, measures.test_memory) / 1024
        self.stdout.write(f"cpu        {cpu_seconds:.3f} s\nmemory     {peak_mb:.0f} MB")
        for name in ("full_train_predictions", "test_predictions"):
            if (array := getattr(report, name)) is not None:
                self.stdout.write(f"{name}  shape {array.shape}")
        if report.log_messages:
            self.stdout.write(f"log\n{report.log_messages}")


def _folder(text: str) -> Path:
    path = Path(text).resolve()
    if not path.is_dir():
        raise ArgumentTypeError(f"{text} is not a folder")
    return path
