//! What is allowed after a crash, after an error, and after the run that follows.

use std::path::{Path, PathBuf};

use kinfra::history::{HEADER, Recorded};
use kinfra::registry::Registry;
use serde_json::{Map, Value};

use super::bench::Prepared;
use super::scenario::Scenario;
use super::tree::{Node, Tree};
use crate::rig::strace::{Call, Traced};
use crate::support::Run;

/// The exit codes of a run that says what went wrong.
const FAILURES: [i32; 7] = [1, 3, 4, 5, 6, 65, 74];

/// After a kill the registry is the old or the new one, no slot is half there, and nothing else changed.
pub(super) fn after_a_crash(tree: &Tree, scenario: &Scenario, prepared: &Prepared) -> Result<(), String> {
    let root = Path::new(scenario.root);
    let registry = root.join("registry.json");
    let node = tree.get(&registry);
    let is_announced = |node: &&Node| scenario.changes && has_pending(node);
    if let Some(node) = node.filter(|node| !is_announced(node)) {
        same(&registry, node, &[&prepared.before, &prepared.after])?;
    }
    registry_is_whole(tree, root)?;
    slots_are_whole(tree, root, prepared)
}

/// Whether a registry announces an unfinished change.
fn has_pending(registry: &Node) -> bool {
    registry.text.as_ref().is_some_and(|text| text.contains("\"pending\": "))
}

/// After a crash in the middle of a change, a plain apply completes it. Nothing looks edited by hand.
pub(super) fn after_plain_apply(run: &Run, tree: &Tree, scenario: &Scenario) -> Result<(), String> {
    let registry = tree.get(&Path::new(scenario.root).join("registry.json"));
    let is_wrong = run.code != Some(0) || registry.is_none_or(has_pending) || run.stdout.contains("by hand");
    if is_wrong { Err(format!("an apply without flags does not complete it: {run:#?}")) } else { Ok(()) }
}

/// No slot is half there, and nothing but the pool changed.
fn slots_are_whole(
    tree: &Tree,
    root: &Path,
    Prepared { before, after, .. }: &Prepared,
) -> Result<(), String> {
    for (path, node) in tree {
        let below = path.strip_prefix(root).ok().and_then(|below| below.components().next());
        let name = below.and_then(|name| name.as_os_str().to_str()).unwrap_or_default();
        let is_temporary = path.extension().is_some_and(|end| end == "tmp" || end == "kinfra-tmp");
        if matches!(name, ".tmp" | ".lock" | "journal" | "registry.json" | "registry.json.bak")
            || is_temporary
        {
            continue;
        }
        same(path, node, &[before, after])?;
        // A slot that existed may have some of its files restored. A new slot is complete or missing.
        let slot = root.join(name);
        if name.starts_with("slot-") && !before.contains_key(&slot) {
            is_complete(tree, after, &slot)?;
        }
    }
    let missing =
        before.keys().filter(|path| after.contains_key(*path)).find(|path| !tree.contains_key(*path));
    missing.map_or(Ok(()), |path| Err(format!("{} is missing", path.display())))
}

/// kinfra reports the error or works around it. It never corrupts anything and never panics.
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
    let root = Path::new(scenario.root);
    // A slot whose sign of use cannot be read goes to no worktree: this one got another.
    if call.shown.contains(".kinfra-claim") && run.stderr.contains("Passed over slot") {
        return registry_is_whole(tree, root);
    }
    registry_is_whole(tree, root)
        .and_then(|()| slots_are_whole(tree, root, prepared))
        .and_then(|()| entries_are_old_or_new(tree, root, prepared))
        .map_err(|why| format!("{why}\n{}", told()))?;
    let code = run.code.unwrap_or_default();
    // Blocked is not failed: if docker cannot be asked, the slots stay as they are, and the output says so.
    let is_blocked = scenario.changes && run.stdout.contains("docker does not say whether");
    if code == 0 && !is_blocked {
        settled(tree, scenario, prepared)
            .map_err(|why| format!("{error} was passed over: {why}\n{}", told()))?;
    } else if code != 0 && (!FAILURES.contains(&code) || run.stderr.is_empty()) {
        return Err(format!("a failure that does not say so: {}", told()));
    }
    // After a failed sync, a second one may succeed without having written the data.
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

/// The same command, run again and undisturbed, completes what the first began.
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

/// Every line of the journal can be read, and its claims are those of the registry.
pub(super) fn journal_is_whole(tree: &Tree, root: &Path) -> Result<(), String> {
    let text = |name: &str| tree.get(&root.join(name)).and_then(|node| node.text.as_deref());
    let Some((journal, registry)) = text("journal").zip(text("registry.json")) else { return Ok(()) };
    let lines =
        journal.strip_prefix(HEADER).ok_or_else(|| format!("the journal has no header: {journal}"))?;
    let registry = Registry::parse(registry).map_err(|corrupt| corrupt.to_string())?;
    let texts = [lines.to_owned()];
    let history = Recorded { texts: &texts, registry: Some(&registry), present: None }.history();
    if history.unreadable == 0 && history.missing.is_empty() {
        return Ok(());
    }
    Err(format!("the journal does not tell it: {history:?}"))
}

/// The tree is that of an undisturbed run.
fn settled(tree: &Tree, scenario: &Scenario, Prepared { after, .. }: &Prepared) -> Result<(), String> {
    registry_is_whole(tree, Path::new(scenario.root))?;
    for (path, node) in tree {
        same(path, node, &[after])?;
    }
    is_complete(tree, after, Path::new(""))
}

