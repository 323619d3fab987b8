//! What happens between two looks of kinfra: after each of its calls that has to do with a file, another
//! program edits, replaces, links or removes that file, takes the lock's place, or claims a slot.
//!
//! Whatever it is, nothing outside the pool is touched, nothing that another program wrote is lost, and kinfra
//! does no more than it showed. Two moments with no call of kinfra's about the file between them are the same
//! to that file, so only the calls about it are tried.
//!
//! ```text
//! cargo test --profile ci -- --ignored between_looks                             # with strace: one act a call
//! KINFRA_BETWEEN_LOOKS_ALL=1 cargo test --profile ci -- --ignored between_looks  # each act at each call
//! ```

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use kinfra::registry::Registry;
use serde_json::{Value, json};

use crate::rig::strace::{Call, Injection, calls};
use crate::rig::{Paused, figure, must, traces};
use crate::support::{Machine, Run};

/// A run of kinfra, and what it starts from.
struct Situation {
    verb: &'static str,
    /// Sets up an applied pool of three slots, whose first one the project holds.
    set_up: fn(&Machine),
}

const SITUATIONS: [Situation; 7] = [
    Situation { verb: "apply --update --include-claimed --auto-approve", set_up: outdated },
    Situation { verb: "apply --overwrite --include-claimed --auto-approve", set_up: edited_by_hand },
    Situation { verb: "apply --prune --include-claimed --auto-approve", set_up: too_many },
    Situation { verb: "claim", set_up: free },
    Situation { verb: "release", set_up: |_| {} },
    Situation { verb: "reap --auto-approve", set_up: over },
    Situation { verb: "doctor --repair --auto-approve", set_up: broken },
];

const REGISTRY: &str = "~/pool/registry.json";

/// What another program writes into a file.
const THEIRS: &str = "written by another program meanwhile\n";

fn outdated(machine: &Machine) {
    machine.template("conf.txt", "slot {{ slot.id }}, newer\n");
    // The content of this one stays; only its mode is wrong.
    machine.set_mode("~/pool/slot-3/etc/app.conf", 0o644);
}

fn edited_by_hand(machine: &Machine) {
    machine.write("~/pool/slot-1/conf.txt", "by hand\n");
    machine.write("~/pool/slot-3/etc/app.conf", "by hand\n");
}

fn too_many(machine: &Machine) {
    machine.edit_spec("ids = \"1-3\"", "ids = \"2\"");
}

fn free(machine: &Machine) {
    machine.kinfra("release").exits(0);
}

/// The lease of the first slot's claim has ended.
fn over(machine: &Machine) {
    change(machine, |slots| slots["1"]["lease_until"] = json!("2020-01-01T00:00:00+00:00"));
}

fn broken(machine: &Machine) {
    machine.write(REGISTRY, "{");
}

/// Saves another registry, as a careful program does.
fn change(machine: &Machine, change: impl FnOnce(&mut Value)) {
    let mut registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    change(&mut registry["slots"]);
    machine.write("~/other.json", format!("{registry:#}\n"));
    fs::rename(machine.path("~/other.json"), machine.path(REGISTRY)).expect("a rename");
}

/// A machine that can be brought back to how it was.
struct Stage {
    machine: Machine,
    command: Command,
    verb: &'static str,
    /// A copy of the home and the project.
    kept: PathBuf,
    outside: PathBuf,
    untouched: Vec<String>,
}

impl Stage {
    fn new(situation: &Situation) -> Self {
        let machine = Machine::small();
        machine.edit_spec("ids = \"1-2\"", "ids = \"1-3\"");
        machine.edit_spec("\"conf.txt\" =", "\"etc/app.conf\" = \"app.conf\"\n\"conf.txt\" =");
        machine.template("app.conf", "slot {{ slot.id }}\n");
        machine.kinfra("apply").exits(0);
        machine.kinfra("claim --lease 8h").exits(0);
        fs::create_dir_all(machine.path("~/other")).expect("a directory");
        machine.kinfra("claim --lease 8h --for ../home/other").exits(0);
        (situation.set_up)(&machine);
        let outside = machine.tools().join("outside");
        for name in ["conf.txt", "app.conf", ".env.sandbox"] {
            fs::create_dir_all(&outside).expect("a directory");
            fs::write(outside.join(name), "mine\n").expect("a file");
        }
        let mut command = machine.command(&format!("{} --lock-timeout 0s", situation.verb));
        command.env("PATH", machine.home());
        let kept = machine.tools().join("kept");
        for dir in [machine.home(), machine.project()] {
            fs::create_dir_all(&kept).expect("a directory");
            must(machine.program("cp").arg("-a").args([&dir, &kept]));
        }
        let untouched = traces(&outside);
        Self { machine, command, verb: situation.verb, kept, outside, untouched }
    }

