#!/usr/bin/env bash
# Makes this machine the master: one started from an image of a master.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/master.sh
source "$here/master.sh"

usage() {
    cat <<'END'
usage: bash deploy_master_from_image.sh

Makes this machine, started from an image that make_image.sh prepared, the master. To be run as
/home/datarun/script_install/deploy_master_from_image.sh, with env.sh beside it (and the private key of the shared disk
as disk_key, where the disk is mounted over ssh). Nothing is downloaded.
END
}

deploy_master "$here/deploy_master_from_image.sh" "$@"