/// Registry and backup can be read, and there is no backup without a registry.
fn registry_is_whole(tree: &Tree, root: &Path) -> Result<(), String> {
    let names = ["registry.json", "registry.json.bak"];
    let [registry, backup] =
        names.map(|name| tree.get(&root.join(name)).and_then(|node| node.text.as_deref()));
    if registry.is_none() && backup.is_some() {
        return Err("there is a backup and no registry".to_owned());
    }
    for (text, name) in
        [registry, backup].into_iter().zip(names).filter_map(|(text, name)| Some((text?, name)))
    {
        Registry::parse(text).map_err(|corrupt| format!("{name} is corrupt, {corrupt}\n{text}"))?;
    }
    Ok(())
}

/// A slot that fails does not stop the others. Every entry is the old or the new one, and the new one only if
/// the slot is complete. If the registry comes from an old tool, old entries list no files.
fn entries_are_old_or_new(
    tree: &Tree,
    root: &Path,
    Prepared { before, after, .. }: &Prepared,
) -> Result<(), String> {
    let path = root.join("registry.json");
    let read = |tree: &Tree| -> Option<Value> {
        serde_json::from_str(comparable(&path, tree.get(&path)?).text.as_deref()?).ok()
    };
    let (old, new) = (read(before), read(after).expect("a registry after an undisturbed run"));
    let Some(now) = read(tree) else { return Ok(()) };
    let was_imported = old.is_none() && new.get("imported_from").is_some();
    let without_files = |entry: Option<Value>| {
        let mut entry = entry?;
        entry.as_object_mut()?.shift_remove("files");
        Some(entry)
    };
    let entry = |registry: &Value, id: &str| registry["slots"].get(id).cloned();
    for (id, now) in now["slots"].as_object().expect("slots") {
        let (old, new) = (old.as_ref().and_then(|old| entry(old, id)), entry(&new, id));
        if old.as_ref() == Some(now) || (was_imported && without_files(new.clone()).as_ref() == Some(now)) {
            continue;
        }
        if now.get("pending").is_some() {
            continue;
        }
        if new.as_ref() != Some(now) {
            return Err(format!("the entry of slot {id} is neither the old nor the new one: {now:#}"));
        }
        // A claim's files come after the claim. If some are missing, the output says so, and claiming again
        // writes them.
        let mut wanted = after.clone();
        let slot = root.join(format!("slot-{id}"));
        for file in now["claim_files"].as_object().into_iter().flat_map(Map::keys) {
            wanted.remove(&slot.join(file));
        }
        wanted.remove(&slot.join(".kinfra-claim"));
        is_complete(tree, &wanted, &slot)?;
    }
    let mut ids = old.iter().filter_map(|old| old["slots"].as_object()).flat_map(Map::keys);
    if let Some(lost) = ids.find(|id| now["slots"].get(id).is_none() && new["slots"].get(id).is_some()) {
        return Err(format!("the entry of slot {lost} is lost"));
    }
    Ok(())
}

/// Whether a path is the same as in one of these trees.
fn same(path: &Path, node: &Node, trees: &[&Tree]) -> Result<(), String> {
    let node = comparable(path, node);
    let mut there = trees.iter().filter_map(|tree| tree.get(path)).map(|other| comparable(path, other));
    if there.any(|other| other == node) {
        return Ok(());
    }
    let (mode, text) = (node.mode, node.text);
    Err(format!("{} is not as it should be: mode {mode:o}, {text:?}", path.display()))
}

/// Whether everything of a tree, at or below `top`, is there.
fn is_complete(tree: &Tree, wanted: &Tree, top: &Path) -> Result<(), String> {
    // A claim stands without its sign of use, which only an older registry needs. No change fails because
    // it cannot be recorded.
    let is_sign = |path: &&PathBuf| path.ends_with(".kinfra-claim") || path.ends_with("journal");
    let mut there = wanted.keys().filter(|path| !is_sign(path));
    let missing = there.find(|path| path.starts_with(top) && !tree.contains_key(*path));
    missing.map_or(Ok(()), |path| Err(format!("{} is missing", path.display())))
}

/// Leaves out what may differ between two runs: the lock's holder, the backup's age, and a claim's id and
/// times. Also what is recorded only where the system tells it: a holder's place, and the disk of a pool.
fn comparable(path: &Path, node: &Node) -> Node {
    let mut node = node.clone();
    match path.file_name().and_then(|name| name.to_str()) {
        Some(".lock" | "journal" | "registry.json.bak") => node.text = None,
        Some("registry.json") => {
            let text = node.text.as_deref().unwrap_or_default();
            let of_one_run = [
                "\"id\": ",
                "\"claimed_at\": \"",
                "\"claim_id\": ",
                "\"lease_until\": ",
                "\"claimed_place\": ",
                "\"claimed_above\": ",
                "\"claimed_repository\": ",
                "\"claim_marked\": ",
            ];
            let is_of_one_run = |line: &&str| of_one_run.iter().any(|key| line.trim_start().starts_with(key));
            node.text = Some(text.lines().filter(|line| !is_of_one_run(line)).collect::<Vec<_>>().join("\n"));
        }
        Some(_) if path.parent().is_some_and(|parent| parent.ends_with("kinfra/pools")) => {
            let text = node.text.as_deref().unwrap_or_default();
            let of_one_run = ["\"mount\": ", "\"token\": ", "\"place\": "];
            let is_of_one_run = |line: &&str| of_one_run.iter().any(|key| line.trim_start().starts_with(key));
            let lines = text.lines().filter(|line| !is_of_one_run(line));
            node.text = Some(lines.map(|line| line.trim_end_matches(',')).collect::<Vec<_>>().join("\n"));
        }
        Some(".kinfra-claim") => {
            let text = node.text.as_deref().unwrap_or_default();
            node.text = Some(text.lines().skip(1).collect::<Vec<_>>().join("\n"));
        }
        _ => {}
    }
    node
}
