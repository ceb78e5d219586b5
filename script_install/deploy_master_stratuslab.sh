#!/usr/bin/env bash
# Makes this machine the master.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/master.sh
source "$here/master.sh"

usage() {
    cat <<'END'
usage: bash deploy_master_stratuslab.sh

Makes this machine the master, from what scp_master_stratuslab.sh copied here: PostgreSQL, RabbitMQ, Redis, the web
server, Flower, and datarun's own services. Can be run again at any time; it changes only what is not as it should be.
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    (($# == 0)) || refuse_arguments "no arguments are needed"
    become_root "$here/deploy_master_stratuslab.sh"
    umask 022
    find_tree
    step "check before anything is touched" check_before
    deploy_master
    printf 'The master is up: https://%s/ (release %s, %d s)\n' "${settings[IP_MASTER]}" "$release" "$SECONDS"
}

check_before() {
    read_machine_settings env.sh
    check_master
}

main "$@"
