//! The verdict about a project: what is expected of it, what is wrong, and whether a user has to decide.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use kinfra::compose::model::Model;
use kinfra::proof::isolation::{Conflict, HostThing, Isolation, Owner, Stack, prove};
use kinfra::slot::SlotId;

use super::likeness::unlike;
use super::slots::{Claimed, Slots};
use super::trial::{Resolved, Trial};
use crate::formats::compose::judge::common;

/// The verdict about a project.
#[derive(Default)]
pub(super) struct Verdict {
    /// The texts of what is expected, in that order.
    pub(super) texts: [Option<String>; 3],
    /// What is wrong.
    pub(super) faults: Vec<String>,
    /// What a user has to decide before two slots run, in one line.
    pub(super) decision: Option<String>,
}

/// A slot's stack, and the overlay that made it.
struct Ran {
    stack: Resolved,
    overlay: String,
    unpublished: Vec<String>,
    notes: Vec<String>,
}

pub(super) fn verdict(trial: &Trial) -> Verdict {
    let mut verdict = Verdict::default();
    let (toml, said) = match trial.init() {
        Ok(written) => written,
        Err(told) => {
            verdict.faults.push(format!("init fails: {told}"));
            return verdict;
        }
    };
    verdict.texts[0] = Some(trial.masked(&toml));
    let findings = match trial.main_stack() {
        Ok(main) => judged(trial, &main, &toml, &mut verdict),
        Err(told) => {
            verdict.decision = Some(told.clone());
            Ok(format!("decide: {told}\n"))
        }
    };
    match findings {
        Ok(findings) => {
            // What init says of the overlay is said once.
            let findings: String = findings
                .lines()
                .filter(|line| !line.starts_with("note: ") || !said.lines().any(|other| other == *line))
                .fold(String::new(), |text, line| text + line + "\n");
            verdict.texts[2] = Some(trial.masked(&format!("{findings}\ninit says:\n{said}")));
        }
        Err(fault) => verdict.faults.push(fault),
    }
    verdict
}

fn judged(trial: &Trial, main: &Resolved, toml: &str, verdict: &mut Verdict) -> Result<String, String> {
    let slots = Slots::declared(toml)?;
    let name = main.json["name"].as_str().expect("a name");
    let first = slots.claimed(trial, 1)?;
    let files = trial.stack(&first.project, name, &[])?;
    // The other worktree has the same files.
    let [here, there] = [1, 2].map(|slot| trial.worktree(slot).into_string());
    let texts = [files.text.clone(), files.text.replace(&here, &there)];
    let mut ran = Vec::new();
    for (claimed, text) in [first, slots.claimed(trial, 2)?].iter().zip(&texts) {
        ran.push(run(trial, &slots, claimed, text, &mut verdict.faults)?);
    }
    verdict.texts[1] = Some(trial.masked(&ran[0].overlay));
    let environment = slots.spec.compose.iter().flat_map(|compose| &compose.environment);
    let may_differ = environment.flat_map(|(service, variables)| {
        variables.iter().map(move |variable| format!("{service}.{}", variable.name.get_ref()))
    });
    let is_noted = |fault: &String| {
        let service = fault.strip_prefix("/services/").and_then(|rest| rest.split_once("/ports is"));
        let noted = |service: &str| ran[0].notes.iter().any(|note| note.starts_with(&format!("`{service}:")));
        service.is_some_and(|(service, _)| noted(service))
    };
    let unlike = unlike(main, &ran[0].stack, &may_differ.collect()).into_iter();
    verdict.faults.extend(unlike.filter(|fault| !is_noted(fault)));

    let stacks = [main, &ran[0].stack, &ran[1].stack];
    let isolation = proven(&slots, &stacks)?;
    let found = agreed(&slots, &stacks, &isolation, &mut verdict.faults);
    let (decision, findings) = findings(&isolation, &ran[0], &found);
    verdict.decision = decision.map(|line| trial.masked(&line));
    Ok(findings)
}

/// A slot's stack. Its overlay is the same text each time.
fn run(
    trial: &Trial,
    slots: &Slots,
    claimed: &Claimed,
    files: &str,
    faults: &mut Vec<String>,
) -> Result<Ran, String> {
    let model = model(files)?;
    let overlay = slots.overlay(claimed, &model);
    if slots.overlay(claimed, &model) != overlay {
        faults.push("the overlay has another text the second time".to_owned());
    }
    let file = trial.write(&format!("overlay-{}.yaml", claimed.id), &overlay.text);
    let refused = |told| format!("Compose refuses slot {}: {told}\n{}", claimed.id, overlay.text);
    let stack = trial.stack(&claimed.project, &claimed.name, &[&file]).map_err(refused)?;
    let unpublished = overlay.unpublished.into_iter().map(|(_, line)| line).collect();
    Ok(Ran { stack, overlay: overlay.text, unpublished, notes: overlay.notes })
}

pub(super) fn model(text: &str) -> Result<Model, String> {
    Model::parse(text).map_err(|error| format!("what Compose printed cannot be read: {error}"))
}

