//! Many runs at once: the tree is that of one run, every slot has one holder, and no run reads half a
//! registry.
//!
//! ```text
//! cargo test races
//! cargo test --profile ci -- --ignored races     # with strace: other programs at the worst moments
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;

use kinfra::registry::Registry;
use rustix::fs::{Mode, OFlags, openat};
use serde_json::Value;

use crate::rig::strace::{Call, Injection, calls};
use crate::rig::{Paused, ROOT, assert_tree, figure, meanwhile, registry, through};
use crate::support::{Machine, Run, Running};

/// How many runs start at the same time.
const CROWD: usize = 64;

/// How often 64 runs claim one of six slots.
const ROUNDS: usize = 3;

/// How often slots are claimed and released while others read.
const WRITES: usize = 150;

/// How often the first registry of a root is made while others read.
const BIRTHS: usize = 20;

/// Starts many runs at once, and waits for all.
fn crowd(machine: &Machine, arguments: impl Fn(usize) -> String) -> Vec<Run> {
    let start = |index| Running::piped(&mut machine.command(&arguments(index)));
    let children: Vec<Running> = (0..CROWD).map(start).collect();
    children.into_iter().map(Running::ends).collect()
}

#[test]
fn sixty_four_at_once_give_the_tree_of_one() {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    let alone = machine.tree();
    machine.remove("~/.ktrdr");
    let runs = crowd(&machine, |_| "apply --lock-timeout 2m".to_owned());
    let mut created = Vec::new();
    for run in runs {
        let run = run.exits(0);
        created
            .extend(run.stderr.lines().filter(|line| line.starts_with("Created slot ")).map(str::to_owned));
    }
    created.sort();
    let slots: Vec<String> = (1..=6).map(|slot| format!("Created slot {slot} (")).collect();
    let once = created.len() == 6 && created.iter().zip(&slots).all(|(line, slot)| line.starts_with(slot));
    assert!(once, "every slot is created once: {created:#?}");
    assert_tree(&machine, &alone, "64 at once");
    assert_eq!(
        machine.read(&format!("{ROOT}/registry.json.bak")),
        machine.read(&format!("{ROOT}/registry.json")),
        "there was one save"
    );
    figure(&format!("processes applying at once: {CROWD}, each slot created once"));
}

#[test]
fn of_sixty_four_claimants_six_win_and_the_others_are_told() {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    let free = registry(&machine);
    for index in 0..CROWD {
        fs::create_dir(machine.path(&format!("worktree-{index}"))).expect("a worktree");
    }
    for _ in 0..ROUNDS {
        let runs = crowd(&machine, |index| format!("claim --for worktree-{index} --json --lock-timeout 2m"));
        let mut slots = BTreeSet::new();
        for (index, run) in runs.into_iter().enumerate() {
            if run.code != Some(0) {
                run.exits(3).says("no slot is free");
                continue;
            }
            let claimed: Value = serde_json::from_str(&run.stdout).expect("JSON");
            let slot = claimed["slot_id"].as_u64().expect("a slot");
            assert!(slots.insert(slot), "slot {slot} has two holders");
            let now = registry(&machine).expect("a registry");
            let entry = now.slots.iter().find(|(id, _)| u64::from(id.get()) == slot).expect("the slot").1;
            let holder = entry.claim.as_ref().map(|claim| claim.claimed_by.to_string()).unwrap_or_default();
            assert!(holder.ends_with(&format!("/worktree-{index}")), "slot {slot} is {holder}'s");
        }
        assert_eq!(slots, (1..=6).collect());
        // All at once again. Only the holder or --force frees a slot.
        let runs = crowd(&machine, |index| format!("release {} --force --lock-timeout 2m", index % 6 + 1));
        runs.into_iter().for_each(|run| drop(run.exits(0)));
        assert_eq!(registry(&machine), free);
    }
    figure(&format!(
        "claimants: {} for {} slots, {} winners, no slot twice",
        CROWD * ROUNDS,
        6 * ROUNDS,
        6 * ROUNDS
    ));
}

