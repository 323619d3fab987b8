//! A pool whose registry is in PostgreSQL, from the shell: two users of one machine share its slots, and each has the
//! files of them in a home of its own.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use kinfra::claims::whereabouts::Following;
use kinfra::host::lock::LockPolicy;
use kinfra::host::postgres::credentials::Login;
use kinfra::ledger::Ledger;
use kinfra::server::Given;
use serde_json::Value;

use crate::rig::postgres::{Database, Postgres};
use crate::support::{Machine, Run, SMALL, has_bouncer, has_no_file};

/// A database with kinfra's tables.
pub(super) fn database() -> Database {
    let database = Postgres::shared().database();
    Machine::small().kinfra(&format!("registry init {}", database.url())).exits(0);
    database
}

/// A user who has not applied the pool yet.
pub(super) fn user(url: &str) -> Machine {
    let machine = Machine::small();
    machine.spec(&format!("{SMALL}\n[registry]\nurl = \"{url}\"\n"));
    machine
}

/// The statements of a page, as it shows them.
fn statements(page: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = std::fs::read_to_string(path).expect("a page");
    text.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next()).expect("statements").to_owned()
}

/// Two users who have applied the same pool.
pub(super) fn users(url: &str) -> (Machine, Machine) {
    let users = (user(url), user(url));
    for user in [&users.0, &users.1] {
        user.kinfra("apply").exits(0);
        assert_eq!(user.read("~/pool/slot-2/conf.txt"), "slot 2 on 8002\n");
    }
    users
}

/// The slots as one sees them: whether each is held.
fn held(machine: &Machine) -> Vec<bool> {
    let slots: Value = serde_json::from_str(&machine.kinfra("slots --json").exits(0).stdout).expect("JSON");
    let slots = slots["slots"].as_array().expect("slots").iter();
    slots.map(|slot| !slot["claimed_by"].is_null()).collect()
}