/// What kinfra's own proof says of the main stack and two slots.
fn proven(slots: &Slots, resolved: &[&Resolved; 3]) -> Result<Isolation, String> {
    let slot = |id| Owner::Slot(SlotId::new(id).expect("an id"));
    let models: Vec<Model> = resolved.iter().map(|stack| model(&stack.text)).collect::<Result<_, _>>()?;
    let owners = [Owner::Main, slot(1), slot(2)];
    let stacks = owners.into_iter().zip(&models).zip(resolved);
    let stacks = stacks.map(|((owner, model), stack)| Stack { owner, model, worktree: &stack.worktree });
    let stacks: Vec<Stack<'_>> = stacks.collect();
    let shared = slots.spec.compose.as_ref().map(|compose| compose.shared.clone());
    Ok(prove(&stacks, &shared.unwrap_or_default()))
}

/// What the judge finds that two stacks have in common. All of it is declared, stops a start or is noted, and
/// nothing else stops one.
fn agreed(
    slots: &Slots,
    stacks: &[&Resolved; 3],
    isolation: &Isolation,
    faults: &mut Vec<String>,
) -> BTreeSet<String> {
    let shared = slots.spec.compose.iter().flat_map(|compose| &compose.shared);
    let shared: BTreeSet<String> = shared.map(ToString::to_string).collect();
    let noted: BTreeSet<String> = isolation.notes.iter().map(|note| note.noted.to_string()).collect();
    let is_noted = |thing: &String| {
        let path = thing.strip_prefix("system:");
        path.is_some_and(|path| noted.iter().any(|note| note.contains(&format!("`{path}`"))))
    };
    let owner = |place| match place {
        0 => Owner::Main,
        id => Owner::Slot(SlotId::new(id).expect("an id")),
    };
    let mut all = BTreeSet::new();
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let found = common(&stacks[usize::from(one)].things, &stacks[usize::from(other)].things);
        let between = isolation.conflicts.iter();
        let between = between.filter(|it| it.involves(&owner(one)) && it.involves(&owner(other)));
        let stops: BTreeSet<String> = between.flat_map(names).collect();
        let told = |thing: &&String| shared.contains(*thing) || stops.contains(*thing) || is_noted(thing);
        let silent: Vec<&String> = found.iter().filter(|thing| !told(thing)).collect();
        if !silent.is_empty() {
            faults.push(format!("stacks {one} and {other} share {silent:?}, and nothing says so"));
        }
        let idle: Vec<&String> = stops.difference(&found).collect();
        if !idle.is_empty() {
            faults.push(format!("{idle:?} stops stacks {one} and {other}, which do not share it"));
        }
        all.extend(found);
    }
    all
}

/// What a conflict is about, as the judge names it.
fn names(conflict: &Conflict) -> Vec<String> {
    match &conflict.thing {
        HostThing::Port { first, last, protocol, .. } => {
            (*first..=*last).map(|port| format!("port:{port}/{protocol}")).collect()
        }
        HostThing::ContainerName(name) | HostThing::Namespace(name) => vec![format!("container:{name}")],
        HostThing::Subnet { subnet, .. } => vec![format!("subnet:{subnet}")],
        HostThing::Address { address, .. } if address.contains(':') => {
            vec![format!("ipv6_address:{address}")]
        }
        HostThing::Address { address, .. } => vec![format!("ipv4_address:{address}")],
        HostThing::Volume(name) => vec![format!("volume:{name}")],
        HostThing::Network(name) => vec![format!("network:{name}")],
        HostThing::Image(name) => vec![format!("image:{name}")],
        HostThing::Mount(path) => vec![format!("mount:{path}")],
        HostThing::Device(path) => vec![format!("device:{path}")],
    }
}

/// What a user has to decide, in one line, and all that is to be said of slot 1.
fn findings(isolation: &Isolation, ran: &Ran, found: &BTreeSet<String>) -> (Option<String>, String) {
    let slot = Owner::Slot(SlotId::new(1).expect("an id"));
    let stops: BTreeMap<String, &Conflict> = isolation
        .conflicts
        .iter()
        .filter(|conflict| conflict.involves(&slot))
        .map(|conflict| (conflict.thing.to_string(), conflict))
        .collect();
    let mut text = String::new();
    for (thing, conflict) in &stops {
        let services = conflict.second.services.join(", ");
        let _ = writeln!(text, "decide: {thing} ({services}): {}", conflict.risk());
        let remedy = conflict.remedy().to_string();
        remedy.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    for line in &ran.unpublished {
        let _ = writeln!(text, "decide: not published: {line}");
    }
    for note in isolation.notes.iter().filter(|note| note.owner == slot) {
        let _ = writeln!(text, "note: {} ({})", note.noted, note.services.join(", "));
    }
    ran.notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
    let things: Vec<&str> = stops.keys().map(String::as_str).collect();
    let decision = if !things.is_empty() {
        Some(things.join(", "))
    } else if !ran.unpublished.is_empty() {
        Some(format!("not published: {}", ran.unpublished.join("; ")))
    } else {
        None
    };
    if decision.is_none() {
        let all: Vec<&str> = found.iter().map(String::as_str).collect();
        let beside = if all.is_empty() {
            String::new()
        } else {
            format!(" (beside what is declared or noted: {})", all.join(", "))
        };
        text = format!("isolated{beside}\n{text}");
    }
    (decision, text)
}
