//! A pool whose registry is on a server that does not answer: what is shown is what was seen last, and says so.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use super::shared_pool::{database, users};
use crate::rig::postgres::Database;
use crate::support::{Machine, Run, Running, has_bouncer, has_no_file};

/// A command for which the server of a database is down.
fn without(machine: &Machine, database: &Database, verb: &str) -> Command {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let mut command = machine.command(verb);
    command.env("KINFRA_REGISTRY_URL", format!("postgres://a@127.0.0.1:{closed}/{}", database.name));
    command
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).expect("JSON")
}

#[test]
#[ignore = "needs PostgreSQL"]
fn what_was_seen_last_is_shown_and_nothing_is_changed() {
    let database = database();
    let (ann, _) = users(&database.url());
    ann.kinfra("claim").exits(0);
    let without = |verb: &str| Run::of(&mut without(&ann, &database, verb));
    for verb in ["slots", "status", "env", "open --print"] {
        without(verb).exits(0).says("refuses connections").says("this is the pool as it was");
    }
    for verb in ["slots --json", "status --json"] {
        let json = json(&without(verb).exits(0).says("this is the pool as it was"));
        assert!(json["seen_at"].is_string(), "{verb}: {json:#}");
    }
    for verb in ["claim", "release", "renew", "reap --auto-approve", "apply"] {
        without(verb).exits(9).says("refuses connections");
    }
    let status = ann.kinfra("status --json").exits(0).never_says("as it was");
    assert_eq!(json(&status)["seen_at"], Value::Null);
    ann.kinfra("status").exits(0).prints("Slot 1").never_says("as it was");
    assert!(!ann.exists("~/pool/registry.json"), "a registry beside the server's");
}

/// As a standby, which follows another server.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_server_that_only_reads_is_read_and_says_so() {
    if has_bouncer() {
        // Its connections are older than the setting.
        return;
    }
    let database = database();
    let (ann, _) = users(&database.url());
    database.sql(&format!("alter database {} set default_transaction_read_only = on", database.name));
    ann.kinfra("slots").exits(0);
    ann.kinfra("claim").exits(9).says("only reads").says("the one that it follows");
}

/// That a worktree holds nothing may be over by now.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_worktree_without_a_slot_is_told_that_this_is_not_known() {
    let database = database();
    let (ann, _) = users(&database.url());
    ann.kinfra("slots").exits(0);
    let without = |verb: &str| Run::of(&mut without(&ann, &database, verb));
    let status = without("status").exits(0).prints("holds no slot").says("refuses connections");
    status.says("this is the pool as it was");
    let status = json(&without("status --json").exits(0).says("this is the pool as it was"));
    assert!(status["slot_id"].is_null() && status["seen_at"].is_string(), "{status:#}");
    for verb in ["env", "logs", "open", "logs --slot 1", "logs --slot 9"] {
        let run = without(verb).exits(9).says("refuses connections").says("this is the pool as it was");
        run.says("check that PostgreSQL runs there").never_says("kinfra claim");
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn who_watches_a_pool_is_told_that_it_is_an_old_one() {
    let database = database();
    let (ann, _) = users(&database.url());
    ann.kinfra("slots").exits(0);
    let first = |verb: &str| {
        let mut watch = Running::piped(&mut without(&ann, &database, verb));
        let mut lines = BufReader::new(watch.stdout.take().expect("stdout")).lines();
        let first = lines.next().expect("a line").expect("text");
        // Nothing reads it any more, so it ends.
        drop(lines);
        (first, watch.ends().stderr)
    };
    let (_, said) = first("slots --watch");
    assert!(said.contains("this is the pool as it was"), "{said}");
    let (line, _) = first("slots --watch --json");
    assert!(line.contains("\"seen_at\":"), "{line}");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn doctor_says_that_the_server_does_not_answer_and_that_a_pull_was_cut_short() {
    let database = database();
    let (ann, _) = users(&database.url());
    let doctor = |machine: &Machine| {
        let run = machine.kinfra("doctor");
        run.stdout.lines().filter(|line| line.contains("registry:")).collect::<String>()
    };
    assert!(doctor(&ann).contains("and has 2 slots"), "{}", doctor(&ann));
    let run = Run::of(&mut without(&ann, &database, "doctor")).exits(1).prints("refuses connections");
    run.prints("this is the pool as it was").prints("check that PostgreSQL runs there");
    ann.write("~/pool/registry.json.pulled", "{}");
    ann.kinfra("doctor")
        .exits(1)
        .prints("a move of it was cut short")
        .prints("`kinfra registry pull` completes it");
}

#[test]
fn doctor_says_that_a_push_was_cut_short() {
    if has_no_file("it is put aside") {
        return;
    }
    let file = Machine::small();
    file.kinfra("apply").exits(0);
    std::fs::rename(file.path("~/pool/registry.json"), file.path("~/pool/registry.json.pushed"))
        .expect("aside");
    file.kinfra("doctor")
        .exits(1)
        .prints("a move of it was cut short")
        .prints("`kinfra registry push` completes it");
}

/// The commit and the wait for the disk are one message: what fails may be the wait.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_save_whose_wait_for_the_disk_fails_is_not_said_to_be_refused() {
    let database = database();
    let (ann, _) = users(&database.url());
    let waits = |body: &str| {
        database.sql(&format!(
            "create or replace function kinfra.is_kept(of_pool bigint, of_generation bigint, of_token text) returns \
             boolean language plpgsql as $$ begin {body} end $$"
        ))
    };
    let claims = || database.sql("select count(*) from kinfra.claim");
    database.sql("create sequence kinfra.waits");
    waits("if nextval('kinfra.waits') = 1 then raise exception 'no room'; end if; return true;");
    ann.kinfra("claim").exits(0);
    assert_eq!(claims(), "1");
    waits("raise exception 'no room';");
    ann.kinfra("release").exits(9).says("it is not known whether the change was saved").says("no room");
    assert_eq!(claims(), "0");
}
