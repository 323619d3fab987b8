//! What is allowed after a crash, after an error, and after the run that follows.

use std::path::{Path, PathBuf};

use kinfra::registry::Registry;

use super::bench::Prepared;
use super::injection::{Call, Traced};
use super::scenario::Scenario;
use super::tree::{Node, Tree};
use crate::support::Run;

/// The exit codes of a run that says what went wrong.
const FAILURES: [i32; 6] = [1, 3, 4, 5, 6, 65];

/// Whatever happened: the registry is the old or the new one, no slot is half there, and nothing else changed.
pub(super) fn after_a_crash(tree: &Tree, scenario: &Scenario, prepared: &Prepared) -> Result<(), String> {
    let Prepared { before, after, .. } = prepared;
    let root = Path::new(scenario.root);
    registry_is_whole(tree, root, prepared)?;
    for (path, node) in tree {
        let Ok(below) = path.strip_prefix(root) else {
            same(path, node, &[before, after])?;
            continue;
        };
        match below.components().next().and_then(|name| name.as_os_str().to_str()) {
            Some(".tmp" | ".lock" | "registry.json" | "registry.json.bak") => {}
            // A slot that was there can have got back some of its files; a new one comes whole.
            Some(name) if name.starts_with("slot-") => {
                same(path, node, &[before, after])?;
                let slot = root.join(name);
                let is_new = !before.contains_key(&slot);
                let lacks = is_new.then(|| missing(tree, after, &slot)).flatten();
                if let Some(lacks) = lacks {
                    return Err(format!("{} is partial: it lacks {}", slot.display(), lacks.display()));
                }
            }
            _ => same(path, node, &[before, after])?,
        }
    }
    missing(tree, before, Path::new("")).map_or(Ok(()), |lost| Err(format!("{} is lost", lost.display())))
}

/// An error is told, or is one that kinfra knows a way around; never corrupts; and is no panic.
pub(super) fn after_an_error(
    run: &Traced,
    tree: &Tree,
    scenario: &Scenario,
    prepared: &Prepared,
    (call, error): (&Call, &str),
) -> Result<(), String> {
    let told = || format!("exit {:?}\nstdout: {}\nstderr: {}", run.code, run.stdout, run.stderr);
    let Some((injected, later)) = run.injected() else {
        return Err(format!("nothing was injected: {run:#?}"));
    };
    if run.panicked() {
        return Err(format!("it panicked: {}", told()));
    }
    after_a_crash(tree, scenario, prepared).map_err(|why| format!("{why}\n{}", told()))?;
    let code = run.code.unwrap_or_default();
    if code == 0 {
        settled(tree, scenario, prepared)
            .map_err(|why| format!("{error} was passed over: {why}\n{}", told()))?;
    } else if !FAILURES.contains(&code) || run.stderr.is_empty() {
        return Err(format!("a failure that does not say so: {}", told()));
    }
    // What a failed sync did not write, a second one need not write either, and would succeed.
    let target = |line: &str| line.split_once(&format!("{}(", call.name)).map(|(_, to)| to.to_owned());
    if call.name.contains("sync") {
        let file = target(injected).and_then(|to| to.split_once(')').map(|(file, _)| file.to_owned()));
        let file = file.ok_or_else(|| format!("no file in {injected}"))?;
        let path = file.split_once('<').map_or(&*file, |(_, path)| path);
        if let Some(again) = later.iter().find(|line| line.contains(path)) {
            return Err(format!("a failed sync is done again: {injected}, {again}"));
        }
        if code == 0 {
            return Err(format!("a failed sync is passed over: {}", told()));
        }
    }
    Ok(())
}

/// The same command, run again and undisturbed, ends what the first began.
pub(super) fn after_recovery(
    run: &Run,
    tree: &Tree,
    scenario: &Scenario,
    prepared: &Prepared,
) -> Result<(), String> {
    if run.code != Some(0) {
        return Err(format!("the next run failed: {run:#?}"));
    }
    settled(tree, scenario, prepared).map_err(|why| format!("after the next run: {why}\n{run:#?}"))
}

/// The tree is that of an undisturbed run.
fn settled(tree: &Tree, scenario: &Scenario, prepared: &Prepared) -> Result<(), String> {
    let after = &prepared.after;
    registry_is_whole(tree, Path::new(scenario.root), prepared)?;
    for (path, node) in tree {
        same(path, node, &[after])?;
    }
    missing(tree, after, Path::new("")).map_or(Ok(()), |lost| Err(format!("{} is missing", lost.display())))
}

/// The registry can be read and is the old or the new one, or there never was one; and so is its backup.
fn registry_is_whole(
    tree: &Tree,
    root: &Path,
    Prepared { before, after, .. }: &Prepared,
) -> Result<(), String> {
    let (path, backup) = (root.join("registry.json"), root.join("registry.json.bak"));
    match (tree.get(&path), tree.contains_key(&backup)) {
        (None, true) => return Err("there is a backup and no registry".to_owned()),
        (None, false) => return Ok(()),
        (Some(node), _) => same(&path, node, &[before, after])?,
    }
    for path in [&path, &backup] {
        if let Some(text) = tree.get(path).and_then(|node| node.text.as_deref()) {
            Registry::parse(text)
                .map_err(|corrupt| format!("{} is corrupt, {corrupt}\n{text}", path.display()))?;
        }
    }
    Ok(())
}

/// Whether what stands at a path is what stands there in one of some trees.
fn same(path: &Path, node: &Node, trees: &[&Tree]) -> Result<(), String> {
    let node = comparable(path, node);
    let mut there = trees.iter().filter_map(|tree| tree.get(path)).map(|other| comparable(path, other));
    if there.any(|other| other == node) {
        return Ok(());
    }
    let (mode, text) = (node.mode, node.text);
    Err(format!("{} is not as it should be: mode {mode:o}, {text:?}", path.display()))
}

/// The first path of a tree, at or below `top`, that another does not have.
fn missing(tree: &Tree, than: &Tree, top: &Path) -> Option<PathBuf> {
    than.keys().find(|path| path.starts_with(top) && !tree.contains_key(*path)).cloned()
}

/// Without what two runs need not have in common: who held the lock, how old the backup is, and when a claim was made.
fn comparable(path: &Path, node: &Node) -> Node {
    let mut node = node.clone();
    match path.file_name().and_then(|name| name.to_str()) {
        Some(".lock" | "registry.json.bak") => node.text = None,
        Some("registry.json") => {
            let text = node.text.as_deref().unwrap_or_default();
            let is_time = |line: &&str| line.trim_start().starts_with("\"claimed_at\": \"");
            node.text = Some(text.lines().filter(|line| !is_time(line)).collect::<Vec<_>>().join("\n"));
        }
        _ => {}
    }
    node
}