    /// Brings back what is in the home and the project. The directories of the holders stay the same ones.
    fn rebuild(&self) {
        for (dir, name) in [(self.machine.home(), "home"), (self.machine.project(), "project")] {
            for entry in fs::read_dir(&dir).expect("a directory to list") {
                let path = entry.expect("an entry").path();
                if path.is_symlink() || !path.is_dir() {
                    fs::remove_file(&path).expect("a file to remove");
                } else if !path.ends_with("other") {
                    fs::remove_dir_all(&path).expect("a directory to remove");
                }
            }
            let whole = self.kept.join(name).join(".");
            must(self.machine.program("cp").arg("-a").arg(whole).arg(dir));
        }
    }

    /// The calls of an undisturbed run.
    fn calls(&self) -> Vec<Call> {
        self.rebuild();
        calls(&self.command)
    }

    /// Stops a run after a call, lets another program act, and lets the run end. `None` if the other program
    /// had nothing to act on.
    fn disturbed(&self, call: &Call, act: impl FnOnce(&Machine) -> bool) -> Option<Run> {
        self.rebuild();
        let paused = Paused::after(&self.command, call)
            .unwrap_or_else(|| panic!("`{}` ended before {call}", self.verb));
        let acted = act(&self.machine);
        let run = paused.resume();
        let at = format!("`{}` after {call}: {run:#?}", self.verb);
        assert!(matches!(run.code, Some(0 | 1 | 3 | 4 | 5 | 6)), "{at}");
        assert_eq!(traces(&self.outside), self.untouched, "{at}");
        acted.then_some(run)
    }

    /// The contents of all files, and where all links lead.
    fn contents(&self) -> Vec<String> {
        let mut contents = Vec::new();
        for dir in [self.machine.home(), self.machine.project()] {
            read_all(&dir, &mut |path| {
                let link = fs::read_link(path).map(|to| to.display().to_string());
                contents.push(link.or_else(|_| fs::read_to_string(path)).unwrap_or_default());
            });
        }
        contents
    }
}

fn read_all(dir: &Path, found: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).expect("a directory to list") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.is_symlink() { read_all(&path, found) } else { found(&path) }
    }
}

/// The files that other programs change, and what the calls about each are known by.
const FILES: [&str; 4] =
    ["~/pool/slot-1/conf.txt", "~/pool/slot-3/conf.txt", "~/pool/slot-3/etc/app.conf", ".env.sandbox"];

/// The calls after which a file may have another state for kinfra than before: those about it, also under
/// the names that it has on its way. The first call of all stands for the time before.
fn about<'a>(path: &str, calls: &'a [Call]) -> impl Iterator<Item = &'a Call> {
    let name = path.rsplit('/').next().expect("a name").to_owned();
    let is_about =
        move |call: &Call| [&*name, "\"copy\"", "\"leaving\""].iter().any(|name| call.shown.contains(name));
    let (first, others) = calls.split_first().expect("a call");
    std::iter::once(first).chain(others.iter().filter(move |call| is_about(call)))
}

/// Puts something in the place of a file, in one step.
fn put(machine: &Machine, path: &str, make: impl FnOnce(&Path)) -> bool {
    let (path, new) = (machine.path(path), machine.path("~/new"));
    if !path.parent().is_some_and(Path::is_dir) {
        return false;
    }
    make(&new);
    fs::rename(new, path).expect("a rename");
    true
}

fn edits(machine: &Machine, path: &str) -> bool {
    let Ok(mut file) = File::options().append(true).open(machine.path(path)) else { return false };
    file.write_all(THEIRS.as_bytes()).expect("a line");
    true
}

fn replaces(machine: &Machine, path: &str) -> bool {
    put(machine, path, |new| fs::write(new, THEIRS).expect("a file"))
}

/// Whether more is tried than CI has the time for.
fn tries_all() -> bool {
    std::env::var_os("KINFRA_BETWEEN_LOOKS_ALL").is_some()
}

fn links(machine: &Machine, path: &str) -> bool {
    let outside = machine.tools().join("outside").join(Path::new(path).file_name().expect("a name"));
    put(machine, path, |new| symlink(outside, new).expect("a link"))
}

