//! The rules of the house, held by reading the sources: who imports whom, and what is nowhere in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kinfra::embedded;

/// The modules in the order of the pipeline. Each imports only from those before it.
const ORDER: [&str; 29] = [
    "fault",
    "digest",
    "slot",
    "proof",
    "dotenv",
    "template",
    "init",
    "spec",
    "registry",
    "environment",
    "lease",
    "desired",
    "pools",
    "migrate",
    "host",
    "observe",
    "diff",
    "plan",
    "saved",
    "apply",
    "worktree",
    "doctor",
    "repair",
    "validate",
    "report",
    "embedded",
    "cli",
    "invocation",
    "commands",
];

/// The modules that may touch the machine.
const USERS_OF_HOST: [&str; 8] =
    ["host", "observe", "apply", "worktree", "doctor", "validate", "invocation", "commands"];

/// The most lines that a source file may have.
const LONGEST: usize = 450;

fn sources() -> Vec<(PathBuf, String)> {
    let mut sources = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    assert!(sources.len() > 20, "only {} sources found", sources.len());
    sources
}

fn collect(dir: &Path, sources: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(dir).expect("src can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, sources);
        } else {
            let text = fs::read_to_string(&path).expect("a source is text");
            sources.push((path, text));
        }
    }
}

/// The top module that a source belongs to.
fn module(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("a path in src");
    let first = below.components().next().expect("a component").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that a source names after `crate::`, its doc comments left out.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let paths = code.flat_map(|line| line.split("crate::").skip(1));
    paths.map(|path| path.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()).collect()
}

#[test]
fn every_import_points_back_along_the_pipeline() {
    for (path, text) in sources() {
        let module = module(&path);
        if matches!(module.as_str(), "lib" | "main") {
            continue;
        }
        let place = |name: &str| ORDER.iter().position(|module| *module == name);
        let own = place(&module).unwrap_or_else(|| panic!("{} has no place in ORDER", path.display()));
        for import in imports(&text) {
            let other =
                place(&import).unwrap_or_else(|| panic!("{} imports unknown {import}", path.display()));
            assert!(other <= own, "{} imports {import}, which comes after it", path.display());
            let allowed = import != "host" || USERS_OF_HOST.contains(&module.as_str());
            assert!(allowed, "{} imports host", path.display());
        }
    }
}

#[test]
fn no_source_is_long() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines", path.display());
    }
}

#[test]
fn no_source_knows_a_project() {
    for (path, text) in sources() {
        assert!(!text.to_lowercase().contains("ktrdr"), "{} names a project", path.display());
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
