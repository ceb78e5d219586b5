#!/usr/bin/env bash
# Prints the master's certificate; makes one first where there is none.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/master.sh
source "$here/master.sh"

usage() {
    cat <<'END'
usage: bash print_certificate.sh

Prints the certificate of this master's web server, for those who are to trust it.
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    become_root "$here/print_certificate.sh"
    umask 022
    find_tree
    read_machine_settings env.sh
    install -d -m 755 /opt/datarun "$pending"
    make_certificate
    cat "$configuration/tls/certificate.pem"
}

main "$@"
