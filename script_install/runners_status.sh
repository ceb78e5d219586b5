#!/usr/bin/env bash
# Says how runners are.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=script_install/fleet.sh
source "$here/fleet.sh"

usage() {
    cat <<'END'
usage: bash runners_status.sh LIST_RUNNERS

Prints for each runner in a list whether its worker runs, its line, its release, and whether it sees the shared disk. Ends with
an error where a runner is not as it should be.

  LIST_RUNNERS  the list with which they were deployed
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    (($# == 1)) || refuse_arguments "the list of runners is needed"
    read_runners "$1"
    on_all_runners status_of_one
}

status_of_one() {
    step_name="status of $1"
    as_root "$1" bash /home/datarun/script_install/print_status.sh </dev/null
}

main "$@"
