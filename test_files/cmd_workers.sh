#!/usr/bin/env bash
# Starts and stops datarun's Celery workers and its scheduler on this machine.
set -Eeuo pipefail

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
HOME_FOLDER=$(realpath -m "${DR_HOME:-$REPOSITORY/local}")
export DR_HOME=$HOME_FOLDER
RUN_FOLDER=$HOME_FOLDER/run
LOG_FOLDER=$HOME_FOLDER/log
START_SECONDS=${DR_START_SECONDS:-120}
STOP_SECONDS=${DR_STOP_SECONDS:-600}

usage() {
    cat <<'END'
usage: bash cmd_workers.sh start|restart N M
       bash cmd_workers.sh stop

  start    starts N workers that train folds (queues L, H and celery, one fold at a time each), M workers
           that save results (queue master_periodic) and, where M is not 0, one scheduler (beat).
           What runs already is left alone.
  stop     asks all of them to stop, and waits until each has finished the fold it is training.
  restart  stop, then start.

"start 2 1" starts 3 workers, of which one is for the scheduler. The settings are those in the
environment. The pids are in run/ and the logs in log/ of the folder DR_HOME (local/ of the repository).
DR_START_SECONDS (120) and DR_STOP_SECONDS (600) say how long to wait.
END
}

fail() {
    echo "cmd_workers.sh: $*" >&2
    exit 1
}

refuse_arguments() {
    echo "cmd_workers.sh: $*" >&2
    usage >&2
    exit 2
}

python_program() {
    if [[ -x $REPOSITORY/.venv/bin/python ]]; then
        echo "$REPOSITORY/.venv/bin/python"
    else
        command -v python3 || command -v python || fail "there is no Python here"
    fi
}

pid_file() { echo "$RUN_FOLDER/$1.pid"; }

# Whether a pid is still that of the process of this name: it may have passed on to a stranger since.
runs_as() {
    case $(ps -ww -o stat= -o command= -p "$2" 2>/dev/null) in
        Z*) false ;;
        *"--pidfile $(pid_file "$1")"*) true ;;
        *) false ;;
    esac
}

# The pid of a process started here, or nothing.
running_pid() {
    local file pid
    file=$(pid_file "$1")
    [[ -f $file ]] || return 0
    pid=$(tr -cd '0-9' <"$file")
    if [[ -n $pid ]] && runs_as "$1" "$pid"; then
        echo "$pid"
    fi
}

# Starts "celery -A datarun ..." under a name, unless that runs already.
start_process() {
    local name=$1 pid
    shift
    pid=$(running_pid "$name")
    if [[ -n $pid ]]; then
        echo "$name runs already (pid $pid)"
        return
    fi
    rm -f "$(pid_file "$name")"
    : >"$LOG_FOLDER/$name.log"
    # In a process group of its own, so that Ctrl-C in this terminal does not reach it.
    set -m
    nohup "$PYTHON" -m celery -A datarun "$@" --pidfile "$(pid_file "$name")" \
        </dev/null >>"$LOG_FOLDER/$name.log" 2>&1 &
    STARTED[$name]=$!
    set +m
}

start_worker() {
    local name=$1 queues=$2
    start_process "$name" worker -l info -n "$name@%h" -Q "$queues" --concurrency 1 \
        --without-gossip --without-mingle
}

wait_until_ready() {
    local name=$1 pid=$2 deadline=$((SECONDS + START_SECONDS))
    until grep -qE ' ready\.|beat: Starting' "$LOG_FOLDER/$name.log"; do
        if ! kill -0 "$pid" 2>/dev/null; then
            tail -n 20 "$LOG_FOLDER/$name.log" >&2
            fail "$name did not start; above is the end of $LOG_FOLDER/$name.log"
        fi
        ((SECONDS < deadline)) || fail "$name is not ready after $START_SECONDS s; see $LOG_FOLDER/$name.log"
        sleep 0.2
    done
    echo "$name started (pid $pid)"
}

wait_for_started() {
    local name
    for name in "${!STARTED[@]}"; do
        wait_until_ready "$name" "${STARTED[$name]}"
    done
    STARTED=()
}

start() {
    local n_runners=$1 n_masters=$2 number
    PYTHON=$(python_program)
    declare -gA STARTED=()
    cd "$REPOSITORY"
    mkdir -p "$RUN_FOLDER" "$LOG_FOLDER"
    chmod 700 "$HOME_FOLDER"
    for ((number = 1; number <= n_masters; number++)); do
        start_worker "master$number" master_periodic
        # Embedded, the first process carries the broker for the others.
        wait_for_started
    done
    for ((number = 1; number <= n_runners; number++)); do
        start_worker "runner$number" L,H,celery
        ((number > 1)) || wait_for_started
    done
    if ((n_masters > 0)); then
        start_process beat beat -l info
    fi
    wait_for_started
}

# Asks the processes of these names to stop, all at once, and waits for them.
stop_and_wait() {
    local name pid deadline=$((SECONDS + STOP_SECONDS))
    local -A pids=()
    for name in "$@"; do
        pid=$(running_pid "$name")
        if [[ -n $pid ]]; then
            pids[$name]=$pid
            kill -TERM "$pid" 2>/dev/null || true
        fi
    done
    for name in "${!pids[@]}"; do
        while runs_as "$name" "${pids[$name]}"; do
            ((SECONDS < deadline)) || fail "$name (pid ${pids[$name]}) is still at work after $STOP_SECONDS s"
            sleep 0.2
        done
        echo "$name stopped"
    done
    for name in "$@"; do
        rm -f "$(pid_file "$name")"
    done
}

stop() {
    local file name others=() carriers=()
    for file in "$RUN_FOLDER"/*.pid; do
        [[ -f $file ]] || continue
        name=$(basename "$file" .pid)
        case $name in
            master1 | runner1) carriers=("$name" "${carriers[@]}") ;;
            *) others+=("$name") ;;
        esac
    done
    stop_and_wait "${others[@]}"
    # runner1 before master1: whichever carries an embedded broker ends last.
    for name in "${carriers[@]}"; do
        stop_and_wait "$name"
    done
}

check_number() {
    [[ $2 =~ ^[0-9]{1,3}$ ]] || refuse_arguments "$1 is '$2', not a number of workers"
}

main() {
    local action=${1:-}
    case $action in
        -h | --help) usage ;;
        start | restart)
            [[ $# -eq 3 ]] || refuse_arguments "$action needs N and M"
            check_number N "$2"
            check_number M "$3"
            ((10#$2 + 10#$3 > 0)) || refuse_arguments "there is nothing to start"
            [[ $action == start ]] || stop
            start "$((10#$2))" "$((10#$3))"
            ;;
        # The numbers were part of the command in former releases.
        stop) stop ;;
        "") refuse_arguments "start, stop or restart?" ;;
        *) refuse_arguments "unknown: $action" ;;
    esac
}

main "$@"
