//! A [`Plan`] as a file: what it holds, and what must still be so for it to be run.
//!
//! It holds hashes, never texts: whoever applies it renders the files again, and compares. Nothing in it is trusted
//! either: what is run is a plan made anew, if it is the saved one.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::desired::{FileOutline, Outline, SlotOutline};
use crate::diff::{entry_fields, fields};
use crate::json;
use crate::json::Corrupt;
use crate::json::{at_line, corrupt};
use crate::observe::{FileState, ImportState, Observed, SlotDir};
use crate::plan::{Action, Flag, Options, Plan};
use crate::registry::{Entry, Pending};
use crate::slot::SlotId;

/// The version of the format that this kinfra reads and writes.
const VERSION: u64 = 1;

/// A plan to be applied later, together with what it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Tells a plan from other files.
    kinfra_plan: u64,
    /// Where the spec was and is; `None` for the embedded one.
    pub spec: Option<Utf8PathBuf>,
    /// Whether the root came from a flag or the environment, and not from the spec.
    pub root_is_named: bool,
    /// What was allowed, and to which slots.
    pub options: Options,
    /// The plan.
    pub plan: Plan,
    /// The slots that the options select, as they should be.
    pub desired: Outline,
    /// What the plan depends on of each slot that it acts on, as it was.
    found: BTreeMap<SlotId, Facts>,
}

/// What is so, by name.
type Facts = BTreeMap<String, String>;

/// A value that a plan depends on and that is another now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The slot it is of, if it is one's.
    pub slot: Option<SlotId>,
    /// Its name.
    pub what: String,
    /// What it was; `None` when it was not there.
    pub old: Option<String>,
    /// What it is; `None` when it is gone.
    pub new: Option<String>,
}

impl Saved {
    /// A plan, to be saved.
    pub fn new(
        spec: Option<Utf8PathBuf>,
        root_is_named: bool,
        options: Options,
        plan: Plan,
        desired: Outline,
        observed: &Observed,
    ) -> Self {
        let found = facts_of(&plan, &options, observed);
        let desired = selected(desired, &options);
        Self { kinfra_plan: VERSION, spec, root_is_named, options, plan, desired, found }
    }

    /// Reads a saved plan; `None` if it is none.
    ///
    /// # Errors
    /// What is not as kinfra writes it.
    pub fn parse(text: &str) -> Result<Option<Self>, Corrupt> {
        let Ok(object) = json::object(text) else { return Ok(None) };
        match object.get("kinfra_plan").map(Value::as_u64) {
            None => return Ok(None),
            Some(Some(VERSION)) => {}
            Some(_) => {
                let reason = format!("this kinfra reads {VERSION}: plan again, or upgrade kinfra");
                return Err(Corrupt { is_newer: true, ..corrupt("kinfra_plan", reason) });
            }
        }
        let saved = serde_json::from_value(Value::Object(object));
        let saved: Self = saved.map_err(|error| corrupt("the plan", error.to_string()))?;
        saved.check()?;
        Ok(Some(saved))
    }

    /// What no plan of kinfra's says, whatever the pool is.
    fn check(&self) -> Result<(), Corrupt> {
        for (name, path) in [("spec", self.spec.as_ref()), ("root", Some(&self.desired.root))] {
            let is_path =
                |path: &Utf8PathBuf| path.is_absolute() && !path.as_str().chars().any(char::is_control);
            if path.is_some_and(|path| !is_path(path)) {
                return Err(corrupt(name, "expected an absolute path".to_owned()));
            }
        }
        for (slot, action) in self.plan.actions() {
            let is_removed = matches!(action, Action::Remove { .. });
            if is_removed == self.desired.slots.contains_key(&slot) {
                let reason = "its action is none for what it says of slots.toml".to_owned();
                return Err(corrupt(format!("slot {slot}"), reason));
            }
        }
        Ok(())
    }

    /// Writes it. The same plan gives the same bytes.
    ///
    /// # Errors
    /// None that can be: every plan is one that JSON can hold.
    pub fn to_text(&self) -> Result<String, Corrupt> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| at_line(&error))?;
        text.push('\n');
        Ok(text)
    }

    /// What to plan with when it is applied: only the slots that it acts on.
    pub fn options_to_apply(&self) -> Options {
        let only = self.plan.actions().map(|(slot, _)| slot).collect();
        Options { allowed: self.options.allowed.clone(), only: Some(only), exclude: BTreeSet::new() }
    }

    /// The values that are others now than those it was made from, the pool's first. `plan` is made with
    /// [`Saved::options_to_apply`].
    pub fn changes(&self, plan: &Plan, desired: Outline, observed: &Observed) -> Vec<Changed> {
        let mut changes = Vec::new();
        compare(&mut changes, None, &import_facts(&self.plan), &import_facts(plan));
        let desired = selected(desired, &self.options);
        compare(&mut changes, None, &pool_facts(&self.desired), &pool_facts(&desired));
        let now = facts_of(&self.plan, &self.options, observed);
        let slots: BTreeSet<_> =
            self.desired.slots.keys().chain(desired.slots.keys()).chain(self.found.keys()).collect();
        for slot in slots {
            let declared =
                |desired: &Outline| desired.slots.get(slot).map(declared_facts).unwrap_or_default();
            compare(&mut changes, Some(*slot), &declared(&self.desired), &declared(&desired));
            let none = Facts::new();
            let (old, new) = (self.found.get(slot).unwrap_or(&none), now.get(slot).unwrap_or(&none));
            compare(&mut changes, Some(*slot), old, new);
        }
        changes
    }

    /// Whether a plan does what this one does, no more and no less.
    pub fn does_the_same_as(&self, plan: &Plan) -> bool {
        self.plan.actions().eq(plan.actions())
    }

    /// Whether all that this plan would do is done, by itself or otherwise. `plan` is made with
    /// [`Saved::options_to_apply`].
    pub fn is_done(&self, plan: &Plan, desired: Outline) -> bool {
        self.plan.has_work() && plan.is_empty() && self.desired == selected(desired, &self.options)
    }
}

