//! The rules of the house, checked by reading the sources: which file may import which, and what no file may
//! contain.
//!
//! Each rule is a function from sources to faults. The real house has no faults. A small house that breaks a
//! rule has one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use kinfra::embedded;

/// The files and rooms in their order. A file imports only from those before its own place, or from its own
/// room. The longest prefix gives the place: `claims/lease` has one, and the rest of `claims` another.
const ORDER: &[&str] = &[
    "fault",
    "digest",
    "port",
    "memory",
    "address_block",
    "identifier",
    "slot",
    "file",
    "time",
    "names",
    "agent",
    "thing",
    "shown",
    "server",
    "dotenv",
    "guarded_variables",
    "raw_text",
    "json",
    "template_shape",
    "template_values",
    "template",
    "embedded",
    "ended",
    "compose/resource",
    "compose/dependency",
    "compose/model",
    "compose/source",
    "proof",
    "spec",
    "compose/overlay",
    "registry",
    "history",
    "desired",
    "registry/migrate",
    "host",
    "completions",
    "claims/held_by",
    "claims/pick",
    "claims/lease",
    "claims/turn",
    "claims/standing",
    "claims/pace",
    "claims/environment",
    "claims/whereabouts",
    "claims/files",
    "ledger",
    "observe/projects",
    "observe/whose",
    "stack/peak",
    "stack/remove",
    "stack/take_over",
    "claims/signs",
    "stack/clean",
    "observe",
    "registry/rebuild",
    "diff",
    "plan",
    "saved",
    "apply",
    "which",
    "provision",
    "compose",
    "stack/compose_files/compose_args",
    "stack/gate/state",
    "stack/up/addresses",
    "stack/admission/uses",
    "stack/written",
    "claims",
    "stack",
    "checkout",
    "hooks",
    "health",
    "init",
    "demo",
    "report",
    "cli",
    "commands",
];

/// The files that do not touch the machine: the same inputs give the same bytes.
const PURE: &[&str] = &[
    "fault",
    "digest",
    "port",
    "memory",
    "address_block",
    "identifier",
    "slot",
    "file",
    "time",
    "names",
    "agent",
    "thing",
    "shown",
    "server",
    "dotenv",
    "guarded_variables",
    "raw_text",
    "json",
    "template_shape",
    "template_values",
    "template",
    "embedded",
    "ended",
    "compose/resource",
    "compose/dependency",
    "compose/model",
    "compose/source",
    "proof",
    "spec",
    "compose/overlay",
    "registry",
    "history",
    "desired",
    "diff",
    "plan",
    "saved/format",
    "saved/dependencies",
    "claims/held_by",
    "claims/pick",
    "claims/lease",
    "claims/turn",
    "claims/standing",
    "claims/pace",
    "claims/environment",
    "observe/projects",
    "stack/leftovers/sort",
    "stack/up/addresses",
    "stack/compose_files/compose_args",
    "stack/gate/state",
    "stack/gate/patience",
    "stack/observe/sight",
    "which/choice",
    "which/index",
    "which/collisions",
    "hooks/json_places",
    "hooks/json_text",
    "hooks/block",
    "hooks/tables",
    "hooks/tool",
    "hooks/recipe",
    "report",
];

/// The files of the host that a pure file may use, because their types hold no handle.
const DATA_OF_HOST: &[&str] = &["host/container", "host/invocation", "host/git_work"];

/// The front: the only files that print, ask, use clap or handle signals.
const FRONT: &[&str] = &["commands", "cli", "report", "main"];

/// Code that no file behind the front may contain.
const FRONT_ONLY: &[&str] = &[
    "println!",
    "eprintln!",
    "print!(",
    "anstream::",
    "clap::",
    "clap_complete",
    "Interrupt::listen",
    "stdin()",
    "io::stdout",
];

/// The files of the host that are the streams themselves.
const STREAMS: &[&str] = &["host/streams", "host/terminal"];

/// Files that are no verbs, though they are in `commands/`.
const BESIDE_VERBS: &[&str] = &[
    "mod",
    "output",
    "draw",
    "failure",
    "approve",
    "session",
    "carry_out",
    "differences",
    "target",
    "terse",
    "claiming",
    "worktree_of_branch",
    "remnant",
    "removing",
    "hook_claim",
    "hook_removal",
    "hook_run",
    "registry_pull",
    "registry_push",
    "hook_slot",
    "hook_worktree",
    "live",
    "sign",
    "slot_of",
    "run_claim",
    "session_claim",
    "run_end",
    "run_held",
    "run_release",
    "run_slot",
    "run_wait",
    "starting",
    "take",
    "there",
    "typed",
    "up_all",
    "watch",
    "within",
    "complete",
    "candidates",
    "complete_paths",
    "pool_here",
    "project_verbs",
];