/// Reads in every way while `write` runs. Returns how often kinfra ran, and how often files were read
/// directly.
fn read_all_the_while(machine: &Machine, write: impl FnOnce()) -> (usize, usize) {
    let (runs, reads) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let run = |verb| {
        machine.kinfra(verb).exits(0);
        runs.fetch_add(1, Relaxed);
    };
    // The inode of the root that had a registry at the last look.
    let last = AtomicU64::new(0);
    let root = machine.path(ROOT);
    let read = || {
        if let Ok(dir) = File::open(&root) {
            let inode = dir.metadata().expect("metadata").ino();
            match openat(&dir, "registry.json", OFlags::RDONLY, Mode::empty())
                .map(|file| io::read_to_string(File::from(file)))
            {
                Ok(text) => {
                    let text = text.expect("text");
                    Registry::parse(&text).unwrap_or_else(|corrupt| panic!("{corrupt}\n{text}"));
                    last.store(inode, Relaxed);
                }
                // Only a new root may be without a registry.
                Err(error) => assert_ne!(last.load(Relaxed), inode, "the registry vanished: {error}"),
            }
        }
        reads.fetch_add(1, Relaxed);
        thread::yield_now();
    };
    meanwhile(&[&|| run("plan"), &|| run("slots --json"), &read], write);
    (runs.into_inner(), reads.into_inner())
}

#[test]
fn readers_never_see_half_a_registry() {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    let (runs, reads) = read_all_the_while(&machine, || {
        for write in 0..WRITES / 2 {
            machine.kinfra(if write % 2 == 0 { "claim" } else { "claim --slot 1" }).exits(0);
            machine.kinfra("release").exits(0);
        }
    });
    assert!(runs > 20 && reads > 1000, "only {runs} runs and {reads} reads");
    figure(&format!("torn reads: 0 of {reads}, and of {runs} by kinfra, in {WRITES} saves"));
}

#[test]
fn readers_never_take_a_registry_that_is_being_made_for_one_that_vanished() {
    let machine = Machine::new();
    let (runs, reads) = read_all_the_while(&machine, || {
        for birth in 0..BIRTHS {
            machine.kinfra("apply").exits(0);
            // Moves the root away as a whole. Removed file by file, the registry would seem to have vanished.
            fs::rename(machine.path("~/.ktrdr"), machine.path(&format!("~/old-{birth}"))).expect("a rename");
        }
    });
    assert!(runs > 20, "only {runs} runs");
    figure(&format!(
        "reads while registries are made for the first time: 0 torn of {reads}, and of {runs} by kinfra"
    ));
}

/// Another program's registry: the present one, with an added key.
fn marked(machine: &Machine) -> String {
    let text = machine.read(&format!("{ROOT}/registry.json"));
    let marked = text.replacen("\"version\": 2,", "\"version\": 2,\n  \"x_other\": \"was here\",", 1);
    assert_ne!(marked, text);
    marked
}

/// Replaces the registry atomically, as a careful program does.
fn replace_registry(machine: &Machine, text: &str) {
    machine.write("~/another", text);
    fs::rename(machine.path("~/another"), machine.path(&format!("{ROOT}/registry.json"))).expect("a rename");
}

/// Removes the files of claims that the registry no longer has, so that each run makes the same calls.
fn forget_files_of_claims(machine: &Machine) {
    for slot in 1..=6 {
        for name in ["docker-compose.override.yml", ".kinfra-claim"] {
            let _ = fs::remove_file(machine.path(&format!("{ROOT}/slot-{slot}/{name}")));
        }
    }
    for name in [".env.sandbox", ".env.sandbox.kinfra-tmp"] {
        let _ = fs::remove_file(machine.path(name));
    }
}

