# shellcheck shell=bash
# What all scripts of this folder share: steps, failures, and the files env.sh and env_runner.sh.
# To be sourced. Functions, and these variables:
#   settings   what `read_settings` read, by name
#   step_name  the step that runs, for the message of a failure

declare -gA settings=()
step_name="start"

# Names that env.sh and env_runner.sh may hold; another one is taken for a slip of the pen.
known_settings() {
    cat <<'END'
SCIENCEFS_LOGIN SCIENCEFS_DATARUN DR_DATABASE_NAME DR_DATABASE_USER DR_DATABASE_PASSWORD USER_LOGIN USER_PSWD
USER_PASSWORD DR_EMAIL DIR_DATA DIR_SUBMISSION CELERY_SCHEDULER_PERIOD RMQ_VHOST IP_MASTER NB_LOCAL_WORKER
DR_BROKER_USER DR_BROKER_PASSWORD DR_DISK_HOST DR_DISK_HOST_KEY DR_DISK_PATH DR_RUNNER_NETWORKS DR_ALLOWED_HOSTS
DR_TLS_CERTIFICATE DR_TLS_KEY DR_PYTHON DR_WORKING_ENV
END
    master_options
    runner_options
}

# Further settings of datarun that the services get where they are set: docs/reference/settings.md.
master_options() { echo DR_MAX_BODY_MB DR_MAX_DECOMPRESSED_MB DR_METRICS_ALLOW DR_LEASE_SECONDS DR_RECOVER_SECONDS; }

runner_options() {
    echo DR_FOLD_MEMORY_MB DR_FOLD_OUTPUT_MB DR_FOLD_SCRATCH_MB DR_FOLD_PROCESSES DR_FOLD_THREADS DR_ISOLATION_MINIMUM \
        DR_FOLD_SERVER_IDLE_SECONDS DR_PREPARED_DATA_MB DR_LEASE_SECONDS DR_MIN_FREE_MB
}

# Values that the documentation shows in place of real ones.
placeholders() {
    cat <<'END'
login_for_scienceFS_account
path_of_sciencefs_disk
database_name
database_user
database_password
user_name
user_password
mail@emailworld.com
rabbitMQ_vhost_name
xxx.yyy.zz.aaa
change-me
END
}

# Say on failure which step and which line it was. The first thing each script does.
watch_for_failures() {
    set -Eeuo pipefail
    watched_level=$BASH_SUBSHELL
    trap 'report_failure "$?" "${BASH_SOURCE[0]}" "$LINENO"' ERR
}

report_failure() {
    trap - ERR
    # In a subshell: the shell that watches reports it.
    ((BASH_SUBSHELL == watched_level)) || exit "$1"
    printf '%s: FAILED (exit code %d) in the step "%s", at line %d of %s\n' \
        "$(basename "$0")" "$1" "$step_name" "$3" "$(basename "$2")" >&2
    exit "$1"
}

# fail MESSAGE: end for a reason that has been understood.
fail() {
    trap - ERR
    printf '%s: FAILED in the step "%s": %s\n' "$(basename "$0")" "$step_name" "$1" >&2
    exit 1
}

warn() {
    printf '%s: WARNING: %s\n' "$(basename "$0")" "$1" >&2
}

# step NAME COMMAND...: one step, with its time.
step() {
    local began=$SECONDS
    step_name=$1
    shift
    printf '== %s\n' "$step_name"
    "$@"
    printf -- '-- %s: %d s\n' "$step_name" "$((SECONDS - began))"
}

# refuse_arguments MESSAGE: the arguments make no sense; `usage` is the script's own.
refuse_arguments() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    usage >&2
    exit 2
}

# help_if_asked ARGUMENT...: print the script's `usage` where an argument asks for it.
help_if_asked() {
    local argument
    for argument in "$@"; do
        case $argument in
            -h | --help) usage && exit 0 ;;
        esac
    done
}