/// Words that leave open who or what is meant.
const RIDDLES: &[&str] = &["whoever", "whomever", "somebody", "nobody", "himself", "he", "his", "him"];

/// The most lines that a source file may have.
const LONGEST: usize = 400;
/// The most lines that a verb may have.
const LONGEST_VERB: usize = 60;
/// The most columns that a line may have.
const WIDEST: usize = 110;

/// A source file: its path below `src` without `.rs`, a facade by its directory's, and its text.
#[derive(Debug, Clone)]
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Its code, without comments and without its unit tests.
    fn code(&self) -> String {
        if self.path.ends_with("_tests") {
            return String::new();
        }
        let (mut code, mut is_test) = (Vec::new(), false);
        for line in self.text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            is_test |= line.starts_with("#[cfg(test)]");
            if !is_test {
                code.push(line);
            }
            // The item after the attribute ends with its closing brace, or with the line that declares it.
            let is_attribute = line.starts_with('#');
            is_test &= is_attribute || !(line == "}" || (!line.starts_with(' ') && line.ends_with(';')));
        }
        code.join("\n")
    }

    fn is_below(&self, rooms: &[&str]) -> bool {
        rooms.iter().any(|room| is_in(&self.path, room))
    }
}

fn is_in(path: &str, room: &str) -> bool {
    path == room || path.strip_prefix(room).is_some_and(|rest| rest.starts_with('/'))
}

fn house() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    assert!(files.len() > 100, "only {} sources found", files.len());
    let source = |file: PathBuf| {
        let path = file.strip_prefix(&src).expect("a path in src").with_extension("");
        let path = path.to_str().expect("UTF-8").replace('\\', "/");
        let path = path.strip_suffix("/mod").map(str::to_owned).unwrap_or(path);
        Source { path, text: fs::read_to_string(&file).expect("a source is text") }
    };
    files.into_iter().map(source).collect()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("src can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The paths that a `use` tree names.
fn leaves(tree: &str, before: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else { return vec![format!("{before}{tree}")] };
    let body = &rest[..rest.rfind('}').expect("a closed group")];
    let before = format!("{before}{prefix}");
    let (mut depth, mut start, mut paths) = (0, 0, Vec::new());
    for (at, c) in body.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                paths.extend(leaves(&body[start..at], &before));
                start = at + 1;
            }
            _ => {}
        }
    }
    if !body[start..].trim().is_empty() {
        paths.extend(leaves(&body[start..], &before));
    }
    paths
}

/// Every path that begins with `crate`, `super` or `self`, in imports and in the code.
fn named_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once("use ") {
        let is_statement = before.is_empty() || before.ends_with([' ', '\n']);
        let Some((tree, next)) = after.split_once(';').filter(|_| is_statement) else {
            rest = after;
            continue;
        };
        paths.extend(leaves(tree, ""));
        rest = next;
    }
    for start in ["crate::", "super::"] {
        let inline = code.match_indices(start).map(|(at, _)| {
            let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            code[at..].chars().take_while(|c| is_path(*c)).collect::<String>()
        });
        paths.extend(inline);
    }
    paths.into_iter().map(|path| path.replace(char::is_whitespace, "")).collect()
}

/// The files that each file imports from: the deepest module that a path names.
fn edges(house: &[Source]) -> BTreeMap<&str, BTreeSet<&str>> {
    let files: BTreeSet<&str> = house.iter().map(|source| source.path.as_str()).collect();
    let resolve = |from: &str, path: &str| {
        let mut base: Vec<&str> = from.split('/').collect();
        let mut parts = path.split("::").peekable();
        match parts.peek() {
            Some(&"crate") => {
                base.clear();
                parts.next();
            }
            Some(&"super") => {
                while parts.next_if_eq(&"super").is_some() {
                    base.pop();
                }
            }
            _ => {}
        }
        let mut deepest = files.get(base.join("/").as_str()).copied();
        for part in parts {
            base.push(part);
            match files.get(base.join("/").as_str()) {
                Some(file) => deepest = Some(file),
                None => break,
            }
        }
        deepest
    };
    let of = |source: &'_ Source| {
        let paths = named_paths(&source.code());
        let own = source.path.as_str();
        paths.iter().filter_map(|path| resolve(own, path)).filter(|file| *file != own).collect()
    };
    house.iter().map(|source| (source.path.as_str(), of(source))).collect()
}

