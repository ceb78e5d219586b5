#!/usr/bin/env bash
# datarun COMMAND...: run COMMAND as the services run, with their settings: `datarun celery -A datarun status`.
set -Eeuo pipefail

main() {
    if (($# == 0)) || [[ $1 == -h || $1 == --help ]]; then
        echo "usage: datarun COMMAND...    such as: datarun celery -A datarun status; datarun python manage.py shell"
        exit 2
    fi
    if ((EUID)); then
        exec sudo -- "$0" "$@"
    fi
    cd /opt/datarun/current
    set -a
    # shellcheck source=/dev/null
    source /etc/datarun/datarun.env
    set +a
    PATH=/opt/datarun/current/.venv/bin:$PATH
    local account=${DATARUN_ACCOUNT:-$(stat -c %U /var/lib/datarun)}
    exec runuser -u "$account" -- "$@"
}

main "$@"
