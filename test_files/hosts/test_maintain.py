"""Upgrades, their failure, backups and their restoration."""

from collections.abc import Callable
from pathlib import Path

import pytest

from test_files.hosts.deployment import Deployment
from test_files.hosts.folds import Folds
from test_files.hosts.network import address
from test_files.hosts.site import NUMBERS

_BROKEN_MIGRATION = """
from django.db import migrations

def fail(apps, schema_editor):
    raise RuntimeError("this migration is broken")

class Migration(migrations.Migration):
    dependencies = [("runapp", {last!r})]
    operations = [
        migrations.RunSQL("CREATE TABLE left_behind (id integer)"),
        migrations.RunPython(fail),
    ]
"""


def _releases(deployment: Deployment) -> set[str]:
    return {
        deployment.machine(name).run("cat /opt/datarun/current/.release").strip()
        for name in ("master", "runner1", "runner2")
    }


def _upgrade(deployment: Deployment) -> str:
    return deployment.site.at_operator(
        f"bash upgrade.sh {address(NUMBERS['master'])} list_runners.txt; echo exit code $?"
    )


def _users(deployment: Deployment) -> str:
    return deployment.machine("master").run(
        "datarun python manage.py shell --verbosity 0 -c "
        "'from django.contrib.auth.models import User; print(*User.objects.values_list(\"username\", flat=True))'"
    )


def test_an_upgrade_in_the_middle_of_folds_brings_all_machines_to_the_new_release(
    deployment: Deployment, folds: Folds, tell: Callable[[str], None]
) -> None:
    before = _releases(deployment)
    (deployment.site.project / "CHANGES-of-the-test").write_text("another release\n")
    deployment.site.cage.run("git", "-C", deployment.site.project, "add", "--all")
    folds.send()
    printed = _upgrade(deployment)
    assert "exit code 0" in printed, printed
    tell(folds.end_well("an upgrade"))
    after = _releases(deployment)
    assert len(before) == len(after) == 1
    assert before != after


@pytest.mark.thorough
def test_an_upgrade_that_fails_leaves_the_former_release_and_its_database(deployment: Deployment) -> None:
    before = _releases(deployment)
    migrations = deployment.site.project / "runapp/migrations"
    last = max(path.stem for path in migrations.glob("0*.py"))
    broken = migrations / "9999_broken.py"
    broken.write_text(_BROKEN_MIGRATION.format(last=last))
    deployment.site.cage.run("git", "-C", deployment.site.project, "add", "--all")
    try:
        printed = _upgrade(deployment)
    finally:
        broken.unlink()
    assert "exit code 1" in printed
    assert "this migration is broken" in printed
    assert "the master runs the former one" in printed
    assert _releases(deployment) == before
    tables = deployment.machine("master").run("runuser -u postgres -- psql -Atc '\\dt' datarun_db")
    assert "left_behind" not in tables
    assert "runapp_submissionfold" in tables
    deployment.wait_until_up()
    assert "admin" in _users(deployment)


@pytest.mark.thorough
def test_a_backup_is_put_back(deployment: Deployment) -> None:
    master = deployment.machine("master")
    master.run(
        "runuser -u datarun -- sh -c 'mkdir -p /mnt/datarun/data/kept && echo content >/mnt/datarun/data/kept/file'"
    )
    printed = master.run("bash /home/datarun/script_install/backup.sh /var/backups", timeout_seconds=300)
    folder = next(line.split()[1] for line in printed.splitlines() if line.startswith("saved: "))
    assert master.run(f"stat -c %a {folder}").strip() == "700"
    assert master.run(f"find {folder} -type f -perm /go=r") == ""
    master.run(
        "echo a-password-for-tests | datarun python manage.py createuser later later@example.org -; rm -r /mnt/datarun/data/kept"
    )
    assert "later" in _users(deployment)
    master.run(f"bash /home/datarun/script_install/restore.sh {folder}", timeout_seconds=300)
    assert "later" not in _users(deployment)
    assert "admin" in _users(deployment)
    assert master.run("cat /mnt/datarun/data/kept/file") == "content\n"
    deployment.wait_until_up()


def test_a_folder_that_is_no_backup_is_refused_before_anything_stops(
    deployment: Deployment, tmp_path: Path
) -> None:
    master = deployment.machine("master")
    printed = master.run("bash /home/datarun/script_install/restore.sh /var/tmp; echo exit code $?")
    assert "holds no database.dump" in printed
    assert "exit code 1" in printed
    assert deployment.status("/runapp/") == 401
