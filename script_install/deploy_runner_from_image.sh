#!/usr/bin/env bash
# Makes this machine a runner: one started from an image of a runner.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/runner.sh
source "$here/runner.sh"

usage() {
    cat <<'END'
usage: bash deploy_runner_from_image.sh [CONCURRENCY QUEUES HARD_LIMIT SOFT_LIMIT]

Makes this machine, started from an image that make_image.sh prepared, a runner. scp_runner_from_image.sh calls it, and so does
the user-data of runner_userdata.sh; it stands in /home/datarun/script_install with env_runner.sh beside it (and the private
key of the shared disk as disk_key, where the disk is mounted over ssh). The arguments are those of the runner's line in
list_runners.txt; without them they are those of the last time. Nothing is downloaded.
END
}

deploy_runner "$here/deploy_runner_from_image.sh" "$@"