/// Imports that point forward in [`ORDER`], and files that have no place in it.
fn out_of_order(house: &[Source]) -> Vec<String> {
    let place = |path: &str| {
        let rooms = ORDER.iter().enumerate().filter(|(_, room)| is_in(path, room));
        rooms.max_by_key(|(_, room)| room.len()).map(|(place, _)| place)
    };
    let mut faults = Vec::new();
    for (file, imports) in edges(house).into_iter().filter(|(file, _)| !["lib", "main"].contains(file)) {
        let Some(own) = place(file) else {
            faults.push(format!("{file} has no place"));
            continue;
        };
        let room = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
        let forward = imports.iter().filter(|import| {
            // A facade declares its room's files, whatever their places.
            let is_facade = file == room(import);
            !is_facade && place(import).is_none_or(|other| other > own)
        });
        faults.extend(forward.map(|import| format!("{file} imports {import}, which comes after it")));
    }
    faults
}

/// Files that import each other in a circle.
fn circles(house: &[Source]) -> Vec<String> {
    let mut left = edges(house);
    // A file that imports no remaining file is in no circle.
    while let Some(done) = {
        let is_free = |imports: &BTreeSet<&str>| imports.iter().all(|import| !left.contains_key(import));
        left.iter().find(|(_, imports)| is_free(imports)).map(|(file, _)| *file)
    } {
        left.remove(done);
    }
    // Each remaining file imports a circle, or is in one.
    while let Some(outside) = {
        let is_imported = |file: &str| left.values().any(|imports| imports.contains(file));
        left.keys().copied().find(|file| !is_imported(file))
    } {
        left.remove(outside);
    }
    left.keys().map(|file| format!("{file} is in a circle of files")).collect()
}

/// Verbs that import a verb.
fn verbs_of_verbs(house: &[Source]) -> Vec<String> {
    let is_verb =
        |path: &str| path.strip_prefix("commands/").is_some_and(|verb| !BESIDE_VERBS.contains(&verb));
    let mut faults = Vec::new();
    for (file, imports) in
        edges(house).into_iter().filter(|(file, _)| *file != "commands" && is_in(file, "commands"))
    {
        faults.extend(
            imports
                .iter()
                .filter(|import| is_verb(import))
                .map(|verb| format!("{file} imports the verb {verb}")),
        );
    }
    faults
}

/// Files behind the front that print, ask, use clap or handle signals.
fn loud(house: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    let behind = |source: &&Source| !source.is_below(FRONT) && !STREAMS.contains(&source.path.as_str());
    for source in house.iter().filter(behind) {
        let code = source.code();
        faults.extend(
            FRONT_ONLY
                .iter()
                .filter(|words| code.contains(**words))
                .map(|words| format!("{} has `{words}`", source.path)),
        );
        let imports = edges(house).remove(source.path.as_str()).unwrap_or_default();
        let front = imports.iter().filter(|import| FRONT.iter().any(|room| is_in(import, room)));
        faults.extend(front.map(|import| format!("{} imports {import}", source.path)));
    }
    faults.retain(|fault| fault != "lib imports commands");
    faults
}

/// Pure files that import something which touches the machine.
fn impure(house: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    let edges = edges(house);
    for source in house.iter().filter(|source| source.is_below(PURE)) {
        let imports = edges.get(source.path.as_str()).into_iter().flatten();
        let host = imports.filter(|import| is_in(import, "host") && !DATA_OF_HOST.contains(import));
        faults.extend(host.map(|import| format!("{} imports {import}", source.path)));
    }
    faults
}

/// Files and verbs that are too long, and lines that are too wide.
fn too_large(house: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in house {
        let lines = source.text.lines().count();
        let is_verb = is_in(&source.path, "commands") && source.path != "commands";
        let most = if is_verb { LONGEST_VERB } else { LONGEST };
        if lines > most {
            faults.push(format!("{} has {lines} lines", source.path));
        }
        let comment = |line: &str| line.trim_start().starts_with("//");
        let wide = source.text.lines().filter(|line| comment(line) && line.chars().count() > WIDEST);
        faults.extend(wide.map(|line| format!("{} has a wide comment: {line}", source.path)));
    }
    faults
}

/// Files that name a certain project.
fn of_a_project(house: &[Source]) -> Vec<String> {
    let named = house.iter().filter(|source| source.text.to_lowercase().contains("ktrdr"));
    named.map(|source| format!("{} names a project", source.path)).collect()
}

