#!/usr/bin/env bash
# Builds the manual as one PDF: Sphinx makes one page of it, and the system's Chromium prints that.
#
#   bash docs/make_pdf.sh [FILE]     FILE is docs/_build/datarun.pdf unless given
set -Eeuo pipefail
trap 'echo "make_pdf.sh failed in line $LINENO" >&2' ERR

docs=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
print_seconds=180

find_chromium() {
    local name
    for name in chromium chromium-browser google-chrome; do
        command -v "$name" && return
    done
    echo "there is no Chromium on this machine: apt-get install chromium" >&2
    return 1
}

build_page() {
    "$docs/../.venv/bin/python" -m sphinx -W --keep-going -q -b singlehtml "$docs" "$scratch/page"
}

# The page is our own, and root cannot use Chromium's sandbox; nothing is fetched.
print_page() {
    local chromium
    chromium=$(find_chromium)
    timeout "$print_seconds" "$chromium" --headless --no-sandbox --disable-gpu --disable-background-networking \
        --no-first-run --user-data-dir="$scratch/profile" --no-pdf-header-footer --generate-pdf-document-outline \
        --host-resolver-rules='MAP * ~NOTFOUND' --print-to-pdf="$scratch/manual.pdf" \
        "file://$scratch/page/index.html" >"$scratch/log" 2>&1 || {
        cat "$scratch/log" >&2
        return 1
    }
}

main() {
    local file=${1:-$docs/_build/datarun.pdf}
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    build_page
    print_page
    mkdir -p "$(dirname "$file")"
    mv "$scratch/manual.pdf" "$file"
    echo "$file"
}

main "$@"