#[test]
#[ignore = "needs PostgreSQL"]
fn two_users_share_the_slots_of_a_pool() {
    let database = database();
    let (ann, ben) = users(&database.url());
    assert!(!ann.exists("~/pool/registry.json"), "a registry beside the server's");
    assert_eq!(database.sql("select count(*) from kinfra.slot; select count(*) from kinfra.root"), "2\n2");
    ann.kinfra("claim").exits(0).prints("slot 1");
    assert_eq!((held(&ann), held(&ben)), (vec![true, false], vec![true, false]));
    ben.kinfra("claim").exits(0).prints("slot 2");
    ann.kinfra("status").exits(0).prints("Slot 1");
    let found = ann.kinfra("doctor").prints("registry: it is in `postgres://").stdout;
    assert!(!found.contains("backup") && !found.contains("journal"), "{found}");
    // What is left of a registry in the root is not repaired beside the server's.
    ann.write("~/pool/registry.json.bak", "{\"version\": 2, \"slots\": {}}");
    ann.kinfra("doctor --repair --auto-approve").exits(4).says("and no file of its root");
    ann.remove("~/pool/registry.json.bak");
    ben.kinfra("env").exits(0).prints("SLOT_ID='2'");
    let third = user(&database.url());
    third.kinfra("claim").exits(3).says("kinfra apply");
    third.kinfra("apply").exits(0);
    third.kinfra("claim").exits(3);
    // Whose it is, is asked: not whose root it is in.
    ben.kinfra("release 1").exits(4);
    ann.kinfra("release").exits(0);
    third.kinfra("claim --lease 8h").exits(0).prints("slot 1");
    third.kinfra("renew").exits(0);
    third.kinfra("reap --auto-approve").exits(0);
    assert_eq!(held(&ben), [true, true]);
    ben.kinfra("release 1 --force").exits(0);
    assert_eq!(
        (held(&third), database.sql("select slot from kinfra.claim")),
        (vec![false, true], "2".to_owned())
    );
    ben.kinfra("plan --detailed-exitcode").exits(0);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_server_is_asked_once_it_is_applied() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let machine = user(&format!("postgres://a@127.0.0.1:{port}/d?connect_timeout=1"));
    machine.kinfra("plan").exits(0).says("was not asked");
    machine.kinfra("claim").exits(3).says("kinfra apply");
    silent.set_nonblocking(true).expect("no wait");
    assert!(silent.accept().is_err(), "it was contacted");
    machine.kinfra("apply").exits(9).says("does not answer");
    assert!(!machine.exists("~/pool/registry.json"), "a registry in a file");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_registry_does_not_move_unnoticed() {
    if has_no_file("it moves from a file") {
        return;
    }
    let database = database();
    let (ann, _) = users(&database.url());
    let spec = ann.read("slots.toml");
    ann.spec(SMALL);
    for verb in ["plan", "apply", "destroy"] {
        ann.kinfra(verb).exits(4).says("is on a server, and slots.toml names none");
    }
    let old = Machine::small();
    old.kinfra("apply").exits(0);
    old.spec(&spec);
    old.kinfra("apply").exits(4).says("is the file");
    old.kinfra("claim").exits(0);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_waiter_gets_what_another_user_releases() {
    let database = database();
    let (ann, ben) = users(&database.url());
    let third = user(&database.url());
    third.kinfra("apply").exits(0);
    ann.kinfra("claim").exits(0);
    ben.kinfra("claim").exits(0);
    third.kinfra("claim --wait=1s").exits(3);
    assert_eq!(database.sql("select count(*) from kinfra.queue"), "0");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| third.kinfra("claim --wait=60s"));
        while database.sql("select count(*) from kinfra.queue") == "0" {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        // A waiter whose ticket expired while it was suspended has its place again.
        let ticket = database.sql("delete from kinfra.queue returning ticket");
        while database.sql("select count(*) from kinfra.queue") == "0" {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(database.sql("select ticket from kinfra.queue"), ticket);
        // Who does not wait does not take what a waiter is to get.
        ben.kinfra("release").exits(0);
        waiter.join().expect("it ran").exits(0).prints("slot 2");
    });
    assert_eq!(database.sql("select count(*) from kinfra.queue"), "0");
    // A ticket whose waiter is gone counts no more once it has expired.
    database.sql(
        "insert into kinfra.queue (pool, host, wanted, holder, expires) select pool, host, 'any', '/gone', \
         clock_timestamp() - interval '1 second' from kinfra.slot limit 1",
    );
    ann.kinfra("release").exits(0);
    ann.kinfra("claim").exits(0);
    assert_eq!(database.sql("select count(*) from kinfra.queue"), "0");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_slot_that_another_user_changed_is_not_given_with_its_old_files() {
    let database = database();
    let (ann, ben) = users(&database.url());
    ann.edit_spec("web = 8000", "web = 9000");
    ann.kinfra("apply --update --auto-approve").exits(0);
    assert_eq!(ann.read("~/pool/slot-1/conf.txt"), "slot 1 on 9001\n");
    ben.kinfra("claim").exits(3).says("another user changed it").says("kinfra apply --update");
    // An apply without a flag does not take it back.
    ben.kinfra("apply").exits(0).says("Nothing was changed");
    ann.kinfra("plan --detailed-exitcode").exits(0);
    ann.kinfra("claim").exits(0).prints("slot 1");
    ben.edit_spec("web = 8000", "web = 9000");
    ben.kinfra("apply").exits(0).says("Nothing was changed");
    ben.kinfra("apply --update --auto-approve").exits(0);
    assert_eq!(ben.read("~/pool/slot-1/conf.txt"), "slot 1 on 8001\n", "the files of a slot that is held");
    ben.kinfra("claim").exits(0).prints("slot 2");
    ann.kinfra("release").exits(0);
    ben.kinfra("apply --update --auto-approve").exits(0);
    assert_eq!(ben.read("~/pool/slot-1/conf.txt"), "slot 1 on 9001\n");
    ben.kinfra("plan --detailed-exitcode").exits(0);
    // What no file shows is noted without a flag.
    let workers = |user: &Machine| user.edit_spec("name = \"only\"", "name = \"only\"\nworkers = { w = 2 }");
    workers(&ben);
    ben.kinfra("release").exits(0);
    ben.kinfra("apply --update --auto-approve").exits(0);
    workers(&ann);
    ann.kinfra("claim").exits(3).says("another user changed it");
    ann.kinfra("apply").exits(0);
    ann.kinfra("claim").exits(0);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_claim_that_another_user_ended_leaves_nothing_in_the_way() {
    let database = database();
    let (ann, ben) = users(&database.url());
    ben.kinfra("claim --slot 2").exits(0);
    ann.kinfra("claim").exits(0).prints("slot 1");
    ben.kinfra("release 1 --force").exits(0);
    assert!(ann.exists("~/pool/slot-1/.kinfra-claim"), "the sign of it in ann's root");
    assert_eq!(database.sql("select count(*) from kinfra.claim"), "1");
    ann.write("~/other/file", "");
    let other = ann.path("~/other");
    ann.kinfra(&format!("claim --for {}", other.display())).exits(0).prints("slot 1");
    ann.kinfra("history").exits(0).prints("released by force");
    ben.kinfra("history 1").exits(0).prints("claimed by");
    // A sign that no end is known of stands for use.
    let sign = ben.read("~/pool/slot-2/.kinfra-claim");
    ben.kinfra("release").exits(0);
    let id = sign.lines().next().expect("an id");
    ben.write("~/pool/slot-2/.kinfra-claim", sign.replace(id, "00000000000000000000000000000000"));
    ben.write("~/other/file", "");
    let other = ben.path("~/other");
    ben.kinfra(&format!("claim --for {}", other.display())).exits(3).says("it shows a claim");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_member_ends_no_claim_unrecorded() {
    if has_bouncer() {
        // It logs in as one user for all.
        return;
    }
    let database = database();
    database.sql(&statements("docs/team.md"));
    database.sql("create role member login; grant kinfra_member to member");
    let url = database.url().replace("postgres@", "member@");
    let (admin, member) = (user(&database.url()), user(&url));
    // Making a pool is an admin's.
    member.kinfra("apply").exits(9).says("does not let `member` do that").says("the role of a member");
    for user in [&admin, &member] {
        user.kinfra("apply").exits(0);
        user.kinfra("claim").exits(0);
    }
    let third = user(&url);
    third.kinfra("apply").exits(0);
    third.kinfra("claim --wait=1s").exits(3);
    for statement in [
        "delete from kinfra.claim",
        "update kinfra.claim set lease_until = now()",
        "update kinfra.slot set content = '{}'",
        "update kinfra.pool set content = '{}'",
        "update kinfra.pool set generation = 0",
        "delete from kinfra.history",
        "insert into kinfra.history (pool, generation, content) values (1, 1000000000000000, '{}')",
        "delete from kinfra.ended",
        "insert into kinfra.ended (pool, generation, host, slot, made_by) values (1, 1, 'h', 1, 'x')",
        "drop table kinfra.claim",
    ] {
        let run = database.sql_as("member", statement);
        assert!(
            run.code != Some(0) && run.stderr.contains("ermission denied")
                || run.stderr.contains("must be owner"),
            "{statement}: {run:#?}"
        );
    }
    assert_eq!(database.sql("select slot, made_by from kinfra.claim order by slot"), "1|postgres\n2|member");
    assert_eq!(database.sql("select count(*) from kinfra.ended"), "0");
    member.kinfra("release 1 --force").exits(0);
    member.kinfra("release").exits(0);
    let ended = "select slot, made_by, ended_by from kinfra.ended order by generation";
    assert_eq!(database.sql(ended), "1|postgres|member\n2|member|member");
    member.kinfra("history").exits(0).prints("released by force");
    // Who takes a claim over by hand is noted, too. No word of the function can be given another meaning.
    let claim = |id: &str| {
        format!(
            "select kinfra.save(p.pool, p.generation, '{id}', jsonb_build_object('slots', jsonb_build_array(jsonb_build_object( \
             'host', s.host, 'slot', 1, 'seen', s.generation, 'claim', jsonb_build_object('claimed_by', '/w', 'claim_id', '{id}', \
             'lease_until', '2026-03-01T17:22:10+00:00'))))) from kinfra.pool p join kinfra.slot s using (pool) where slot = 1"
        )
    };
    let evil = "create function pg_temp.evil(pg_catalog.timestamptz) returns boolean language plpgsql as $$ begin raise \
                exception 'evil runs as %', current_user; end $$; create domain pg_temp.timestamptz as \
                pg_catalog.timestamptz check (pg_temp.evil(value::pg_catalog.timestamptz));";
    database.sql(&claim("one"));
    database.sql_as("member", &format!("{evil} {}", claim("two"))).exits(0).never_says("evil runs");
    let last =
        "select made_by from kinfra.claim; select made_by, ended_by from kinfra.ended where claim_id = 'one'";
    assert_eq!(database.sql(last), "member\npostgres|member");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_role_is_told_which_grant_it_lacks() {
    if has_bouncer() {
        return;
    }
    let database = database();
    user(&database.url()).kinfra("apply").exits(0);
    database.sql("create role other login");
    let other = user(&database.url().replace("postgres@", "other@"));
    for (grant, missing) in [
        ("", "usage on schema kinfra"),
        ("grant usage on schema kinfra to other", "select"),
        ("grant select on all tables in schema kinfra to other", "select, update on kinfra.turn"),
        ("grant update on kinfra.turn to other", "execute on function kinfra.save"),
    ] {
        database.sql(grant);
        let run = other.kinfra("apply").exits(9).says("does not let `other` do that");
        run.says(&format!("`grant {missing}")).says(" to other`");
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_root_that_was_moved_is_applied_again() {
    let database = database();
    let (ann, ben) = users(&database.url());
    ann.kinfra("claim").exits(0);
    std::fs::rename(ann.path("~/pool"), ann.path("~/moved")).expect("a moved root");
    ann.edit_spec("~/pool", "~/moved");
    ann.kinfra("claim").exits(3).says("kinfra apply");
    ann.kinfra("apply").exits(0);
    ann.kinfra("plan --detailed-exitcode").exits(0);
    ann.kinfra("status").exits(0).prints("Slot 1").prints("~/moved/slot-1");
    assert_eq!(held(&ben), [true, false]);
    ann.kinfra("release").exits(0);
    assert_eq!(held(&ben), [false, false]);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_waiter_goes_on_waiting_while_the_server_is_restarted() {
    let server = Postgres::own();
    let database = server.database();
    Machine::small().kinfra(&format!("registry init {}", database.url())).exits(0);
    let (ann, ben) = users(&database.url());
    let third = user(&database.url());
    third.kinfra("apply").exits(0);
    ann.kinfra("claim").exits(0);
    ben.kinfra("claim").exits(0);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| third.kinfra("claim --wait=60s"));
        while database.sql("select count(*) from kinfra.queue") == "0" {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        for is_in_peace in [true, false] {
            server.restart(is_in_peace);
            // PgBouncer lets no one log in for a second after the server was away.
            std::thread::sleep(std::time::Duration::from_secs(3));
        }
        ben.kinfra("release").exits(0);
        let run = waiter.join().expect("it ran").exits(0).prints("slot 2");
        // PgBouncer may keep a client waiting until the server is back.
        if !has_bouncer() {
            run.says("Waiting: the registry's server");
        }
    });
}

#[test]
#[ignore = "needs PostgreSQL"]
fn the_clock_of_the_server_judges_leases() {
    let database = database();
    let (ann, ben) = users(&database.url());
    ann.kinfra("claim --lease 1h").exits(0);
    ben.write("~/clock", "7200");
    let later = |verb: &str| Run::of(ben.command(verb).env("KINFRA_TEST_CLOCK", ben.path("~/clock")));
    later("reap --auto-approve").exits(0);
    assert_eq!(held(&ann), [true, false], "by the clock of a client");
    // Ages and ends of leases are shown by it, too.
    later("slots").exits(0).prints("just now").prints("59m").never_says("ran out").never_says("expired");
    later("slots --json").exits(0).prints(r#""standing": "held""#);
    let status = Run::of(ann.command("status").env("KINFRA_TEST_CLOCK", ben.path("~/clock")));
    status.exits(0).prints("just now").prints("left").never_says("expired");
    later("claim --lease 1h").exits(0).prints("slot 2");
    let left = "select bool_and(lease_until between now() + interval '50 minutes' and now() + interval '1 hour') from kinfra.claim";
    assert_eq!(database.sql(left), "t");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_machine_with_a_new_name_is_no_new_host() {
    let database = database();
    let machine = user(&database.url());
    let on = |host: &str, verb: &str| Run::of(machine.command(verb).env("KINFRA_TEST_HOST", host));
    on("box", "apply").exits(0);
    on("box", "claim").exits(0);
    for verb in ["claim", "release", "apply", "plan"] {
        on("box.lan", verb).exits(4).says("was applied on the host `box`").says("set `KINFRA_HOST=box`");
    }
    let named = |verb: &str| {
        Run::of(machine.command(verb).env("KINFRA_TEST_HOST", "box.lan").env("KINFRA_HOST", "box"))
    };
    named("plan --detailed-exitcode").exits(0);
    named("release").exits(0);
    assert_eq!(
        database.sql("select distinct host from kinfra.slot; select count(*) from kinfra.claim"),
        "box\n0"
    );
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_run_uses_no_other_database_than_the_pool_does() {
    let (database, other) = (database(), database());
    let (ann, _) = users(&database.url());
    let there = |verb: &str| Run::of(ann.command(verb).env("KINFRA_REGISTRY_URL", other.url()));
    for verb in ["claim", "apply", "plan", "registry pull --auto-approve"] {
        there(verb).exits(4).says("KINFRA_REGISTRY_URL names the database");
    }
    assert_eq!(other.sql("select count(*) from kinfra.pool"), "0");
    Run::of(ann.command("claim").env("KINFRA_REGISTRY_URL", database.url())).exits(0);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn hosts_have_slots_of_their_own() {
    let database = database();
    let machine = |host: &'static str| {
        let machine = user(&database.url());
        let own = "[[slots]]\nids = \"3\"\nprofile = \"only\"\nhost = \"box-b\"\n[files]\n";
        machine.edit_spec("[files]\n", own);
        move |verb: &str| Run::of(machine.command(verb).env("KINFRA_TEST_HOST", host))
    };
    let (a, b) = (machine("box-a"), machine("box-b"));
    a("plan").exits(0).prints("Slot 3 of box-b: made by `kinfra apply` there").prints("Plan: 2 to add");
    a("apply").exits(0);
    b("apply").exits(0);
    let slots = "select host, slot from kinfra.slot order by 1, 2";
    assert_eq!(database.sql(slots), "box-a|1\nbox-a|2\nbox-b|1\nbox-b|2\nbox-b|3");
    a("claim --slot 3").exits(3).says("no slot 3");
    a("claim --slot 1").exits(0);
    b("claim --slot 1").exits(0);
    a("slots").exits(0).prints("On box-b: slot 1 is held by ").prints("slots 2-3 are free\n");
    let json: Value = serde_json::from_str(&b("slots --json").exits(0).stdout).expect("JSON");
    assert_eq!(json["other_hosts"][0]["host"], "box-a", "{json:#}");
    assert_eq!((json["slots"].as_array().map(Vec::len), &json["seen_at"]), (Some(3), &Value::Null));
    a("release").exits(0);
    assert_eq!(database.sql("select host, slot from kinfra.claim"), "box-b|1");
    b("history").exits(0).prints("claimed by").never_says("released");
    // What one starts is not the other's, though the slots have the same numbers.
    assert_eq!(database.sql("select count(distinct id), count(*) from kinfra.host"), "2|2");
    b("plan --detailed-exitcode").exits(0);
    a("plan --detailed-exitcode").exits(0);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_server_that_lost_claims_which_were_seen_there_is_not_used() {
    let database = database();
    let (ann, ben) = users(&database.url());
    ann.kinfra("claim").exits(0).prints("slot 1");
    ben.kinfra("claim").exits(0).prints("slot 2");
    // A verb that changes nothing has seen both, too.
    ann.kinfra("exec true").exits(0);
    // A backup from before the claims is put back.
    let lost = |of: &Machine, slots: &str| {
        for verb in ["claim", "status", "slots", "plan", "apply", "release --force"] {
            let run = of.kinfra(verb).exits(4).never_says("panicked");
            run.says(&format!("has lost claims of slots {slots}, which were"))
                .says("registry.last-seen.json");
        }
    };
    database.sql("delete from kinfra.claim; update kinfra.pool set generation = generation - 2");
    lost(&ben, "1, 2");
    lost(&ann, "1, 2");
    // The tables are made anew.
    database.sql("drop schema kinfra cascade");
    ann.kinfra(&format!("registry init {}", database.url())).exits(0);
    lost(&ann, "1, 2");
    ann.remove("~/pool/registry.last-seen.json");
    ann.kinfra("apply").exits(0);
    ann.kinfra("claim").exits(0);
    // A state that knows the claims which were seen is used, whatever its number is.
    database.sql("update kinfra.pool set generation = generation - 1");
    ann.kinfra("status").exits(0).prints("Slot 1");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn another_project_of_the_user_does_not_get_into_a_pool_by_its_name() {
    let database = database();
    let ann = user(&database.url());
    ann.kinfra("apply").exits(0);
    let spec = ann.read("slots.toml").replace("~/pool", "~/pool-2").replace("8000", "9000");
    ann.write("~/other/slots.toml", spec);
    ann.write("~/other/templates/conf.txt", "{{ ports.web }}\n");
    let before =
        database.sql("select * from kinfra.pool; select * from kinfra.root; select * from kinfra.slot");
    for verb in ["plan", "apply", "apply --update --auto-approve"] {
        let run = Run::of(ann.command(verb).current_dir(ann.path("~/other"))).exits(4);
        run.says("the name of another one on this machine: `small`").says("give this pool another `name`");
    }
    let after =
        database.sql("select * from kinfra.pool; select * from kinfra.root; select * from kinfra.slot");
    assert_eq!(after, before);
    // Where another user's project is says nothing. What it declares does.
    let ben = user(&database.url());
    ben.edit_spec("8000", "9000");
    for verb in ["apply", "apply --only 1"] {
        let run = ben.kinfra(verb).exits(4).says("has a pool `small` of another slots.toml");
        run.says("`ports.web` of slot 1 is 8001 there, and 9001 here").says("another `name`");
    }
    assert!(!ben.exists("~/pool/slot-1"));
    let after =
        database.sql("select * from kinfra.pool; select * from kinfra.root; select * from kinfra.slot");
    assert_eq!(after, before);
    ann.kinfra("claim").exits(0);
    ben.kinfra("apply --update --auto-approve").exits(0);
    let ports = "select content -> 'ports' ->> 'web' from kinfra.slot order by slot";
    assert_eq!(database.sql(ports), "8001\n9002", "what is held stays");
}

/// With one connection at a time, a verb asks everything on the one that holds the lock.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_claim_needs_no_second_connection() {
    if has_bouncer() {
        // It has one user for all.
        return;
    }
    let database = database();
    // Roles are of the server, and another test makes that of members.
    let member = statements("docs/team.md").replace("kinfra_member", "kinfra_lonely");
    database.sql(&member);
    database.sql("create role lonely login connection limit 1; grant kinfra_lonely to lonely");
    let admin = user(&database.url());
    admin.kinfra("apply").exits(0);
    let lonely = user(&database.url().replace("postgres@", "lonely@"));
    let run = |verb: &str| {
        // The server ends the connection of the verb before in its own time.
        let deadline = Instant::now() + Duration::from_mins(1);
        while database.sql("select count(*) from pg_stat_activity where usename = 'lonely'") != "0" {
            assert!(Instant::now() < deadline, "a connection that does not end");
        }
        lonely.kinfra(verb).exits(0)
    };
    run("apply");
    run("claim").prints("slot 1");
    admin.kinfra("release 1 --force").exits(0);
    assert!(lonely.exists("~/pool/slot-1/.kinfra-claim"), "the sign of a claim that ended");
    run("claim").prints("slot 1");
    run("release");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_waiter_that_cleans_a_slot_for_long_keeps_its_place() {
    let database = database();
    let ann = user(&database.url());
    ann.kinfra("apply").exits(0);
    let root = Utf8PathBuf::from_path_buf(ann.path("~/pool")).expect("text");
    let login = Login::of(Given::parse(&database.url()).expect("a url"), "postgres");
    let ledger = Ledger::on_server(&root, "small", login, "test", false);
    let patience = Duration::from_mins(1);
    let policy = LockPolicy { patience, flag: None, command: "test", network: true, interrupt: None };
    let seen = ledger.read(Following::NoHolder).expect("it is read").expect("a pool");
    let ticket = ledger.transact(&seen, &policy, |transaction| transaction.join_queue("any slot", "/w"));
    let ticket = ticket.expect("a place");
    let places = "select count(*) from kinfra.queue where expires > clock_timestamp() and called_at is null";
    database
        .sql("update kinfra.queue set called_at = now(), expires = clock_timestamp() + interval '5 seconds'");
    let at_the_end = ticket.during(|| {
        std::thread::sleep(Duration::from_secs(7));
        database.sql(places)
    });
    assert_eq!(at_the_end, "1");
    drop(ticket);
    assert_eq!(database.sql(places), "0");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_stack_is_under_the_name_of_its_slot_alone() {
    let database = database();
    let ann = user(&database.url());
    ann.kinfra("apply").exits(0);
    let started = |project: &str| {
        let content = format!("{{\"started_as\": \"{project}\"}}");
        let insert = "insert into kinfra.stack (pool, host, slot, content) select pool, host, slot, '";
        database.sql_as("postgres", &format!("{insert}{content}' from kinfra.slot where slot = 1"))
    };
    for project in ["prod", "small-slot-2", "small-slot-11", "small-slot-1-prod"] {
        let run = started(project);
        assert!(run.code != Some(0) && run.stderr.contains("violates check"), "{project}: {run:#?}");
    }
    // A pool that got another name may have stacks under the one before.
    started("before-slot-1").exits(0);
}