#[test]
#[ignore = "needs strace and minutes"]
fn nothing_that_another_program_writes_meanwhile_is_lost() {
    let acts: [fn(&Machine, &str) -> bool; 3] = [edits, replaces, links];
    let tries_all = tries_all();
    let mut tried = 0;
    for situation in &SITUATIONS {
        let stage = Stage::new(situation);
        let calls = stage.calls();
        for path in FILES {
            let moments = about(path, &calls).enumerate();
            let each = moments.flat_map(|(index, call)| (0..acts.len()).map(move |act| (index, call, act)));
            for (_, call, act) in each.filter(|(index, _, act)| tries_all || index % acts.len() == *act) {
                let act = acts[act];
                let Some(run) = stage.disturbed(call, |machine| act(machine, path)) else { continue };
                let theirs = |text: &String| text.contains(THEIRS) || text.contains("/outside/");
                let is_kept = stage.contents().iter().any(theirs);
                assert!(is_kept, "{path} is lost, `{}` after {call}: {run:#?}", stage.verb);
                tried += 1;
            }
        }
    }
    figure(&format!("files written by another program between two looks of seven verbs: {tried}, none lost"));
    assert!(tried > 300, "only {tried}");
}

#[test]
#[ignore = "needs strace and minutes"]
fn apply_does_no_more_than_it_showed() {
    let path = "~/pool/slot-2/etc/app.conf";
    let (mut shown, mut left) = (0, 0);
    for situation in SITUATIONS.iter().filter(|situation| situation.verb.starts_with("apply")) {
        let stage = Stage::new(situation);
        let calls = stage.calls();
        for call in about(path, &calls) {
            let removes = |machine: &Machine| fs::remove_file(machine.path(path)).is_ok();
            let Some(run) = stage.disturbed(call, removes) else { continue };
            let is_shown =
                run.stdout.lines().any(|line| line.contains("lot 2") && line.contains("etc/app.conf"));
            let is_back = stage.machine.exists(path);
            assert!(!is_back || is_shown, "`{}` after {call}: {run:#?}", stage.verb);
            if is_shown { shown += 1 } else { left += 1 }
        }
    }
    figure(&format!("files gone between two looks of an apply: {shown} shown, {left} left alone"));
    assert!(shown > 2 && left > 5, "{shown} shown, {left} left alone");
}

#[test]
#[ignore = "needs strace and minutes"]
fn a_claim_that_is_made_meanwhile_is_kept() {
    let (mut kept, mut locked) = (0, 0);
    for situation in &SITUATIONS[..6] {
        let stage = Stage::new(situation);
        let calls = stage.calls();
        for call in calls.iter().step_by(if tries_all() { 3 } else { 5 }) {
            let mut claim = None;
            let claims = |machine: &Machine| {
                fs::create_dir_all(machine.path("~/third")).expect("a directory");
                let mut command = machine.command("claim --json --lock-timeout 0s --for ../home/third");
                let run = Run::of(command.env("PATH", machine.home()));
                claim = (run.code == Some(0)).then(|| {
                    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
                    (document["slot_id"].clone(), document["claim_id"].clone())
                });
                claim.is_some()
            };
            let Some(run) = stage.disturbed(call, claims) else {
                locked += 1;
                continue;
            };
            let (slot, id) = claim.expect("a claim");
            let registry: Value = serde_json::from_str(&stage.machine.read(REGISTRY)).expect("JSON");
            let now = &registry["slots"][slot.to_string()]["claim_id"];
            assert_eq!(*now, id, "slot {slot}, `{}` after {call}: {run:#?}", stage.verb);
            assert!(stage.machine.exists("~/third/.env.sandbox"), "`{}` after {call}: {run:#?}", stage.verb);
            kept += 1;
        }
    }
    figure(&format!(
        "claims between two looks of six verbs: {kept} kept, {locked} met a lock or no free slot"
    ));
    assert!(kept > 50 && locked > 50, "{kept} kept, {locked} locked");
}

#[test]
#[ignore = "needs strace and minutes"]
fn reap_ends_no_claim_that_it_did_not_show() {
    let stage = Stage::new(&SITUATIONS[5]);
    let calls = stage.calls();
    let (mut shown, mut left) = (0, 0);
    for call in about("registry.json", &calls) {
        let ends = |machine: &Machine| {
            change(machine, |slots| slots["2"]["lease_until"] = json!("2020-01-01T00:00:00+00:00"));
            true
        };
        let run = stage.disturbed(call, ends).expect("it acts");
        let registry = Registry::parse(&stage.machine.read(REGISTRY)).expect("a registry");
        let held = registry.slots.values().filter(|entry| entry.claim.is_some()).count();
        let is_shown = run.stdout.contains("release slot 2");
        assert!(is_shown || held > 0, "after {call}: {run:#?}");
        if is_shown { shown += 1 } else { left += 1 }
    }
    figure(&format!("leases that ended between two looks of a reap: {shown} shown, {left} left alone"));
    assert!(shown > 0 && left > 3, "{shown} shown, {left} left alone");
}

