# shellcheck shell=bash
# The operator's side: other machines by ssh, and the runners of list_runners.txt, all at once.
# To be sourced. Functions, those of library.sh, and these variables:
#   scripts                          the folder of this file
#   runner_addresses, runner_lines   what `read_runners` read, in the order of the file
#   key                              file of the private key, as `check_fleet` was told; may be empty
#   scratch                          a temporary folder, removed at the end

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=script_install/library.sh
source "$scripts/library.sh"

runner_addresses=()
runner_lines=()

# The folder of a machine's account into which datarun is copied.
readonly remote_folder="datarun_install"

make_scratch() {
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
}

# Print, each with a zero byte after it, the options of every ssh. DR_SSH_CONFIG names a file for `ssh -F`.
ssh_options() {
    printf '%s\0' -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=10 -o ServerAliveCountMax=6 \
        -o StrictHostKeyChecking=accept-new
    [[ -z ${DR_SSH_CONFIG:-} ]] || printf '%s\0' -F "$DR_SSH_CONFIG"
}

# login ADDRESS: the account at ADDRESS; `ubuntu`, as on Ubuntu's cloud images, unless another is given.
login() {
    case $1 in
        *@*) printf '%s' "$1" ;;
        *) printf '%s@%s' "${DR_SSH_USER:-ubuntu}" "$1" ;;
    esac
}

# on ADDRESS COMMAND...: run a command there, with this standard input.
on() {
    local address=$1 options=() quoted
    shift
    mapfile -d '' options < <(ssh_options)
    quoted=$(printf '%q ' "$@")
    ssh "${options[@]}" -- "$(login "$address")" "$quoted"
}

# as_root ADDRESS COMMAND...: the same as root, by sudo where the account is another.
as_root() {
    local address=$1 become_root=(sudo -n --)
    shift
    [[ $(login "$address") != root@* ]] || become_root=()
    on "$address" "${become_root[@]}" "$@"
}

# check_reachable ADDRESS: ssh works, the account may become root, and the system is one that was tried.
check_reachable() {
    local release
    release=$(as_root "$1" sed -nE 's/^(ID|VERSION_ID)="?([^"]*)"?$/\2/p' /etc/os-release </dev/null | sort -r | paste -sd ' ') ||
        fail "cannot log in at $1 as $(login "$1") and become root; try: ssh $(login "$1") sudo true"
    case $release in
        "ubuntu 22.04" | "ubuntu 24.04") ;;
        *) fail "$1 runs $release; datarun is deployed on Ubuntu 22.04 and 24.04" ;;
    esac
}

# check_key FILE: a private ssh key that needs no passphrase.
check_key() {
    [[ -f $1 ]] || fail "there is no file $1, which should be the private key of the shared disk"
    # A copy: ssh-keygen refuses a key that others may read, which is no reason to refuse it here.
    (umask 077 && cp -- "$1" "$scratch/key")
    ssh-keygen -y -P '' -f "$scratch/key" >/dev/null 2>&1 </dev/null ||
        fail "$1 is not a private ssh key, or it needs a passphrase"
    rm -f "$scratch/key"
}

# pack FILE: datarun's files, always with the same bytes, into FILE.
pack() {
    local root=$1 file=$2
    (cd "$root" && project_files | LC_ALL=C sort -z | tar --create --owner=0 --group=0 --numeric-owner \
        --mtime=@0 --mode=u=rwX,go=rX --format=gnu --no-recursion --null --files-from=- | gzip -n -6) >"$file"
}

# Print the files of the project in this folder, with a zero byte after each: what git knows, or what a copy holds.
project_files() {
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files -z --cached | while IFS= read -r -d '' file; do [[ ! -f $file ]] || printf '%s\0' "$file"; done
    else
        find . -type f ! -path '*/.venv/*' ! -path '*/local/*' ! -path '*/staticfiles/*' ! -path '*/__pycache__/*' \
            ! -path './script_install/certificates/*' ! -name env.sh ! -name env_runner.sh ! -name list_runners.txt \
            ! -name master_address ! -name disk_key ! -name .release -printf '%P\0'
    fi
}

# release_of FILE: the name of the release that FILE, made by `pack`, holds: the version and a hash.
release_of() {
    local version hash
    version=$(tar -xOzf "$1" datarun/__init__.py | sed -nE 's/^__version__ = "(.*)"$/\1/p')
    hash=$(sha256sum <"$1")
    printf '%s-%s' "$version" "${hash:0:12}"
}

# send_release ADDRESS FILE RELEASE: unpack datarun there, in place of what was unpacked before.
send_release() {
    on "$1" bash -ec "$(unpack_script)" bash "$remote_folder" "$3" <"$2"
}

unpack_script() {
    cat <<'END'
umask 022
rm -rf "$1.new" && mkdir -m 700 "$1.new"
tar -xzf - -C "$1.new" && echo "$2" >"$1.new/.release"
rm -rf "$1" && mv "$1.new" "$1"
END
}

# send_secret ADDRESS FILE NAME: copy a file into the folder of scripts there, for its account alone.
send_secret() {
    on "$1" bash -ec "$(secret_script)" bash "$remote_folder/script_install/$3" <"$2"
}

secret_script() {
    cat <<'END'
umask 077
cat >"$1.new" && mv "$1.new" "$1"
END
}

