//! Every directory in `examples/` runs, and produces what its `expected/` shows; the script there passes.
//!
//! After an intended change, `KINFRA_UPDATE_EXPECTED=1 cargo test examples` writes `expected/` again. Read
//! `git diff` before you commit it. The home directory is `/home/dev` there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use similar::TextDiff;

use crate::support::tools::set_mode;
use crate::support::{Machine, Run};

const SOURCES: &str = env!("CARGO_MANIFEST_DIR");

const UPDATE: &str = "KINFRA_UPDATE_EXPECTED";

/// The text of files by their paths, below one directory.
type Files = BTreeMap<String, String>;

/// A directory in `examples/`.
pub(crate) struct Example {
    name: String,
    dir: PathBuf,
}

impl Example {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), dir: Path::new(SOURCES).join("examples").join(name) }
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A machine whose project is the example.
    pub(crate) fn machine(&self) -> Machine {
        let machine = Machine::new();
        self.copy_to(&machine);
        machine
    }

    fn copy_to(&self, machine: &Machine) {
        machine.spec(&self.read("slots.toml"));
        for (name, text) in files(&self.dir.join("templates")) {
            machine.template(&name, &text);
        }
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.dir.join(path)).expect("a file of the example")
    }

    /// What the example produces on a clean machine.
    fn produced(&self) -> Files {
        let machine = self.machine();
        let plan = machine.kinfra("plan").exits(0).stdout;
        let ports = machine.kinfra("ports").exits(0).stdout;
        machine.kinfra("apply").exits(0);
        machine.kinfra("plan --detailed-exitcode").exits(0);

        let printed = [("plan.txt".to_owned(), plan), ("ports.txt".to_owned(), ports)];
        let slot = files(&slot_one(&machine)).into_iter();
        let all = slot.map(|(path, text)| (format!("slot-1/{path}"), text)).chain(printed);
        all.map(|(path, text)| (path, shown_as(&text, &machine.home(), "/home/dev"))).collect()
    }

    fn expected(&self) -> Files {
        files(&self.dir.join("expected"))
    }

    fn rewrite_expected(&self, produced: &Files) {
        let expected = self.dir.join("expected");
        if expected.exists() {
            fs::remove_dir_all(&expected).expect("the old files can go");
        }
        for (path, text) in produced {
            let path = expected.join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            fs::write(path, text).expect("a written file");
        }
    }
}

/// Every example whose slots have files of their own.
pub(crate) fn all() -> Vec<Example> {
    let dirs = dirs().into_iter().filter(|dir| dir.join("templates").exists());
    let name = |dir: PathBuf| dir.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
    let all: Vec<_> = dirs.map(|dir| Example::named(&name(dir))).collect();
    assert!(all.len() >= 3, "only {} examples", all.len());
    all
}

/// The directories of all examples.
pub(crate) fn dirs() -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(Path::new(SOURCES).join("examples")).expect("examples/");
    entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir()).collect()
}

#[test]
fn every_example_produces_what_it_shows() {
    let mut differences = String::new();
    for example in all() {
        let produced = example.produced();
        if std::env::var_os(UPDATE).is_some() {
            example.rewrite_expected(&produced);
        }
        differences += &difference(&example.name, &example.expected(), &produced);
    }
    assert!(differences.is_empty(), "\n{differences}\nIf that is right: {UPDATE}=1 cargo test examples");
}

#[test]
fn the_readme_of_clustered_ports_shows_what_stride_1_leads_to() {
    let example = Example::named("clustered-ports");
    let machine = example.machine();
    machine.edit_spec("{ base = 9000, stride = 10 }", "9000");
    machine.edit_spec("{ base = 9001, stride = 10 }", "9001");
    let refusal = machine.kinfra("plan").exits(65).stderr;
    let readme = example.read("README.md");
    let shown = readme.split("```\n").nth(1).expect("a block of code");
    assert_same("README.md", shown, &shown_as(&refusal, &machine.project(), "~/events"));

    machine.edit_spec("= 9000", "= { base = 9000, stride = 2 }");
    machine.edit_spec("= 9001", "= { base = 9001, stride = 2 }");
    machine.kinfra("plan").exits(0);
}

