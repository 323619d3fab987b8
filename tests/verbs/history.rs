//! `kinfra history`: who did what to which slot, as the journal in the pool's root tells it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;

use serde_json::Value;

use crate::rig::fleet::Fleet;
use crate::support::{Machine, Run, Running, has_no_file};
use crate::verbs::claim::{applied, make_dirs, registry, run_in};

const JOURNAL: &str = "~/pool/journal";
const OLDER: &str = "~/pool/journal.1";
const HEADER: &str = "{\"kinfra_journal\":1}\n";

/// What makes something at a name.
type Make<'a> = &'a dyn Fn();

fn events(run: &Run) -> Vec<Value> {
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    document["events"].as_array().expect("events").clone()
}

/// Each event: its slots and its kind.
fn kinds(run: &Run) -> Vec<(Vec<u64>, String)> {
    let slots = |event: &Value| {
        event["slots"].as_array().expect("slots").iter().map(|slot| slot.as_u64().expect("a slot")).collect()
    };
    let kind = |event: &Value| event["event"].as_str().expect("a kind").to_owned();
    events(run).iter().map(|event| (slots(event), kind(event))).collect()
}

fn history(machine: &Machine) -> Run {
    machine.kinfra("history --json").exits(0)
}

fn kinds_of(machine: &Machine) -> Vec<(Vec<u64>, String)> {
    kinds(&history(machine))
}

fn kind(slots: &[u64], kind: &str) -> (Vec<u64>, String) {
    (slots.to_vec(), kind.to_owned())
}

#[test]
fn who_did_what_is_told_in_order() {
    let machine = applied();
    make_dirs(&machine, &["~/other"]);
    machine.kinfra("claim --lease 2h --note nightly").exits(0);
    machine.kinfra("renew --lease 3h").exits(0);
    run_in(&machine, "~/other", "claim").exits(0);
    machine.kinfra("release 1").exits(0);
    run_in(&machine, ".", "release 2 --force").exits(0);
    let run = machine.kinfra("history").exits(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 7, "{run:#?}");
    assert!(lines[0].starts_with(" When ") && lines[0].contains("What"), "{run:#?}");
    let project = machine.project().canonicalize().expect("a path").display().to_string();
    for (line, said) in lines[1..].iter().zip([
        format!(": apply in {project}  added"),
        format!(": claim  claimed by {project} for 2h: nightly"),
        format!(": renew  leased to {project} for 3h"),
        ": claim  claimed by ~/other".to_owned(),
        format!(": release  released by {project}"),
        format!(": release in {project}  released by force from ~/other"),
    ]) {
        let line: Vec<&str> = line.split_whitespace().collect();
        let said: Vec<&str> = said.split_whitespace().collect();
        assert!(line.join(" ").ends_with(&said.join(" ")), "no {said:?} in {line:?}");
    }
    assert!(lines.iter().all(|line| !line.ends_with(' ')), "{run:#?}");
    let found = events(&history(&machine));
    assert_eq!(found[1]["holder"], project);
    assert_eq!((&found[1]["lease"], &found[1]["note"]), (&"2h".into(), &"nightly".into()));
    assert_eq!(found[1]["claim_id"], found[4]["claim_id"]);
    assert_eq!((&found[4]["how"], &found[5]["how"]), (&"by_holder".into(), &"by_force".into()));
    for event in &found {
        assert!(event["by"]["user"].is_string() && event["by"]["host"].is_string(), "{event}");
    }
    let of_two = machine.kinfra("history 2 --json").exits(0);
    let expected = [kind(&[1, 2], "added"), kind(&[2], "claimed"), kind(&[2], "released")];
    assert_eq!(kinds(&of_two), expected);
    let last = machine.kinfra("history -n 2").exits(0).never_says("Left out");
    assert_eq!(last.stdout.lines().count(), 3, "{last:#?}");
    machine.kinfra("history 3").exits(3).says("the pool has no slot 3");
    for none in ["0", "-1", "all"] {
        machine.kinfra(&format!("history --last={none}")).exits(64).says("write how many events, 1 or more");
    }
}

