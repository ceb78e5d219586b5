#!/usr/bin/env bash
# Puts back what backup.sh saved.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/master.sh
source "$here/master.sh"

usage() {
    cat <<'END'
usage: bash restore.sh SAVED_FOLDER

Puts the database and the files that backup.sh saved in place of this master's. The settings stay as they are here. datarun
is stopped meanwhile; folds that were waiting or running when the backup was made are trained again.

  SAVED_FOLDER  the folder that backup.sh named, such as /var/backups/datarun-2026-01-31T12-00-00Z
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    (($# == 1)) || refuse_arguments "the folder of a backup is needed"
    become_root "$here/restore.sh" "$@"
    umask 022
    find_tree
    step "check before anything is touched" check_backup "$1"
    step "stop" systemctl stop datarun-web.socket datarun-web.service datarun-worker.service datarun-beat.service
    step "database" restore_database "$1/database.dump"
    [[ ! -e $1/files.tar.gz ]] || step "files" restore_files "$1/files.tar.gz"
    step "migrations and static files" migrate
    step "start" systemctl start datarun-web.socket datarun-web.service datarun-worker.service datarun-beat.service
    step "check" check_web
}

check_backup() {
    read_machine_settings env.sh
    : "${settings[IP_MASTER]:=$(own_address)}"
    [[ -s $1/database.dump ]] || fail "$1 holds no database.dump"
    pg_restore --list "$1/database.dump" >/dev/null
    [[ ! -e $1/files.tar.gz ]] || tar --list --gzip --file "$1/files.tar.gz" >/dev/null
}

# As the service's account: on a disk over ssh root is nobody.
restore_files() {
    runuser -u datarun -- tar --extract --gzip --directory / --no-same-owner --no-overwrite-dir <"$1"
}

main "$@"
