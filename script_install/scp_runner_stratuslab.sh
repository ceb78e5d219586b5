#!/usr/bin/env bash
# Makes runners of machines.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=script_install/fleet.sh
source "$here/fleet.sh"

usage() {
    cat <<'END'
usage: bash scp_runner_stratuslab.sh LIST_RUNNERS [PRIVATE_KEY]

Makes runners of all machines in a list, at the same time: copies datarun and its settings there, and runs
deploy_runner_stratuslab.sh. Can be run again at any time, with more machines in the list, or with other numbers.

  LIST_RUNNERS  a file with a line for each runner: address, number of tasks at a time, queues (L, H, celery),
                hard and soft time limit in seconds, such as: 134.158.75.112 2 L,celery 360 300
                An address may be account@address; the account, by default ubuntu, may become root.
  PRIVATE_KEY   file of the ssh key with which the shared disk is mounted; not needed where DR_DISK_PATH is set

Needs env_runner.sh in this folder (env_runner.sh.example explains it) and a deployed master, which is told by ssh to let the
runners in: at DR_MASTER_ADDRESS, or where scp_master_stratuslab.sh was sent to, or at IP_MASTER.
END
}

prepare() { pack "$here/.." "$scratch/release.tar.gz"; }

# deploy_one ADDRESS FIELD...: one runner, from its line.
deploy_one() {
    local address=$1
    shift
    step_name="copy to $address"
    check_reachable "$address"
    send_release "$address" "$scratch/release.tar.gz" "$(release_of "$scratch/release.tar.gz")"
    send_secret "$address" "$scratch/env_runner.sh" env_runner.sh
    [[ -z $key ]] || send_secret "$address" "$key" disk_key
    step_name="deploy $address"
    on "$address" bash "$remote_folder/script_install/deploy_runner_stratuslab.sh" "$@" </dev/null
}

deploy_fleet "$@"
