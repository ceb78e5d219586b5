#!/usr/bin/env bash
# Runs test_workflow.py against a deployed master.
set -Eeuo pipefail

FOLDER=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'END'
usage: bash stratuslab_test.sh MASTER_ADDRESS USERNAME PASSWORD [--https | --ca-file FILE]

Sends the example data sets to a master, has its runners train on them, and compares the predictions
with the same training here: `Oh yeah 1!` and `Oh yeah 2!` say that all is well.

  MASTER_ADDRESS  such as onevm-81.lal.in2p3.fr, or with http:// or https:// before it
  USERNAME        a datarun user, and
  PASSWORD        that user's password
  --https         the address is one of https
  --ca-file FILE  the same, trusting the certificate in FILE: for a self-signed master. To get it:
                  openssl s_client -connect MASTER_ADDRESS:443 </dev/null | openssl x509 >FILE
END
}

refuse_arguments() {
    echo "stratuslab_test.sh: $*" >&2
    usage >&2
    exit 2
}

find_python() {
    PYTHON=$FOLDER/../.venv/bin/python
    [[ -x $PYTHON ]] || PYTHON=$(command -v python3) || refuse_arguments "there is no Python here"
}

main() {
    [[ ${1:-} != -h && ${1:-} != --help ]] || { usage && exit; }
    (($# >= 3)) || refuse_arguments "an address, a user and a password are needed"
    local address=$1 user=$2 password=$3 scheme=http options=()
    shift 3
    while (($#)); do
        case $1 in
            --https) scheme=https && shift ;;
            --ca-file)
                [[ -f ${2:-} ]] || refuse_arguments "--ca-file needs the file of a certificate"
                scheme=https options+=(--ca-file "$2") && shift 2
                ;;
            *) refuse_arguments "unknown: $1" ;;
        esac
    done
    [[ $address == *://* ]] || address=$scheme://$address
    find_python
    exec "$PYTHON" "$FOLDER/test_workflow.py" "$address" "$user" "$password" "${options[@]}"
}

main "$@"
