#!/usr/bin/env bash
# Makes this machine a runner.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/runner.sh
source "$here/runner.sh"

usage() {
    cat <<'END'
usage: bash deploy_runner_stratuslab.sh [CONCURRENCY QUEUES HARD_LIMIT SOFT_LIMIT]

Makes this machine a runner, from what scp_runner_stratuslab.sh copied here, which also calls this. The arguments are those
of the runner's line in list_runners.txt, such as: 2 L,celery 360 300; without them they are those of the last time.
Can be run again at any time; it changes only what is not as it should be.
END
}

deploy_runner "$here/deploy_runner_stratuslab.sh" "$@"
