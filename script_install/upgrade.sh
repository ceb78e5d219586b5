#!/usr/bin/env bash
# Brings a master and its runners to the release in this folder.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=script_install/fleet.sh
source "$here/fleet.sh"

usage() {
    cat <<'END'
usage: bash upgrade.sh MASTER_ADDRESS LIST_RUNNERS

Brings a master and its runners to the release that this folder is part of. First everything is installed beside what runs. Then
the runners finish their folds and stop, the master is migrated and restarted, and the runners start again. Where the master's
part fails, it goes back to its former release with its database as it was, and so do the runners.
Folds that are sent meanwhile wait.

  MASTER_ADDRESS  as for scp_master_stratuslab.sh
  LIST_RUNNERS    as for scp_runner_stratuslab.sh; the keys and settings that the machines have are kept
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    (($# == 2)) || refuse_arguments "the master's address and the list of runners are needed"
    make_scratch
    master=$1
    step "check before anything is touched" check_before "$2"
    step "install the release on the master" stage_one "$master" master
    step "install the release on ${#runner_addresses[@]} runners" on_all_runners stage_runner
    step "let the runners finish their folds" on_all_runners stop_runner
    step "master" upgrade_master
    step "runners" on_all_runners start_runner
    printf 'All run release %s\n' "$release"
}

check_before() {
    read_runners "$1"
    check_reachable "$master"
    as_root "$master" test -s /etc/datarun/env.sh </dev/null || fail "datarun is not deployed on $master"
    on_all_runners check_runner
    pack "$here/.." "$scratch/release.tar.gz"
    release=$(release_of "$scratch/release.tar.gz")
}

check_runner() {
    step_name="check $1"
    check_reachable "$1"
    as_root "$1" test -s /etc/datarun/env_runner.sh </dev/null || fail "datarun is not deployed on $1"
}

stage_runner() { stage_one "$1" runner; }

stage_one() {
    step_name="install on $1"
    send_release "$1" "$scratch/release.tar.gz" "$release"
    on "$1" bash "$remote_folder/script_install/stage_release.sh" "$2" </dev/null
}

stop_runner() {
    step_name="stop $1"
    as_root "$1" systemctl stop datarun-runner.service </dev/null
}

upgrade_master() {
    if ! on "$master" bash "$remote_folder/script_install/release_switch.sh" </dev/null; then
        step "start the runners as they were" on_all_runners resume_runner
        fail "the master was not upgraded; above is why. Everything runs the former release"
    fi
}

resume_runner() {
    as_root "$1" systemctl start datarun-runner.service </dev/null
}

start_runner() {
    step_name="deploy $1"
    on "$1" bash "$remote_folder/script_install/deploy_runner_stratuslab.sh" </dev/null
}

main "$@"