#[test]
fn nothing_is_written_but_by_changes() {
    if has_no_file("the journal is a file of the root") {
        return;
    }
    let machine = applied();
    let before = machine.read(JOURNAL);
    assert!(before.starts_with(HEADER), "{before}");
    assert_eq!(machine.mode(JOURNAL), 0o600);
    for verb in ["plan", "apply", "apply --dry-run", "slots", "history", "release", "reap", "doctor"] {
        machine.kinfra(verb);
        assert_eq!(machine.read(JOURNAL), before, "{verb}");
    }
    machine.kinfra("claim --lease 8h").exits(0);
    let claimed = machine.read(JOURNAL);
    // Only the end of the lease moves.
    machine.kinfra("renew").exits(0);
    machine.kinfra("env").exits(0);
    assert_eq!(machine.read(JOURNAL), claimed);
    assert!(claimed.starts_with(&before) && claimed.len() > before.len());
    machine.set_mode("~/pool", 0o500);
    machine.kinfra("history").exits(0).prints("claimed by");
    machine.set_mode("~/pool", 0o700);
}

#[test]
fn slots_that_change_go_and_come_back_are_told() {
    let machine = applied();
    machine.template("conf.txt", "another {{ slot.id }}\n");
    machine.kinfra("apply --update --auto-approve").exits(0);
    machine.edit_spec("ids = \"1-2\"", "ids = \"1,3\"");
    machine.kinfra("apply --prune --auto-approve").exits(0);
    let expected =
        [kind(&[1, 2], "added"), kind(&[1, 2], "changed"), kind(&[3], "added"), kind(&[2], "removed")];
    assert_eq!(kinds_of(&machine), expected);
    // It is gone, and what happened to it is told.
    machine.kinfra("history 2").exits(0).prints("removed");
    machine
        .kinfra("destroy --auto-approve")
        .exits(0)
        .says("The registry, its backup, the journal and the lock stay");
    assert_eq!(kinds_of(&machine).last(), Some(&kind(&[1, 3], "removed")));
}

#[test]
fn a_reap_says_why_a_claim_ended() {
    if has_no_file("a server judges leases by its own clock") {
        return;
    }
    let machine = applied();
    make_dirs(&machine, &["~/main"]);
    machine.repository(machine.path("~/main"));
    machine.git(machine.path("~/main"), "worktree add --quiet ../gone");
    run_in(&machine, "~/gone", "claim").exits(0);
    machine.kinfra("claim --lease 1s").exits(0);
    machine.git(machine.path("~/main"), "worktree remove ../gone");
    let mut later = machine.command("reap --auto-approve");
    machine.write("~/clock", "3600");
    Run::of(later.env("KINFRA_TEST_CLOCK", machine.path("~/clock"))).exits(0);
    let run = machine.kinfra("history").exits(0);
    run.prints("reaped from ~/gone: its directory was gone").prints(": its lease had run out");
    let ended = events(&history(&machine));
    let how: Vec<&Value> =
        ended.iter().filter(|event| event["event"] == "released").map(|it| &it["how"]).collect();
    assert_eq!(how, ["worktree_gone", "lease_ran_out"]);
}

#[test]
fn a_stack_is_started_stopped_and_cleaned() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "claim").exits(0);
    for verb in ["up", "down", "down", "up", "reset db --auto-approve", "reset --auto-approve"] {
        fleet.kinfra("a", verb).exits(0);
    }
    fleet.kinfra("a", "down --volumes").exits(0);
    fleet.kinfra("a", "up").exits(0);
    fleet.kinfra("a", "release").exits(0);
    fleet.kinfra("project", "clean 1 --auto-approve").exits(0);
    let run = fleet.kinfra("a", "history 1 --json").exits(0);
    let found: Vec<String> = kinds(&run).into_iter().map(|(_, kind)| kind).collect();
    let expected = "added claimed start_begun stopped start_begun reset start_begun reset start_begun stopped \
                    start_begun released data_kept cleaned";
    assert_eq!(found.join(" "), expected);
    let data: Vec<bool> = events(&run).iter().filter_map(|event| event["with_data"].as_bool()).collect();
    assert_eq!(data, [false, true, true, true]);
    let run = fleet.kinfra("a", "history").exits(0).prints("  service db reset, its data removed\n");
    let run = run.prints("  stack reset, its data removed\n").prints("  start of the stack begun\n");
    run.prints("  stack stopped\n").prints("  cleaned, its data kept for ");
}

