#!/usr/bin/env bats
# What the scripts say to arguments, settings and lists, before any machine is asked. Run: bats script_install

setup() {
    folder=$(mktemp -d)
    cp "$BATS_TEST_DIRNAME"/*.sh "$folder"
    cd "$folder"
    # No machine is ever reached by these tests.
    mkdir bin
    printf '#!/bin/sh\necho "ssh was called: $*" >&2\nexit 255\n' >bin/ssh
    chmod +x bin/ssh
    PATH=$folder/bin:$PATH
    settings >env.sh
    settings >env_runner.sh
    printf '192.0.2.1 2 L,celery 360 300\n192.0.2.2 3 H 240 200' >list_runners.txt
    ssh-keygen -q -t ed25519 -N '' -f key
}

teardown() {
    rm -rf "$folder"
}

settings() {
    cat <<'END'
export SCIENCEFS_LOGIN='science'
export SCIENCEFS_DATARUN='datarun'
export DR_DISK_HOST='192.0.2.9'
export DR_DATABASE_NAME='datarun_db'
export DR_DATABASE_USER='toto'
export DR_DATABASE_PASSWORD='a & b | $HOME #'
export DR_BROKER_USER='carrot'
export DR_BROKER_PASSWORD='another'
export USER_LOGIN='admin'
export USER_PSWD='of the admin'
export DR_EMAIL='admin@example.org'
export DIR_DATA='/mnt/datarun/data'
export DIR_SUBMISSION='/mnt/datarun/submission'
export CELERY_SCHEDULER_PERIOD='*/2'
export RMQ_VHOST='datarun'
export IP_MASTER='192.0.2.8'
END
}

# change FILE NAME LINE: put LINE in place of the one that sets NAME.
change() {
    grep -v "^export $2=" "$1" >changed || true
    [[ -z $3 ]] || printf '%s\n' "$3" >>changed
    mv changed "$1"
}

says() {
    [[ $output == *"$1"* ]] || { echo "said instead: $output"; return 1; }
}

@test "each script prints help" {
    for script in scp_*.sh deploy_*.sh runners_*.sh runner_userdata.sh upgrade.sh backup.sh restore.sh uninstall.sh make_image.sh \
        allow_runners.sh install_packages.sh print_*.sh release_switch.sh stage_release.sh; do
        run bash "$script" --help
        [[ $status -eq 0 && $output == "usage: bash $script"* ]] || { echo "$script: $output"; return 1; }
    done
}

@test "scripts that need arguments refuse to go without, and print their usage" {
    for script in scp_*.sh runners_*.sh runner_userdata.sh upgrade.sh backup.sh restore.sh uninstall.sh make_image.sh allow_runners.sh; do
        run bash "$script"
        [[ $status -eq 2 && $output == *"usage: bash $script"* ]] || { echo "$script: $status $output"; return 1; }
    done
}

@test "an address that is none is refused, whether it is to come or to go" {
    for option in "" --remove; do
        run bash allow_runners.sh $option 192.0.2.9 runner7
        [[ $status -eq 2 ]]
        says "runner7 is not an address"
    done
    run bash allow_runners.sh --remove
    [[ $status -eq 2 ]]
    says "an address is needed"
}

@test "libraries do nothing when they are run" {
    for library in library.sh fleet.sh machine.sh disk.sh database.sh master.sh runner.sh; do
        run bash "$library"
        [[ $status -eq 0 && -z $output ]] || { echo "$library: $output"; return 1; }
    done
}

@test "a missing env.sh is named" {
    rm env.sh
    run bash scp_master_stratuslab.sh 192.0.2.8 key
    [[ $status -eq 1 ]]
    says "there is no file"
    says "env.sh.example"
}

@test "a variable that is missing or still a placeholder is named" {
    change env.sh DR_DATABASE_PASSWORD ""
    run bash scp_master_stratuslab.sh 192.0.2.8 key
    [[ $status -eq 1 ]]
    says "DR_DATABASE_PASSWORD is not set"
    change env.sh DR_DATABASE_PASSWORD "export DR_DATABASE_PASSWORD='database_password'"
    run bash scp_master_stratuslab.sh 192.0.2.8 key
    [[ $status -eq 1 ]]
    says "DR_DATABASE_PASSWORD still holds"
}

@test "an unknown variable is taken for a slip of the pen" {
    echo "export DR_DATABASE_VSER='toto'" >>env.sh
    run bash scp_master_stratuslab.sh 192.0.2.8 key
    [[ $status -eq 1 ]]
    says "line 17"
    says "DR_DATABASE_VSER"
}

@test "a line that is no setting, and a value that is not plain, are named by their line" {
    echo "DR_DATABASE_NAME" >>env.sh
    run bash scp_master_stratuslab.sh 192.0.2.8 key
    [[ $status -eq 1 ]]
    says "line 17"
    settings >env.sh
    echo "export DR_EMAIL='it'\\''s'" >>env.sh
    run bash scp_master_stratuslab.sh 192.0.2.8 key
    [[ $status -eq 1 ]]
    says "line 17"
    says "single quotes"
}

