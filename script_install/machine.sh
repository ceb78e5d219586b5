# shellcheck shell=bash
# The side of a machine that becomes a master or a runner: packages, files, the release, the shared disk.
# To be sourced, on that machine. Functions, those of library.sh, and these variables:
#   tree      the project's files from which this machine is deployed
#   release   their name: a version and a hash
#   settings_file   where the settings were read from
#   package_lists_are_new   set once this run has asked the archive

# shellcheck source=script_install/library.sh
source "$(dirname "${BASH_SOURCE[0]}")/library.sh"

readonly releases=/opt/datarun/releases venvs=/opt/datarun/venvs current=/opt/datarun/current
readonly configuration=/etc/datarun
# Names of units that have to be restarted, since something of theirs changed: kept until that is done, whatever fails.
readonly pending=/opt/datarun/pending

# become_root SCRIPT ARGUMENT...: run the script again as root, unless this is root.
become_root() {
    if ((EUID == 0)); then
        cd /
        return
    fi
    sudo -n true 2>/dev/null || fail "this account may not become root by sudo without a password"
    exec sudo -n -- bash "$@"
}

# find_tree: the project's files that this script is part of.
find_tree() {
    tree=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    [[ -s $tree/.release ]] || fail "$tree was not copied here by the scp scripts: it has no file .release"
    release=$(<"$tree/.release")
}

# read_machine_settings NAME: read NAME beside the scripts, or what the last deployment left in /etc/datarun.
read_machine_settings() {
    local file=$tree/script_install/$1
    [[ -e $file ]] || file=$configuration/$1
    [[ -e $file ]] || fail "there is no $1: neither $tree/script_install/$1 nor $configuration/$1"
    read_settings "$file"
    settings_file=$file
}

check_system() {
    local id version
    id=$(sed -nE 's/^ID="?([^"]*)"?$/\1/p' /etc/os-release)
    version=$(sed -nE 's/^VERSION_ID="?([^"]*)"?$/\1/p' /etc/os-release)
    [[ "$id $version" == "ubuntu 22.04" || "$id $version" == "ubuntu 24.04" ]] ||
        fail "this is $id $version; datarun is deployed on Ubuntu 22.04 and 24.04"
    [[ -d /run/systemd/system ]] || fail "systemd does not run here"
}

# check_room MB: what a deployment writes must fit, unless it is there already.
check_room() {
    local free_mb
    [[ ! -x $current/.venv/bin/python ]] || return 0
    free_mb=$(df --output=avail --block-size=1M /opt | tail -n 1)
    ((free_mb >= $1)) || fail "the disk has ${free_mb// /} MB left, and $1 MB are needed; make room and run this again"
}

# check_port PORT PROGRAM...: nobody but PROGRAM listens there.
check_port() {
    local port=$1 holder program
    shift
    holder=$(ss -H -ltnp "sport = :$port" | sed -nE 's/.*users:\(\("([^"]+)",pid=([0-9]+).*/\1 (pid \2)/p' | sort -u | head -n 1)
    [[ -n $holder ]] || return 0
    for program in "$@"; do
        [[ $holder != "$program"* ]] || return 0
    done
    fail "port $port is taken by $holder; stop it (and keep it from starting again), then run this again"
}

# apt_install PACKAGE...: install those that are missing.
apt_install() {
    local package missing=()
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    # A fresh cloud machine updates itself just now: wait for the lock.
    local options=(-qq -y -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold)
    export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C.UTF-8
    dpkg --configure -a
    if [[ -z ${package_lists_are_new:-} ]]; then
        apt-get "${options[@]}" update
        package_lists_are_new=yes
    fi
    apt-get "${options[@]}" install --no-install-recommends "${missing[@]}" >/dev/null
    printf 'installed: %s\n' "${missing[*]}"
}

# python_package: the interpreter to use: of DR_PYTHON, or this Ubuntu's own where it is new enough.
python_program() {
    local python=${settings[DR_PYTHON]:-}
    if [[ -z $python ]]; then
        python=python3.12
        [[ $(sed -nE 's/^VERSION_ID="?([^"]*)"?$/\1/p' /etc/os-release) != 22.04 ]] || python=python3.11
    fi
    printf '%s' "$python"
}