#[test]
fn data_that_was_not_there_was_not_removed() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "claim").exits(0);
    fleet.kinfra("a", "up").exits(0);
    fleet.kinfra("a", "down --volumes").exits(0);
    let last = |fleet: &Fleet| events(&fleet.kinfra("a", "history --json").exits(0)).pop().expect("an event");
    assert_eq!(last(&fleet)["with_data"], true);
    fleet.kinfra("a", "up").exits(0);
    fleet.kinfra("a", "down").exits(0);
    assert_eq!(last(&fleet)["with_data"], false);
}

#[test]
fn a_stop_that_cannot_be_recorded_soon_is_told() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "claim").exits(0);
    fleet.kinfra("a", "up").exits(0);
    let lock = fs::File::open(fleet.machine.path("~/pool/.lock")).expect("the lock");
    lock.lock().expect("it is held");
    let run = fleet.kinfra("a", "down --lock-timeout 1m").exits(0);
    run.says("Not in the history: ").says(".lock` is held by");
    drop(lock);
    let run = fleet.kinfra("a", "history --json").exits(0);
    assert_eq!(kinds(&run).last(), Some(&kind(&[1], "start_begun")));
}

#[test]
fn no_journal_is_too_large_to_go_on() {
    if has_no_file("the journal is a file of the root") {
        return;
    }
    let machine = applied();
    // Sparse: it takes no room.
    let journal = fs::File::options().write(true).open(machine.path(JOURNAL)).expect("the journal");
    journal.set_len(3 << 40).expect("a length");
    machine.write("~/pool/.tmp/left", "");
    machine.kinfra("claim").exits(0).never_says("Not in the history");
    let run = machine.kinfra("history").exits(0).prints("claimed by");
    run.says("Not read: ").says("journal.1");
    // A journal of a newer kinfra that was put aside hides no other.
    machine.write(OLDER, "{\"kinfra_journal\":2,\"more\":[1]}\n{}\n");
    machine.kinfra("history").exits(0).prints("claimed by").says("Not read: a newer kinfra wrote");
    // One line without an end is no journal either.
    machine.write(JOURNAL, "hello");
    machine.kinfra("history").exits(0).says("Not read: `~/pool/journal` is not kinfra's");
    machine.kinfra("release").exits(0).says("Not in the history: `~/pool/journal` is not kinfra's");
}

#[test]
fn doctor_finds_what_keeps_changes_out_of_the_history() {
    if has_no_file("the journal is a file of the root") {
        return;
    }
    let machine = applied();
    let journal = machine.path(JOURNAL);
    machine.kinfra("doctor").prints("  ✓ journal: `~/pool/journal`\n");
    for (mode, is_found) in [(0o600, false), (0o666, true)] {
        machine.set_mode(JOURNAL, mode);
        let run = machine.kinfra("doctor");
        assert_eq!(run.stdout.contains("! journal: "), is_found, "{run:#?}");
        let run = machine.kinfra("claim").exits(0);
        assert_eq!(run.stderr.contains("Not in the history"), is_found, "{run:#?}");
        machine.kinfra("release").exits(0);
    }
    machine.kinfra("history").exits(0).says("Not read: ");
    machine.set_mode(JOURNAL, 0o600);
    fs::hard_link(&journal, machine.path("~/second")).expect("a second name");
    machine.kinfra("doctor").prints("! journal: ").prints("has a second name");
    machine.remove("~/second");
    for text in ["", "{\"kinfra_jou"] {
        machine.write(JOURNAL, text);
        let run = machine.kinfra("doctor");
        assert_eq!(run.stdout.contains("! journal: "), !text.is_empty(), "{run:#?}");
    }
    machine.remove(JOURNAL);
    machine.kinfra("doctor").prints("  ✓ journal: `~/pool/journal` is not there yet");
    symlink("/nowhere", machine.path(OLDER)).expect("a link");
    machine.kinfra("doctor").prints("! journal: `~/pool/journal.1` is a symbolic link");
    // It is in the way only of a journal that is full.
    machine.kinfra("claim").exits(0).never_says("Not in the history");
}

