# shellcheck shell=bash
# The steps that make a runner. To be sourced. Functions, those of disk.sh, and this variable:
#   runner_line   concurrency, queues, hard and soft time limit

# shellcheck source=script_install/disk.sh
source "$(dirname "${BASH_SOURCE[0]}")/disk.sh"

readonly runner_unit=datarun-runner.service
readonly environment_file=$configuration/datarun.env line_file=$configuration/runner_line

# deploy_runner SCRIPT [FIELD...]: all that SCRIPT does, which has its own `usage`: make this machine a runner.
deploy_runner() {
    local script=$1
    shift
    watch_for_failures
    help_if_asked "$@"
    (($# == 0 || $# == 4)) || refuse_arguments "four arguments are needed, or none"
    become_root "$script" "$@"
    umask 022
    find_tree
    step "check before anything is touched" check_runner "$@"
    make_runner
    printf 'The runner is up: %s (release %s, %d s)\n' "${runner_line[*]}" "$release" "$SECONDS"
}

# read_runner_line FIELD...: the line of list_runners.txt, or the one of the last deployment.
read_runner_line() {
    runner_line=("$@")
    if (($# == 0)); then
        [[ -s $line_file ]] || fail "concurrency, queues, hard and soft time limit are needed: this machine was no runner before"
        read -ra runner_line <"$line_file"
    fi
    check_runner_line "${runner_line[@]}"
}

check_runner() {
    read_runner_line "$@"
    read_machine_settings env_runner.sh
    check_system
    check_runner_settings
    check_room 2500
    check_master_port 5672 RabbitMQ
    check_master_port 6379 Redis
}

# check_master_port PORT NAME: fails only later where the master has yet to hear of this runner.
check_master_port() {
    timeout 10 bash -c "exec 3<>/dev/tcp/${settings[IP_MASTER]}/$1" 2>/dev/null ||
        fail "this machine does not reach $2 on the master (${settings[IP_MASTER]}, port $1): is IP_MASTER right, is the master deployed, and does it know this runner? There: sudo bash /home/datarun/script_install/allow_runners.sh $(source_address)"
}

# The address that the master sees this machine as, unless something in between changes it.
source_address() {
    ip -o route get "$(getent ahostsv4 "${settings[IP_MASTER]}" | sed -nE '1s/ .*//p')" 2>/dev/null | sed -nE 's/.* src ([0-9a-f.:]+).*/\1/p'
}

install_runner_packages() {
    install_python
    apt_install bubblewrap libseccomp2 curl iproute2
    install_launcher_profile
}

# Ubuntu 24.04 lets no program of an ordinary account make user namespaces unless a profile of AppArmor names it.
install_launcher_profile() {
    [[ -e /proc/sys/kernel/apparmor_restrict_unprivileged_userns ]] || return 0
    ! grep -rlsE '^[^#]*profile +\S+ +/usr/bin/bwrap ' /etc/apparmor.d --exclude=datarun-bwrap | grep -q . || return 0
    put /etc/apparmor.d/datarun-bwrap 644 root:root apparmor <"$tree/script_install/config/apparmor-bwrap"
    if is_changed apparmor; then
        apparmor_parser --replace /etc/apparmor.d/datarun-bwrap
        mark_unchanged apparmor
    fi
}

write_runner_environment() {
    settings[DR_WORKING_ENV]=PROD
    local account=(DR_BROKER_USER DR_BROKER_PASSWORD) options
    read -ra options < <(runner_options)
    [[ -n ${settings[DR_BROKER_USER]:-} ]] || account=(DR_DATABASE_USER DR_DATABASE_PASSWORD)
    {
        print_settings DR_WORKING_ENV DIR_DATA DIR_SUBMISSION RMQ_VHOST IP_MASTER "${account[@]}" "${options[@]}"
        # A worker finishes its folds before it stops, however long they may take.
        printf "DR_STOP_SECONDS='%d'\n" "$((runner_line[2] + 30))"
        printf "DR_HOME='/var/lib/datarun'\nDR_CONCURRENCY='%s'\nDR_QUEUES='%s'\nDR_HARD_LIMIT='%s'\nDR_SOFT_LIMIT='%s'\n" "${runner_line[@]}"
    } | put "$environment_file" 600 root:root "$runner_unit"
    printf '%s\n' "${runner_line[*]}" | put "$line_file" 644 root:root
}

start_runner() {
    install_units "$runner_unit"
    install -d /etc/systemd/system/$runner_unit.d
    printf '[Service]\nTimeoutStopSec=%d\n' "$((runner_line[2] + 60))" |
        put "/etc/systemd/system/$runner_unit.d/stop.conf" 644 root:root
    systemctl daemon-reload
    start_units "$runner_unit"
}

# The worker answers over the broker, and takes folds.
check_worker() {
    local state deadline=$((SECONDS + 90))
    until state=$(worker_state 2>&1); do
        [[ $state != *"takes no folds"* ]] || fail "the worker $state"
        ((SECONDS < deadline)) || fail "the worker does not answer; see: journalctl -u $runner_unit. $(tail -n 1 <<<"$state")"
    done
    systemctl is-active --quiet "$runner_unit" || fail "$runner_unit does not run; see: journalctl -u $runner_unit"
    printf 'the worker %s\n' "$state"
}

worker_state() { /usr/local/bin/datarun python "$current/script_install/worker_state.py"; }

make_runner() {
    step "account" make_user celery
    step "packages" install_runner_packages
    step "shared disk" set_up_disk celery "$tree/script_install/disk_key"
    step "the master's release" check_master_release
    step "release and Python packages" install_release requirements.txt
    step "settings" write_runner_environment
    step "switch to the release" switch_release "$runner_unit"
    step "service" start_runner
    step "check" check_worker
    keep_settings env_runner.sh
    remove_old_releases
}
