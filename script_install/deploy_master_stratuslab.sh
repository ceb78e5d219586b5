#!/usr/bin/env bash
# Makes this machine the master.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/master.sh
source "$here/master.sh"

usage() {
    cat <<'END'
usage: bash deploy_master_stratuslab.sh

Makes this machine the master, from what scp_master_stratuslab.sh copied here: PostgreSQL, RabbitMQ, Redis, the web
server, Flower, and datarun's own services. Can be run again at any time; it changes only what is not as it should be.
END
}

deploy_master "$here/deploy_master_stratuslab.sh" "$@"
