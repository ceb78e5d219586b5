#!/usr/bin/env bash
# Terminal two of the local test: runs test_workflow.py against the datarun of local_test1.sh.
set -Eeuo pipefail

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TEST_HOME=$(realpath -m "${DR_LOCAL_TEST_HOME:-$REPOSITORY/local/test}")
START_SECONDS=${DR_START_SECONDS:-120}
DELETE=

usage() {
    cat <<'END'
usage: bash local_test2.sh [-d] [OPTION OF test_workflow.py ...]

Waits until the datarun that `bash local_test1.sh` starts in another terminal answers, and runs
test_workflow.py against it: `Oh yeah 1!` and `Oh yeah 2!` say that all is well.

  -d    afterwards delete what the test made: data sets, submissions and folds leave the test's
        database, their files the test's folder. The server goes on, and can be tested again.

DR_START_SECONDS (120) says how long to wait for terminal one.
END
}

fail() {
    echo "local_test2.sh: $*" >&2
    exit 1
}

find_python() {
    PYTHON=$REPOSITORY/.venv/bin/python
    [[ -x $PYTHON ]] || PYTHON=$(command -v python3) || fail "there is no Python here"
}

# A connection file without the lock is what an earlier test left.
server_is_started() {
    [[ -f $TEST_HOME.lock ]] && ! flock -n "$TEST_HOME.lock" true && [[ -f $TEST_HOME/connection.sh ]]
}

wait_for_terminal_one() {
    local deadline=$((SECONDS + START_SECONDS))
    until server_is_started; do
        ((SECONDS < deadline)) || fail "no local_test1.sh runs in $TEST_HOME: start it in another terminal"
        sleep 0.2
    done
}

read_connection() {
    # shellcheck source=/dev/null
    source "$TEST_HOME/connection.sh"
    unset DR_WORKING_ENV DIR_DATA DIR_SUBMISSION
}

delete_what_the_test_made() {
    "$PYTHON" manage.py shell --verbosity 0 -c \
        'from runapp.models import RawData; RawData.objects.all().delete()'
    # The folder .datarun stays: by it, the server's own processes exchange results.
    rm -rf "${DR_HOME:?}"/data/* "${DR_HOME:?}"/submission/*
    echo "deleted what the test made"
}

main() {
    while (($#)); do
        case $1 in
            -h | --help) usage && exit ;;
            -d) DELETE=yes && shift ;;
            *) break ;;
        esac
    done
    find_python
    wait_for_terminal_one
    read_connection
    cd "$REPOSITORY"
    local result=0
    "$PYTHON" test_files/test_workflow.py "$SERVER_URL" "$SERVER_USER" "$SERVER_PASSWORD" --wait "$START_SECONDS" "$@" ||
        result=$?
    [[ -z $DELETE ]] || delete_what_the_test_made
    exit "$result"
}

main "$@"
