# shellcheck shell=bash
# Saving and restoring the master's database. To be sourced. Functions, and those of disk.sh.

# shellcheck source=script_install/disk.sh
source "$(dirname "${BASH_SOURCE[0]}")/disk.sh"

# save_database FILE: the database into FILE.
save_database() {
    runuser -u postgres -- pg_dump --format=custom --dbname="${settings[DR_DATABASE_NAME]}" >"$1"
    pg_restore --list "$1" >/dev/null
}

# restore_database FILE: put what FILE holds in place of the database; only once it is read in whole is the old one removed.
restore_database() {
    local name=${settings[DR_DATABASE_NAME]} owner=${settings[DR_DATABASE_USER]} fresh
    fresh=${name:0:50}_restored
    as_postgres "DROP DATABASE IF EXISTS \"$fresh\""
    as_postgres "CREATE DATABASE \"$fresh\" OWNER \"$owner\" TEMPLATE template0 ENCODING 'UTF8'"
    runuser -u postgres -- pg_restore --exit-on-error --no-owner --role="$owner" --dbname="$fresh" <"$1"
    as_postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$name'"
    as_postgres "DROP DATABASE IF EXISTS \"$name\""
    as_postgres "ALTER DATABASE \"$fresh\" RENAME TO \"$name\""
}

as_postgres() {
    runuser -u postgres -- psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --command "$1" >/dev/null
}
