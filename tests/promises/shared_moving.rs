//! A registry that moves between a file and a server, with its claims, whatever cuts the move short.

use super::shared_kills::{End, run_to};
use super::shared_pool::{database, users};
use crate::rig::cut::Cut;
use crate::rig::postgres::Database;
use crate::support::{Machine, SMALL};

const FILE: &str = "~/pool/registry.json";
const KEPT: &str = "~/pool/registry.json.pushed";
const PULLED: &str = "~/pool/registry.json.pulled";

/// A pool in a file, with a claim; slots.toml names the server since.
fn pool_for(database: &Database) -> Machine {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim --lease 8h --note mine").exits(0);
    machine.spec(&format!("{SMALL}\n[registry]\nurl = \"{}\"\n", database.url()));
    machine
}

/// How many slots and claims the server has.
fn there(database: &Database) -> String {
    database.sql("select count(*), (select count(*) from kinfra.claim) from kinfra.slot")
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_registry_moves_with_its_claims_and_back() {
    let database = database();
    let file = Machine::claimed();
    file.kinfra("registry push").exits(4).says("names no server");
    let machine = pool_for(&database);
    machine.kinfra("apply").exits(4).says("`kinfra registry push` moves it there");
    machine.kinfra("status").exits(0).prints("Slot 1");
    let before = machine.read(FILE);
    machine.kinfra("registry push").exits(4).prints("2 slots, 1 of them held, would move into ");
    assert_eq!((machine.read(FILE), there(&database)), (before.clone(), "0|0".to_owned()));
    machine.kinfra("registry push --auto-approve").exits(0).prints("is kept as ");
    assert_eq!((machine.exists(FILE), machine.read(KEPT)), (false, before.clone()));
    assert_eq!(there(&database), "2|1");
    machine.kinfra("status").exits(0).prints("Slot 1");
    machine.kinfra("plan --detailed-exitcode").exits(0);
    machine.kinfra("renew").exits(0);
    machine.kinfra("registry push --auto-approve").exits(0);
    // Back, to the same bytes.
    machine.spec(SMALL);
    machine.kinfra("apply").exits(4).says("`kinfra registry pull` moves it into a file");
    machine.kinfra("registry pull --auto-approve").exits(0).prints("would move from ");
    assert_eq!((there(&database), machine.exists(KEPT)), ("0|0".to_owned(), false));
    // The renewal is all that is new.
    let values = |text: &str| {
        let mut values = serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        let until = values["slots"]["1"].as_object_mut().and_then(|slot| slot.remove("lease_until"));
        (values, until.is_some())
    };
    assert_eq!(values(&machine.read(FILE)), values(&before));
    machine.kinfra("status").exits(0).prints("Slot 1");
    machine.kinfra("plan --detailed-exitcode").exits(0);
    machine.kinfra("release").exits(0);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn no_move_takes_slots_from_others() {
    let database = database();
    let (ann, ben) = (pool_for(&database), pool_for(&database));
    ann.kinfra("registry push --auto-approve").exits(0);
    let other = ben.read(FILE);
    ben.kinfra("registry push --auto-approve").exits(4).says("has a pool of that name already");
    assert_eq!(ben.read(FILE), other);
    let third = Machine::small();
    third.spec(&format!("{SMALL}\n[registry]\nurl = \"{}\"\n", database.url()));
    third.kinfra("apply").exits(0);
    let pull = ann.kinfra("registry pull --auto-approve").exits(4).says("others of this host use the pool");
    pull.says(&third.path("~/pool").display().to_string()).says("--leave-others");
    third.kinfra("claim").exits(0).prints("slot 2");
    let leave = "registry pull --leave-others --auto-approve";
    ann.kinfra(leave).exits(4).says("others hold slot 2").says("`kinfra release 2 --force`");
    assert_eq!((there(&database), ann.exists(FILE)), ("2|2".to_owned(), false));
    // Who is left behind has no slots, and may go on in a file, too.
    third.kinfra("release").exits(0);
    ann.kinfra(leave)
        .exits(0)
        .prints("would be left behind")
        .prints(&third.path("~/pool").display().to_string());
    assert_eq!((there(&database), ann.exists(FILE)), ("0|0".to_owned(), true));
    ann.spec(SMALL);
    ann.kinfra("status").exits(0).prints("Slot 1");
    third.kinfra("status").exits(0).prints("holds no slot").never_says("lost");
    third.kinfra("claim").exits(3).says("kinfra apply");
    third.spec(SMALL);
    third.kinfra("apply").exits(4).says("`kinfra registry pull`");
    third
        .kinfra("registry pull")
        .exits(0)
        .prints("has no slots of the pool")
        .prints("`kinfra apply` makes them");
    third.kinfra("apply").exits(0);
    assert!(third.exists(FILE));
    third.kinfra("plan --detailed-exitcode").exits(0);
}

/// The same server under another name is no move. A server that has another registry is none of the pool's.
#[test]
#[ignore = "needs PostgreSQL"]
fn apply_takes_a_new_url_of_the_same_registry_alone() {
    let (database, other) = (database(), database());
    let (ann, _) = users(&database.url());
    ann.kinfra("claim").exits(0);
    let spec = ann.read("slots.toml");
    let (old, new) = (database.url(), database.tcp_url("postgres", "sslmode=disable"));
    ann.spec(&spec.replace(&old, &new));
    ann.kinfra("plan").exits(4).says("slots.toml names").says("`kinfra apply` takes it");
    let renamed = format!("Registry: {new}, in place of {old}\n");
    ann.kinfra("apply --dry-run").exits(0).prints(&renamed);
    ann.kinfra("registry status").exits(0).prints(&old);
    ann.kinfra("apply").exits(0).prints(&renamed);
    ann.kinfra("registry status").exits(0).prints(&new);
    ann.kinfra("plan --detailed-exitcode").exits(0).never_says("in place of");
    // Of a copy that is older, and of another pool of that name, none.
    ann.spec(&spec);
    database.sql("delete from kinfra.claim; update kinfra.pool set generation = generation - 1");
    ann.kinfra("apply").exits(4).says("has lost claims of slots 1");
    let ben = Machine::small();
    ben.spec(&spec.replace(&old, &other.url()));
    for _ in 0..2 {
        ann.spec(&ben.read("slots.toml"));
        ann.kinfra("apply").exits(4).says("slots.toml names").says("which does not have it");
        ben.kinfra("apply").exits(0);
    }
    assert_eq!(other.sql("select count(*) from kinfra.root"), "1");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn who_has_a_pool_of_the_same_name_is_told_how_to_join() {
    let database = database();
    let (ann, ben) = (pool_for(&database), pool_for(&database));
    ann.kinfra("registry push --auto-approve").exits(0);
    ben.kinfra("registry push --auto-approve").exits(4).says("`kinfra destroy`").says("`kinfra apply`");
    let spec = ben.read("slots.toml");
    ben.spec(SMALL);
    ben.kinfra("release").exits(0);
    ben.kinfra("destroy --auto-approve").exits(0);
    ben.spec(&spec);
    ben.kinfra("apply").exits(4).says("`kinfra registry push` moves it there");
    ben.kinfra("registry push --auto-approve").exits(0);
    ben.kinfra("apply").exits(0);
    ben.kinfra("claim").exits(0).prints("slot 2");
    // What is wrong on the server is the admin's to mend.
    database.sql("update kinfra.slot set content = content - 'ports' where slot = 2");
    ann.kinfra("slots")
        .exits(5)
        .says("is corrupt: slots.2")
        .says("backup of the database")
        .says("kinfra.slot");
}

/// The pool of [`pool_for`] with its registry on the way back: the server has it no more, and it is not in place.
fn half_pulled(database: &Database) -> Machine {
    let machine = pool_for(database);
    machine.kinfra("registry push --auto-approve").exits(0);
    let index = machine.path("~/.local/state/kinfra/pools");
    let texts: Vec<_> = std::fs::read_dir(index)
        .expect("the index")
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|it| it == "json"))
        .map(|file| (file.path(), std::fs::read(file.path()).expect("an entry")))
        .collect();
    machine.kinfra("registry pull --auto-approve").exits(0);
    for (path, text) in &texts {
        std::fs::write(path, text).expect("the entry as before");
    }
    std::fs::rename(machine.path(FILE), machine.path(PULLED)).expect("the registry");
    machine
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_registry_on_its_way_back_is_not_made_anew() {
    let database = database();
    let machine = half_pulled(&database);
    let text = machine.read(PULLED);
    for verb in ["apply", "plan", "status", "claim", "release", "slots", "destroy"] {
        machine
            .kinfra(verb)
            .exits(4)
            .says("a move of it was cut short")
            .says("`kinfra registry pull` completes it");
    }
    // Another user of the host begins anew, and takes nothing away.
    let other = Machine::small();
    other.spec(&format!("{SMALL}\n[registry]\nurl = \"{}\"\n", database.url()));
    other.kinfra("apply").exits(0);
    machine.kinfra("apply").exits(4).says("was cut short");
    machine.kinfra("registry pull --auto-approve").exits(0).prints("2 slots, 1 of them held");
    assert_eq!((machine.read(FILE), there(&database)), (text, "2|0".to_owned()));
    let id = serde_json::from_str::<serde_json::Value>(&machine.read(FILE)).expect("JSON")["id"].clone();
    assert_ne!(
        Some(database.sql("select id from kinfra.host").as_str()),
        id.as_str(),
        "one id for two pools"
    );
    machine.spec(SMALL);
    machine.kinfra("status").exits(0).prints("Slot 1");
    // A claim that moved has not ended.
    assert_eq!(database.sql("select has_moved from kinfra.ended"), "t");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn what_was_moved_before_does_not_come_back() {
    let database = database();
    let machine = pool_for(&database);
    machine.kinfra("registry push --auto-approve").exits(0);
    machine.kinfra("release").exits(0);
    machine.kinfra("destroy --auto-approve").exits(0);
    let again = machine.kinfra("registry push --auto-approve").exits(0).prints("already");
    assert!(!again.stdout.contains("would move"), "{again:#?}");
    assert_eq!(there(&database), "0|0");
    machine
        .kinfra("registry pull")
        .exits(0)
        .prints("has no slots of the pool")
        .prints("`kinfra apply` makes them");
    assert!(!machine.exists(KEPT) && !machine.exists(FILE));
    machine.spec(SMALL);
    machine.kinfra("status").exits(0).prints("holds no slot");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_registry_that_the_server_refuses_stays_a_file() {
    let database = database();
    let machine = pool_for(&database);
    let text = machine.read(FILE).replacen('{', r#"{"theirs": "a\u0000b","#, 1);
    machine.write(FILE, &text);
    machine.kinfra("registry push --auto-approve").exits(9).says("unsupported Unicode escape sequence");
    assert_eq!((machine.read(FILE), machine.exists(KEPT)), (text, false));
    machine.spec(SMALL);
    machine.kinfra("release").exits(0);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_move_that_is_killed_at_any_message_is_completed_by_the_next() {
    let database = database();
    let machine = pool_for(&database);
    let url = format!("postgres://postgres@127.0.0.1:PORT/{}?sslmode=disable", database.name);
    let (mut killed, mut aside) = (0, 0);
    for number in 0..200 {
        let cut = [Cut::BeforeRequest(number / 2), Cut::BeforeAnswer(number / 2)][number % 2];
        let mut is_over = true;
        for verb in ["push", "pull"] {
            let mut command = machine.command(&format!("registry {verb} --auto-approve"));
            let run = run_to(&mut command, database.server.port(), cut, (End::Killed, &url));
            is_over &= run.is_none();
            killed += u32::from(run.is_some());
            // A killed transaction may not be over yet.
            database.sql("begin; select 'turn' from kinfra.turn for update; rollback");
            let (is_file, is_there) = (machine.exists(FILE), there(&database) == "2|1");
            assert!(!(is_file && is_there), "{verb} {cut:?}: two registries");
            aside += u32::from(!is_file && !is_there);
            let again = machine.kinfra(&format!("registry {verb} --auto-approve"));
            // A pull that was over is none any more.
            assert!(
                again.code == Some(0) || (verb == "pull" && is_file && again.code == Some(4)),
                "{again:#?}"
            );
            assert_eq!((machine.exists(FILE), there(&database) == "2|1"), (verb == "pull", verb == "push"));
            machine.kinfra("status").exits(0).prints("Slot 1");
        }
        if is_over {
            break;
        }
    }
    assert!(killed > 8 && aside > 1, "{killed} {aside}");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_registry_that_is_aside_is_used_by_no_verb_and_comes_back_where_it_cannot_go_on() {
    let database = database();
    let ann = pool_for(&database);
    // As after a push whose save did not reach the server.
    std::fs::rename(ann.path(FILE), ann.path(KEPT)).expect("it is put aside");
    ann.remove("~/pool/registry.json.bak");
    for verb in ["status", "claim", "slots", "release", "env"] {
        let run = ann.kinfra(verb).exits(4).says("a move of it was cut short");
        run.says("`kinfra registry push` completes it");
    }
    let ben = Machine::small();
    ben.spec(&ann.read("slots.toml"));
    ben.kinfra("apply").exits(0);
    ben.kinfra("claim").exits(0);
    let kept = ann.read(KEPT);
    ann.kinfra("registry push --auto-approve").exits(4).says("has a pool of that name already");
    assert_eq!((ann.read(FILE), ann.exists(KEPT)), (kept, false));
    ann.kinfra("status").exits(0).prints("Slot 1");
}
