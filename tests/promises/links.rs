//! Links and other obstacles in the place of kinfra's files: nothing outside the pool is ever touched.
//!
//! ```text
//! cargo test links
//! cargo test --profile ci -- --ignored links     # with strace: names that change while kinfra runs
//! ```

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, FileType, Mode, RenameFlags, mknodat, renameat_with, unlinkat};

use crate::rig::strace::calls;
use crate::rig::{Paused, ROOT, figure, meanwhile, through, traces};
use crate::support::{Machine, Run, SMALL};

/// The files of the embedded pool's slots.
const FILES: [&str; 3] = [".env.sandbox", "docker-compose.yml", "prometheus.yml"];

/// How often a directory is swapped while kinfra runs, and how often kinfra runs meanwhile.
const SWAPS: usize = 20_000;
const RUNS: usize = 300;

/// Files outside the pool that must stay as they are. Some have the names of kinfra's own files.
fn outside(machine: &Machine) -> PathBuf {
    for name in ["conf.txt", "registry.json", "keep", "etc/keep"] {
        machine.write(&format!("~/outside/{name}"), format!("mine: {name}"));
    }
    machine.path("~/outside")
}

/// An applied embedded pool.
fn applied() -> Machine {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    machine
}

/// Runs kinfra; it must not hang.
fn soon(machine: &Machine, arguments: &str) -> Run {
    let run = Run::of(&mut through(["timeout", "20"], &machine.command(arguments)));
    assert_ne!(run.code, Some(124), "`kinfra {arguments}` hangs");
    run.never_says("panicked")
}

/// Every verb except `apply`, which each test checks itself.
const OTHERS: [&str; 7] =
    ["plan", "apply --dry-run", "slots", "slots --json", "ports", "doctor", "release 6 --force"];

#[test]
fn a_slot_that_is_a_link_to_another_is_blocked_and_neither_is_touched() {
    let machine = applied();
    let (slot_2, slot_3) = (machine.path(&format!("{ROOT}/slot-2")), machine.path(&format!("{ROOT}/slot-3")));
    machine.remove(&format!("{ROOT}/slot-3"));
    symlink(&slot_2, &slot_3).expect("a link");
    let before = traces(&slot_2);
    soon(&machine, "apply").exits(4).prints("! Slot 3: its directory is a symbolic link: move it away");
    OTHERS.iter().for_each(|verb| drop(soon(&machine, verb)));
    soon(&machine, "claim --slot 3").exits(4);
    // A file that the target lacks belongs to the target, and is restored only there.
    assert_eq!(traces(&slot_2), before);
    machine.remove(&format!("{ROOT}/slot-2/prometheus.yml"));
    soon(&machine, "apply").exits(0).says("Restored slot 2: prometheus.yml").says("Restored 1 slot");
}

#[test]
fn a_slot_that_is_a_link_to_the_outside_is_blocked_and_nothing_outside_is_touched() {
    let machine = applied();
    let outside = outside(&machine);
    machine.remove(&format!("{ROOT}/slot-3"));
    symlink(&outside, machine.path(&format!("{ROOT}/slot-3"))).expect("a link");
    let before = traces(&outside);
    soon(&machine, "apply").exits(4).prints("! Slot 3: its directory is a symbolic link: move it away");
    OTHERS.iter().for_each(|verb| drop(soon(&machine, verb)));
    soon(&machine, "claim --slot 3").exits(4);
    assert_eq!(traces(&outside), before);
}

#[test]
fn a_link_to_a_foreign_file_is_never_written_through() {
    for file in FILES {
        for (right, hard) in [(false, false), (false, true), (true, false), (true, true)] {
            let machine = applied();
            let path = format!("{ROOT}/slot-2/{file}");
            let theirs = if right { machine.read(&path) } else { "theirs\n".to_owned() };
            machine.write("~/outside/file", theirs);
            machine.remove(&path);
            let (outside, link) = (machine.path("~/outside/file"), machine.path(&path));
            if hard { fs::hard_link(&outside, &link) } else { symlink(&outside, &link) }.expect("a link");
            machine.remove(&format!("{ROOT}/slot-3"));
            let before = traces(&machine.path("~/outside"));
            let run = soon(&machine, "apply").exits(0).says("Restored slot 3");
            if !(right && hard) {
                run.prints("! Slot 2: ").prints(file);
            }
            OTHERS.iter().chain(&["claim --slot 2"]).for_each(|verb| drop(soon(&machine, verb)));
            assert_eq!(traces(&machine.path("~/outside")), before, "{file}, right {right}, hard {hard}");
            assert_eq!(link.symlink_metadata().expect("the link").is_symlink(), !hard);
        }
    }
}

