"""Looks whether all is well, and says what to do where it is not."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from runapp.services import health
from runapp.services.canary import CanaryFailed, train_canary


class Command(BaseCommand):
    help = (
        "Check database, broker, results, shared disk, clocks, beat, queues and runners, and train a small "
        "fold end to end. Prints a line for each with the remedy; exits non-zero when something is wrong."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-canary", action="store_true", help="train no fold")
        parser.add_argument(
            "--timeout", type=float, default=60.0, help="seconds that the fold may take (%(default)s)"
        )

    def handle(self, *, no_canary: bool, timeout: float, **options: Any) -> None:
        del options
        n_wrong = sum(self._show(finding) for finding in health.all_findings())
        if not no_canary:
            n_wrong += self._show(self._canary(timeout, may_work=n_wrong == 0))
        if n_wrong:
            raise CommandError(f"{n_wrong} of these are not well")

    def _show(self, finding: health.Finding) -> bool:
        """Print a finding; whether it is one that is not well."""
        if finding.is_well:
            self.stdout.write(f"{self.style.SUCCESS('ok   ')} {finding.name}: {finding.detail}")
        else:
            self.stdout.write(f"{self.style.ERROR('WRONG')} {finding.name}: {finding.detail}")
            self.stdout.write(f"      -> {finding.remedy}")
        return not finding.is_well

    def _canary(self, timeout_seconds: float, *, may_work: bool) -> health.Finding:
        owner = User.objects.filter(is_superuser=True, is_active=True).first() if may_work else None
        if not may_work:
            return health.Finding("canary fold", "not tried", "mend what is wrong above first")
        if owner is None:
            return health.Finding(
                "canary fold", "nobody to own it", "make a superuser: manage.py createsuperuser"
            )
        try:
            seconds = train_canary(owner=owner, timeout_seconds=timeout_seconds)
        except CanaryFailed as error:
            return health.Finding(
                "canary fold", error.message, "look into the logs of runner and master worker"
            )
        return health.Finding("canary fold", f"posted, trained and saved in {seconds:.2f} s")