/// Riddles: words that leave open who or what is meant. Name the holder, the waiter or the program instead.
fn riddles(house: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in house {
        let text = source.text.to_lowercase();
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphabetic()).collect();
        let found = RIDDLES.iter().filter(|word| words.contains(**word));
        faults.extend(found.map(|word| format!("{} says `{word}`", source.path)));
    }
    faults
}

/// Tests that start a program by themselves. One that hangs would have no time limit: `support::Running` has it.
fn without_limit(house: &[Source]) -> Vec<String> {
    let starts = [".spawn()", ".output()", ".status()", ".exec()"];
    let mut faults = Vec::new();
    let has_the_limit = |source: &Source| source.path == "tests/support/running.rs";
    let is_test = |source: &&Source| {
        source.path.starts_with("tests/") && Path::new(&source.path).extension() == Some("rs".as_ref())
    };
    for source in house.iter().filter(is_test).filter(|source| !has_the_limit(source)) {
        let found = starts.iter().filter(|start| source.text.contains(**start));
        faults.extend(found.map(|start| format!("{} starts a program: `{start}`", source.path)));
    }
    faults
}

/// Every text of the repository that people read, besides `src`: docs, tests, benches, fuzz targets,
/// examples, templates and scripts. Not here: this file, which lists the words, and files that others wrote.
fn texts() -> Vec<Source> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for dir in [".ci", "benches", "docs", "examples", "fuzz/fuzz_targets", "templates", "tests"] {
        collect(&top.join(dir), &mut files);
    }
    let pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "fuzz/README.md", "fuzz/invariants.rs"];
    let settings = ["Cargo.toml", "pyproject.toml", "slots.toml", "slots.schema.json", ".clippy.toml"];
    files.extend(pages.into_iter().chain(settings).map(|file| top.join(file)));
    let others = ["tests/house.rs", "tests/fixtures", "tests/acceptance/kinfra-slot-provisioning.md"];
    files.retain(|file| !others.iter().any(|other| file.starts_with(top.join(other))));
    let source = |file: PathBuf| {
        let path = file.strip_prefix(top).expect("a path in the repository").to_str().expect("UTF-8");
        Source { path: path.to_owned(), text: fs::read_to_string(&file).expect("text") }
    };
    files.into_iter().map(source).collect()
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_import_points_back_along_the_pipeline() {
    assert_none(&out_of_order(&house()));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    assert_none(&circles(&house()));
}

#[test]
fn no_verb_imports_a_verb() {
    assert_none(&verbs_of_verbs(&house()));
}

#[test]
fn only_the_front_prints_asks_and_knows_clap() {
    assert_none(&loud(&house()));
}

#[test]
fn what_is_pure_knows_no_machine() {
    assert_none(&impure(&house()));
}

#[test]
fn no_source_is_long_and_no_comment_wide() {
    assert_none(&too_large(&house()));
}

#[test]
fn no_source_knows_a_project() {
    assert_none(&of_a_project(&house()));
}

#[test]
fn no_source_speaks_in_riddles() {
    assert_none(&riddles(&house()));
}

#[test]
fn no_test_page_or_script_speaks_in_riddles() {
    let texts = texts();
    for path in
        ["tests/verbs/claim.rs", "docs/claims.md", "README.md", "examples/web-app/README.md", ".ci/run"]
    {
        assert!(texts.iter().any(|text| text.path == path), "{path} is not read");
    }
    assert_none(&riddles(&texts));
}

#[test]
fn every_program_that_a_test_starts_has_a_time_limit() {
    assert_none(&without_limit(&texts()));
}

/// The list of pure modules is in two places: here, and where `cargo mutants` reads it.
#[test]
fn cargo_mutants_changes_what_is_pure_and_nothing_else() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let settings = fs::read_to_string(top.join(".cargo/mutants.toml")).expect("text");
    let settings: toml::Table = settings.parse().expect("TOML");
    let globs = settings["examine_globs"].as_array().expect("a list");
    let globs: Vec<&str> = globs.iter().map(|glob| glob.as_str().expect("a text")).collect();
    let globs_of = |room: &&str| {
        let forms = [format!("src/{room}.rs"), format!("src/{room}/**/*.rs")];
        let is_there = [forms[0].clone(), format!("src/{room}")].map(|path| top.join(path).exists());
        forms
            .into_iter()
            .zip(is_there)
            .filter_map(|(form, is_there)| is_there.then_some(form))
            .collect::<Vec<_>>()
    };
    assert_eq!(globs, PURE.iter().flat_map(globs_of).collect::<Vec<_>>());
}

