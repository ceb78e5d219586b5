#!/usr/bin/env bash
# Saves the master's database, the shared disk and the settings.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/master.sh
source "$here/master.sh"

usage() {
    cat <<'END'
usage: bash backup.sh FOLDER [--without-files]

Saves this master into a new folder in FOLDER, which only root can read: the database, the files of data sets and submissions
on the shared disk, and the settings with their secrets. datarun goes on meanwhile. restore.sh takes what this makes.

  --without-files  leave out the shared disk, where that is saved in another way
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    [[ $# -ge 1 && $# -le 2 && ${2:---without-files} == --without-files ]] || refuse_arguments "a folder is needed"
    become_root "$here/backup.sh" "$@"
    umask 077
    find_tree
    read_machine_settings env.sh
    [[ -d $1 ]] || fail "there is no folder $1"
    folder=$(realpath "$1")/datarun-$(date -u +%Y-%m-%dT%H-%M-%SZ)
    mkdir "$folder.unfinished"
    # The database first: what it names at that moment lies on the disk, and files are added, not changed.
    step "database" save_database "$folder.unfinished/database.dump"
    [[ -n ${2:-} ]] || step "files" save_files "$folder.unfinished/files.tar.gz"
    step "settings" tar -C "$configuration" --create --gzip --file "$folder.unfinished/settings.tar.gz" .
    echo "$release" >"$folder.unfinished/release"
    mv "$folder.unfinished" "$folder"
    printf 'saved: %s (%s)\n' "$folder" "$(du -sh "$folder" | cut -f 1)"
}

save_files() {
    tar --create --gzip --file "$1" --warning=no-file-changed --warning=no-file-removed --directory / \
        "${settings[DIR_DATA]#/}" "${settings[DIR_SUBMISSION]#/}" || (($? == 1))
    tar --list --gzip --file "$1" >/dev/null
}

main "$@"
