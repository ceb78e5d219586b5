#!/usr/bin/env bash
# Terminal one of the local test: a whole datarun with a database and folders of its own, until Ctrl-C.
set -Eeuo pipefail

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TEST_HOME=$(realpath -m "${DR_LOCAL_TEST_HOME:-$REPOSITORY/local/test}")
MARKER=.datarun_local_test
PORT=8000
WORKERS=2
CONFIGURED=

usage() {
    cat <<'END'
usage: bash local_test1.sh [--port P] [--workers N] [--configured]

Serves a datarun that starts empty, for `bash local_test2.sh -d` in another terminal.
Your own data stay untouched: everything lies in local/test of the repository, or in the folder
DR_LOCAL_TEST_HOME, and what an earlier test left there is removed.

  --port P      port of the web server (8000)
  --workers N   folds trained at a time (2)
  --configured  use the PostgreSQL, RabbitMQ and Redis that the environment names, not the embedded
                ones: with a database of its own, made anew as <DR_DATABASE_NAME>_local_test, and a
                RabbitMQ vhost of its own, <RMQ_VHOST>_local_test, which you make beforehand:
                  rabbitmqctl add_vhost ... ; rabbitmqctl set_permissions -p ... USER ".*" ".*" ".*"
END
}

fail() {
    echo "local_test1.sh: $*" >&2
    exit 1
}

parse_arguments() {
    while (($#)); do
        case $1 in
            -h | --help) usage && exit ;;
            --configured) CONFIGURED=yes && shift ;;
            --port | --workers)
                [[ ${2:-} =~ ^[0-9]{1,5}$ ]] || fail "$1 needs a number"
                if [[ $1 == --port ]]; then PORT=$2; else WORKERS=$2; fi
                shift 2
                ;;
            *) usage >&2 && fail "unknown: $1" ;;
        esac
    done
}

find_python() {
    PYTHON=$REPOSITORY/.venv/bin/python
    [[ -x $PYTHON ]] || PYTHON=$(command -v python3) || fail "there is no Python here"
}

# The lock lives as long as the server, and tells terminal two that there is one.
take_lock() {
    mkdir -p "$(dirname "$TEST_HOME")"
    exec 9>"$TEST_HOME.lock"
    # Terminal two holds it for a moment when it looks for this one.
    flock -w 5 9 || fail "it runs already, in $TEST_HOME"
}

remove_leftovers() {
    [[ ! -e $TEST_HOME || -f $TEST_HOME/$MARKER ]] || fail "$TEST_HOME is not a folder of this test; it stays"
    rm -rf "$TEST_HOME"
    mkdir -m 700 "$TEST_HOME"
    touch "$TEST_HOME/$MARKER"
}

use_own_places() {
    unset DR_WORKING_ENV DIR_DATA DIR_SUBMISSION
    export DR_HOME=$TEST_HOME
    if [[ -z $CONFIGURED ]]; then
        unset DR_DATABASE_NAME RMQ_VHOST
        return
    fi
    [[ -n ${DR_DATABASE_NAME:-} && -n ${RMQ_VHOST:-} ]] || fail "--configured needs DR_DATABASE_NAME and RMQ_VHOST"
    export DR_DATABASE_NAME=${DR_DATABASE_NAME}_local_test RMQ_VHOST=${RMQ_VHOST}_local_test
}

make_database() {
    [[ -n $CONFIGURED ]] || return 0
    local server=(-h "${DR_DATABASE_HOST:-localhost}" -p "${DR_DATABASE_PORT:-5432}" -U "${DR_DATABASE_USER:-}" -w)
    export PGPASSWORD=${DR_DATABASE_PASSWORD:-}
    dropdb "${server[@]}" --if-exists "$DR_DATABASE_NAME"
    createdb "${server[@]}" "$DR_DATABASE_NAME"
    unset PGPASSWORD
}

migrate() { "$PYTHON" manage.py migrate --verbosity 0; }

create_user() {
    PASSWORD=$("$PYTHON" -c 'import secrets; print(secrets.token_urlsafe(16))')
    "$PYTHON" manage.py createuser local_test local_test@localhost - <<<"$PASSWORD"
}

# What terminal two needs to know, readable by this user alone, and complete as soon as it is there.
write_connection() {
    (
        umask 077
        {
            printf 'export DR_HOME=%q\n' "$DR_HOME"
            [[ -z $CONFIGURED ]] || printf 'export DR_DATABASE_NAME=%q RMQ_VHOST=%q\n' "$DR_DATABASE_NAME" "$RMQ_VHOST"
            [[ -n $CONFIGURED ]] || echo 'unset DR_DATABASE_NAME RMQ_VHOST'
            printf 'SERVER_URL=%q SERVER_USER=%q SERVER_PASSWORD=%q\n' "http://127.0.0.1:$PORT" local_test "$PASSWORD"
        } >"$TEST_HOME/connection.part"
    )
    mv "$TEST_HOME/connection.part" "$TEST_HOME/connection.sh"
}

main() {
    parse_arguments "$@"
    find_python
    take_lock
    remove_leftovers
    use_own_places
    cd "$REPOSITORY"
    make_database
    migrate
    create_user
    write_connection
    exec "$PYTHON" manage.py up --port "$PORT" --workers "$WORKERS"
}

main "$@"
