# shellcheck shell=bash
# What isolating folds needs on this machine; to be sourced, after python_environment.sh.

# Print the packages that isolation needs and that are missing.
missing_isolation_packages() {
    command -v bwrap >/dev/null || echo bubblewrap
    ldconfig -p 2>/dev/null | grep -q 'libseccomp\.so\.2' || echo libseccomp2
}

# Install them where this may be done without asking: as root, or with sudo that needs no password.
install_isolation() {
    local packages become_root=()
    mapfile -t packages < <(missing_isolation_packages)
    ((${#packages[@]})) || return 0
    if ! command -v apt-get >/dev/null; then
        return 0
    fi
    if ((EUID != 0)); then
        sudo -n true 2>/dev/null || return 0
        become_root=(sudo -n)
    fi
    echo "Installing ${packages[*]}, by which folds are isolated ..."
    "${become_root[@]}" apt-get update -qq || return 0
    "${become_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null || return 0
}

# accept_isolation ROOT: unless somebody chose a minimum, run folds at the level that this host reaches, and say so.
accept_isolation() {
    local root=$1 level
    if [[ -n ${DR_ISOLATION_MINIMUM:-} ]]; then
        return
    fi
    if PYTHONPATH=$root "$root/.venv/bin/python" "$root/manage.py" isolation; then
        return
    fi
    level=$(PYTHONPATH=$root "$root/.venv/bin/python" "$root/manage.py" isolation --level)
    echo "ATTENTION: folds run here at the level '$level'. Send only submissions of people whom you trust." >&2
    export DR_ISOLATION_MINIMUM=$level
}
