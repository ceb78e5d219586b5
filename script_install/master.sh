# shellcheck shell=bash
# The steps that make a master. To be sourced. Functions, and those of database.sh.

# shellcheck source=script_install/database.sh
source "$(dirname "${BASH_SOURCE[0]}")/database.sh"

readonly master_units=(datarun-web.socket datarun-web.service datarun-worker.service datarun-beat.service datarun-flower.service)
readonly master_requirements=(requirements.txt script_install/requirements-master.txt)
readonly environment_file=$configuration/datarun.env allowed_file=$configuration/runner_networks

# deploy_master SCRIPT ARGUMENT...: all that SCRIPT does, which has its own `usage`: make this machine the master.
deploy_master() {
    local script=$1
    shift
    watch_for_failures
    help_if_asked "$@"
    (($# == 0)) || refuse_arguments "no arguments are needed"
    become_root "$script"
    umask 022
    find_tree
    step "check before anything is touched" check_master
    make_master
    printf 'The master is up: https://%s/ (release %s, %d s)\n' "${settings[IP_MASTER]}" "$release" "$SECONDS"
}

check_master() {
    read_machine_settings env.sh
    check_system
    check_master_settings
    check_room 3000
    check_port 80 nginx
    check_port 443 nginx
    check_port 5432 postgres
    check_port 5672 beam
    check_port 6379 redis
    : "${settings[IP_MASTER]:=$(own_address)}"
    [[ -n ${settings[IP_MASTER]} ]] || fail "this machine's address could not be found; set IP_MASTER in env.sh"
}

# The address of the interface by which this machine reaches others.
own_address() {
    ip -4 -o route get 192.0.2.1 2>/dev/null | sed -nE 's/.* src ([0-9.]+).*/\1/p' | grep . ||
        ip -4 -o address show scope global | sed -nE '1s/.* inet ([0-9.]+).*/\1/p'
}

install_master_packages() {
    close_before_opening
    configure_rabbitmq
    install_python
    apt_install postgresql rabbitmq-server redis-server nginx-light nftables openssl curl iproute2
}

# Fresh servers listen with their defaults as soon as they are installed: they must not be reachable by then.
close_before_opening() {
    apt_install nftables
    install_firewall
}

install_firewall() {
    [[ -e $allowed_file ]] || put "$allowed_file" 644 root:root </dev/null
    one_a_line "${settings[DR_RUNNER_NETWORKS]:-}" | cat - "$allowed_file" | sort -u | put "$allowed_file" 644 root:root
    firewall_rules "$allowed_file" | put "$configuration/firewall.nft" 644 root:root datarun-firewall.service
    install_units datarun-firewall.service
    start_units datarun-firewall.service
}

# one_a_line LIST: the parts of a list with commas or spaces.
one_a_line() { tr -s '[:space:],' '\n' <<<"$1" | sed '/^$/d'; }

# firewall_rules FILE: RabbitMQ and Redis for the addresses in FILE; what only this machine needs for nobody.
firewall_rules() {
    local v4 v6
    v4=$(grep -v : "$1" | paste -sd ',' || true)
    v6=$(grep : "$1" | paste -sd ',' || true)
    cat <<END
table inet datarun
delete table inet datarun
table inet datarun {
    set runners4 { type ipv4_addr; flags interval; auto-merge; ${v4:+elements = { $v4 \}} }
    set runners6 { type ipv6_addr; flags interval; auto-merge; ${v6:+elements = { $v6 \}} }
    chain input {
        type filter hook input priority -10; policy accept;
        iifname "lo" accept
        tcp dport { 5672, 6379 } ip saddr @runners4 accept
        tcp dport { 5672, 6379 } ip6 saddr @runners6 accept
        tcp dport { 4369, 5432, 5555, 5672, 6379, 15672, 25672 } drop
    }
}
END
}

# Settings of all services, readable by root alone: systemd hands them to the processes.
write_master_environment() {
    local secret=$configuration/secret_key options
    [[ -s $secret ]] || (umask 077 && openssl rand -hex 40 >"$secret")
    settings[DR_WORKING_ENV]=PROD
    read -ra options < <(master_options)
    {
        print_settings DR_WORKING_ENV DIR_DATA DIR_SUBMISSION DR_DATABASE_NAME DR_DATABASE_USER DR_DATABASE_PASSWORD \
            DR_BROKER_USER DR_BROKER_PASSWORD DR_EMAIL CELERY_SCHEDULER_PERIOD RMQ_VHOST IP_MASTER DR_ALLOWED_HOSTS \
            "${options[@]}"
        printf "DR_HOME='/var/lib/datarun'\nDR_SECRET_KEY='%s'\nDR_MASTER_CONCURRENCY='%s'\n" \
            "$(<"$secret")" "${settings[NB_LOCAL_WORKER]:-1}"
        printf "FLOWER_BROKER_API='http://%s:%s@127.0.0.1:15672/api/'\n" "$(url_quote "$(broker_user)")" "$(url_quote "$(broker_password)")"
    } | put "$environment_file" 600 root:root "${master_units[@]}"
}

# url_quote TEXT: TEXT as a part of a URL.
url_quote() {
    local text=$1 index character
    for ((index = 0; index < ${#text}; index++)); do
        character=${text:index:1}
        case $character in
            [A-Za-z0-9._~-]) printf '%s' "$character" ;;
            *) printf '%s' "$character" | od -An -v -tx1 | tr -d '\n' | tr ' ' '%' ;;
        esac
    done
}

set_up_database() {
    systemctl enable --quiet --now postgresql
    wait_for 60 "PostgreSQL does not answer; see: journalctl -u 'postgresql*'" runuser -u postgres -- psql -qc 'SELECT 1'
    # By the standard input: arguments are seen in the list of processes.
    database_commands | runuser -u postgres -- psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 >/dev/null
}

# Role and database, made where they are missing; the password only where it is another.
database_commands() {
    local user=${settings[DR_DATABASE_USER]} name=${settings[DR_DATABASE_NAME]} password=${settings[DR_DATABASE_PASSWORD]}
    printf 'SET log_min_error_statement = panic;\nSET log_statement = none;\n'
    printf "SELECT 'CREATE ROLE \"%s\" LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%s')\n\\gexec\n" "$user" "$user"
    PGPASSWORD=$password psql -h 127.0.0.1 -U "$user" -d postgres -qc 'SELECT 1' >/dev/null 2>&1 ||
        printf "ALTER ROLE \"%s\" PASSWORD '%s';\n" "$user" "$password"
    printf "SELECT 'CREATE DATABASE \"%s\" OWNER \"%s\" TEMPLATE template0 ENCODING ''UTF8''' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '%s')\n\\gexec\n" "$name" "$user" "$name"
}

# Before it is installed, so that it never runs under a name and on addresses that it is not to have.
configure_rabbitmq() {
    install -d -m 755 /etc/rabbitmq /etc/systemd/system/{epmd.socket,rabbitmq-server.service}.d
    # It cannot end well once its port mapper has ended.
    printf '[Unit]\nAfter=epmd.socket epmd.service\n' |
        put /etc/systemd/system/rabbitmq-server.service.d/datarun.conf 644 root:root epmd.socket
    # Ubuntu's socket of Erlang's port mapper listens to everybody.
    printf '[Socket]\nListenStream=\nListenStream=127.0.0.1:4369\n' |
        put /etc/systemd/system/epmd.socket.d/datarun.conf 644 root:root epmd.socket rabbitmq-server.service
    put /etc/rabbitmq/rabbitmq-env.conf 644 root:root rabbitmq-server.service <"$tree/script_install/config/rabbitmq-env.conf"
    put /etc/rabbitmq/rabbitmq.conf 644 root:root rabbitmq-server.service <"$tree/script_install/config/rabbitmq.conf"
    printf '[rabbitmq_management].\n' | put /etc/rabbitmq/enabled_plugins 644 root:root rabbitmq-server.service
    # Installing it starts it with these.
    [[ -e /usr/sbin/rabbitmqctl ]] || rm -f "$pending/epmd.socket" "$pending/rabbitmq-server.service"
}

set_up_rabbitmq() {
    restart_port_mapper
    start_units rabbitmq-server.service
    # By the standard input: arguments are seen in the list of processes.
    wait_for 90 "RabbitMQ does not take its settings; see: journalctl -u rabbitmq-server" import_definitions
    ! rabbitmqctl --quiet list_users --no-table-headers | grep -q '^guest' || rabbitmqctl --quiet delete_user guest
}

import_definitions() {
    rabbitmq_definitions | rabbitmqctl --quiet import_definitions
}

# Account, vhost and permissions; each call of rabbitmqctl takes seconds, so all in one.
rabbitmq_definitions() {
    local user vhost=${settings[RMQ_VHOST]}
    user=$(broker_user)
    printf '{"users": [{"name": "%s", "password": "%s", "tags": "monitoring"}], "vhosts": [{"name": "%s"}],' \
        "$user" "$(broker_password)" "$vhost"
    printf ' "permissions": [{"user": "%s", "vhost": "%s", "configure": ".*", "write": ".*", "read": ".*"}]}' "$user" "$vhost"
}

restart_port_mapper() {
    is_changed epmd.socket || return 0
    systemctl daemon-reload
    systemctl stop rabbitmq-server.service epmd.service epmd.socket
    systemctl start epmd.socket
    mark_unchanged epmd.socket
}

set_up_redis() {
    { cat "$tree/script_install/config/redis.conf" && printf 'requirepass "%s"\n' "$(broker_password)"; } |
        put /etc/redis/datarun.conf 640 redis:redis redis-server.service
    # At the end of the distribution's file: the last line about a setting counts.
    { grep -vxF 'include /etc/redis/datarun.conf' /etc/redis/redis.conf && echo 'include /etc/redis/datarun.conf'; } |
        put /etc/redis/redis.conf 640 redis:redis redis-server.service
    start_units redis-server.service
}

migrate() {
    datarun python manage.py migrate --no-input --verbosity 0
    datarun_as_root python manage.py collectstatic --no-input --verbosity 0
}

# datarun COMMAND...: run it with the services' settings, as their account.
datarun() { /usr/local/bin/datarun "$@"; }

# The same as root, for what is written beside the code.
datarun_as_root() { DATARUN_ACCOUNT=root /usr/local/bin/datarun "$@"; }

make_superuser() {
    local answer
    if answer=$(printf '%s\n' "${settings[USER_PSWD]}" |
        datarun python manage.py createuser "${settings[USER_LOGIN]}" "${settings[DR_EMAIL]}" - --superuser 2>&1); then
        printf '%s\n' "$answer"
    elif grep -q 'already' <<<"$answer"; then
        printf 'the user %s exists; the password stays (to change it: datarun python manage.py changepassword %s)\n' \
            "${settings[USER_LOGIN]}" "${settings[USER_LOGIN]}"
    else
        fail "the superuser could not be made: $answer"
    fi
}

# make_certificate: the operator's certificate, or one signed by itself that stays the same.
make_certificate() {
    local given=$tree/script_install folder=$configuration/tls name names=()
    install -d -m 755 "$configuration" "$folder"
    if [[ -s $given/tls_certificate.pem && -s $given/tls_key.pem ]]; then
        put "$folder/certificate.pem" 644 root:root nginx.service <"$given/tls_certificate.pem"
        put "$folder/key.pem" 600 root:root nginx.service <"$given/tls_key.pem"
    elif [[ ! -s $folder/key.pem ]]; then
        while IFS= read -r name; do
            if [[ $name =~ ^[0-9.]+$ || $name == *:* ]]; then names+=("IP:$name"); else names+=("DNS:${name#.}"); fi
        done < <(printf '%s\n' "${settings[IP_MASTER]:-$(own_address)}" "${settings[DR_ALLOWED_HOSTS]:-}" | tr ',' '\n' | grep . | sort -u)
        (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
            -subj '/CN=datarun master' -addext "subjectAltName=$(IFS=, && echo "${names[*]}")" \
            -keyout "$folder/key.pem" -out "$folder/certificate.pem" 2>/dev/null)
        chmod 644 "$folder/certificate.pem"
        mark_changed nginx.service
    fi
}

set_up_nginx() {
    make_certificate
    # Where the machine has no IPv6, nginx would not start with an address of it.
    if [[ -e /proc/net/if_inet6 ]]; then cat "$tree/script_install/config/nginx.conf"; else
        grep -v 'listen \[::\]' "$tree/script_install/config/nginx.conf"
    fi | put /etc/nginx/sites-available/datarun 644 root:root nginx.service
    ln -sfnT ../sites-available/datarun /etc/nginx/sites-enabled/datarun
    [[ ! -L /etc/nginx/sites-enabled/default ]] || rm /etc/nginx/sites-enabled/default
    nginx -tq
}

start_master() {
    install_units "${master_units[@]}"
    start_units "${master_units[@]}" nginx.service
}

# Through nginx the API asks who one is; database, broker and disk can be used.
check_web() {
    wait_for 60 "the web server does not answer as it should; see: journalctl -u datarun-web" web_answers /runapp/ 401
    wait_for 60 "datarun is not ready; see: journalctl -u datarun-web, and on this machine: datarun python manage.py doctor" web_answers /readyz 200
    local unit
    for unit in "${master_units[@]}" nginx.service; do
        systemctl is-active --quiet "$unit" || fail "$unit does not run; see: journalctl -u $unit"
    done
}

# web_answers PATH STATUS
web_answers() {
    local status
    status=$(ask_web "$1" --output /dev/null --write-out '%{http_code}')
    [[ $status == "$2" ]]
}

# ask_web PATH OPTION...: ask this machine's web server under the master's name, with curl.
ask_web() {
    local path=$1
    shift
    curl --silent --max-time 10 --insecure --header "Host: ${settings[IP_MASTER]}" "$@" "https://127.0.0.1$path"
}

make_master() {
    step "account" make_user datarun
    step "packages" install_master_packages
    step "shared disk" set_up_disk datarun "$tree/script_install/disk_key"
    step "release and Python packages" install_release "${master_requirements[@]}"
    step "settings" write_master_environment
    step "PostgreSQL" set_up_database
    step "RabbitMQ" set_up_rabbitmq
    step "Redis" set_up_redis
    step "switch to the release" switch_release "${master_units[@]}"
    step "migrations and static files" migrate
    step "superuser" make_superuser
    step "nginx" set_up_nginx
    step "services" start_master
    step "check" check_web
    keep_settings env.sh
    step "release for the runners" tell_release datarun
    remove_old_releases
}
