#!/usr/bin/env bash
# Removes datarun from this machine.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/master.sh
source "$here/master.sh"

usage() {
    cat <<'END'
usage: bash uninstall.sh --yes [--with-database]

Removes datarun from this machine, be it a master or a runner: services, code, settings, accounts, firewall and the mounted disk.
Files on the shared disk and the system's packages stay. So does the database, unless --with-database is given.
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    [[ ${1:-} == --yes && ${2:---with-database} == --with-database && $# -le 2 ]] || refuse_arguments "to do it, say --yes"
    become_root "$here/uninstall.sh" "$@"
    local with_database=${2:-}
    # The settings name the database and RabbitMQ's user; where they are gone, so are those.
    [[ ! -e $configuration/env.sh ]] || read_settings "$configuration/env.sh"
    step "services" remove_services
    [[ ! -e $configuration/env.sh ]] || step "RabbitMQ, Redis and the web server" remove_from_servers
    [[ -z $with_database || ! -e $configuration/env.sh ]] || step "database" remove_database
    step "files and accounts" remove_files
    printf 'datarun is removed from this machine\n'
}

remove_services() {
    remove_runner
    remove_units "${master_units[@]}" datarun-disk.service datarun-firewall.service datarun-host-keys.service
    systemctl daemon-reload
    systemctl reset-failed 'datarun-*' 2>/dev/null || true
    ! mountpoint -q /mnt/datarun || umount --lazy /mnt/datarun
    [[ ! -d /mnt/datarun ]] || rmdir /mnt/datarun
    if command -v nft >/dev/null && nft list table inet datarun >/dev/null 2>&1; then nft delete table inet datarun; fi
}

# While the shared disk is there: the master need not miss who left for good.
remove_runner() {
    [[ -e /etc/systemd/system/datarun-runner.service ]] || return 0
    remove_units datarun-runner.service
    timeout 60 /usr/local/bin/datarun python /opt/datarun/current/script_install/forget_host.py ||
        warn "the shared disk is away: on the master, run: datarun python manage.py forget $(hostname)"
}

remove_units() {
    local unit
    for unit in "$@"; do
        [[ -e /etc/systemd/system/$unit ]] || continue
        systemctl disable --quiet --now "$unit" || warn "$unit could not be stopped"
        rm -rf "/etc/systemd/system/$unit" "/etc/systemd/system/$unit.d"
    done
}

remove_from_servers() {
    rabbitmqctl --quiet delete_vhost "${settings[RMQ_VHOST]}" || true
    rabbitmqctl --quiet delete_user "$(broker_user)" || true
    sed -i '\|^include /etc/redis/datarun.conf$|d' /etc/redis/redis.conf
    rm -f /etc/systemd/system/{epmd.socket,rabbitmq-server.service}.d/datarun.conf
    systemctl daemon-reload
    rm -f /etc/rabbitmq/enabled_plugins /etc/redis/datarun.conf /etc/nginx/sites-enabled/datarun /etc/nginx/sites-available/datarun
    # From now on they listen on this machine alone.
    printf 'listeners.tcp.local = 127.0.0.1:5672\n' | put /etc/rabbitmq/rabbitmq.conf 644 root:root
    systemctl restart redis-server.service rabbitmq-server.service
    systemctl stop nginx.service
}

remove_database() {
    as_postgres "DROP DATABASE IF EXISTS \"${settings[DR_DATABASE_NAME]}\""
    as_postgres "DROP ROLE IF EXISTS \"${settings[DR_DATABASE_USER]}\""
}

remove_files() {
    local account
    if [[ -e /etc/apparmor.d/datarun-bwrap ]]; then
        apparmor_parser --remove /etc/apparmor.d/datarun-bwrap || true
        rm -f /etc/apparmor.d/datarun-bwrap
    fi
    [[ ! -L /home/datarun ]] || rm /home/datarun
    rm -rf /opt/datarun /etc/datarun /usr/local/bin/datarun
    for account in datarun celery; do
        [[ $(getent passwd "$account" | cut -d : -f 6) != /var/lib/datarun ]] || userdel "$account"
    done
    rm -rf /var/lib/datarun
}

main "$@"
