#!/usr/bin/env bash
# From a bare machine to eight trained folds: makes .venv, starts datarun with everything embedded, sends iris
# and a submission, and shows what came out. Safe to run again; nothing outside this folder is changed, but that
# bubblewrap, which isolates folds, is installed where it is missing and this may be done without a password.
#
#   bash script_install/quickstart.sh                 ... and serves until Ctrl-C
#   bash script_install/quickstart.sh --once          ... and stops; fails unless every fold was tested
#   bash script_install/quickstart.sh --port 8080     ... at another port
set -Eeuo pipefail
trap 'echo "quickstart.sh failed in line $LINENO" >&2' ERR

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=script_install/python_environment.sh
source "$root/script_install/python_environment.sh"
# shellcheck source=script_install/isolation.sh
source "$root/script_install/isolation.sh"

main() {
    make_venv "$root"
    install_requirements "$root" "$root/requirements.txt"
    install_isolation
    accept_isolation "$root"
    PYTHONPATH=$root exec "$root/.venv/bin/python" "$root/script_install/quickstart.py" "$@"
}

main "$@"