#[test]
fn a_full_journal_is_put_aside_once() {
    if has_no_file("the journal is a file of the root") {
        return;
    }
    let machine = applied();
    let full = |text: String| {
        let room = (1 << 20) - 100 - text.len();
        format!("{text}{}\n", "x".repeat(room))
    };
    machine.write(OLDER, format!("{HEADER}of long ago\n"));
    let before = full(machine.read(JOURNAL));
    machine.write(JOURNAL, &before);
    machine.kinfra("claim").exits(0).never_says("history");
    assert!(machine.read(OLDER) == before, "the one before it is gone");
    assert!(machine.read(JOURNAL).starts_with(HEADER) && machine.read(JOURNAL).len() < 1000);
    // Both are read.
    assert_eq!(kinds_of(&machine), [kind(&[1, 2], "added"), kind(&[1], "claimed")]);
    // What kinfra did not make is not replaced.
    let before = full(machine.read(JOURNAL));
    machine.write(JOURNAL, &before);
    machine.write(OLDER, "mine\n");
    let full = machine.kinfra("release").exits(0);
    full.says("Not in the history: `~/pool/journal.1` is not kinfra's; move it away\n");
    assert!(machine.read(OLDER) == "mine\n" && machine.read(JOURNAL) == before);
    machine.kinfra("history").exits(0).says("Not read: `~/pool/journal.1` is not kinfra's");
}

