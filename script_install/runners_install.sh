#!/usr/bin/env bash
# Installs Python packages on runners.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=script_install/fleet.sh
source "$here/fleet.sh"

usage() {
    cat <<'END'
usage: bash runners_install.sh LIST_RUNNERS PACKAGE...

Installs Python packages with pip into the environment of all runners in a list, at the same time, and says which runner has
which version then. What datarun itself needs keeps its version. Restart the runners afterwards, with runners_restart.sh.

  LIST_RUNNERS  the list with which they were deployed
  PACKAGE       such as lightgbm, or lightgbm==4.6.0
END
}

main() {
    watch_for_failures
    help_if_asked "$@"
    (($# >= 2)) || refuse_arguments "the list of runners and a package are needed"
    read_runners "$1"
    shift
    packages=("$@")
    local package
    for package in "${packages[@]}"; do
        [[ $package =~ ^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?((==|>=|<=|~=|<|>)[A-Za-z0-9.*+!,=\<\>~-]+)?$ ]] ||
            refuse_arguments "$package is not the name of a package, or a name and a version"
    done
    step "install ${packages[*]} on ${#runner_addresses[@]} runners" on_all_runners install_one
    printf 'Next: bash runners_restart.sh, with the same list\n'
}

install_one() {
    step_name="install on $1"
    as_root "$1" bash /home/datarun/script_install/install_packages.sh "${packages[@]}" </dev/null
}

main "$@"