/// The obstacles that can be in the place of one of kinfra's files.
const IMPOSTORS: [&str; 5] = ["link", "dangling link", "FIFO", "directory", "link to a directory"];

fn put(machine: &Machine, impostor: &str, path: &Path) {
    let outside = machine.path("~/outside");
    match impostor {
        "link" => symlink(outside.join("registry.json"), path).expect("a link"),
        "dangling link" => symlink(outside.join("not-there"), path).expect("a link"),
        "link to a directory" => symlink(&outside, path).expect("a link"),
        "directory" => {
            fs::create_dir(path).expect("a directory");
            fs::write(path.join("file"), "theirs").expect("a file");
        }
        _ => mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).expect("a FIFO"),
    }
}

#[test]
fn an_impostor_of_kinfra_s_own_files_stops_every_writer_and_is_not_touched() {
    let mut tried = 0;
    for name in ["registry.json", "registry.json.bak", ".lock", ".tmp"] {
        for impostor in IMPOSTORS {
            if (name, impostor) == (".tmp", "directory") {
                continue;
            }
            let machine = applied();
            let outside = outside(&machine);
            // A link to it could then pass for the real one.
            fs::copy(machine.path(&format!("{ROOT}/registry.json")), outside.join("registry.json"))
                .expect("a copy");
            let path = machine.path(&format!("{ROOT}/{name}"));
            machine.remove(&format!("{ROOT}/{name}"));
            put(&machine, impostor, &path);
            machine.remove(&format!("{ROOT}/slot-3"));
            let (before, tree) = (traces(&outside), machine_state(&machine, name));
            for verb in ["apply", "claim", "release 6 --force"] {
                let run = soon(&machine, verb);
                // Releasing a free slot needs no writer, so nothing was written either.
                let told = matches!(run.code, Some(4 | 5)) && run.stderr.contains(name);
                assert!(told, "`{verb}`, {name} is a {impostor}: {run:#?}");
                tried += 1;
            }
            for verb in ["plan", "slots", "slots --json", "ports", "doctor"] {
                let allowed: &[i32] = if name == "registry.json" { &[0, 1, 5] } else { &[0, 1] };
                let run = soon(&machine, verb);
                assert!(run.code.is_some_and(|code| allowed.contains(&code)), "{verb}, {name}: {run:#?}");
            }
            assert_eq!(traces(&outside), before, "{name} is a {impostor}");
            assert_eq!(machine_state(&machine, name), tree, "{name} is a {impostor}");
        }
    }
    figure(&format!("impostors of kinfra's own files: {tried} writers stopped, nothing touched"));
}

/// Names, kinds and contents in the pool. Never opens a FIFO, which could block.
fn machine_state(machine: &Machine, impostor: &str) -> Vec<String> {
    let root = machine.path(ROOT);
    let mut state = Vec::new();
    for entry in fs::read_dir(&root).expect("a root") {
        let entry = entry.expect("an entry");
        let (name, path) = (entry.file_name().into_string().expect("a UTF-8 name"), entry.path());
        let meta = path.symlink_metadata().expect("metadata");
        // The lock's content names its holder, and the directory for temporary files may be made.
        let own = [".lock", ".tmp"].contains(&&*name) && name != impostor;
        if own {
            continue;
        }
        let ino = if name == impostor || meta.is_file() { meta.ino() } else { 0 };
        state.push(format!("{name} {:o} {ino}", meta.mode()));
        if meta.is_file() {
            state.push(fs::read_to_string(&path).expect("text"));
        } else if meta.is_dir() {
            state.extend(traces(&path));
        }
    }
    state.sort();
    state
}

/// A small pool with a file in a directory, and a slot that lacks both of its files.
fn damaged() -> Machine {
    let machine = Machine::small();
    machine.spec(&SMALL.replace("\"conf.txt\" =", "\"etc/app.conf\" = \"conf.txt\"\n\"conf.txt\" ="));
    machine.kinfra("apply").exits(0);
    damage(&machine);
    machine
}

