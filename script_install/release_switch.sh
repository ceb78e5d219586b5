#!/usr/bin/env bash
# Brings this master to the release that was copied here, and back to the former one where that fails.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/master.sh
source "$here/master.sh"

usage() {
    cat <<'END'
usage: bash release_switch.sh

Brings this master to the release that was copied here: saves the database, then deploys. Where that fails, the former release
and the saved database are put back. upgrade.sh calls it.
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    become_root "$here/release_switch.sh"
    find_tree
    read_machine_settings env.sh
    local former saved=/var/backups/datarun-before-$release.dump
    former=$(readlink "$current") || fail "datarun is not deployed here"
    step "stop the services that write" systemctl stop datarun-web.socket datarun-web.service datarun-worker.service datarun-beat.service
    (umask 077 && step "save the database" save_database "$saved")
    step_name="deploy"
    if ! bash "$here/deploy_master_stratuslab.sh"; then
        go_back "$former" "$saved"
    fi
    rm -f "$saved"
}

go_back() {
    printf 'The release %s could not be deployed; going back to %s\n' "$release" "${1##*/}" >&2
    systemctl stop datarun-web.socket datarun-web.service datarun-worker.service datarun-beat.service
    step "restore the database" restore_database "$2"
    step "deploy the former release" bash "$1/script_install/deploy_master_from_image.sh"
    step_name="deploy"
    fail "the release $release could not be deployed; the master runs the former one, ${1##*/}, again. The reason is above."
}

main "$@"
