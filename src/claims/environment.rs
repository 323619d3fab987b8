//! The variables of a slot, and how an environment changes when a program enters or leaves a slot.
//!
//! A shell or an agent moves from worktree to worktree. The variables of one slot must not name its ports in
//! the next. So the variables of another slot are removed before this slot's are set.

use std::collections::BTreeSet;

use camino::Utf8Path;
use serde_json::json;

use crate::dotenv::{self, Variables, is_name};
use crate::guarded_variables::{readers_in_file, readers_of};
use crate::identifier::Owner;
use crate::names::{
    COMPOSE_PROJECT_NAME, COMPOSE_VARIABLES, KINFRA_ENV, KINFRA_ENV_BEFORE, KINFRA_OWNER, KINFRA_SLOT,
    KINFRA_SLOT_DIR, SLOT_ID, port_variable, project, workers_variable,
};
use crate::raw_text;
use crate::registry::Entry;
use crate::slot::SlotId;

/// The variables of a slot that has no env file, under the names that the embedded template gives them.
pub fn of_entry(slot: SlotId, entry: &Entry, pool: &str, prefix: &str) -> Variables {
    let provisioned = &entry.provisioned;
    let ports = provisioned.ports.iter();
    let ports = ports.map(|(name, port)| (port_variable(prefix, name.as_str()), port.to_string()));
    let workers = provisioned.workers.iter();
    let workers = workers.map(|(kind, count)| (workers_variable(prefix, kind.as_str()), count.to_string()));
    let own =
        [(SLOT_ID.to_owned(), slot.to_string()), (COMPOSE_PROJECT_NAME.to_owned(), project(pool, slot))];
    own.into_iter().chain(ports).chain(workers).collect()
}

/// Adds the variables that say which slot it is, and which owner's.
pub fn with_slot(mut variables: Variables, slot: SlotId, dir: &Utf8Path, owner: Option<&Owner>) -> Variables {
    variables.extend(owner.map(|owner| (KINFRA_OWNER.to_owned(), owner.to_string())));
    variables.insert(KINFRA_SLOT.to_owned(), slot.to_string());
    variables.insert(KINFRA_SLOT_DIR.to_owned(), dir.to_string());
    variables
}

/// Variables as the text of an env file.
///
/// # Errors
/// A sentence that says which of them an env file cannot hold.
pub fn dotenv(variables: &Variables) -> Result<String, String> {
    let line = |(name, value): (&String, &String)| {
        let value = dotenv::quote(value).map_err(|reason| format!("`{name}` cannot be written: {reason}"))?;
        Ok(format!("{name}={value}\n"))
    };
    variables.iter().map(line).collect()
}

/// A change of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The variables to remove.
    pub unset: BTreeSet<String>,
    /// The variables to set, their list and what they were before included. A value that is not UTF-8 is as
    /// [`raw_text`] has it.
    pub set: Variables,
    /// Compose's variables that the caller has set on purpose, and that do not get through: with the value
    /// that each had. No earlier change set them.
    pub dropped: Variables,
}

impl Change {
    /// Enters a slot: from the environment of the `caller` to the `variables` of a slot. What the caller had
    /// under their names is kept for the way out.
    pub fn to_slot(mut variables: Variables, caller: &Variables) -> Self {
        let Entered { names: of_others, before } = Entered::of(caller);
        for value in variables.values_mut() {
            *value = raw_text::of_bytes(value.as_bytes());
        }
        let of_compose = caller.iter().filter(|(name, _)| COMPOSE_VARIABLES.contains(&name.as_str()));
        let of_caller = of_compose.filter(|(name, _)| !of_others.contains(*name));
        let changed = of_caller.filter(|(name, value)| variables.get(*name) != Some(*value));
        let dropped: Variables = changed.map(|(name, value)| (name.clone(), value.clone())).collect();

        // The value of an earlier slot is none that the caller had.
        let is_kept = |name: &str| variables.contains_key(name) || COMPOSE_VARIABLES.contains(&name);
        let own = caller.iter().filter(|(name, _)| is_kept(name) && !of_others.contains(*name));
        let own = own.filter(|(name, _)| readers_of(name).is_none());
        let own: Variables = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        let (kept, back): (Variables, Variables) =
            before.into_iter().chain(own).partition(|(name, _)| is_kept(name));

        let names: Vec<&str> = variables.keys().map(String::as_str).collect();
        let list = names.join(" ");
        variables.extend(back);
        variables.insert(KINFRA_ENV.to_owned(), list);
        if !kept.is_empty() {
            let kept = raw_text::escaped_in_json(&json!(kept).to_string());
            variables.insert(KINFRA_ENV_BEFORE.to_owned(), kept);
        }
        let unset = of_others.into_iter().chain(dropped.keys().cloned()).chain(marks(caller));
        let unset = unset.filter(|name| !variables.contains_key(name)).collect();
        Self { unset, set: variables, dropped }
    }

