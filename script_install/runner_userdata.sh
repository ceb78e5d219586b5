#!/usr/bin/env bash
# Prints user-data with which a cloud starts a runner.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=script_install/fleet.sh
source "$here/fleet.sh"

usage() {
    cat <<'END'
usage: bash runner_userdata.sh LINE

Prints the user-data (for cloud-init) of a runner, from a line of list_runners.txt and env_runner.sh:
    bash runner_userdata.sh "- 2 L,celery 360 300" >userdata
    openstack server create --image datarun_runner --user-data userdata ...

  LINE  address, number of tasks at a time, queues (L, H, celery), hard and soft time limit; the address does not
        matter here, and may be -

The image must be one that make_image.sh prepared, and the master must let the new runner in: DR_RUNNER_NETWORKS in env.sh. No
private key is in the user-data: the shared disk is a mounted folder (DR_DISK_PATH), or the image holds its key
(make_image.sh --keep-disk-key). RabbitMQ's password is in it, so give user-data to nobody who may not know that.
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    local line
    read -ra line <<<"$*"
    ((${#line[@]} == 5)) || refuse_arguments "a line of list_runners.txt is needed"
    check_runner_line "${line[@]:1}"
    read_settings "$here/env_runner.sh"
    check_runner_settings
    [[ -n ${settings[DR_BROKER_USER]:-} ]] || fail "the database's password may not be in user-data: set DR_BROKER_USER and DR_BROKER_PASSWORD"
    print_userdata "${line[@]:1}"
}

print_userdata() {
    cat <<END
#cloud-config
write_files:
  - path: /etc/datarun/env_runner.sh
    owner: root:root
    permissions: "0600"
    encoding: b64
    content: $(settings_for_runners | base64 -w 0)
runcmd:
  # Again for a while: the master may be started at the same time.
  - [bash, -c, "for _ in {1..20}; do bash /home/datarun/script_install/deploy_runner_from_image.sh $* && exit; sleep 15; done; exit 1"]
END
}

main "$@"
