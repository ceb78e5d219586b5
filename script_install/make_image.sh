#!/usr/bin/env bash
# Turns this machine into one of which an image can be made.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/master.sh
source "$here/master.sh"

usage() {
    cat <<'END'
usage: bash make_image.sh --yes [--keep-disk-key]

Turns this deployed master or runner into one of which an image (datarun_master, datarun_runner) can be made: stops datarun, and
removes its settings and secrets, database, messages and results, and the machine's own host keys, ids, logs and logins.
Installed software stays. THE MACHINE IS USED UP BY THIS: afterwards it can only be shut down. Then make the image.

  --keep-disk-key  leave the private key of the shared disk in the image of a runner, for runners that are started by
                   runner_userdata.sh; whoever can read the image can read the shared disk then
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    [[ ${1:-} == --yes && ${2:---keep-disk-key} == --keep-disk-key && $# -le 2 ]] || refuse_arguments "to do it, say --yes"
    become_root "$here/make_image.sh" "$@"
    [[ -x $current/.venv/bin/python ]] || fail "datarun is not deployed here"
    umask 022
    local keep_key=${2:-}
    step "services" stop_everything
    [[ ! -e $configuration/env.sh ]] || step "database, RabbitMQ, Redis" empty_servers
    step "settings and secrets" remove_secrets "$keep_key"
    step "host keys, ids, logs and logins" remove_identity
    printf 'Now shut this machine down (sudo poweroff), and make the image.\n'
}

stop_everything() {
    local unit
    for unit in datarun-runner.service "${master_units[@]}" datarun-disk.service; do
        [[ ! -e /etc/systemd/system/$unit ]] || systemctl disable --quiet --now "$unit"
    done
}

empty_servers() {
    read_settings "$configuration/env.sh"
    as_postgres "DROP DATABASE IF EXISTS \"${settings[DR_DATABASE_NAME]}\""
    as_postgres "DROP ROLE IF EXISTS \"${settings[DR_DATABASE_USER]}\""
    systemctl stop nginx.service redis-server.service rabbitmq-server.service
    rm -rf /var/lib/rabbitmq/mnesia /var/lib/rabbitmq/.erlang.cookie /var/lib/redis/dump.rdb /etc/redis/datarun.conf
    sed -i '\|^include /etc/redis/datarun.conf$|d' /etc/redis/redis.conf
}

remove_secrets() {
    local kept=(-name extra_packages.txt)
    [[ -z $1 ]] || kept+=(-o -name disk_key -o -name disk_known_hosts)
    find "$configuration" -mindepth 1 -type f ! \( "${kept[@]}" \) -delete
    rm -rf /home/*/datarun_install /home/*/deploy_master_stratuslab.sh /root/datarun_install /var/lib/datarun /var/backups/datarun*
    rm -f "$releases"/*/script_install/{env.sh,env_runner.sh,disk_key,tls_key.pem}
}

remove_identity() {
    put /etc/systemd/system/datarun-host-keys.service 644 root:root <"$current/script_install/units/datarun-host-keys.service"
    systemctl enable --quiet datarun-host-keys.service
    rm -f /etc/ssh/ssh_host_* /home/*/.ssh/authorized_keys /root/.ssh/authorized_keys /home/*/.ssh/known_hosts /root/.ssh/known_hosts
    rm -f /home/*/.bash_history /root/.bash_history /var/lib/systemd/random-seed
    journalctl -q --rotate --vacuum-time=1s || true
    find /var/log -type f -delete
    if command -v cloud-init >/dev/null; then cloud-init clean --logs; fi
    : >/etc/machine-id
    rm -f /var/lib/dbus/machine-id
}

main "$@"
