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

main() {
    watch_for_failures
    help_if_asked "$@"
    (($# == 0 || $# == 4)) || refuse_arguments "four arguments are needed, or none"
    become_root "$here/deploy_runner_stratuslab.sh" "$@"
    umask 022
    find_tree
    step "check before anything is touched" check_before "$@"
    deploy_runner
    printf 'The runner is up: %s (release %s, %d s)\n' "${runner_line[*]}" "$release" "$SECONDS"
}

check_before() {
    read_runner_line "$@"
    read_machine_settings env_runner.sh
    check_runner
}

main "$@"
