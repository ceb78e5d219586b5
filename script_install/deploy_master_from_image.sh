#!/usr/bin/env bash
# Makes this machine the master: one started from an image of a master.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/master.sh
source "$here/master.sh"

usage() {
    cat <<'END'
usage: bash deploy_master_from_image.sh

Makes this machine, started from an image that make_image.sh prepared, the master. To be run as
/home/datarun/script_install/deploy_master_from_image.sh, with env.sh beside it (and the private key of the shared disk
as disk_key, where the disk is mounted over ssh). Nothing is downloaded.
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    (($# == 0)) || refuse_arguments "no arguments are needed"
    become_root "$here/deploy_master_from_image.sh"
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