install_python() {
    local python
    python=$(python_program)
    [[ $python == /* ]] || apt_install "$python" "$python-venv"
    "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' ||
        fail "$python is not a Python 3.11 or newer that can make virtual environments"
}

# make_user NAME: a system account without a shell, and its folder.
make_user() {
    id "$1" >/dev/null 2>&1 || useradd --system --user-group --home-dir /var/lib/datarun --shell /usr/sbin/nologin "$1"
    install -d -m 700 -o "$1" -g "$1" /var/lib/datarun
    install -d -m 755 "$configuration" /opt/datarun "$releases" "$venvs" "$pending"
}

mark_changed() {
    local unit
    for unit in "$@"; do : >"$pending/$unit"; done
}

mark_unchanged() { rm -f "$pending/$1"; }

is_changed() { [[ -e $pending/$1 ]]; }

# put FILE MODE OWNER [UNIT...]: write the standard input to FILE, if that changes it; then UNITs have to be restarted.
put() {
    local file=$1 mode=$2 owner=$3
    shift 3
    (umask 077 && cat >"$file.new")
    chown "$owner" "$file.new" && chmod "$mode" "$file.new"
    if [[ -f $file ]] && cmp -s "$file" "$file.new" && [[ $(stat -c '%a %U:%G' "$file") == "$(stat -c '%a %U:%G' "$file.new")" ]]; then
        rm -f "$file.new"
        return
    fi
    mark_changed "$@"
    mv "$file.new" "$file"
    printf 'wrote %s\n' "$file"
}

# install_release FILE...: put the tree where it stays, with the virtual environment that FILEs of requirements ask for.
install_release() {
    local folder=$releases/$release
    if [[ $tree != "$folder" ]]; then
        rm -rf "$folder.new" && mkdir -p "$folder.new"
        tar -C "$tree" --create --exclude=env.sh --exclude=env_runner.sh --exclude=disk_key --exclude=tls_key.pem \
            --exclude=__pycache__ --no-same-owner . | tar -C "$folder.new" --extract --no-same-owner
        chmod 755 "$folder.new"
        install_venv "$folder.new" "$@"
        place_release "$folder"
    else
        install_venv "$folder" "$@"
    fi
}

# place_release FOLDER: FOLDER.new becomes FOLDER, unless that is there.
place_release() {
    if [[ -d $1 ]]; then
        rm -rf "$1.new"
    else
        "$1.new/.venv/bin/python" -m compileall -q "$1.new/datarun" "$1.new/runapp"
        mv "$1.new" "$1"
    fi
}

# install_venv FOLDER FILE...: FOLDER/.venv, shared with every release of the same requirements.
install_venv() {
    local folder=$1 python venv options=() file
    shift
    python=$(python_program)
    for file in "$@"; do options+=(--requirement "$folder/$file"); done
    venv=$venvs/$( (cd "$folder" && cat "$@" && "$python" -VV) | sha256sum | cut -c 1-12)
    if [[ ! -e $venv/.complete ]]; then
        rm -rf "$venv"
        "$python" -m venv "$venv"
        # The pip of Ubuntu 22.04 misreads conditions on the version of Python.
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --upgrade 'pip>=25'
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile "${options[@]}"
        install_extra_packages "$folder" "$venv"
        # The services may not write here. Packages' own tests, half of the work, are never imported.
        "$venv/bin/python" -m compileall -q -j 0 -x '/tests/' "$venv/lib" || warn "not all packages could be compiled"
        touch "$venv/.complete"
    fi
    ln -sfnT "$venv" "$folder/.venv"
}

# install_extra_packages FOLDER VENV: what runners_install.sh was asked for before goes into each new environment.
install_extra_packages() {
    local packages=$configuration/extra_packages.txt
    [[ -s $packages ]] || return 0
    "$2/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
        --constraint <(constraints "$1") --requirement "$packages"
}

# constraints FOLDER: the versions that FOLDER's requirements pin, as pip takes them for constraints.
constraints() { sed -E 's/\[[^]]*\]//' "$1/requirements.txt"; }

# switch_release UNIT...: make the release the current one; then UNITs have to be restarted.
switch_release() {
    if [[ $(readlink "$current" || true) != "$releases/$release" ]]; then
        ln -sfnT "$releases/$release" "$current"
        mark_changed "$@"
    fi
    [[ -L /home/datarun || ! -e /home/datarun ]] || fail "/home/datarun is in the way: it must become a link to $current"
    ln -sfnT "$current" /home/datarun
    put /usr/local/bin/datarun 755 root:root <"$tree/script_install/config/datarun_command.sh"
    printf 'release %s\n' "$release"
}

# Keep the current release and the two before it, and their virtual environments.
remove_old_releases() {
    local folder
    find "$releases" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' | sort -rn | tail -n +4 | cut -d ' ' -f 2- |
        while IFS= read -r folder; do
            [[ $folder == "$(readlink "$current")" ]] || rm -rf "$folder"
        done
    for folder in "$venvs"/*; do
        readlink "$releases"/*/.venv | grep -qxF -- "$folder" || rm -rf "$folder"
    done
}

# keep_settings NAME: keep the file of settings for the next deployment, for root alone.
keep_settings() {
    [[ $settings_file == "$configuration/$1" ]] || put "$configuration/$1" 600 root:root <"$settings_file"
}

# print_settings NAME...: lines for an environment file, of those that are set.
print_settings() {
    local name
    for name in "$@"; do
        [[ -z ${settings[$name]:-} ]] || printf "%s='%s'\n" "$name" "${settings[$name]}"
    done
}

# install_units NAME...: units of systemd, from the folder units.
install_units() {
    local unit
    for unit in "$@"; do
        put "/etc/systemd/system/$unit" 644 root:root "$unit" <"$tree/script_install/units/$unit"
    done
    systemctl daemon-reload
}

# start_units UNIT...: enable and start what does not run, restart what changed, and see that all stay up.
start_units() {
    local unit
    for unit in "$@"; do
        systemctl enable --quiet "$unit"
        if is_changed "$unit"; then
            systemctl restart "$unit" && mark_unchanged "$unit"
        else
            systemctl start "$unit"
        fi || fail "$unit did not start: $(journalctl -q -n 15 --no-pager -o cat -u "$unit")"
    done
}

# wait_for SECONDS MESSAGE COMMAND...: until COMMAND succeeds.
wait_for() {
    local deadline=$((SECONDS + $1)) message=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || fail "$message"
        sleep 0.3
    done
}