#[test]
#[ignore = "needs strace"]
fn what_another_program_saves_meanwhile_is_never_lost() {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    let claim = machine.command("claim");
    let points = calls(&claim);
    machine.kinfra("release").exits(0);
    let before = machine.read(&format!("{ROOT}/registry.json"));
    let theirs = marked(&machine);
    let (mut refused, mut merged, mut lost) = (0, 0, Vec::new());
    for call in &points {
        let paused = Paused::after(&claim, call).unwrap_or_else(|| panic!("it ended before {call}"));
        replace_registry(&machine, &theirs);
        let run = paused.resume();
        let now = machine.read(&format!("{ROOT}/registry.json"));
        if run.code == Some(4) {
            run.says("changed by another program").never_says("Claimed");
            assert_eq!(now, theirs, "after {call}");
            refused += 1;
        } else {
            let run = run.exits(0);
            // The other save came before kinfra read, or after kinfra saved. In between, kinfra must not
            // overwrite it.
            if now.contains("x_other") { merged += 1 } else { lost.push(format!("{call}: {run:?}")) }
        }
        machine.kinfra("plan").exits(0);
        replace_registry(&machine, &before);
        forget_files_of_claims(&machine);
    }
    figure(&format!(
        "saves of another program during a claim, after each of {} calls: {merged} kept, {refused} refused, {} lost",
        points.len(),
        lost.len()
    ));
    assert!(refused > 3 && merged > 10, "{refused} refused, {merged} merged");
    assert!(lost.is_empty(), "lost: {lost:#?}");
}

/// How many calls of each name are disturbed after the registries are exchanged.
const AFTERWARDS: usize = 8;

#[test]
#[ignore = "needs strace"]
fn what_another_program_saves_just_before_ours_survives_whatever_happens_next() {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    let before = machine.read(&format!("{ROOT}/registry.json"));
    let theirs = marked(&machine);
    let claim = machine.command("claim");
    let points = calls(&claim);
    let exchange =
        points.iter().position(|call| call.shown.contains("RENAME_EXCHANGE")).expect("an exchange");
    // After the last look at the registry, before it is exchanged.
    let (done, stop) = (&points[..exchange], &points[exchange - 1]);
    let names: BTreeSet<&str> =
        points.iter().map(|call| &*call.name).filter(|name| *name != stop.name).collect();
    let mut disturbed = 0;
    for (name, nth) in names.iter().flat_map(|name| (1..=AFTERWARDS).map(move |nth| (*name, nth))) {
        let already = done.iter().filter(|call| call.name == name).map(|call| call.nth).max();
        let first = points.iter().find(|call| call.name == name).expect("a call").nth;
        let nth = already.unwrap_or(first - 1) + nth;
        let call = Call { name: name.to_owned(), nth, shown: String::new() };
        for what in ["signal=KILL", "error=EMFILE", "error=EIO"] {
            replace_registry(&machine, &before);
            forget_files_of_claims(&machine);
            let paused = Paused::under(&claim, &Injection::StopThen(stop, &call, what)).expect("it stops");
            replace_registry(&machine, &theirs);
            let run = paused.resume();
            assert_ne!(run.code, Some(0), "{what} at {name} {nth}: {run:#?}");
            disturbed += usize::from(run.code != Some(4));
            // The next writer completes the save.
            machine.kinfra("apply").exits(0);
            machine.kinfra("release 6 --force").exits(0);
            assert_eq!(
                machine.read(&format!("{ROOT}/registry.json")),
                theirs,
                "{what} at {name} {nth}: {run:#?}"
            );
        }
    }
    assert!(disturbed > 20, "only {disturbed} runs were disturbed");
    figure(&format!(
        "saves of another program just before a claim's that was then killed or failed: {disturbed}, none lost"
    ));
}

/// Repairs a broken registry on a machine without docker.
fn repairing(machine: &Machine) -> Command {
    let mut command = machine.command("doctor --repair --auto-approve");
    command.env("PATH", machine.home());
    command
}