/// What there is to take over from an old tool.
fn import_facts(plan: &Plan) -> Facts {
    let import = plan.import.as_ref().and_then(|import| match import {
        ImportState::Pending { path, sha256, slots, claimed } => {
            let value = format!("{slots} slot(s), {claimed} of them claimed, sha256 {sha256}");
            Some((format!("{path} to import"), value))
        }
        // No longer read.
        ImportState::Changed(_) => None,
    });
    import.into_iter().collect()
}

fn selected(desired: Outline, options: &Options) -> Outline {
    let slots = desired.slots.into_iter().filter(|(slot, _)| options.selects(*slot)).collect();
    Outline { slots, ..desired }
}

fn compare(changes: &mut Vec<Changed>, slot: Option<SlotId>, old: &Facts, new: &Facts) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for what in names.into_iter().filter(|name| old.get(*name) != new.get(*name)) {
        let (old, new) = (old.get(what).cloned(), new.get(what).cloned());
        changes.push(Changed { slot, what: what.clone(), old, new });
    }
}

/// What slots.toml says of the pool.
fn pool_facts(desired: &Outline) -> Facts {
    let Outline { name, root, slots: _ } = desired;
    [("name", name.clone()), ("root", root.to_string())].map(|(name, value)| (name.to_owned(), value)).into()
}

/// What slots.toml says of a slot.
fn declared_facts(slot: &SlotOutline) -> Facts {
    let SlotOutline { profile, workers, ports, files } = slot;
    let fields = fields(profile, workers, ports.iter().map(|(name, port)| (name, port)));
    let fields = fields.into_iter().map(|(field, value)| (field.to_string(), value));
    let files = files.iter().map(|(path, FileOutline { sha256, mode })| {
        (path.to_string(), format!("sha256 {sha256} with mode {mode}"))
    });
    fields.chain(files).map(|(name, value)| (format!("{name} in slots.toml"), value)).collect()
}

/// What the actions of a plan depend on.
fn facts_of(plan: &Plan, options: &Options, observed: &Observed) -> BTreeMap<SlotId, Facts> {
    plan.actions().map(|(slot, action)| (slot, found_facts(slot, action, options, observed))).collect()
}

/// What an action depends on of the registry and the disk.
fn found_facts(slot: SlotId, action: &Action, options: &Options, observed: &Observed) -> Facts {
    let mut facts = Facts::new();
    if let Some(entry) = observed.registry.slots.get(&slot) {
        let Entry { provisioned, pending, claim, status: _, unknown: _ } = entry;
        let fields = entry_fields(provisioned).into_iter().map(|(field, value)| (field.to_string(), value));
        let files = provisioned.files.iter();
        let files = files.map(|(path, digest)| (path.to_string(), format!("sha256 {digest}")));
        facts.extend(fields.chain(files).map(|(name, value)| (format!("{name} in the registry"), value)));
        let pending = pending.as_ref().map(|pending| match pending {
            Pending::Files(_) => "a change",
            Pending::Remove => "its removal",
        });
        facts.extend(pending.map(|pending| ("unfinished".to_owned(), pending.to_owned())));
        // Creating and restoring take nothing from whoever holds the slot.
        let minds = action.changes_what_is_there() && !options.allowed.contains(&Flag::IncludeClaimed);
        let holder = claim.as_ref().filter(|_| minds);
        facts.extend(holder.map(|claim| ("held by".to_owned(), claim.claimed_by.to_string())));
    }
    match observed.dir(slot) {
        SlotDir::Missing => {}
        SlotDir::Blocked(obstacle) => drop(facts.insert("directory".to_owned(), obstacle.to_string())),
        SlotDir::Present { files, others } => {
            let states = files.iter().filter_map(|(path, state)| {
                let state = match state {
                    FileState::Missing => return None,
                    FileState::Blocked(obstacle) => obstacle.to_string(),
                    FileState::Present { digest, mode } => format!("sha256 {digest} with mode {mode}"),
                };
                Some((format!("{path} on disk"), state))
            });
            facts.extend(states);
            let others = others.iter().map(|name| (format!("{name} on disk"), "not kinfra's".to_owned()));
            facts.extend(others);
        }
    }
    facts
}
