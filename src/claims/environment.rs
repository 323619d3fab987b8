//! The variables of a slot, and how an environment changes when a program enters or leaves a slot.
//!
//! A shell or an agent moves from worktree to worktree. The variables of one slot must not name its ports in
//! the next. So the variables of another slot are removed before this slot's are set.

use std::collections::BTreeSet;

use camino::Utf8Path;

use crate::dotenv::{self, Variables, is_name};
use crate::names::{
    COMPOSE_PROJECT_NAME, COMPOSE_VARIABLES, KINFRA_ENV, KINFRA_SLOT, KINFRA_SLOT_DIR, SLOT_ID,
    port_variable, project, workers_variable,
};
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

/// Adds the variables that say which slot it is.
pub fn with_slot(mut variables: Variables, slot: SlotId, dir: &Utf8Path) -> Variables {
    variables.remove(KINFRA_ENV);
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
    /// The variables to set, their list included.
    pub set: Variables,
    /// Compose's variables that the caller has set on purpose, and that do not get through: with the value
    /// that each had. No earlier change set them.
    pub dropped: Variables,
}

impl Change {
    /// Enters a slot: from the environment of the `caller` to the `variables` of a slot.
    pub fn to_slot(mut variables: Variables, caller: &Variables) -> Self {
        let of_others: BTreeSet<String> = listed(caller).collect();
        let of_compose = caller.iter().filter(|(name, _)| COMPOSE_VARIABLES.contains(&name.as_str()));
        let of_caller = of_compose.filter(|(name, _)| !of_others.contains(*name));
        let changed = of_caller.filter(|(name, value)| variables.get(*name) != Some(*value));
        let dropped: Variables = changed.map(|(name, value)| (name.clone(), value.clone())).collect();
        let names: Vec<&str> = variables.keys().map(String::as_str).collect();
        variables.insert(KINFRA_ENV.to_owned(), names.join(" "));
        let mut unset: BTreeSet<String> = of_others.into_iter().chain(dropped.keys().cloned()).collect();
        unset.retain(|name| !variables.contains_key(name));
        Self { unset, set: variables, dropped }
    }

    /// Leaves every slot: removes the variables that an earlier change set.
    pub fn to_none(caller: &Variables) -> Self {
        let list = caller.contains_key(KINFRA_ENV).then(|| KINFRA_ENV.to_owned());
        let (set, dropped) = (Variables::new(), Variables::new());
        Self { unset: listed(caller).chain(list).collect(), set, dropped }
    }
}

/// The variables of the caller that an earlier change set.
fn listed(caller: &Variables) -> impl Iterator<Item = String> {
    let list = caller.get(KINFRA_ENV).map(String::as_str).unwrap_or_default();
    list.split_whitespace().filter(|name| is_name(name) && caller.contains_key(*name)).map(str::to_owned)
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
        let change = Change::to_slot(with_slot(own, SlotId::new(2).unwrap(), "/p/slot-2".into()), &caller);
        let unset: Vec<&str> = change.unset.iter().map(String::as_str).collect();
        assert_eq!(unset, ["COMPOSE_FILE", "COMPOSE_PROFILES", "DB_URL"]);
        let set = [
            ("COMPOSE_PROJECT_NAME", "shop-slot-2"),
            ("KINFRA_ENV", "COMPOSE_PROJECT_NAME KINFRA_SLOT KINFRA_SLOT_DIR SHOP_WEB_PORT"),
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
}
