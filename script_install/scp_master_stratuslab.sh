#!/usr/bin/env bash
# Copies to a machine what it needs to become the master.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=script_install/fleet.sh
source "$here/fleet.sh"

usage() {
    cat <<'END'
usage: bash scp_master_stratuslab.sh MASTER_ADDRESS [PRIVATE_KEY]

Checks env.sh, and copies datarun and its settings to the machine that becomes the master. Then, there:
    bash deploy_master_stratuslab.sh

  MASTER_ADDRESS  such as onevm-81.lal.in2p3.fr, or account@address; the account, by default ubuntu, may become root
  PRIVATE_KEY     file of the ssh key with which the shared disk is mounted; not needed where DR_DISK_PATH is set

Needs env.sh in this folder (env.sh.example explains it). Where list_runners.txt is here, too, the master lets those runners in.
DR_SSH_CONFIG may name a file of settings for ssh, DR_SSH_USER another account than ubuntu.
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    (($# == 1 || $# == 2)) || refuse_arguments "the master's address is needed, and the private key of the shared disk"
    make_scratch
    step "check before anything is touched" check_before "$@"
    step "copy to $1" copy_to_master "$1" "${2:-}"
    step "certificate" fetch_certificate "$1"
    printf 'Next: ssh %s bash deploy_master_stratuslab.sh\n' "$(login "$1")"
}

check_before() {
    read_settings "$here/env.sh"
    check_master_settings
    if disk_is_remote; then
        [[ -n ${2:-} ]] || refuse_arguments "the private key of the shared disk is needed, since DR_DISK_PATH is not set"
        check_key "$2"
    fi
    if [[ -n ${settings[DR_TLS_KEY]:-} ]]; then
        openssl x509 -noout -in "${settings[DR_TLS_CERTIFICATE]}" || fail "DR_TLS_CERTIFICATE is no certificate that can be read"
        openssl pkey -noout -in "${settings[DR_TLS_KEY]}" || fail "DR_TLS_KEY is no private key that can be read"
    fi
    check_reachable "$1"
}

copy_to_master() {
    pack "$here/.." "$scratch/release.tar.gz"
    send_release "$1" "$scratch/release.tar.gz" "$(release_of "$scratch/release.tar.gz")"
    (umask 077 && settings_for_master "$1" >"$scratch/env.sh")
    send_secret "$1" "$scratch/env.sh" env.sh
    [[ -z $2 ]] || send_secret "$1" "$2" disk_key
    if [[ -n ${settings[DR_TLS_KEY]:-} ]]; then
        send_secret "$1" "${settings[DR_TLS_CERTIFICATE]}" tls_certificate.pem
        send_secret "$1" "${settings[DR_TLS_KEY]}" tls_key.pem
    fi
    printf '%s\n' "$1" >"$here/master_address"
    on "$1" ln -sfn "$remote_folder/script_install/deploy_master_stratuslab.sh" deploy_master_stratuslab.sh </dev/null
}

# env.sh as the master needs it: with the name by which it was reached, and the runners that may come.
settings_for_master() {
    local name networks=${settings[DR_RUNNER_NETWORKS]:-}
    settings[DR_ALLOWED_HOSTS]=${1##*@}${settings[DR_ALLOWED_HOSTS]:+,${settings[DR_ALLOWED_HOSTS]}}
    if [[ -r $here/list_runners.txt ]]; then
        read_runners "$here/list_runners.txt"
        networks+=,$(printf '%s\n' "${runner_addresses[@]##*@}" | addresses_of | paste -sd ',')
    fi
    settings[DR_RUNNER_NETWORKS]=${networks#,}
    for name in "${!settings[@]}"; do
        [[ $name == DR_TLS_* || -z ${settings[$name]} ]] || printf "export %s='%s'\n" "$name" "${settings[$name]}"
    done | sort
}

# The certificate that the master signed itself, to check it by.
fetch_certificate() {
    [[ -z ${settings[DR_TLS_KEY]:-} ]] || return 0
    mkdir -p "$here/certificates"
    as_root "$1" bash "$(on "$1" pwd </dev/null)/$remote_folder/script_install/print_certificate.sh" </dev/null >"$scratch/certificate"
    openssl x509 -noout -in "$scratch/certificate"
    cp "$scratch/certificate" "$here/certificates/${1##*@}.crt"
    printf 'trust it by: curl --cacert %s\n' "certificates/${1##*@}.crt"
}

main "$@"