fn damage(machine: &Machine) {
    for file in ["slot-2/conf.txt", "slot-2/etc/app.conf"] {
        machine.remove(&format!("~/pool/{file}"));
    }
}

fn exchange(one: &Path, other: &Path) {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).expect("two names that change places");
}

/// Swaps a name of the pool for a link to the outside after every single call of an apply.
fn swap_at_every_call(name: &str) -> usize {
    let machine = damaged();
    machine.kinfra("apply").exits(0);
    let whole = machine.tree();
    damage(&machine);
    let apply = machine.command("apply");
    let points = calls(&apply);
    let outside = outside(&machine);
    let (link, path) = (machine.path("~/link"), machine.path(&format!("~/pool/{name}")));
    symlink(&outside, &link).expect("a link");
    let before = traces(&outside);
    let mut swaps = 0;
    for call in &points {
        damage(&machine);
        let paused = Paused::after(&apply, call).unwrap_or_else(|| panic!("it ended before {call}"));
        let there = path.symlink_metadata().is_ok();
        if there {
            exchange(&link, &path);
            swaps += 1;
        }
        let run = paused.resume();
        assert!(matches!(run.code, Some(0 | 1 | 4 | 5)), "{name} swapped after {call}: {run:#?}");
        assert_eq!(traces(&outside), before, "{name} swapped after {call}: {run:#?}");
        if there && path.is_symlink() {
            exchange(&link, &path);
        } else if there {
            // It was among kinfra's temporary files and was removed with them.
            fs::remove_dir_all(&link).expect("what was at the name");
            symlink(&outside, &link).expect("a link");
        }
        machine.kinfra("apply").exits(0);
        let mut now = machine.tree();
        now.retain(|path, _| whole.contains_key(path));
        assert!(now == whole, "{name} swapped after {call}");
    }
    swaps
}

#[test]
#[ignore = "needs strace"]
fn a_name_that_becomes_a_link_after_any_call_leads_nowhere() {
    let mut swaps = 0;
    for name in ["slot-2", "slot-2/etc", ".tmp", ".tmp/slot-2", "registry.json", ".lock"] {
        let these = swap_at_every_call(name);
        assert!(these > 0, "{name} was never there");
        swaps += these;
    }
    figure(&format!(
        "names swapped for links, after each call of an apply: {swaps} swaps, nothing outside touched"
    ));
    assert!(swaps > 300, "only {swaps} swaps");
}

#[test]
#[ignore = "takes minutes"]
fn a_directory_that_is_swapped_all_the_time_leads_nowhere() {
    let machine = damaged();
    let outside = outside(&machine);
    let (link, slot) = (machine.path("~/link"), machine.path("~/pool/slot-2"));
    symlink(&outside, &link).expect("a link");
    let before = traces(&outside);
    let swaps = AtomicUsize::new(0);
    let swap = || {
        exchange(&link, &slot);
        // Sometimes long enough for kinfra to look and go on.
        if swaps.fetch_add(1, Relaxed).is_multiple_of(3) {
            thread::sleep(Duration::from_micros(200));
        }
    };
    // A handle reaches the directory wherever it is now, so check it there.
    let handle = File::open(&slot).expect("the slot");
    let (mut seen_link, mut seen_slot, mut runs) = (0, 0, 0);
    meanwhile(&[&swap], || {
        while runs < RUNS || swaps.load(Relaxed) < SWAPS {
            let run = machine.kinfra("apply");
            assert!(matches!(run.code, Some(0 | 1 | 4)), "{run:#?}");
            seen_link += usize::from(run.stdout.contains("its directory is a symbolic link"));
            seen_slot += usize::from(run.stdout.contains("Would restore slot 2"));
            runs += 1;
            assert_eq!(traces(&outside), before, "after {runs} runs: {run:#?}");
            for file in ["conf.txt", "etc/app.conf"] {
                let _ = unlinkat(&handle, file, AtFlags::empty());
            }
        }
    });
    let swaps = swaps.into_inner();
    assert!(swaps >= SWAPS && runs >= RUNS, "only {swaps} swaps in {runs} runs");
    assert!(
        seen_link > 10 && seen_slot > 10,
        "of {runs} runs {seen_link} saw the link, {seen_slot} the slot"
    );
    figure(&format!("a slot swapped for a link {swaps} times during {runs} runs: nothing outside touched"));
}