    /// Leaves every slot: removes the variables that an earlier change set, and puts back what was there.
    pub fn to_none(caller: &Variables) -> Self {
        let Entered { names, before } = Entered::of(caller);
        let unset = names.into_iter().chain(marks(caller));
        let unset = unset.filter(|name| !before.contains_key(name)).collect();
        Self { unset, set: before, dropped: Variables::new() }
    }
}

/// What an earlier change made of the caller's environment.
struct Entered {
    /// The variables that it set, as far as they are still there.
    names: BTreeSet<String>,
    /// What the caller had before, under these names and those that it dropped.
    before: Variables,
}

impl Entered {
    /// An older kinfra, or a slot of one, may have listed what no slot may set.
    fn of(caller: &Variables) -> Self {
        let list = caller.get(KINFRA_ENV).map(String::as_str).unwrap_or_default();
        let is_listed = |name: &&str| caller.contains_key(*name) && readers_in_file(name).is_none();
        let names = list.split_whitespace().filter(|name| is_name(name)).filter(is_listed);
        let names = names.map(str::to_owned).collect();
        let before = caller.get(KINFRA_ENV_BEFORE).and_then(|text| serde_json::from_str(text).ok());
        let before: Variables = before.unwrap_or_default();
        let is_sound = |name: &str| is_name(name) && readers_of(name).is_none();
        let before = before.into_iter().filter(|(name, value)| is_sound(name) && !value.contains('\0'));
        Self { names, before: before.collect() }
    }
}

