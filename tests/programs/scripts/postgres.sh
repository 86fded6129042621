# PostgreSQL as an ordinary user: a cluster is made, a server listens on a unix socket alone, clients change the
# same row at the same time, the server is killed and recovers, and stops cleanly.
set -e
export LC_ALL=C PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
as_user() { if [ "$(id -u)" = 0 ]; then setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; else "$@"; fi; }
query() { as_user psql -X -q -A -t -h "$place" -U owner -v ON_ERROR_STOP=1 postgres "$@"; }
server() {
    as_user pg_ctl -s -D "$place/data" -w -t 100 -l "$place/server.log" "$@" >"$place/pg_ctl.log" 2>&1 ||
        { cat "$place/server.log" "$place/pg_ctl.log"; exit 1; }
}
start() { server -o "-c listen_addresses='' -c fsync=off -k $place" start; }

place=$(mktemp -d /tmp/postgres.XXXXXX)
trap 'rm -rf "$place"' EXIT
[ "$(id -u)" != 0 ] || chown 65534:65534 "$place"
cd "$place"
as_user initdb -D data -U owner --no-locale -E UTF8 --no-sync >initdb.log 2>&1 || { cat initdb.log; exit 1; }
start
query <<'SQL'
CREATE TABLE item (number int PRIMARY KEY, name text);
INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, 2000) n;
CREATE TABLE account (balance int);
INSERT INTO account VALUES (0);
BEGIN;
DELETE FROM item;
ROLLBACK;
SELECT count(*), sum(number), max(name) FROM item WHERE number % 7 = 0;
SQL
for client in 1 2 3; do
    yes 'UPDATE account SET balance = balance + 1;' | head -n 30 | query &
done
wait
query -c 'SELECT balance FROM account; SHOW shared_memory_type; SHOW dynamic_shared_memory_type'
server -m immediate stop
start
query -c 'SELECT balance FROM account'
grep -c 'automatic recovery in progress' server.log
server -m fast stop
grep -c 'database system is shut down' server.log
