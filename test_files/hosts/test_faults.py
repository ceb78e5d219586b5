"""Hosts and networks fail in the middle of folds: all folds reach a final state, and datarun goes on by itself."""

from collections.abc import Callable

import pytest

from test_files.hosts.deployment import Deployment
from test_files.hosts.folds import Folds


def test_a_runner_loses_its_power(deployment: Deployment, folds: Folds, tell: Callable[[str], None]) -> None:
    folds.send()
    deployment.machine("runner2").cut_power()
    tell(folds.end_well("a runner without power"))


@pytest.mark.thorough
def test_a_runners_network_is_cut_and_mended(
    deployment: Deployment, folds: Folds, tell: Callable[[str], None]
) -> None:
    folds.send()
    deployment.machine("runner1").disconnect()
    deployment.wait_for_other_workers("runner1")
    deployment.machine("runner1").connect()
    tell(folds.end_well("a runner without network"))


@pytest.mark.thorough
def test_the_disks_host_freezes_and_thaws(
    deployment: Deployment, folds: Folds, tell: Callable[[str], None]
) -> None:
    folds.send()
    disk = deployment.machine("disk")
    disk.freeze()
    try:
        deployment.wait_until_disk_is_away("runner1")
    finally:
        disk.thaw()
    tell(folds.end_well("a frozen disk"))


def test_the_master_is_rebooted(deployment: Deployment, folds: Folds, tell: Callable[[str], None]) -> None:
    folds.send()
    deployment.machine("master").reboot()
    deployment.wait_until_up()
    tell(folds.end_well("a rebooted master"))


@pytest.mark.thorough
def test_the_master_loses_its_power(
    deployment: Deployment, folds: Folds, tell: Callable[[str], None]
) -> None:
    folds.send()
    deployment.machine("master").cut_power()
    deployment.machine("master").boot()
    deployment.wait_until_up()
    tell(folds.end_well("a master without power"))