/// A small house that keeps every rule, with one file changed or added.
fn house_with(path: &str, text: &str) -> Vec<Source> {
    let rooms = [
        ("fault", "pub struct Fault;"),
        ("slot", "use crate::fault::Fault;"),
        ("host", "pub mod net;\npub use net::listens;"),
        ("host/net", "use crate::slot::SlotId;"),
        ("plan", "mod policy;\npub use policy::decide;"),
        ("plan/policy", "use crate::{fault::{self, Fault}, slot};"),
        ("commands", "mod apply;\nmod claim;\nuse self::apply::run;"),
        ("commands/output", "use std::io;"),
        ("commands/apply", "use super::output::print;"),
        ("commands/claim", "use super::output::print;"),
    ];
    let mut house: BTreeMap<&str, &str> = rooms.into_iter().collect();
    house.insert(path, text);
    house.into_iter().map(|(path, text)| Source { path: path.to_owned(), text: text.to_owned() }).collect()
}

type Rule = fn(&[Source]) -> Vec<String>;

const RULES: [Rule; 9] =
    [out_of_order, circles, verbs_of_verbs, loud, impure, too_large, of_a_project, riddles, without_limit];

#[test]
fn a_house_that_breaks_a_rule_is_noticed() {
    for rule in RULES {
        assert_eq!(
            rule(&house_with("fault", "pub struct Fault;")),
            Vec::<String>::new(),
            "the small house is in order"
        );
    }
    let long = "\n".repeat(401);
    let long_verb = "\n".repeat(61);
    let wide = format!("//! {}", "x".repeat(120));
    let broken: [(Rule, &str, &str, &str); 24] = [
        (out_of_order, "fault", "use crate::slot::SlotId;", "fault imports slot"),
        (out_of_order, "fault", "fn f() { crate::slot::new() }", "fault imports slot"),
        (out_of_order, "fault", "#[cfg(test)]\nmod tests;\nuse crate::slot::SlotId;", "fault imports slot"),
        (
            out_of_order,
            "fault",
            "#[cfg(test)]\nmod tests {\n}\nuse crate::slot::SlotId;",
            "fault imports slot",
        ),
        (out_of_order, "slot", "use crate::{fault, plan::{Plan, policy}};", "slot imports plan/policy"),
        (out_of_order, "cellar", "", "cellar has no place"),
        (circles, "plan/policy", "use super::decide;", "plan is in a circle"),
        (circles, "host/net", "use super::Net;", "host/net is in a circle"),
        (circles, "fault", "use crate::slot::SlotId;", "fault is in a circle"),
        (verbs_of_verbs, "commands/claim", "use super::apply::look;", "imports the verb commands/apply"),
        (verbs_of_verbs, "commands/output", "use crate::commands::claim;", "imports the verb commands/claim"),
        (loud, "plan", "fn f() { println!(\"x\") }", "plan has `println!`"),
        (
            loud,
            "plan/policy",
            "use crate::cli::Args;\nuse crate::commands::output::print;",
            "imports commands/output",
        ),
        (loud, "host/net", "use clap::Parser;", "host/net has `clap::`"),
        (impure, "plan/policy", "use crate::host::net;", "plan/policy imports host/net"),
        (too_large, "slot", &long, "slot has 401 lines"),
        (too_large, "commands/claim", &long_verb, "commands/claim has 61 lines"),
        (too_large, "slot", &wide, "slot has a wide comment"),
        (of_a_project, "slot", "//! As in KTRDR.", "slot names a project"),
        (without_limit, "tests/slot.rs", "kinfra.output()", "tests/slot.rs starts a program: `.output()`"),
        (riddles, "slot", "//! Whoever claims it.", "slot says `whoever`"),
        (riddles, "tests/slot.rs", "fn a_slot_is_somebody_s() {}", "tests/slot.rs says `somebody`"),
        (riddles, "docs/slot.md", "The holder and\nhis slot.", "docs/slot.md says `his`"),
        (riddles, "examples/slot.sh", "echo \"Nobody's slot\"", "examples/slot.sh says `nobody`"),
    ];
    for (rule, path, text, fault) in broken {
        let faults = rule(&house_with(path, text));
        assert!(faults.iter().any(|found| found.contains(fault)), "{fault}: {faults:?}");
    }
}

#[test]
fn every_template_is_embedded() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let names = fs::read_dir(dir)
        .expect("templates can be listed")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a UTF-8 name"));
    let embedded: BTreeSet<String> = embedded::TEMPLATES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), embedded);
}
