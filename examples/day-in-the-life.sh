#!/usr/bin/env bash
# A day of three worktrees that share a pool of two slots. It needs git, Docker Compose and kinfra on your PATH, and works
# in a directory of its own that it removes. RUN=1 also starts the stacks; without it no container runs. To see each
# command as it runs: bash -x examples/day-in-the-life.sh
set -euo pipefail

day=$(mktemp -d)
trap 'rm -rf "$day"' EXIT
export HOME=$day XDG_STATE_HOME=$day/state GIT_CONFIG_NOSYSTEM=1
unset KINFRA_SPEC KINFRA_ROOT KINFRA_ENV
git config --global user.name "Ana"
git config --global user.email "ana@example.com"

# Prints the time of day as a heading.
clock() { printf '\n== %s\n' "$*"; }

# Checks that stop the script.
is() { [[ $1 == "$2" ]] || { echo "expected $2, got $1" >&2; exit 1; }; }
shows() { grep --quiet -- "$1" || { echo "expected to see: $1" >&2; exit 1; }; }

clock "08:30  The project has a Compose file. It gets a pool of two slots."
mkdir "$day/shop" && cd "$day/shop" && git init --quiet
cat > docker-compose.yml <<'YAML'
services:
  web:
    image: ${WEB_IMAGE:-busybox}
    command: [httpd, -f, -p, "80", -h, /site]
    init: true
    ports: ["8080:80"]
    volumes: ["./site:/site:ro"]
  db:
    image: ${DB_IMAGE:-postgres}
    environment: { POSTGRES_PASSWORD: localdev }
    ports: ["5432:5432"]
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck: { test: [CMD, pg_isready, -h, 127.0.0.1], interval: 1s, retries: 60 }
volumes:
  data:
YAML
mkdir site && echo "the shop" > site/index.html
kinfra init
sed -i.bak 's/"1-4"/"1-2"/' slots.toml && rm slots.toml.bak
kinfra plan
kinfra apply
git add . && git commit --quiet --message "A pool of two slots"

clock "09:00  Three branches, three worktrees. The first two claim a slot each."
for branch in fix-login fix-search new-cart; do
    git worktree add --quiet -b "$branch" "../$branch"
done
cd "$day/fix-login" && kinfra claim --lease 8h --note "ticket 17"
cd "$day/fix-search" && kinfra claim
kinfra claim # again: it keeps its slot
kinfra slots

clock "09:05  Each has the ports of its own slot, in the shell or for one command."
cd "$day/fix-login"
kinfra status
eval "$(kinfra env)"
is "$SHOP_WEB_PORT" 8081
kinfra exec -- sh -c 'echo "the tests of slot $KINFRA_SLOT reach the database on port $SHOP_DB_PORT"'

clock "09:10  The same shell changes to the other worktree. No variable of slot 1 stays."
cd "$day/fix-search"
is "$(kinfra exec -- sh -c 'echo $SHOP_WEB_PORT')" 8082
eval "$(kinfra env)"
is "$KINFRA_SLOT $SHOP_WEB_PORT" "2 8082"

if [[ ${RUN-} ]]; then
    clock "09:30  Both stacks run at once: each with the page of its branch, and a database of its own."
    # What the web server on a port of this machine answers.
    page() { exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3; }
    sql() { kinfra compose exec -T db psql --username postgres --no-align --tuples-only --command "$1"; }
    for branch in fix-login fix-search; do
        cd "$day/$branch"
        echo "the shop of $branch" > site/index.html
        kinfra compose up --detach --wait
        sql "CREATE TABLE branch AS SELECT '$branch' AS name"
    done
    page 8081 | shows "the shop of fix-login"
    page 8082 | shows "the shop of fix-search"
    is "$(sql 'SELECT name FROM branch')" fix-search
    is "$(cd "$day/fix-login" && sql 'SELECT name FROM branch')" fix-login
    # The variables in this shell are those of slot 2. kinfra compose means the slot of the worktree all the same.
    (cd "$day/fix-login" && kinfra compose down --volumes)
    is "$(sql 'SELECT name FROM branch')" fix-search
    kinfra compose down --volumes
fi

clock "10:00  The third worktree sees all holders (exit code 3), and waits in the queue."
cd "$day/new-cart"
kinfra claim || is $? 3
kinfra claim --wait=1m &
waiting=$!
sleep 1
(cd "$day/fix-search" && kinfra release)
wait "$waiting"
kinfra slots | shows "new-cart"

clock "13:00  The third worktree is deleted without a release. The slot shows as orphaned, and is reaped."
cd "$day/shop"
git worktree remove --force ../new-cart
kinfra slots
kinfra slots | shows "orphaned"
kinfra reap --auto-approve
kinfra slots --json | shows '"claimed_by": null'

clock "15:00  Two slots are no longer enough. The pool grows, and the slot in use stays as it is."
sed -i.bak 's/"1-2"/"1-4"/' slots.toml && rm slots.toml.bak
kinfra apply
git commit --quiet --all --message "Four slots"
cd "$day/fix-search" && kinfra claim --slot 4
cd "$day/fix-login" && kinfra renew --lease 2h
kinfra slots

clock "17:30  The work is done. A slot in use stays, and after its release the whole pool goes."
cd "$day/shop"
kinfra destroy --auto-approve
kinfra slots | shows "fix-login"
(cd "$day/fix-login" && kinfra release)
(cd "$day/fix-search" && kinfra release)
kinfra destroy --auto-approve
is "$(kinfra slots 2>/dev/null)" ""
is "$(ls "$day/.shop/slots")" "$(printf '%s\n' journal registry.json registry.json.bak)"

clock "18:00  Nothing is left but the branches."
