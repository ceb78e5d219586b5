# shellcheck shell=bash
# The shared disk of master and runners: mounted over ssh, or a folder that is mounted already.
# To be sourced. Functions, and those of machine.sh.

# shellcheck source=script_install/machine.sh
source "$(dirname "${BASH_SOURCE[0]}")/machine.sh"

# set_up_disk USER KEY: mount the disk for USER; KEY is the private key, or is kept from the last deployment.
set_up_disk() {
    if disk_is_remote; then
        mount_remote_disk "$1" "$2"
    else
        drop_remote_disk
        mountpoint -q "$(disk_folder)" || warn "$(disk_folder) is a folder of this machine's own disk; runners must see the same one"
    fi
    make_disk_folders "$1"
}

mount_remote_disk() {
    local user=$1 key=$2
    apt_install sshfs openssh-client
    install -d -m 755 /mnt/datarun
    [[ ! -e $key ]] || put "$configuration/disk_key" 600 root:root datarun-disk.service <"$key"
    [[ -s $configuration/disk_key ]] || fail "the private key of the shared disk was not copied here: give it to the scp script"
    disk_settings "$user" | put "$configuration/disk.env" 600 root:root datarun-disk.service
    if [[ -n ${settings[DR_DISK_HOST_KEY]:-} ]]; then
        printf '%s %s\n' "${settings[DR_DISK_HOST]%:*}" "${settings[DR_DISK_HOST_KEY]}" |
            put "$configuration/disk_known_hosts" 600 root:root datarun-disk.service
    fi
    check_disk_login
    install_units datarun-disk.service
    start_units datarun-disk.service
}

# What a former deployment, or an image, mounted.
drop_remote_disk() {
    local unit=datarun-disk.service
    [[ -e /etc/systemd/system/$unit ]] || return 0
    systemctl disable --quiet --now "$unit"
    rm -f "/etc/systemd/system/$unit"
    systemctl daemon-reload
}

disk_settings() {
    local host=${settings[DR_DISK_HOST]} port=22
    if [[ $host == *:* ]]; then
        port=${host##*:} host=${host%:*}
    fi
    printf "DISK_SOURCE='%s@%s:%s'\nDISK_LOGIN='%s@%s'\nDISK_PORT='%s'\nDISK_UID='%s'\nDISK_GID='%s'\n" \
        "${settings[SCIENCEFS_LOGIN]}" "$host" "${settings[SCIENCEFS_DATARUN]}" "${settings[SCIENCEFS_LOGIN]}" "$host" \
        "$port" "$(id -u "$1")" "$(id -g "$1")"
}

# The disk's host takes the key, and the folder is there and can be written.
check_disk_login() {
    local host=${settings[DR_DISK_HOST]} port=22 answer
    if [[ $host == *:* ]]; then
        port=${host##*:} host=${host%:*}
    fi
    systemctl is-active --quiet datarun-disk.service && ! is_changed datarun-disk.service && return
    answer=$(printf 'cd "%s"\nmkdir .datarun-probe\nrmdir .datarun-probe\n' "${settings[SCIENCEFS_DATARUN]}" |
        sftp -q -b - -P "$port" -i "$configuration/disk_key" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=10 \
            -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile="$configuration/disk_known_hosts" \
            "${settings[SCIENCEFS_LOGIN]}@$host" 2>&1) && return
    rm -f "$configuration/disk_key"
    fail "the disk's host $host does not let ${settings[SCIENCEFS_LOGIN]} in with this key, or has no folder ${settings[SCIENCEFS_DATARUN]} that can be written: $(tail -n 2 <<<"$answer" | paste -sd ' ')"
}

make_disk_folders() {
    local folder
    wait_for 30 "the shared disk is not mounted at $(disk_folder); see: journalctl -u datarun-disk" test -d "$(disk_folder)"
    for folder in "${settings[DIR_DATA]}" "${settings[DIR_SUBMISSION]}" "${settings[DIR_SUBMISSION]}/.datarun"; do
        timeout 30 runuser -u "$1" -- mkdir -p "$folder" || fail "the account $1 cannot write to $folder on the shared disk"
    done
}

# The release of the master, which it writes to the shared disk for the runners.
readonly master_release_file=.datarun-release

tell_release() {
    printf '%s\n' "$release" | runuser -u "$1" -- tee "$(disk_folder)/$master_release_file" >/dev/null
}

# check_master_release: master and runner must run the same release.
check_master_release() {
    local theirs
    theirs=$(timeout 30 cat "$(disk_folder)/$master_release_file") ||
        fail "there is no $master_release_file on the shared disk: deploy the master first, on the same disk"
    [[ $theirs == "$release" ]] ||
        fail "the master runs release $theirs, and this runner would run $release; deploy the master again, or use upgrade.sh"
}