#[test]
fn what_cannot_be_recorded_happens_all_the_same() {
    if has_no_file("the journal is a file of the root") {
        return;
    }
    let machine = applied();
    machine.write("~/mine", "mine\n");
    let (mine, journal) = (machine.path("~/mine"), machine.path(JOURNAL));
    let made: [(&str, Make<'_>, &str); 5] = [
        ("a link", &|| symlink(&mine, &journal).expect("a link"), "is a symbolic link"),
        ("a second name", &|| fs::hard_link(&mine, &journal).expect("a name"), "has a second name"),
        ("a directory", &|| fs::create_dir(&journal).expect("a directory"), "is a directory"),
        ("a file of others", &|| fs::write(&journal, "mine\n").expect("a file"), "is not kinfra's"),
        (
            "of a newer one",
            &|| fs::write(&journal, "{\"kinfra_journal\":2}\n").expect("a file"),
            "a newer kinfra",
        ),
    ];
    for (case, make, said) in made {
        machine.remove(JOURNAL);
        make();
        let before = fs::read(&journal).ok();
        machine.kinfra("claim").exits(0).says("Not in the history: ").says(said);
        machine.kinfra("release").exits(0).says(said);
        assert_eq!(fs::read(&journal).ok(), before, "{case}");
        assert_eq!(machine.read("~/mine"), "mine\n", "{case}");
        let told = machine.kinfra("history");
        if case == "of a newer one" {
            told.exits(5).says("a newer kinfra wrote `~/pool/journal`").says("upgrade kinfra");
        } else {
            told.exits(0).says("Not read: `~/pool/journal` ").never_says("Nothing is recorded");
        }
    }
    machine.kinfra("doctor").prints("a newer kinfra wrote");
}

#[test]
fn a_torn_line_and_lost_lines_are_told() {
    if has_no_file("the journal is a file of the root") {
        return;
    }
    let machine = applied();
    machine.kinfra("claim").exits(0);
    let whole = machine.read(JOURNAL);
    machine.write(JOURNAL, &whole[..whole.len() - 30]);
    let run = machine.kinfra("history").exits(0).says("1 line of the journal cannot be read, and left out\n");
    assert!(run.stdout.contains("added") && !run.stdout.contains("claimed"), "{run:#?}");
    machine.kinfra("release").exits(0);
    let run = machine.kinfra("history").exits(0).says("1 line of the journal").prints("released by");
    run.says("Some claims of slot 1 are missing: ");
    assert_eq!(kinds_of(&machine), [kind(&[1, 2], "added"), kind(&[1], "released")]);
    // An older kinfra keeps no journal.
    machine.remove(JOURNAL);
    machine.kinfra("history").exits(0).says("Nothing is recorded of this pool yet: the history begins");
    machine.kinfra("history 2").exits(0).says("Nothing is recorded of this pool yet");
    machine.kinfra("claim").exits(0);
    machine.kinfra("history 2").exits(0).says("The history has nothing of slot 2\n");
    assert_eq!(kinds_of(&machine), [kind(&[1], "claimed")]);
}

#[test]
fn a_change_whose_save_was_cut_short_did_not_happen() {
    if has_no_file("the journal is a file of the root") {
        return;
    }
    let machine = applied();
    let (before, journal) = (machine.read("~/pool/registry.json"), machine.read(JOURNAL));
    machine.kinfra("claim").exits(0);
    let line = machine.read(JOURNAL)[journal.len()..].to_owned();
    machine.kinfra("release").exits(0);
    assert_eq!(machine.read("~/pool/registry.json"), before);
    // As after a kill between the line and the save. The registry is known by its text: a copy is it, too.
    let whole = machine.read(JOURNAL);
    make_dirs(&machine, &["~/other"]);
    let told = [kind(&[1, 2], "added"), kind(&[1], "claimed"), kind(&[1], "released")];
    machine.write(JOURNAL, format!("{whole}{line}"));
    machine.write("~/pool/.tmp/registry.json", "{}");
    machine.write("~/pool/registry.json", &before);
    assert_eq!(kinds_of(&machine), told, "who only reads leaves it out");
    run_in(&machine, "~/other", "claim").exits(0);
    let now = machine.read(JOURNAL);
    assert!(now.starts_with(&whole) && now.matches(&line).count() == 1, "{now}");
    assert_eq!(kinds_of(&machine).len(), 4);
    machine.kinfra("history").exits(0).never_says("are missing");
}

#[test]
fn a_change_that_is_not_recorded_leaves_the_one_before_it() {
    if has_no_file("the journal is a file of the root") {
        return;
    }
    let machine = applied();
    make_dirs(&machine, &["~/other"]);
    let before = machine.read("~/pool/registry.json");
    machine.kinfra("claim --note good").exits(0);
    let good = machine.read(JOURNAL);
    machine.set_mode(JOURNAL, 0o666);
    machine.kinfra("release").exits(0).says("Not in the history: ");
    machine.set_mode(JOURNAL, 0o600);
    // The registry that the claim replaced is there again.
    assert_eq!(machine.read("~/pool/registry.json"), before);
    let missing = "Some claims of slot 1 are missing: ";
    machine.kinfra("history").exits(0).prints(": good").says(missing);
    run_in(&machine, "~/other", "claim").exits(0);
    assert!(machine.read(JOURNAL).starts_with(&good), "{}", machine.read(JOURNAL));
    machine.kinfra("history").exits(0).prints(": good").says(missing);
}

#[test]
fn what_is_not_recorded_is_told_before_another_program_runs() {
    if has_no_file("the journal is a file of the root") {
        return;
    }
    let machine = applied();
    make_dirs(&machine, &["~/main"]);
    machine.repository(machine.path("~/main"));
    machine.git(machine.path("~/main"), "worktree add --quiet ../one");
    run_in(&machine, "~/one", "claim --lease 8h").exits(0);
    machine.git(machine.path("~/main"), "worktree move ../one ../two");
    machine.remove(JOURNAL);
    make_dirs(&machine, &[JOURNAL]);
    machine.write("~/clock", "3600");
    let mut later = machine.command("exec --spec");
    later.arg(machine.path("slots.toml")).args(["--", "true"]).current_dir(machine.path("~/two"));
    let run = Run::of(later.env("KINFRA_TEST_CLOCK", machine.path("~/clock"))).exits(0);
    run.says("Not in the history: `~/pool/journal` is a directory");
    assert!(machine.read("~/pool/registry.json").contains("/two"));
}

#[test]
fn a_long_list_of_slots_makes_no_row_wide() {
    if has_no_file("the journal is a file of the root") {
        return;
    }
    let machine = applied();
    let odd: Vec<String> = (1..80).step_by(2).map(|slot: u16| slot.to_string()).collect();
    let line = machine.read(JOURNAL)[HEADER.len()..].replace("\"1-2\"", &format!("\"{}\"", odd.join(",")));
    machine.write(JOURNAL, format!("{HEADER}{line}"));
    let run = machine.kinfra("history").exits(0).prints("  1,3,5,7,9,… (40 slots)  ");
    assert!(!run.stdout.contains("79"), "{run:#?}");
}

#[test]
fn a_journal_that_was_there_before_the_registry_is_told_by_nothing() {
    if has_no_file("the journal is a file of the root") {
        return;
    }
    let machine = applied();
    machine.kinfra("claim").exits(0);
    let journal = machine.read(JOURNAL);
    assert!(journal.contains("claimed"));
    machine.remove("~/pool");
    machine.remove(".env.sandbox");
    machine.write("~/pool/.lock", "");
    machine.write(JOURNAL, journal);
    machine.set_mode("~/pool", 0o700);
    machine.set_mode(JOURNAL, 0o600);
    machine.kinfra("apply").exits(0);
    assert_eq!(kinds_of(&machine), [kind(&[1, 2], "added")]);
}

#[test]
fn a_repair_is_told() {
    if has_no_file("a server takes no registry that cannot be read") {
        return;
    }
    let machine = applied();
    machine.kinfra("claim").exits(0);
    machine.write("~/pool/registry.json", "{");
    machine.kinfra("doctor --repair --auto-approve").exits(0);
    assert_eq!(kinds_of(&machine).last(), Some(&kind(&[], "repaired")));
    let run = machine.kinfra("history 1").exits(0).prints("registry restored from its backup");
    run.never_says("are missing");
}

#[test]
fn every_claim_and_release_of_many_at_once_is_told_once_and_in_order() {
    const CLAIMANTS: usize = 12;
    const ROUNDS: usize = 3;
    let machine = applied();
    let here: Vec<String> = (0..CLAIMANTS).map(|index| format!("~/worktree-{index}")).collect();
    make_dirs(&machine, &here.iter().map(String::as_str).collect::<Vec<_>>());
    let command = |directory: &str, arguments: &str| -> Command {
        let mut command = machine.command(arguments);
        command.arg("--spec").arg(machine.path("slots.toml")).current_dir(machine.path(directory));
        command
    };
    let claimed = thread::scope(|scope| {
        let claimant = |directory: &str| {
            let mut ids = Vec::new();
            for _ in 0..ROUNDS {
                let run = Running::piped(&mut command(directory, "claim --wait=5m --json")).ends().exits(0);
                let claim: Value = serde_json::from_str(&run.stdout).expect("JSON");
                ids.push(claim["claim_id"].as_str().expect("an id").to_owned());
                Running::piped(&mut command(directory, "release --lock-timeout 5m")).ends().exits(0);
            }
            ids
        };
        let each: Vec<_> = here.iter().map(|here| scope.spawn(move || claimant(here))).collect();
        each.into_iter().flat_map(|one| one.join().expect("a claimant")).collect::<Vec<String>>()
    });
    let run = machine.kinfra("history --json").exits(0);
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(
        (&document["missing_slots"], &document["unreadable_lines"]),
        (&Value::Array(vec![]), &0.into())
    );
    let found = events(&run);
    assert_eq!(found.len(), 1 + 2 * claimed.len(), "the pool, and two for each claim");
    let mut held: [Option<String>; 3] = Default::default();
    for event in &found[1..] {
        let slot = usize::try_from(event["slots"][0].as_u64().expect("a slot")).expect("a number");
        let id = event["claim_id"].as_str().expect("an id").to_owned();
        assert!(claimed.contains(&id), "{event}");
        if event["event"] == "claimed" {
            assert_eq!(held[slot].replace(id), None, "two hold slot {slot}: {event}");
        } else {
            assert_eq!(held[slot].take(), Some(id), "{event}");
        }
    }
    assert!(held.iter().all(Option::is_none) && registry(&machine)["slots"]["1"]["claimed_by"].is_null());
}