/// kinfra's own notes of an earlier change.
fn marks(caller: &Variables) -> impl Iterator<Item = String> {
    let own = [KINFRA_ENV, KINFRA_ENV_BEFORE].into_iter();
    own.filter(|name| caller.contains_key(*name)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_belongs_to_another_slot_goes() {
        let caller = variables(&[
            ("COMPOSE_FILE", "other.yml"),
            ("COMPOSE_PROFILES", "debug"),
            ("COMPOSE_PROJECT_NAME", "mine"),
            ("HOME", "/home/me"),
            ("KINFRA_ENV", "COMPOSE_FILE DB_URL GONE SHOP_WEB_PORT $(date) KINFRA_SLOT"),
            ("DB_URL", "other"),
            ("KINFRA_SLOT", "1"),
            ("SHOP_WEB_PORT", "8001"),
            ("SHOP_OLD", "set by hand"),
        ]);
        let own = variables(&[("SHOP_WEB_PORT", "8002"), ("COMPOSE_PROJECT_NAME", "shop-slot-2")]);
        let change =
            Change::to_slot(with_slot(own, SlotId::new(2).unwrap(), "/p/slot-2".into(), None), &caller);
        let unset: Vec<&str> = change.unset.iter().map(String::as_str).collect();
        assert_eq!(unset, ["COMPOSE_FILE", "COMPOSE_PROFILES", "DB_URL"]);
        let set = [
            ("COMPOSE_PROJECT_NAME", "shop-slot-2"),
            ("KINFRA_ENV", "COMPOSE_PROJECT_NAME KINFRA_SLOT KINFRA_SLOT_DIR SHOP_WEB_PORT"),
            ("KINFRA_ENV_BEFORE", r#"{"COMPOSE_PROFILES":"debug","COMPOSE_PROJECT_NAME":"mine"}"#),
            ("KINFRA_SLOT", "2"),
            ("KINFRA_SLOT_DIR", "/p/slot-2"),
            ("SHOP_WEB_PORT", "8002"),
        ];
        assert_eq!(change.set, variables(&set));
        // An earlier change set COMPOSE_FILE.
        let dropped = [("COMPOSE_PROFILES", "debug"), ("COMPOSE_PROJECT_NAME", "mine")];
        assert_eq!(change.dropped, variables(&dropped));
        let same = variables(&[("COMPOSE_PROJECT_NAME", "mine")]);
        assert_eq!(Change::to_slot(same, &caller).dropped, variables(&[("COMPOSE_PROFILES", "debug")]));

        let change = Change::to_none(&caller);
        let unset: Vec<&str> = change.unset.iter().map(String::as_str).collect();
        assert_eq!(unset, ["COMPOSE_FILE", "DB_URL", "KINFRA_ENV", "KINFRA_SLOT", "SHOP_WEB_PORT"]);
        assert!(change.set.is_empty());
    }
    /// The environment after a change.
    fn after(mut caller: Variables, change: &Change) -> Variables {
        caller.retain(|name, _| !change.unset.contains(name));
        caller.extend(change.set.clone());
        caller
    }

    #[test]
    fn leaving_a_slot_puts_back_what_was_there_before_the_first_one() {
        let home = variables(&[
            ("COMPOSE_PROFILES", "debug"),
            ("DB_URL", "mine {\"'$"),
            ("OTHER", "stays"),
            ("WEB_URL", "mine too"),
        ]);
        let slot = |number: u16, own: &[(&str, &str)]| {
            with_slot(variables(own), SlotId::new(number).unwrap(), "/p/slot".into(), None)
        };
        let one = slot(1, &[("DB_URL", "1"), ("WEB_URL", "1"), ("NEW", "1")]);
        let in_one = after(home.clone(), &Change::to_slot(one.clone(), &home));
        assert_eq!(in_one["DB_URL"], "1");
        assert_eq!(after(in_one.clone(), &Change::to_none(&in_one)), home);
        assert_eq!(after(in_one.clone(), &Change::to_slot(one, &in_one)), in_one);
        // The second slot has no WEB_URL and no NEW: the caller's own are back, and Compose's are not.
        let two = slot(2, &[("DB_URL", "2"), ("LATER", "2")]);
        let in_two = after(in_one.clone(), &Change::to_slot(two, &in_one));
        assert_eq!((in_two["DB_URL"].as_str(), in_two["WEB_URL"].as_str()), ("2", "mine too"));
        assert!(!in_two.contains_key("NEW") && !in_two.contains_key("COMPOSE_PROFILES"));
        assert_eq!(after(in_two.clone(), &Change::to_none(&in_two)), home);
    }

    #[test]
    fn notes_of_an_earlier_slot_take_nothing_that_a_shell_needs() {
        let caller = variables(&[
            ("DB_URL", "1"),
            ("HOME", "/home/me"),
            ("KINFRA_ENV", "PATH HOME DB_URL"),
            ("KINFRA_ENV_BEFORE", r#"{"BASH_ENV": "/evil", "A B": "x", "DB_URL": "mine"}"#),
            ("PATH", "/bin"),
        ]);
        let left = after(caller.clone(), &Change::to_none(&caller));
        assert_eq!(left, variables(&[("DB_URL", "mine"), ("HOME", "/home/me"), ("PATH", "/bin")]));
        let spoilt = variables(&[("KINFRA_ENV", "DB_URL"), ("KINFRA_ENV_BEFORE", "{"), ("DB_URL", "1")]);
        assert_eq!(after(spoilt.clone(), &Change::to_none(&spoilt)), Variables::new());
    }
}
