#!/usr/bin/env bash
# Lets runners reach this master's RabbitMQ and Redis.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/master.sh
source "$here/master.sh"

usage() {
    cat <<'END'
usage: bash allow_runners.sh ADDRESS...

Lets runners reach RabbitMQ and Redis on this master. An ADDRESS is one of IPv4 or IPv6, or a network such as 192.168.0.0/24.
The addresses allowed so far stay; they are in /etc/datarun/runner_networks. After taking one out there, run this
with any other.
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    (($#)) || refuse_arguments "an address is needed"
    local address
    for address in "$@"; do
        [[ $address =~ ^[0-9a-fA-F.:]+(/[0-9]{1,3})?$ ]] || refuse_arguments "$address is not an address"
    done
    become_root "$here/allow_runners.sh" "$@"
    umask 022
    find_tree
    settings[DR_RUNNER_NETWORKS]=$*
    step "firewall" install_firewall
    printf 'RabbitMQ and Redis can be reached from: %s\n' "$(paste -sd ' ' "$configuration/runner_networks")"
}

main "$@"