#[test]
#[ignore = "needs strace"]
fn what_another_program_saves_during_a_repair_is_never_lost() {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    let theirs = marked(&machine);
    let repair = repairing(&machine);
    let root = machine.path(ROOT);
    let registries = || -> Vec<String> {
        let names = fs::read_dir(&root).expect("a root").map(|entry| entry.expect("an entry").path());
        let registries = names.filter(|path| path.to_string_lossy().contains("registry.json"));
        registries.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).expect("text")).collect()
    };
    machine.write(&format!("{ROOT}/registry.json"), "{");
    let points = calls(&repair);
    let (mut refused, mut repaired) = (0, 0);
    for call in &points {
        replace_registry(&machine, "{");
        let paused = Paused::after(&repair, call).unwrap_or_else(|| panic!("it ended before {call}"));
        replace_registry(&machine, &theirs);
        let run = paused.resume();
        assert!(registries().contains(&theirs), "after {call}: {run:#?}");
        if run.code == Some(0) {
            repaired += 1;
        } else {
            refused += 1;
        }
        machine.kinfra("claim").exits(0);
    }
    assert!(refused > 3 && repaired > 10, "{refused} refused, {repaired} repaired");
    figure(&format!("saves of another program after each of {} calls of a repair: none lost", points.len()));
}

#[test]
#[ignore = "needs strace"]
fn a_repair_that_is_killed_leaves_a_registry_to_repair() {
    for impostor in [false, true] {
        let machine = Machine::new();
        machine.kinfra("apply").exits(0);
        machine.kinfra("claim").exits(0);
        let repair = repairing(&machine);
        let registry = format!("{ROOT}/registry.json");
        let within = format!("{registry}/file");
        let break_it = || {
            machine.remove(&registry);
            machine.write(if impostor { &within } else { &registry }, "{");
            machine.remove(&format!("{ROOT}/registry.json.bak"));
        };
        break_it();
        let points = calls(&repair);
        for call in &points {
            machine.kinfra("release 1 --force");
            machine.kinfra("claim --slot 1").exits(0);
            break_it();
            let trace = machine.path("trace");
            let run = Injection::Kill(call).run(&repair, &trace);
            assert!(run.was_killed(), "{run:#?}");
            // The registry must never seem to have been missing.
            let slots = machine.kinfra("slots");
            assert!(!slots.stderr.contains("No slots"), "killed at {call}: {slots:#?}");
            if slots.code != Some(0) {
                slots.exits(5);
                Run::of(&mut repairing(&machine)).exits(0);
            }
            machine.kinfra("plan").exits(0);
        }
        figure(&format!("repairs killed at each of {} calls: a registry every time", points.len()));
    }
}

#[test]
#[ignore = "needs strace"]
fn a_lock_that_may_not_hold_is_refused() {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    let strace = |injection: &str, arguments: &str| {
        Run::of(&mut through(["strace", "-qq", "-o", "/dev/null", injection], &machine.command(arguments)))
    };
    // The magic number of NFS.
    let nfs = "--inject=fstatfs:poke_exit=@arg2=6969000000000000";
    strace(nfs, "claim").exits(6).says("is on a network file system (NFS)").says("--unsafe-no-lock");
    strace(nfs, "doctor").prints("is on a network file system (NFS)");
    strace(nfs, "claim --unsafe-no-lock").exits(0);
    for (error, words) in [("ENOLCK", "No locks available"), ("EOPNOTSUPP", "Operation not supported")] {
        let run = strace(&format!("--inject=flock:error={error}"), "claim").exits(6);
        run.says("cannot be locked").says(words).says("put the root on a local file system");
    }
    strace("--inject=flock:error=EMFILE", "claim").exits(6).never_says("local file system");
}

#[test]
#[ignore = "needs strace"]
fn a_reader_that_is_overtaken_by_the_first_save_reads_on() {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    let whole = machine.path("~/.ktrdr");
    let empty = |machine: &Machine| {
        machine.remove("~/.ktrdr");
        fs::create_dir_all(machine.path(ROOT)).expect("a root");
    };
    empty(&machine);
    let slots = machine.command("slots");
    let points = calls(&slots);
    for call in &points {
        let paused = Paused::after(&slots, call).unwrap_or_else(|| panic!("it ended before {call}"));
        machine.kinfra("apply").exits(0);
        let run = paused.resume();
        assert_eq!(run.code, Some(0), "after {call}: {run:#?}");
        empty(&machine);
    }
    assert!(whole.exists() && points.len() > 5, "{points:?}");
    figure(&format!("readers overtaken by the first save, after each of {} calls: 0 misled", points.len()));
}

