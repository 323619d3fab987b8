//! The corpus: reductions of real projects of many shapes in `tests/corpus/`, each with the `slots.toml`, the
//! overlay and the findings that are expected.
//!
//! `KINFRA_UPDATE_EXPECTED=1 cargo test --locked corpus -- --ignored` writes what is expected again. Read
//! `git diff` before you commit it. Two slots and the main stack of each project are resolved by Compose, and
//! a judge that knows nothing of kinfra's proof looks for what they have in common.

mod broken;
mod claimed;
mod likeness;
mod slots;
mod trial;
mod verdict;

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use self::trial::Trial;
use self::verdict::{Verdict, verdict};

/// The projects.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
/// What is expected of a project.
const EXPECTED: [&str; 3] = ["slots.toml", "overlay.yaml", "findings.txt"];
/// The fewest projects.
const FEWEST: usize = 60;

fn projects() -> Vec<String> {
    let entries = fs::read_dir(CORPUS).expect("projects");
    let mut projects: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    projects.sort();
    assert!(projects.len() >= FEWEST, "only {} projects", projects.len());
    projects
}

/// The verdicts about all projects, by two threads.
fn verdicts() -> Vec<(String, Verdict)> {
    let left = Mutex::new(projects());
    let done = Mutex::new(Vec::new());
    let work = || {
        loop {
            let Some(name) = left.lock().expect("no thread panics").pop() else { break };
            let verdict = verdict(&Trial::of(&name));
            done.lock().expect("no thread panics").push((name, verdict));
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        for thread in threads {
            thread.join().expect("no thread panics");
        }
    });
    let mut done = done.into_inner().expect("no thread panics");
    done.sort_by(|(one, _), (other, _)| one.cmp(other));
    done
}

/// Where a text is not as expected.
fn other(expected: Option<&str>, found: Option<&str>) -> String {
    let (Some(expected), Some(found)) = (expected, found) else {
        return if found.is_some() { "is not expected" } else { "is missing" }.to_owned();
    };
    let mut lines = expected.lines().zip(found.lines());
    let first = lines.find(|(expected, found)| expected != found);
    let (expected, found) = first.unwrap_or(("the end", "more, or less"));
    format!("is not as expected: {found:?} stands where {expected:?} was")
}

#[test]
#[ignore = "needs Docker Compose v2"]
fn corpus_from_init_to_isolated_slots() {
    let verdicts = verdicts();
    let update = std::env::var_os("KINFRA_UPDATE_EXPECTED").is_some();
    let mut faults = Vec::new();
    for (name, verdict) in &verdicts {
        faults.extend(verdict.faults.iter().map(|fault| format!("{name}: {fault}")));
        for (file, text) in EXPECTED.into_iter().zip(&verdict.texts) {
            let path = Path::new(CORPUS).join(name).join(file);
            let expected = fs::read_to_string(&path).ok();
            if expected == *text {
                continue;
            }
            match text {
                Some(text) if update => fs::write(&path, text).expect("an expected file"),
                None if update => fs::remove_file(&path).expect("no expected file"),
                _ => faults.push(format!("{name}: {file} {}", other(expected.as_deref(), text.as_deref()))),
            }
        }
    }
    let decisions: Vec<String> = verdicts
        .iter()
        .filter_map(|(name, verdict)| Some(format!("  {name}: {}", verdict.decision.as_ref()?)))
        .collect();
    let (all, first) = (verdicts.len(), verdicts.len() - decisions.len());
    let ratio = format!("{first} of {all} projects go from init to two isolated slots without an edit");
    println!("{ratio}. The others say what to decide:\n{}", decisions.join("\n"));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(first * 10 >= all * 9, "only {ratio}");
}
