#!/usr/bin/env bash
# Lets runners reach this master's RabbitMQ and Redis, or no longer.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/master.sh
source "$here/master.sh"

usage() {
    cat <<'END'
usage: bash allow_runners.sh [--remove] ADDRESS...

Lets runners reach RabbitMQ and Redis on this master; with --remove, no longer. An ADDRESS is one of IPv4 or IPv6, or a
network such as 192.168.0.0/24. All that are allowed are in /etc/datarun/runner_networks.
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    local action=allow address
    local addresses=("$@")
    if [[ ${1:-} == --remove ]]; then
        action=withdraw addresses=("${@:2}")
    fi
    ((${#addresses[@]})) || refuse_arguments "an address is needed"
    for address in "${addresses[@]}"; do
        [[ $address =~ ^[0-9a-fA-F.:]+(/[0-9]{1,3})?$ ]] || refuse_arguments "$address is not an address"
    done
    become_root "$here/allow_runners.sh" "$@"
    umask 022
    find_tree
    step "firewall" "$action" "${addresses[@]}"
    printf 'RabbitMQ and Redis can be reached from: %s\n' "$(paste -sd ' ' "$allowed_file")"
}

allow() {
    settings[DR_RUNNER_NETWORKS]=$*
    install_firewall
}

withdraw() {
    local address kept=$configuration/env.sh
    for address in "$@"; do
        grep -qxF -- "$address" "$allowed_file" || fail "$address is not in $allowed_file: $(paste -sd ' ' "$allowed_file")"
    done
    # The settings of the last deployment, from which the next upgrade would let it in again.
    if [[ -e $kept ]]; then
        read_settings "$kept"
        settings[DR_RUNNER_NETWORKS]=$(one_a_line "${settings[DR_RUNNER_NETWORKS]:-}" | but_for "$@" | paste -sd ,)
        sed -E "s|^((export )?DR_RUNNER_NETWORKS=).*|\1'${settings[DR_RUNNER_NETWORKS]}'|" "$kept" | put "$kept" 600 root:root
    fi
    one_a_line "$(<"$allowed_file")" | but_for "$@" | put "$allowed_file" 644 root:root
    install_firewall
}

# but_for ADDRESS...: the lines of the standard input without these.
but_for() { grep -vxF -f <(printf '%s\n' "$@") || true; }

main "$@"
