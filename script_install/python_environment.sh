# shellcheck shell=bash
# Functions that make the virtual environment .venv in the project's folder; to be sourced.

readonly OLDEST_PYTHON="3.11"

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

# Print the first Python on the path that is new enough.
find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        if "$name" -c "import sys; sys.exit(sys.version_info < (${OLDEST_PYTHON/./, }))" 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "datarun needs Python $OLDEST_PYTHON or newer; this machine has $(python3 --version 2>&1 || echo none)"
}

# make_venv ROOT: make ROOT/.venv where there is none that works.
make_venv() {
    local root=$1 python version
    if "$root/.venv/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    python=$(find_python)
    version=$("$python" -c 'import sys; print(*sys.version_info[:2], sep=".")')
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python$version-venv"
    rm -rf "$root/.venv"
    "$python" -m venv "$root/.venv"
}

# install_requirements ROOT FILE...: install what FILE... pin, unless just that was installed before.
install_requirements() {
    local root=$1 stamp wanted file
    shift
    stamp=$root/.venv/.installed-$(basename "$1")
    wanted=$(cat "$@" "$root/.venv/pyvenv.cfg" | sha256sum)
    if [[ -e $stamp && $(<"$stamp") == "$wanted" ]]; then
        return
    fi
    echo "Installing Python packages into .venv (once, a minute or two) ..."
    file=$1
    "$root/.venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --requirement "$file"
    echo "$wanted" >"$stamp"
}
