#!/usr/bin/env bash
# Prepares the release that was copied here, without running it; upgrade.sh calls it.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=script_install/master.sh
source "$here/master.sh"

usage() {
    cat <<'END'
usage: bash stage_release.sh master|runner

Installs the Python packages of the release that was copied here beside those of the running one, and tries them.
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    [[ ${1:-} == master || ${1:-} == runner ]] || refuse_arguments "master or runner?"
    become_root "$here/stage_release.sh" "$@"
    umask 022
    find_tree
    local files=(requirements.txt)
    if [[ $1 == master ]]; then
        read_machine_settings env.sh
        files=("${master_requirements[@]}")
    else
        read_machine_settings env_runner.sh
    fi
    step "packages of $release" install_python
    step "release and Python packages" install_release "${files[@]}"
    step "try" try_release
}

try_release() {
    (cd "$releases/$release" && env -i PATH="$PATH" DR_HOME=/nonexistent .venv/bin/python -B -c 'import celery, django, numpy, sklearn, runapp.contract')
}

main "$@"
