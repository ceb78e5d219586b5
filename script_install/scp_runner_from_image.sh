#!/usr/bin/env bash
# Makes runners of machines that were started from an image of a runner.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=script_install/fleet.sh
source "$here/fleet.sh"

usage() {
    cat <<'END'
usage: bash scp_runner_from_image.sh LIST_RUNNERS [PRIVATE_KEY]

As scp_runner_stratuslab.sh, for machines started from an image that make_image.sh prepared: only the settings are copied
there, and deploy_runner_from_image.sh is run.

  LIST_RUNNERS  a file with a line for each runner: address, number of tasks at a time, queues (L, H, celery),
                hard and soft time limit in seconds, such as: 134.158.75.112 2 L,celery 360 300
  PRIVATE_KEY   file of the ssh key with which the shared disk is mounted; not needed where DR_DISK_PATH is set
END
}

# All that is needed is in the image.
prepare() { :; }

# deploy_one ADDRESS FIELD...: one runner, from its line.
deploy_one() {
    local address=$1
    shift
    step_name="copy to $address"
    check_reachable "$address"
    as_root "$address" test -d /home/datarun/script_install </dev/null ||
        fail "$address was not started from an image of a runner; use scp_runner_stratuslab.sh"
    place_as_root "$address" "$scratch/env_runner.sh" env_runner.sh
    [[ -z $key ]] || place_as_root "$address" "$key" disk_key
    step_name="deploy $address"
    on "$address" bash /home/datarun/script_install/deploy_runner_from_image.sh "$@" </dev/null
}

# place_as_root ADDRESS FILE NAME: copy a file to the scripts of the image, for root alone.
place_as_root() {
    as_root "$1" bash -ec "$(secret_script)" bash "/home/datarun/script_install/$3" <"$2"
}

deploy_fleet "$@"