#[test]
fn the_ktrdr_pool_grows_without_touching_its_six_slots() {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    let files = || {
        let mut tree = machine.tree();
        tree.retain(|path, _| {
            ["registry.json", "/pools/"].iter().all(|part| !path.to_string_lossy().contains(part))
        });
        tree
    };
    let before = files();

    Example::named("ktrdr-12").copy_to(&machine);
    let plan = machine.kinfra("plan").exits(0);
    plan.prints("Plan: 6 to add, 0 to change, 0 to destroy.").never_says("Blocked");
    machine.kinfra("apply").exits(0);
    let after = files();
    for (path, state) in &before {
        assert_eq!(after.get(path), Some(state), "{}", path.display());
    }
    machine.kinfra("plan --detailed-exitcode").exits(0);
}

#[test]
fn ktrdr_12_differs_from_the_repository_only_in_its_ids() {
    let same = |text: &str| -> String {
        let lines = text.split_inclusive('\n');
        lines.filter(|line| !line.starts_with('#') && !line.starts_with("ids ")).collect()
    };
    let repository = fs::read_to_string(Path::new(SOURCES).join("slots.toml")).expect("slots.toml");
    assert_same("slots.toml", &same(&repository), &same(&Example::named("ktrdr-12").read("slots.toml")));
}

#[test]
fn a_day_in_the_life_of_three_worktrees_passes_and_leaves_nothing_behind() {
    let machine = Machine::new();
    // Compose reads the files of the script, and no container runs.
    let docker = r#"#!/bin/sh
case "$*" in
*version*) echo 2.26.1 ;;
"compose "*" config "*) echo '{"name": "shop", "services": {
    "web": {"image": "nginx", "ports": [{"target": 80, "published": "8080", "protocol": "tcp"}]},
    "db": {"image": "postgres", "ports": [{"target": 5432, "published": "5432", "protocol": "tcp"}]}}}' ;;
esac
"#;
    let path = machine.tools().join("docker");
    fs::write(&path, docker).expect("a stand-in");
    set_mode(&path, 0o755);
    let mut script = machine.program(Path::new(SOURCES).join("examples/day-in-the-life.sh"));
    let run = Run::of(script.env("HOME", "/nowhere").env("TMPDIR", machine.home())).exits(0);
    run.prints("== 18:00  Nothing is left but the branches.\n").says("Waiting for a slot");
    assert!(machine.tree().is_empty());
}

/// Every file below a directory. Links are followed: an example may share its templates with the repository.
pub(super) fn files(dir: &Path) -> Files {
    let mut files = Files::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
        if path.is_dir() {
            let below = self::files(&path).into_iter();
            files.extend(below.map(|(path, text)| (format!("{name}/{path}"), text)));
        } else {
            let text = fs::read_to_string(&path);
            let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            files.insert(name.to_owned(), text);
        }
    }
    files
}

fn slot_one(machine: &Machine) -> PathBuf {
    let slots: Value = serde_json::from_str(&machine.kinfra("slots --json").exits(0).stdout).expect("JSON");
    let slot = &slots["slots"][0];
    assert_eq!(slot["slot_id"], 1);
    PathBuf::from(slot["infrastructure_path"].as_str().expect("a path"))
}

/// The text with one directory of the machine renamed.
fn shown_as(text: &str, dir: &Path, name: &str) -> String {
    let real = dir.canonicalize().expect("a directory");
    text.replace(real.to_str().expect("UTF-8"), name).replace(dir.to_str().expect("UTF-8"), name)
}

/// The differences between two sets of files, line by line.
fn difference(name: &str, expected: &Files, produced: &Files) -> String {
    let paths: BTreeSet<_> = expected.keys().chain(produced.keys()).collect();
    let differences = paths.into_iter().map(|path| {
        let shown = format!("examples/{name}/expected/{path}");
        match (expected.get(path), produced.get(path)) {
            (Some(_), None) => format!("{shown} is not produced\n"),
            (expected, produced) => {
                let [expected, produced] = [expected, produced].map(|text| text.map_or("", String::as_str));
                lines_that_differ(&shown, expected, produced)
            }
        }
    });
    differences.collect()
}

fn lines_that_differ(expected_in: &str, expected: &str, produced: &str) -> String {
    let diff = TextDiff::from_lines(expected, produced);
    diff.unified_diff().header(expected_in, "what it produces").to_string()
}

#[track_caller]
fn assert_same(expected_in: &str, expected: &str, produced: &str) {
    let lines = lines_that_differ(expected_in, expected, produced);
    assert!(lines.is_empty(), "\n{lines}");
}
