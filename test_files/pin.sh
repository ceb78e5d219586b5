#!/usr/bin/env bash
# Renew the second part of requirements.txt and test_files/requirements-test.txt: the pinned packages
# that those of the first part need in turn. Run it after a change of a first part.
set -Eeuo pipefail
trap 'echo "pin.sh failed in line $LINENO" >&2' ERR

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
marker='# What these need in turn, written by test_files/pin.sh:'

# The packages that FILE... pin, in lower case with hyphens, one a line.
names() {
    sed -nE 's/^([A-Za-z0-9._-]+).*==.*/\1/p' "$@" | tr '[:upper:]_.' '[:lower:]--'
}

# renew FILE [OTHER]: pin what FILE's first part needs, for every Linux and Python; leave out what OTHER pins.
renew() {
    local file=$1 first=$scratch/first line
    awk -v marker="$marker" '$0 == marker { exit } 1' "$file" >"$first"
    names "$first" "${@:2}" >"$scratch/pinned"
    (cd "$(dirname "$file")" && uv pip compile - --universal --python-version 3.11 --quiet --no-header --no-annotate) \
        <"$first" >"$scratch/resolved"
    {
        cat "$first"
        echo "$marker"
        grep -vE "^(--|#)|sys_platform == '(win32|emscripten)'" "$scratch/resolved" | while IFS= read -r line; do
            names - <<<"$line" | grep -qxFf "$scratch/pinned" || echo "$line"
        done
    } >"$scratch/whole"
    cat "$scratch/whole" >"$file"
}

main() {
    PATH="$root/.venv/bin:$PATH"
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    renew "$root/requirements.txt"
    renew "$root/test_files/requirements-test.txt" "$root/requirements.txt"
}

main