# read_settings FILE: read lines like  export NAME='value'  into `settings`. The file is not run: a value that
# is a command, as older documents show it for IP_MASTER, counts as empty, and the machine is asked instead.
read_settings() {
    local file=$1 line name value number=0
    [[ -r $file ]] || fail "there is no file $file (or it cannot be read); see ${file##*/}.example"
    settings=()
    while IFS= read -r line || [[ -n $line ]]; do
        number=$((number + 1))
        line=${line%$'\r'}
        [[ $line =~ ^[[:space:]]*(#.*)?$ ]] && continue
        [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] ||
            fail "line $number of $file is not like  export NAME='value'"
        name=${BASH_REMATCH[2]}
        value=$(unquote "${BASH_REMATCH[3]}") ||
            fail "line $number of $file: write the value of $name in single quotes, without ' and \\ in it"
        [[ " $(known_settings | tr '\n' ' ') " == *" $name "* ]] ||
            fail "line $number of $file: datarun knows no variable $name; is it a slip of the pen?"
        settings[$name]=$value
    done <"$file"
    : "${settings[USER_PSWD]:=${settings[USER_PASSWORD]:-}}"
}

# unquote TEXT: the value that TEXT stands for; fails where it is not plain.
unquote() {
    local text=$1
    case $text in
        \$\(*) return 0 ;;
        \'*\') text=${text:1:-1} ;;
        \"*\") text=${text:1:-1} ;;
        *[[:space:]]*[![:space:]]*) return 1 ;;
    esac
    text=${text%"${text##*[![:space:]]}"}
    case $text in
        *[\'\"\\\`]* | *\$\(* | *[[:cntrl:]]*) return 1 ;;
    esac
    printf '%s' "$text"
}

# Without another program, whose arguments others could see.
is_placeholder() {
    local placeholder
    while IFS= read -r placeholder; do
        [[ $1 != "$placeholder" ]] || return 0
    done < <(placeholders)
    return 1
}

# require_settings NAME...: each must hold a real value.
require_settings() {
    local name
    for name in "$@"; do
        [[ -n ${settings[$name]:-} ]] || fail "the variable $name is not set; see env.sh.example for what it means"
        ! is_placeholder "${settings[$name]}" ||
            fail "the variable $name still holds the documentation's placeholder; give it a real value"
    done
}

# Check what master and runners both need, and what would fail only late.
check_common_settings() {
    require_settings DIR_DATA DIR_SUBMISSION RMQ_VHOST
    check_broker_settings
    check_disk_settings
}

check_broker_settings() {
    if [[ -n ${settings[DR_BROKER_USER]:-}${settings[DR_BROKER_PASSWORD]:-} ]]; then
        require_settings DR_BROKER_USER DR_BROKER_PASSWORD
    else
        require_settings DR_DATABASE_USER DR_DATABASE_PASSWORD
        warn "DR_BROKER_USER and DR_BROKER_PASSWORD are not set: RabbitMQ and Redis get the database's password, and so does every runner"
    fi
    [[ $(broker_user) != guest ]] || fail "the user of RabbitMQ may not be guest, which is removed"
}

broker_user() { printf '%s' "${settings[DR_BROKER_USER]:-${settings[DR_DATABASE_USER]}}"; }
broker_password() { printf '%s' "${settings[DR_BROKER_PASSWORD]:-${settings[DR_DATABASE_PASSWORD]}}"; }

# Where the shared disk is mounted.
disk_folder() { printf '%s' "${settings[DR_DISK_PATH]:-/mnt/datarun}"; }

# Whether the shared disk is mounted by us, over ssh.
disk_is_remote() { [[ -z ${settings[DR_DISK_PATH]:-} ]]; }

check_disk_settings() {
    local name folder
    if disk_is_remote; then
        require_settings SCIENCEFS_LOGIN SCIENCEFS_DATARUN DR_DISK_HOST
    elif [[ ${settings[DR_DISK_PATH]} != /?* ]]; then
        fail "DR_DISK_PATH is ${settings[DR_DISK_PATH]}; it must be the absolute path of a mounted folder"
    fi
    folder=$(disk_folder)
    for name in DIR_DATA DIR_SUBMISSION; do
        [[ ${settings[$name]} == "$folder"/?* && ${settings[$name]} != *..* ]] ||
            fail "$name is ${settings[$name]}; it must be a folder below $folder, where the shared disk is"
    done
    [[ ${settings[DIR_DATA]} != "${settings[DIR_SUBMISSION]}" ]] || fail "DIR_DATA and DIR_SUBMISSION must differ"
}

check_master_settings() {
    check_common_settings
    require_settings DR_DATABASE_NAME DR_DATABASE_USER DR_DATABASE_PASSWORD USER_LOGIN USER_PSWD DR_EMAIL
    local name
    for name in DR_DATABASE_NAME DR_DATABASE_USER; do
        [[ ${settings[$name]} =~ ^[A-Za-z_][A-Za-z0-9_]{0,62}$ ]] ||
            fail "$name is ${settings[$name]}; it may hold letters, digits and underscores"
    done
    [[ ${settings[DR_DATABASE_USER]} != postgres ]] || fail "DR_DATABASE_USER may not be postgres, the server's own account"
    [[ ${settings[NB_LOCAL_WORKER]:-1} =~ ^[1-9][0-9]?$ ]] || fail "NB_LOCAL_WORKER must be a number from 1 to 99"
    [[ -z ${settings[DR_TLS_CERTIFICATE]:-}${settings[DR_TLS_KEY]:-} ]] || require_settings DR_TLS_CERTIFICATE DR_TLS_KEY
}

check_runner_settings() {
    check_common_settings
    require_settings IP_MASTER
}

# check_runner_line CONCURRENCY QUEUES HARD SOFT: the part of a line of list_runners.txt after the address.
check_runner_line() {
    (($# == 4)) || fail "a runner's line has an address, a number of tasks, queues, a hard and a soft time limit; after the address this one has: $*"
    [[ $1 =~ ^[1-9][0-9]{0,2}$ ]] || fail "$1 is not a number of tasks from 1 to 999"
    [[ $2 =~ ^(L|H|celery)(,(L|H|celery))*$ ]] || fail "$2 are not queues: one or several of L, H and celery, with commas"
    [[ $3 =~ ^[1-9][0-9]{0,6}$ && $4 =~ ^[1-9][0-9]{0,6}$ ]] || fail "the time limits $3 and $4 are not numbers of seconds"
    (($4 < $3)) || fail "the soft time limit, $4 s, must be below the hard one, $3 s"
}