@test "settings are read, not run: a command for IP_MASTER, even without its end, and comments are fine" {
    printf '%s\n' "# a comment" "export IP_MASTER=\$(touch ran; /sbin/ifconfig eth0 | awk '{print \$2}'" >>env.sh
    run bash scp_master_stratuslab.sh 192.0.2.8 key
    [[ $status -eq 1 && ! -e ran ]]
    says "cannot log in at 192.0.2.8"
}

@test "folders outside the shared disk are refused" {
    change env.sh DIR_DATA "export DIR_DATA='/srv/data'"
    run bash scp_master_stratuslab.sh 192.0.2.8 key
    [[ $status -eq 1 ]]
    says "DIR_DATA is /srv/data"
    says "/mnt/datarun"
}

@test "a disk that is mounted already needs no key, and its path counts" {
    change env.sh DIR_DATA "export DIR_DATA='/srv/data'"
    change env.sh DIR_SUBMISSION "export DIR_SUBMISSION='/srv/submission'"
    echo "export DR_DISK_PATH='/srv'" >>env.sh
    run bash scp_master_stratuslab.sh 192.0.2.8
    [[ $status -eq 1 ]]
    says "cannot log in at 192.0.2.8"
}

@test "a key that is none is refused" {
    echo "no key" >key
    run bash scp_master_stratuslab.sh 192.0.2.8 key
    [[ $status -eq 1 ]]
    says "not a private ssh key"
    run bash scp_master_stratuslab.sh 192.0.2.8 missing
    [[ $status -eq 1 ]]
    says "there is no file missing"
}

@test "without an account for RabbitMQ the database's is used, with a warning" {
    change env.sh DR_BROKER_USER ""
    change env.sh DR_BROKER_PASSWORD ""
    run bash scp_master_stratuslab.sh 192.0.2.8 key
    [[ $status -eq 1 ]]
    says "WARNING: DR_BROKER_USER"
    says "cannot log in"
}

@test "lines of list_runners.txt that make no sense are refused" {
    while IFS='|' read -r line message; do
        printf '%s\n' "$line" >list_runners.txt
        run bash runners_restart.sh list_runners.txt
        [[ $status -eq 1 ]] && says "$message" || { echo "for: $line"; return 1; }
    done <<'END'
192.0.2.1 2 L,celery 360|a runner's line has
192.0.2.1 two L 360 300|two is not a number of tasks
192.0.2.1 0 L 360 300|0 is not a number of tasks
192.0.2.1 2 L,M 360 300|L,M are not queues
192.0.2.1 2 L 300 360|must be below the hard one
192.0.2.1 2 L 360 x|are not numbers of seconds
-oProxyCommand=x 2 L 360 300|is not an address
END
}

@test "a runner that is listed twice, and an empty list, are refused" {
    printf '192.0.2.1 2 L 360 300\n192.0.2.1 2 H 360 300\n' >list_runners.txt
    run bash runners_restart.sh list_runners.txt
    [[ $status -eq 1 ]]
    says "192.0.2.1 is twice"
    printf '\n# nobody\n' >list_runners.txt
    run bash runners_restart.sh list_runners.txt
    [[ $status -eq 1 ]]
    says "lists no runner"
}

@test "all runners of a list without a final newline are asked, and those that fail are named" {
    run bash runners_restart.sh list_runners.txt
    [[ $status -eq 1 ]]
    says "not done on 192.0.2.1 192.0.2.2 (2 of 2 runners)"
    says "[192.0.2.2] ssh was called"
}

@test "names of packages are names of packages" {
    for package in "-r" "a;b" "http://example.org/x.whl" "../x"; do
        run bash runners_install.sh list_runners.txt "$package"
        [[ $status -eq 2 ]] && says "is not the name of a package" || { echo "for: $package"; return 1; }
    done
}

@test "user-data holds the runner's settings, and neither a private key nor the database's password" {
    echo "export DR_DISK_HOST_KEY='ssh-ed25519 AAAA'" >>env_runner.sh
    run bash runner_userdata.sh "- 2 L,celery 360 300"
    [[ $status -eq 0 && $output == "#cloud-config"* ]]
    says "deploy_runner_from_image.sh 2 L,celery 360 300"
    sent=$(sed -nE 's/^ *content: //p' <<<"$output" | base64 -d)
    [[ $sent == *"DR_BROKER_PASSWORD='another'"* && $sent == *"DR_DISK_HOST_KEY"* ]]
    [[ $sent != *"a & b"* && $sent != *DR_DATABASE* && $sent != *"of the admin"* && $output != *PRIVATE* ]]
}

@test "user-data is refused where it would hold the database's password" {
    change env_runner.sh DR_BROKER_USER ""
    change env_runner.sh DR_BROKER_PASSWORD ""
    run bash runner_userdata.sh "- 2 L,celery 360 300"
    [[ $status -eq 1 ]]
    says "may not be in user-data"
}

@test "the same files give the same release, whatever their times; other files another" {
    mkdir -p project/script_install project/datarun && cd project
    printf '__version__ = "1.2.3"\n' >datarun/__init__.py
    echo code >code.py
    release() { bash -c 'source ../fleet.sh; watch_for_failures; pack . ../packed; release_of ../packed'; }
    first=$(release)
    touch -d yesterday code.py
    echo secret >script_install/env.sh
    [[ $first == 1.2.3-* && $(release) == "$first" ]]
    echo changed >code.py
    [[ $(release) != "$first" ]]
}