#[test]
#[ignore = "needs strace"]
fn a_claim_that_is_taken_while_apply_runs_is_kept() {
    let machine = Machine::small();
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-3\"");
    machine.kinfra("apply").exits(0);
    machine.edit_spec("ids = \"1-3\"", "ids = \"1,3-4\"");
    machine.template("conf.txt", "slot {{ slot.id }}, newer\n");
    let whole: Vec<(&str, Vec<u8>)> =
        ["registry.json", "registry.json.bak", "slot-1/conf.txt", "slot-2/conf.txt"]
            .map(|name| (name, fs::read(machine.path(&format!("~/pool/{name}"))).expect("a file")))
            .into();
    let rebuild = || {
        for slot in ["slot-1", "slot-2", "slot-3", "slot-4"] {
            machine.write(&format!("~/pool/{slot}/conf.txt"), "");
            machine.remove(&format!("~/pool/{slot}"));
        }
        for (name, bytes) in &whole {
            machine.write(&format!("~/pool/{name}"), bytes);
            machine.set_mode(&format!("~/pool/{name}"), 0o600);
        }
    };
    // Slot 1 changes, slot 2 goes, slot 3 is restored, slot 4 is new.
    let mut apply = machine.command("apply --update --prune --auto-approve");
    apply.env("PATH", machine.home());
    rebuild();
    // The first run also updates the index of pools.
    Run::of(&mut apply).exits(0);
    rebuild();
    let points = calls(&apply);
    // What is claimed before the first look is shown as blocked, and the rest is done. What is claimed after
    // it forbids what was shown, and nothing is done.
    let reads = |call: &Call| call.name == "openat" && call.shown.contains("\"registry.json\"");
    let first_look = points.iter().position(reads).expect("a look");
    let saves = |call: &Call| call.name.starts_with("rename") && call.shown.contains("\"registry.json\"");
    let last_save = points.iter().rposition(saves).expect("a save");
    let (mut before, mut locked) = (0, 0);
    for (index, call) in points.iter().enumerate().step_by(3) {
        rebuild();
        let paused = Paused::after(&apply, call).unwrap_or_else(|| panic!("it ended before {call}"));
        let slot = if before % 2 == 0 { "2" } else { "1" };
        let claim = machine.kinfra(&format!("claim --slot {slot} --lock-timeout 0s"));
        let run = paused.resume();
        let entry = |slot: &str| -> Value {
            let text = machine.read("~/pool/registry.json");
            serde_json::from_str::<Value>(&text).expect("JSON")["slots"][slot].take()
        };
        if claim.code == Some(0) && index > last_save {
            // The lock is free again, and apply has only to say what it did.
            assert_eq!(run.code, Some(0), "after {call}: {run:#?}");
            assert!(entry(slot)["claimed_by"].is_string(), "after {call}: {run:#?}");
        } else if claim.code == Some(0) {
            before += 1;
            let expected = if index < first_look { 0 } else { 4 };
            assert_eq!(run.code, Some(expected), "after {call}: {run:#?}");
            assert!(entry(slot)["claimed_by"].is_string(), "after {call}: {run:#?}");
            let files = machine.read(&format!("~/pool/slot-{slot}/conf.txt"));
            assert!(!files.ends_with("newer\n"), "after {call}: {files}, {run:#?}");
            assert_eq!(entry("4").is_object(), expected == 0, "after {call}: {run:#?}");
        } else {
            locked += 1;
            assert!(matches!(claim.code, Some(3 | 4 | 6)), "after {call}: {claim:#?}");
            assert_eq!(run.code, Some(0), "after {call}: {run:#?}");
        }
        machine.kinfra(&format!("release {slot} --force"));
    }
    assert!(before > 5 && locked > 5, "{before} claims came before, {locked} met a lock");
    figure(&format!("claims while apply runs, after every third of {} calls: {before} kept", points.len()));
}
