#!/usr/bin/env bash
# Says how this runner is; runners_status.sh calls it.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/runner.sh
source "$here/runner.sh"

usage() {
    cat <<'END'
usage: bash print_status.sh

Prints whether this runner's worker runs, its line, its release, and whether it sees the shared disk. Ends with an error where
something is not as it should be.
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    become_root "$here/print_status.sh"
    find_tree
    read_machine_settings env_runner.sh
    local worker disk answer
    worker=$(systemctl is-active "$runner_unit" || true)
    disk=$(disk_state)
    local is_well=yes
    answer=$(worker_state 2>&1) || is_well=
    answer=$(tail -n 1 <<<"$answer")
    printf 'worker %s, %s; shared disk %s; line %s; release %s\n' "$worker" "$answer" "$disk" "$(<"$line_file")" "$release"
    [[ $worker == active && -n $is_well && $disk == mounted ]] || fail "this runner is not as it should be"
}

disk_state() {
    if timeout 10 test -d "${settings[DIR_SUBMISSION]}/.datarun"; then echo mounted; else echo away; fi
}

main "$@"
