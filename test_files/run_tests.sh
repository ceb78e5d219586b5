#!/usr/bin/env bash
# Install what the tests need, start private PostgreSQL, RabbitMQ and Redis, run the tests, stop everything.
#
#   bash test_files/run_tests.sh                  everything but the fault suite, with coverage
#   bash test_files/run_tests.sh -n 2 runapp/tests/faults
#                                                 the fault suite: kills, outages, a full disk (five minutes)
#   bash test_files/run_tests.sh -k iris -x       some tests; the arguments are pytest's, -n those of pytest-xdist
#   bash test_files/run_tests.sh --install-only   install what is missing, and no more
set -Eeuo pipefail
trap 'echo "run_tests.sh failed in line $LINENO" >&2' ERR

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=script_install/python_environment.sh
source "$root/script_install/python_environment.sh"

install_python_packages() {
    make_venv "$root"
    install_requirements "$root" "$root/test_files/requirements-test.txt" "$root/requirements.txt"
}

# Print the system packages that the tests need and that are missing.
missing_system_packages() {
    "$python" "$root/test_files/services.py" packages
    command -v shellcheck >/dev/null || echo shellcheck
    command -v bats >/dev/null || echo bats
    command -v chromium >/dev/null || command -v google-chrome >/dev/null || echo chromium
    # Only root can make test hosts, so only root needs what they need.
    ((EUID)) || PYTHONPATH=$root "$python" -m test_files.hosts.cage
}

install_system_packages() {
    local packages become_root=()
    mapfile -t packages < <(missing_system_packages)
    ((${#packages[@]})) || return 0
    command -v apt-get >/dev/null || fail "install these first: ${packages[*]}"
    if ((EUID != 0)); then
        sudo -n true 2>/dev/null || fail "install these first, as root: apt-get install ${packages[*]}"
        become_root=(sudo -n)
    fi
    echo "Installing ${packages[*]} ..."
    # A policy that forbids starting them: the tests run instances of their own.
    install_without_starting "${packages[@]}"
}

install_without_starting() {
    local policy=/usr/sbin/policy-rc.d made_policy=
    if [[ ! -e $policy ]]; then
        made_policy=yes
        printf '#!/bin/sh\nexit 101\n' | "${become_root[@]}" tee "$policy" >/dev/null
        "${become_root[@]}" chmod 755 "$policy"
    fi
    "${become_root[@]}" apt-get update -qq
    "${become_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
        >/dev/null || { echo "apt-get could not install $*" >&2; failed=yes; }
    [[ -z $made_policy ]] || "${become_root[@]}" rm -f "$policy"
    [[ -z ${failed:-} ]]
}

# A folder of its own for what datarun writes; nothing of the caller's datarun is used.
make_surroundings() {
    local name
    for name in $(compgen -e | grep -E '^(DR_|DIR_DATA$|DIR_SUBMISSION$|RMQ_VHOST$|IP_MASTER$)' || true); do
        unset "$name"
    done
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    export DR_HOME=$scratch/home PYTHONPATH=$root COVERAGE_FILE=$scratch/coverage
}

# Many tests wait for processes: where there are processors, several tests at a time; each process has its own databases.
readonly in_parallel=(-n logical --maxprocesses 4)

pytest_on_sqlite() {
    echo "== the tests that use the database, on SQLite"
    "$python" -m coverage run -m pytest -q "${in_parallel[@]}" -m "not services and not slow" \
        runapp/tests/api runapp/tests/services runapp/tests/test_*.py
}

pytest_on_services() {
    echo "== all tests, on PostgreSQL, RabbitMQ and Redis"
    "$python" test_files/services.py run -- "$python" -m coverage run -m pytest --durations=10 "$@"
}

report_coverage() {
    "$python" -m coverage combine -q
    "$python" -m coverage report "$@"
}

main() {
    install_python_packages
    python=$root/.venv/bin/python
    install_system_packages
    [[ ${1:-} != --install-only ]] || return 0
    cd "$root"
    make_surroundings
    if (($#)); then
        pytest_on_services "$@"
        return
    fi
    pytest_on_sqlite
    pytest_on_services "${in_parallel[@]}" --ignore=runapp/tests/faults
    report_coverage --fail-under=90
}

main "$@"
