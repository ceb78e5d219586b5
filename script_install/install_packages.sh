#!/usr/bin/env bash
# Installs Python packages on this runner; runners_install.sh calls it.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/machine.sh
source "$here/machine.sh"

usage() {
    cat <<'END'
usage: bash install_packages.sh PACKAGE...

Installs Python packages into this runner's environment, and remembers them for later releases. What datarun itself needs
keeps its version.
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    (($#)) || refuse_arguments "a package is needed"
    become_root "$here/install_packages.sh" "$@"
    umask 022
    [[ -x $current/.venv/bin/python ]] || fail "datarun is not deployed here"
    "$current/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
        --constraint <(constraints "$current") -- "$@"
    remember_packages "$@"
    print_versions "$@"
}

# What pip installed last under a name counts.
remember_packages() {
    local package list=$configuration/extra_packages.txt
    touch "$list"
    for package in "$@"; do
        { grep -vixE "$(name_of "$package")([^A-Za-z0-9._-].*)?" "$list" || true; echo "$package"; } | put "$list" 644 root:root >/dev/null
    done
}

# name_of PACKAGE: without version and extras.
name_of() { sed -E 's/[^A-Za-z0-9._-].*//' <<<"$1"; }

print_versions() {
    local package name
    for package in "$@"; do
        name=$(name_of "$package")
        printf '%s %s\n' "$name" "$("$current/.venv/bin/python" -m pip show --disable-pip-version-check "$name" | sed -nE 's/^Version: //p')"
    done
}

main "$@"