# read_runners FILE: read list_runners.txt, and check each of its lines.
read_runners() {
    local file=$1 line fields seen=" "
    [[ -r $file ]] || fail "there is no file $file"
    while IFS= read -r line || [[ -n $line ]]; do
        line=${line%$'\r'}
        read -ra fields <<<"$line"
        if ((${#fields[@]} == 0)) || [[ ${fields[0]} == \#* ]]; then continue; fi
        [[ ${fields[0]} =~ ^[A-Za-z0-9@._:-]+$ && ${fields[0]} != -* ]] || fail "${fields[0]} is not an address ($file)"
        check_runner_line "${fields[@]:1}"
        [[ $seen != *" ${fields[0]} "* ]] || fail "${fields[0]} is twice in $file"
        seen+="${fields[0]} "
        runner_addresses+=("${fields[0]}")
        runner_lines+=("${fields[*]:1}")
    done <"$file"
    ((${#runner_addresses[@]})) || fail "$file lists no runner"
}

# on_all_runners FUNCTION: call FUNCTION with each runner's address and the fields of its line, all at once. Their output
# is shown with the address before each line. Goes on past failures; ends the script where there were any, naming them.
on_all_runners() {
    local function=$1 index address line pids=() failed=()
    for index in "${!runner_addresses[@]}"; do
        address=${runner_addresses[index]}
        read -ra line <<<"${runner_lines[index]}"
        (
            trap - ERR EXIT
            { watch_for_failures && "$function" "$address" "${line[@]}"; } </dev/null 2>&1 | sed -u "s|^|[$address] |"
        ) &
        pids+=($!)
    done
    for index in "${!pids[@]}"; do
        wait "${pids[index]}" || failed+=("${runner_addresses[index]}")
    done
    ((${#failed[@]} == 0)) || fail "not done on ${failed[*]} (${#failed[@]} of ${#pids[@]} runners); above is why"
}

# master_address: where the operator reaches the master: of DR_MASTER_ADDRESS, as scp_master_stratuslab.sh was told, or IP_MASTER.
master_address() {
    if [[ -n ${DR_MASTER_ADDRESS:-} ]]; then
        printf '%s' "$DR_MASTER_ADDRESS"
    elif [[ -s $scripts/master_address ]]; then
        cat "$scripts/master_address"
    else
        printf '%s' "${settings[IP_MASTER]}"
    fi
}

# addresses_of: the IP addresses of the names and addresses in the standard input; names without any are left out.
addresses_of() {
    local name
    while IFS= read -r name; do
        getent ahosts "$name" | awk '{ print $1 }' || true
    done | sort -u
}

# settings_for_runners: env_runner.sh as a runner needs it. Where RabbitMQ has an account of its own, nothing of the database.
settings_for_runners() {
    local name account=(DR_BROKER_USER DR_BROKER_PASSWORD) options
    read -ra options < <(runner_options)
    [[ -n ${settings[DR_BROKER_USER]:-} ]] || account=(DR_DATABASE_USER DR_DATABASE_PASSWORD)
    for name in SCIENCEFS_LOGIN SCIENCEFS_DATARUN DR_DISK_HOST DR_DISK_HOST_KEY DR_DISK_PATH DIR_DATA DIR_SUBMISSION \
        RMQ_VHOST IP_MASTER DR_PYTHON "${account[@]}" "${options[@]}"; do
        [[ -z ${settings[$name]:-} ]] || printf "export %s='%s'\n" "$name" "${settings[$name]}"
    done
}

# deploy_fleet ARGUMENT...: all that a script does that makes runners of machines; `usage`, `prepare` (what all need
# before one is touched) and `deploy_one` (called with an address and the fields of its line) are the script's own.
deploy_fleet() {
    watch_for_failures
    help_if_asked "$@"
    (($# == 1 || $# == 2)) || refuse_arguments "the list of runners is needed, and the private key of the shared disk"
    make_scratch
    step "check before anything is touched" check_fleet "$1" "${2:-}"
    step "let the runners in on the master" allow_on_master
    step "deploy ${#runner_addresses[@]} runners" on_all_runners deploy_one
}

# check_fleet LIST KEY: settings, list and key of those who are to become runners; the settings are then in $scratch.
check_fleet() {
    read_settings "$scripts/env_runner.sh"
    check_runner_settings
    read_runners "$1"
    key=$2
    if disk_is_remote; then
        [[ -n $key ]] || refuse_arguments "the private key of the shared disk is needed, since DR_DISK_PATH is not set"
        check_key "$key"
    fi
    (umask 077 && settings_for_runners >"$scratch/env_runner.sh")
    prepare
}

# allow_on_master: the master lets the runners in, by their addresses in the list and by those they come from.
allow_on_master() {
    local addresses=() master
    master=$(master_address)
    on_all_runners print_source_address >"$scratch/sources" 2>&1 || true
    mapfile -t addresses < <({
        printf '%s\n' "${runner_addresses[@]##*@}" | addresses_of
        sed -nE 's/^\[[^]]*\] source ([0-9a-f.:]+)$/\1/p' "$scratch/sources"
    } | sort -u)
    ((${#addresses[@]})) || fail "none of the runners can be reached"
    as_root "$master" bash /home/datarun/script_install/allow_runners.sh "${addresses[@]}" </dev/null ||
        warn "the master could not be told at $master which runners may reach it. There: sudo bash /home/datarun/script_install/allow_runners.sh ${addresses[*]}"
}

print_source_address() {
    local route
    route=$(on "$1" ip -o route get "${settings[IP_MASTER]}" </dev/null)
    printf 'source %s\n' "$(sed -nE 's/.* src ([0-9a-f.:]+).*/\1/p' <<<"$route")"
}
