#!/usr/bin/env bash
# Restarts the workers of runners.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=script_install/fleet.sh
source "$here/fleet.sh"

usage() {
    cat <<'END'
usage: bash runners_restart.sh LIST_RUNNERS

Restarts the workers of all runners in a list, at the same time. A worker finishes the folds it is training first; none is lost.

  LIST_RUNNERS  the list with which they were deployed
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    (($# == 1)) || refuse_arguments "the list of runners is needed"
    read_runners "$1"
    step "restart ${#runner_addresses[@]} runners" on_all_runners restart_one
}

restart_one() {
    step_name="restart $1"
    as_root "$1" systemctl restart datarun-runner.service </dev/null
    wait_until_well "$1"
    echo "restarted"
}

# A worker takes seconds to start; and its unit may be between two attempts, when the shared disk is just coming.
wait_until_well() {
    local deadline=$((SECONDS + 90)) state
    until state=$(as_root "$1" bash /home/datarun/script_install/print_status.sh </dev/null 2>&1); do
        ((SECONDS < deadline)) || fail "the worker is not as it should be: $state; there: journalctl -u datarun-runner"
        sleep 1
    done
}

main "$@"
