//! `kinfra worktrees`: each worktree of the repository with its slot, its stack, and what of it is nowhere else.

use std::fs;

use serde_json::{Value, json};

use super::start::{instead_of_git, run, small, with_script};
use crate::rig::fleet::Fleet;
use crate::rig::scripted::{Fault, When};
use crate::support::Machine;

fn rows(run: &crate::support::Run) -> Vec<Value> {
    let document: Value = serde_json::from_str(&run.stdout).expect("one document");
    document["worktrees"].as_array().expect("a list").clone()
}

#[test]
fn each_worktree_has_its_slot_its_age_and_its_work() {
    let machine = small();
    for name in ["one", "two"] {
        machine.kinfra(&format!("start --no-up {name}")).exits(0);
    }
    machine.write("~/one/new", "x");
    machine.write("~/one/slots.toml", "x");
    machine.git(machine.path("~/two"), "commit --quiet --allow-empty --message mine");
    machine.git(
        machine.project(),
        &format!("worktree add --quiet --detach {}", machine.path("~/bare").display()),
    );
    // From any worktree of the repository, and from a directory in it.
    let dir = machine.path("~/two/templates");
    let listed = run(&machine, &dir, &["worktrees"]).exits(0);
    listed.prints("Branch  Slot  Stack").prints("2 files").prints("1 commit").prints("just now");
    let rows = rows(&run(&machine, &dir, &["worktrees", "--json"]).exits(0));
    let path = |path: &str| json!(machine.path(path).canonicalize().expect("a path"));
    let of = |name: &str| rows.iter().find(|row| row["path"] == path(name)).expect("a row").clone();
    assert_eq!((rows.len(), &rows[0]["branch"], &rows[0]["is_main"]), (4, &json!("main"), &json!(true)));
    assert_eq!((&rows[0]["slots"], &rows[0]["made"]), (&json!([]), &Value::Null));
    let one = of("~/one");
    assert_eq!((&one["branch"], &one["files"], &one["commits"]), (&json!("one"), &json!(2), &json!(0)));
    assert_eq!((&one["slots"][0]["slot_id"], &one["slots"][0]["standing"]), (&json!(1), &json!("held")));
    assert_eq!((&of("~/two")["files"], &of("~/two")["commits"]), (&json!(0), &json!(1)));
    assert_eq!((&of("~/bare")["branch"], &of("~/bare")["slots"]), (&Value::Null, &json!([])));

    fs::remove_dir_all(machine.path("~/bare")).expect("it is removed");
    machine.kinfra("worktrees").exits(0).prints("gone");
}

#[test]
fn runs_of_owners_are_rows_of_their_own() {
    let machine = small();
    machine.kinfra("claim").exits(0);
    let run = machine.kinfra("run --owner a --no-up -- kinfra worktrees --json").exits(0);
    let slots = rows(&run)[0]["slots"].clone();
    assert_eq!((&slots[0]["claim_owner"], &slots[1]["claim_owner"]), (&Value::Null, &json!("a")));
    let run = machine.kinfra("run --owner a --no-up -- kinfra worktrees").exits(0);
    assert_eq!(run.stdout.lines().filter(|line| line.contains("main")).count(), 2, "{}", run.stdout);
}

#[test]
fn a_stack_is_as_slots_has_it_also_where_the_engine_does_not_answer() {
    let fleet = Fleet::new(&[]);
    fleet.kinfra("project", "start fix").exits(0);
    let listed = fleet.kinfra("project", "worktrees").exits(0);
    listed.prints("http://web.slot-1.localhost:28901");
    let rows = rows(&fleet.kinfra("project", "worktrees --json").exits(0));
    let stack = &rows[1]["slots"][0]["stack"];
    // It settles meanwhile.
    assert!(stack["state"] == "starting" || stack["state"] == "running", "{stack}");
    fleet.engine.fails(Fault::Gone, &When::Always);
    fleet.kinfra("project", "worktrees").exits(0).prints("unknown: Docker did not answer").prints("fix");
    fleet.engine.mend();
    fleet.kinfra("project", "done fix").exits(0);
}

#[test]
fn a_repository_without_a_pool_has_worktrees_too() {
    let machine = Machine::new();
    machine.write("file", "x");
    machine.repository(machine.project());
    machine
        .git(machine.project(), &format!("worktree add --quiet -b fix {}", machine.path("~/fix").display()));
    machine.kinfra("worktrees").exits(0).prints("fix");
    run(&machine, machine.home(), &["worktrees"]).exits(4).says("is in no repository of git");
}

#[test]
fn a_worktree_of_which_git_does_not_answer_holds_up_no_other() {
    let machine = small();
    machine.kinfra("start --no-up one").exits(0);
    machine.kinfra("start --no-up two").exits(0);
    instead_of_git(&machine, "case \"$PWD $*\" in */one' status'*) sleep 20;; esac");
    let rows = rows(&with_script(&machine, "worktrees --json").exits(0));
    let files: Vec<&Value> = rows.iter().map(|row| &row["files"]).collect();
    assert_eq!(files, [&json!(0), &Value::Null, &json!(0)]);
    with_script(&machine, "worktrees").exits(0).prints("unknown: git did not answer");
    // Neither does one of which git says that it cannot.
    instead_of_git(&machine, "case \"$PWD $*\" in */two' status'*) exit 1;; esac");
    let rows = self::rows(&with_script(&machine, "worktrees --json").exits(0));
    let files: Vec<&Value> = rows.iter().map(|row| &row["files"]).collect();
    assert_eq!(files, [&json!(0), &json!(0), &Value::Null]);
}

#[test]
fn a_removal_that_was_killed_is_told() {
    let machine = small();
    machine.kinfra("start --no-up one").exits(0);
    instead_of_git(&machine, "case \"$*\" in *'worktree remove'*) kill -9 $PPID $$;; esac");
    with_script(&machine, "done one");
    machine.kinfra("worktrees").exits(0).prints("half removed");
    assert_eq!(rows(&machine.kinfra("worktrees --json").exits(0))[1]["presence"], "leaving");
}