#[test]
#[ignore = "needs strace"]
fn a_slot_that_cannot_be_looked_at_is_given_to_none() {
    let stage = Stage::new(&SITUATIONS[3]);
    let calls = stage.calls();
    // The standard library itself looks at a handle that it closes, in debug builds.
    let is_look = |call: &&Call| !["fcntl", "close"].contains(&&*call.name);
    let looks: Vec<&Call> = about("~/pool/slot-1/conf.txt", &calls).skip(1).filter(is_look).collect();
    for (call, error) in looks.iter().flat_map(|call| ["EACCES", "EIO"].map(|error| (call, error))) {
        stage.rebuild();
        let run = Injection::Error(call, error).run(&stage.command, &stage.machine.tools().join("trace"));
        let registry = Registry::parse(&stage.machine.read(REGISTRY)).expect("a registry");
        let given = registry.slots.iter().find(|(slot, _)| slot.get() == 1).expect("the slot").1;
        assert!(given.claim.is_none(), "{error} at {call}: {run:#?}");
    }
    assert!(looks.len() > 1, "{looks:?}");
    figure(&format!(
        "looks of a claim at a slot's file that failed: {}, the slot was given to none",
        2 * looks.len()
    ));
}

/// How many calls before it opens the journal, and before it exchanges the registry, kinfra looks at the lock
/// for the last time.
const LAST_LOOK: usize = 6;

#[test]
#[ignore = "needs strace and minutes"]
fn a_lock_whose_name_went_to_another_file_is_no_right_to_write() {
    let mut tried = 0;
    for situation in &SITUATIONS {
        let stage = Stage::new(situation);
        let calls = stage.calls();
        let position = |is_it: &dyn Fn(&Call) -> bool| {
            calls.iter().position(is_it).unwrap_or_else(|| panic!("`{}` makes no such call", stage.verb))
        };
        let opened = position(&|call| call.name == "openat" && call.shown.contains("\".lock\""));
        let locked = position(&|call| call.name == "flock" && call.shown.contains("/.lock>"));
        let swept = position(&|call| call.shown.contains("/.tmp/registry.json"));
        let saved =
            position(&|call| call.name == "renameat2" && call.shown.contains("/pool>, \"registry.json"));
        let opens = position(&|call| call.name == "openat" && call.shown.contains("/pool>, \"journal\""));
        let recorded = position(&|call| call.name == "write" && call.shown.contains("/pool/journal>"));
        // The first save of an apply says what it is about to do, and is not in the journal.
        let (opens, recorded) = if opens < saved { (opens, recorded) } else { (saved, saved) };
        // After its first look, kinfra may clear away what was on its way. After the next one, it may add to the
        // journal, and after its last one, it may save.
        let before_a_look =
            (opened..=locked).chain(swept..opens - LAST_LOOK).chain(recorded..saved - LAST_LOOK);
        for index in before_a_look {
            let (mut before, mut lock) = (Vec::new(), None);
            let replaces = |machine: &Machine| {
                let new = File::create(machine.path("~/lock")).expect("a lock");
                new.lock().expect("it is free");
                fs::rename(machine.path("~/lock"), machine.path("~/pool/.lock")).expect("a rename");
                machine.write("~/pool/.tmp/theirs", "on its way\n");
                lock = Some(new);
                before = pool(machine);
                true
            };
            let call = &calls[index];
            let run = stage.disturbed(call, replaces).expect("it acts");
            assert_ne!(run.code, Some(0), "`{}` after {call}: {run:#?}", stage.verb);
            assert!(pool(&stage.machine) == before, "`{}` after {call}: {run:#?}", stage.verb);
            tried += 1;
        }
    }
    figure(&format!(
        "locks that another file took the place of, before a look of seven verbs: {tried} noticed"
    ));
    assert!(tried > 50, "only {tried}");
}

/// What is in a pool, but for the lock and kinfra's own files on their way.
fn pool(machine: &Machine) -> Vec<(PathBuf, String)> {
    let mut tree: Vec<(PathBuf, String)> = machine.tree().into_iter().collect();
    let is_own = |path: &Path| path.starts_with(machine.path("~/pool"));
    let is_on_its_way = |path: &Path| path.to_string_lossy().contains("/.tmp/") && !path.ends_with("theirs");
    tree.retain(|(path, _)| is_own(path) && !is_on_its_way(path) && !path.ends_with(".lock"));
    tree
}
