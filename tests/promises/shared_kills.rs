//! A client whose connection is cut, or that is killed, at each message to the server: through the verbs.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::rig::cut::{Cut, Proxy};
use crate::rig::figure;
use crate::rig::postgres::{Database, Postgres};
use crate::support::{Machine, Run, Running, SMALL};

/// What happens to the client at a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its connection is cut.
    Cut,
    /// It is killed.
    Killed,
}

/// A run that was cut or killed at a message. `None` where the run was over before.
pub(super) fn run_to(command: &mut Command, server: u16, cut: Cut, (end, url): (End, &str)) -> Option<Run> {
    let proxy = if end == End::Cut { Proxy::to(server, cut) } else { Proxy::hanging(server, cut) };
    command.env("KINFRA_REGISTRY_URL", url.replace("PORT", &proxy.port().to_string()));
    let mut running = Running::piped(command);
    if end == End::Cut {
        let run = running.ends();
        return proxy.was_cut().then_some(run);
    }
    let deadline = Instant::now() + Duration::from_mins(1);
    while !proxy.was_cut() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
        if running.try_wait().expect("a run").is_some() {
            return None;
        }
    }
    running.signal(Signal::KILL);
    let run = Run::from(running.outcome());
    proxy.end();
    Some(run)
}

/// Whether slot 1 is held, as the server has it. It waits until a transaction of a killed client is over.
fn held(database: &Database) -> bool {
    let rows = "begin; select 'turn' from kinfra.turn for update; select slot from kinfra.claim; rollback";
    database.sql(rows).lines().any(|line| line == "1")
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_verb_that_is_cut_or_killed_at_any_message_loses_nothing() {
    let database = Postgres::shared().database();
    let machine = Machine::small();
    machine.kinfra(&format!("registry init {}", database.url())).exits(0);
    machine.spec(&format!("{SMALL}\n[registry]\nurl = \"{}\"\n", database.url()));
    machine.kinfra("apply").exits(0);
    let url = format!("postgres://postgres@127.0.0.1:PORT/{}?sslmode=disable", database.name);
    let server = database.server.port();
    let (mut acknowledged, mut refused, mut unknown, mut killed) = (0, 0, 0, 0);
    for end in [End::Cut, End::Killed] {
        for number in 0..400 {
            let cut = [Cut::BeforeRequest(number / 4), Cut::BeforeAnswer(number / 4)][number % 2];
            let is_claim = number % 4 < 2;
            // The claim that is to be released.
            if is_claim == held(&database) {
                machine.kinfra(if is_claim { "release" } else { "claim --slot 1" }).exits(0);
            }
            let verb = if is_claim { "claim --slot 1" } else { "release" };
            let Some(run) = run_to(&mut machine.command(verb), server, cut, (end, &url)) else {
                if is_claim && number % 2 == 0 {
                    break;
                }
                continue;
            };
            let is_done = held(&database) == is_claim;
            match run.code {
                Some(0) => {
                    acknowledged += 1;
                    assert!(is_done, "{end:?} {cut:?}: {verb} was acknowledged, and is not there");
                }
                Some(_) if run.stderr.contains("not known whether") => unknown += 1,
                Some(_) => {
                    refused += 1;
                    assert!(!is_done, "{end:?} {cut:?}: {verb} was refused, and is there: {run:#?}");
                }
                None => killed += 1,
            }
            assert_eq!(database.sql("select count(*) - count(distinct slot) from kinfra.claim"), "0");
            // Whatever became of it, the same verb completes it.
            machine.kinfra(verb).exits(0);
            assert_eq!(held(&database), is_claim, "{end:?} {cut:?}: {verb} again");
            machine.kinfra("status").exits(0).prints(if is_claim { "Slot 1" } else { "holds no slot" });
        }
    }
    figure(&format!(
        "claim and release, cut at every message: {acknowledged} acknowledged, {refused} refused, {unknown} not known; \
         {killed} killed"
    ));
    assert!(acknowledged > 3 && refused > 0 && killed > 7, "{acknowledged} {refused} {killed}");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_migration_that_is_cut_or_killed_is_made_by_the_next() {
    let machine = Machine::small();
    let tables = "select count(*) from information_schema.tables where table_schema = 'kinfra'";
    let (mut all, mut half) = (None, 0);
    for end in [End::Cut, End::Killed] {
        for number in 0..100 {
            let cut = [Cut::BeforeRequest(number / 2), Cut::BeforeAnswer(number / 2)][number % 2];
            let database = Postgres::shared().database();
            let url = format!("postgres://postgres@127.0.0.1:PORT/{}?sslmode=disable", database.name);
            let is_over =
                run_to(&mut machine.command("registry init"), database.server.port(), cut, (end, &url))
                    .is_none();
            half += u32::from(database.sql(tables) == "0");
            machine.kinfra(&format!("registry init {}", database.url())).exits(0);
            assert_eq!(database.sql("select version from kinfra.migration"), "1", "{end:?} {cut:?}");
            let made = database.sql(tables);
            assert_eq!(*all.get_or_insert_with(|| made.clone()), made, "{end:?} {cut:?}");
            if is_over && number % 2 == 1 {
                break;
            }
        }
    }
    assert!(half > 3, "{half}");
}
