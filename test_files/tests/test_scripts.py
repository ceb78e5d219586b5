import os
import subprocess
import sys

import pytest
from fake_datarun import PASSWORD, USER, NameIsTaken

from test_files.examples import FOLDER
from test_files.processes import free_ports

SCRIPTS = ["cmd_workers.sh", "local_test1.sh", "local_test2.sh", "stratuslab_test.sh"]


@pytest.fixture
def run(tmp_path):
    """Runs a script of this folder, with a local folder of its own."""

    def run_script(*command, **variables):
        environment = {
            **os.environ,
            "DR_HOME": str(tmp_path / "home"),
            "DR_LOCAL_TEST_HOME": str(tmp_path / "test"),
            **variables,
        }
        program = "bash" if command[0].endswith(".sh") else sys.executable
        return subprocess.run(
            [program, *command], cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=120
        )

    return run_script


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_has_nothing_to_say(script):
    checked = subprocess.run(["shellcheck", "-x", FOLDER / script], capture_output=True, text=True)
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize("script", [*SCRIPTS, "test_workflow.py"])
def test_help_is_printed_and_nothing_is_done(run, script, tmp_path):
    shown = run(script, "--help")
    assert shown.returncode == 0
    assert script in shown.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "start, stop or restart?"),
        (["begin", "1", "1"], "unknown: begin"),
        (["start"], "start needs N and M"),
        (["start", "1"], "start needs N and M"),
        (["restart", "1", "2", "3"], "restart needs N and M"),
        (["start", "two", "1"], "N is 'two', not a number of workers"),
        (["start", "1", "-1"], "M is '-1', not a number of workers"),
        (["start", "1", "1; ls"], "M is '1; ls', not a number of workers"),
        (["start", "0", "0"], "there is nothing to start"),
    ],
)
def test_cmd_workers_refuses_what_it_does_not_understand(run, arguments, reason, tmp_path):
    refused = run("cmd_workers.sh", *arguments)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[0] == f"cmd_workers.sh: {reason}"
    assert list(tmp_path.iterdir()) == []


def test_stopping_what_does_not_run_is_no_failure(run):
    stopped = run("cmd_workers.sh", "stop", "2", "1")
    assert (stopped.returncode, stopped.stdout, stopped.stderr) == (0, "", "")


def test_a_process_that_only_has_an_old_pid_is_not_stopped(run, tmp_path):
    with subprocess.Popen(["sleep", "300"]) as stranger:
        try:
            pid_file = tmp_path / "home" / "run" / "runner1.pid"
            pid_file.parent.mkdir(parents=True)
            pid_file.write_text(f"{stranger.pid}\n")
            stopped = run("cmd_workers.sh", "stop")
            assert stopped.returncode == 0
            assert not pid_file.exists()
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_worker_that_cannot_start_is_reported_with_its_log(run):
    failed = run("cmd_workers.sh", "start", "1", "0", CELERY_SCHEDULER_PERIOD="often")
    assert failed.returncode == 1
    assert "CELERY_SCHEDULER_PERIOD is 'often'" in failed.stderr
    assert "runner1 did not start" in failed.stderr


def test_terminal_two_says_that_terminal_one_is_missing(run):
    failed = run("local_test2.sh", "-d", DR_START_SECONDS="0")
    assert failed.returncode == 1
    assert "start it in another terminal" in failed.stderr


def test_terminal_one_does_not_remove_a_folder_that_is_not_its_own(run, tmp_path):
    precious = tmp_path / "test" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("results")
    refused = run("local_test1.sh")
    assert refused.returncode == 1
    assert "is not a folder of this test" in refused.stderr
    assert precious.read_text() == "results"


@pytest.mark.parametrize("arguments", [["--port"], ["--port", "http"], ["--workers", "-1"], ["--quick"]])
def test_terminal_one_refuses_what_it_does_not_understand(run, arguments, tmp_path):
    assert run("local_test1.sh", *arguments).returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["master", "user"], "an address, a user and a password are needed"),
        (["master", "user", "password", "-k"], "unknown: -k"),
        (
            ["master", "user", "password", "--ca-file", "/nowhere.crt"],
            "--ca-file needs the file of a certificate",
        ),
    ],
)
def test_stratuslab_test_refuses_what_it_does_not_understand(run, arguments, reason):
    refused = run("stratuslab_test.sh", *arguments)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[0] == f"stratuslab_test.sh: {reason}"


def test_the_workflow_fails_in_words_when_the_server_is_not_there(run):
    port = free_ports(1)[0]
    failed = run("test_workflow.py", f"http://127.0.0.1:{port}", "user", "password", "--wait", "0.1")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("test_workflow.py: the server is not up after 0.1 s: no answer from")


def test_the_workflow_fails_in_the_servers_words(run, serve):
    failed = run("test_workflow.py", serve(NameIsTaken).url, USER, PASSWORD)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "RawData with this name already exists." in failed.stderr


@pytest.fixture
def self_signed(tmp_path):
    """A file with a certificate of 127.0.0.1 and its key."""
    certificate, key = tmp_path / "master.crt", tmp_path / "master.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=datarun",
         "-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key],
        check=True, capture_output=True,
    )  # fmt: skip
    certificate.write_text(certificate.read_text() + key.read_text())
    return certificate


def test_a_self_signed_master_is_trusted_only_where_its_certificate_is_given(run, serve, self_signed):
    server = serve(lambda: NameIsTaken().use_certificate(self_signed))
    arguments = [server.url.removeprefix("https://"), USER, PASSWORD]
    refused = run("stratuslab_test.sh", *arguments, "--https")
    assert (refused.returncode, server.requests) == (1, [])
    assert f"no trusted connection to {server.url}" in refused.stderr
    trusted = run("stratuslab_test.sh", *arguments, "--ca-file", str(self_signed))
    assert "RawData with this name already exists." in trusted.stderr


@pytest.mark.parametrize("arguments", [["--folds", "0"], ["--ca-file", "/nowhere.crt"]])
def test_the_workflow_refuses_what_it_cannot_do(run, arguments):
    assert run("test_workflow.py", "http://127.0.0.1:1", "user", "password", *arguments).returncode == 2
