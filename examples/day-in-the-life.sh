#!/usr/bin/env bash
# A day of three worktrees that share a pool of two slots. It needs git, Docker Compose and kinfra on your PATH, starts no
# container, and works in a directory of its own that it removes. To see each command as it runs:
# bash -x examples/day-in-the-life.sh
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
    image: nginx
    ports: ["8080:80"]
  db:
    image: postgres
    ports: ["5432:5432"]
YAML
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
is "$(ls "$day/.shop/slots")" "$(printf '%s\n' registry.json registry.json.bak)"

clock "18:00  Nothing is left but the branches."
