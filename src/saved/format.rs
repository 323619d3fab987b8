//! The format of a saved plan, and what must still be true when it is run.
//!
//! The file holds hashes, never texts, because `apply` renders the files again and compares. Nothing in it is
//! trusted: `apply` plans again, and runs the new plan only if it equals the saved one.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::dependencies::{self, Changed, Dependencies, compare};
use crate::desired::Outline;
use crate::json::{self, Corrupt, at_line, corrupt};
use crate::observe::Observed;
use crate::plan::{Action, Options, Plan};
use crate::slot::SlotId;

/// The version of the format that this kinfra reads and writes.
const VERSION: u64 = 1;

/// A plan to be applied later, together with what it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Tells a plan from other files.
    kinfra_plan: u64,
    /// The spec's path; `None` for the embedded one.
    pub spec: Option<Utf8PathBuf>,
    /// Whether the root came from a flag or the environment, and not from the spec.
    pub root_is_named: bool,
    /// The options it was made with.
    pub options: Options,
    /// The plan.
    pub plan: Plan,
    /// The slots that the options select, as the spec describes them.
    pub desired: Outline,
    /// What the plan found in each slot that it acts on.
    found: BTreeMap<SlotId, Dependencies>,
}

/// The spec and the root that a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// The spec's path; `None` for the embedded one.
    pub spec: Option<Utf8PathBuf>,
    /// Whether the root came from a flag or the environment, and not from the spec.
    pub root_is_named: bool,
}

impl Saved {
    /// A plan, ready to be saved.
    pub fn new(named: Named, options: Options, plan: Plan, desired: Outline, observed: &Observed) -> Self {
        let found = dependencies::found(&plan, &options, observed);
        let desired = selected(desired, &options);
        let Named { spec, root_is_named } = named;
        Self { kinfra_plan: VERSION, spec, root_is_named, options, plan, desired, found }
    }

    /// Reads a saved plan; `None` if the text is something else.
    ///
    /// # Errors
    /// [`Corrupt`] says what kinfra would not have written.
    pub fn parse(text: &str) -> Result<Option<Self>, Corrupt> {
        let Ok(object) = json::object(text) else { return Ok(None) };
        match object.get("kinfra_plan").map(Value::as_u64) {
            None => return Ok(None),
            Some(Some(VERSION)) => {}
            Some(_) => {
                let reason = format!("this kinfra reads version {VERSION} only");
                return Err(Corrupt { is_newer: true, ..corrupt("kinfra_plan", reason) });
            }
        }
        let saved = serde_json::from_value(Value::Object(object));
        let saved: Self = saved.map_err(|error| corrupt("the plan", error.to_string()))?;
        saved.check()?;
        Ok(Some(saved))
    }

    /// Refuses what no plan of kinfra's contains.
    fn check(&self) -> Result<(), Corrupt> {
        for (name, path) in [("spec", self.spec.as_ref()), ("root", Some(&self.desired.root))] {
            if path.is_some_and(|path| !path.is_absolute()) {
                return Err(corrupt(name, "expected an absolute path".to_owned()));
            }
        }
        for (slot, action) in self.plan.actions() {
            let is_removed = matches!(action, Action::Remove { .. });
            if is_removed == self.desired.slots.contains_key(&slot) {
                let reason = "its action does not fit what it says of slots.toml".to_owned();
                return Err(corrupt(format!("slot {slot}"), reason));
            }
        }
        Ok(())
    }

    /// The text of the file. The same plan gives the same bytes.
    ///
    /// # Errors
    /// [`Corrupt`] if JSON could not hold the plan, which does not happen.
    pub fn to_text(&self) -> Result<String, Corrupt> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| at_line(&error))?;
        text.push('\n');
        Ok(text)
    }

    /// The options to plan with when it is applied: only the slots that it acts on.
    pub fn options_to_apply(&self) -> Options {
        let only = self.plan.actions().map(|(slot, _)| slot).collect();
        Options { allowed: self.options.allowed.clone(), only: Some(only), exclude: BTreeSet::new() }
    }

    /// The values that changed since it was made, the pool's first. `plan` is made with
    /// [`Saved::options_to_apply`].
    pub fn changes(&self, plan: &Plan, desired: Outline, observed: &Observed) -> Vec<Changed> {
        let mut changes = Vec::new();
        compare(&mut changes, None, &dependencies::import(&self.plan), &dependencies::import(plan));
        let desired = selected(desired, &self.options);
        compare(&mut changes, None, &dependencies::pool(&self.desired), &dependencies::pool(&desired));
        let now = dependencies::found(&self.plan, &self.options, observed);
        let slots: BTreeSet<_> =
            self.desired.slots.keys().chain(desired.slots.keys()).chain(self.found.keys()).collect();
        for slot in slots {
            let declared =
                |desired: &Outline| desired.slots.get(slot).map(dependencies::declared).unwrap_or_default();
            compare(&mut changes, Some(*slot), &declared(&self.desired), &declared(&desired));
            let none = Dependencies::new();
            let (old, new) = (self.found.get(slot).unwrap_or(&none), now.get(slot).unwrap_or(&none));
            compare(&mut changes, Some(*slot), old, new);
        }
        changes
    }

    /// Whether a plan does what this one does, no more and no less.
    pub fn does_the_same_as(&self, plan: &Plan) -> bool {
        self.plan.actions().eq(plan.actions())
    }

    /// Whether nothing is left of it to do. `plan` is made with [`Saved::options_to_apply`].
    pub fn is_done(&self, plan: &Plan, desired: Outline) -> bool {
        self.plan.has_work() && plan.is_empty() && self.desired == selected(desired, &self.options)
    }
}

fn selected(desired: Outline, options: &Options) -> Outline {
    let slots = desired.slots.into_iter().filter(|(slot, _)| options.selects(*slot)).collect();
    Outline { slots, ..desired }
}
