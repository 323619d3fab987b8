//! What programs of a slot find in their environment, and what of their caller's must not reach them.
//!
//! A shell or an agent goes from worktree to worktree, and what was exported for one slot must not speak of its ports in
//! the next. So whatever belongs to some slot goes, before the variables of this one are set.

use std::collections::BTreeSet;

use camino::Utf8Path;

use crate::dotenv::{Variables, is_name};
use crate::registry::Entry;
use crate::slot::SlotId;

/// The file in a slot directory that the variables are in.
pub const FILE: &str = ".env.sandbox";

/// The variable that holds the slot's id.
const SLOT: &str = "KINFRA_SLOT";
/// The variable that holds the slot's directory.
const SLOT_DIR: &str = "KINFRA_SLOT_DIR";
/// The variable that lists the others, so that they can be taken back.
const LISTED: &str = "KINFRA_ENV";

/// Variables of Compose that would lead it to another slot's files or project.
const COMPOSE: [&str; 4] = ["COMPOSE_ENV_FILES", "COMPOSE_FILE", "COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME"];

/// The variables of a slot that has no [`FILE`], under the names that the embedded template gives them.
pub fn of_entry(slot: SlotId, entry: &Entry, pool: &str, prefix: &str) -> Variables {
    let provisioned = &entry.provisioned;
    let numbers = provisioned
        .ports
        .iter()
        .map(|(name, port)| (name.as_str(), "PORT", port.get()))
        .chain(provisioned.workers.iter().map(|(kind, count)| (kind.as_str(), "WORKERS", *count)))
        .map(|(name, what, number)| (format!("{prefix}{}_{what}", name.to_uppercase()), number.to_string()));
    let project = format!("{pool}-{}", slot.directory());
    let slot = [("SLOT_ID".to_owned(), slot.to_string()), ("COMPOSE_PROJECT_NAME".to_owned(), project)];
    slot.into_iter().chain(numbers).collect()
}

/// Adds what says which slot it is.
pub fn with_slot(mut variables: Variables, slot: SlotId, dir: &Utf8Path) -> Variables {
    variables.remove(LISTED);
    variables.insert(SLOT.to_owned(), slot.to_string());
    variables.insert(SLOT_DIR.to_owned(), dir.to_string());
    variables
}

/// What an environment is changed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The variables that go.
    pub unset: BTreeSet<String>,
    /// Those that come, the list of them included.
    pub set: Variables,
}

impl Change {
    /// From what the `caller` has to the `variables` of a slot in a pool whose variables begin with `prefix`.
    pub fn to_slot(mut variables: Variables, prefix: &str, caller: &Variables) -> Self {
        let of_pool = |name: &&String| !prefix.is_empty() && name.starts_with(prefix);
        let of_compose = caller.keys().filter(|name| COMPOSE.contains(&name.as_str()));
        let mut unset: BTreeSet<String> =
            caller.keys().filter(of_pool).chain(of_compose).cloned().chain(listed(caller)).collect();
        let names: Vec<&str> = variables.keys().map(String::as_str).collect();
        variables.insert(LISTED.to_owned(), names.join(" "));
        unset.retain(|name| !variables.contains_key(name));
        Self { unset, set: variables }
    }

    /// From what the `caller` has to no slot: what an earlier change set is taken back.
    pub fn to_none(caller: &Variables) -> Self {
        let list = caller.contains_key(LISTED).then(|| LISTED.to_owned());
        Self { unset: listed(caller).chain(list).collect(), set: Variables::new() }
    }
}

/// The variables that an earlier change set, and that are still there.
fn listed(caller: &Variables) -> impl Iterator<Item = String> {
    let list = caller.get(LISTED).map(String::as_str).unwrap_or_default();
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
            ("HOME", "/home/me"),
            ("KINFRA_ENV", "DB_URL GONE SHOP_WEB_PORT $(date) KINFRA_SLOT"),
            ("DB_URL", "other"),
            ("KINFRA_SLOT", "1"),
            ("SHOP_WEB_PORT", "8001"),
            ("SHOP_OLD", "set by hand"),
        ]);
        let slot =
            with_slot(variables(&[("SHOP_WEB_PORT", "8002")]), SlotId::new(2).unwrap(), "/p/slot-2".into());
        let change = Change::to_slot(slot, "SHOP_", &caller);
        let unset: Vec<&str> = change.unset.iter().map(String::as_str).collect();
        assert_eq!(unset, ["COMPOSE_FILE", "DB_URL", "SHOP_OLD"]);
        let set = [
            ("KINFRA_ENV", "KINFRA_SLOT KINFRA_SLOT_DIR SHOP_WEB_PORT"),
            ("KINFRA_SLOT", "2"),
            ("KINFRA_SLOT_DIR", "/p/slot-2"),
            ("SHOP_WEB_PORT", "8002"),
        ];
        assert_eq!(change.set, variables(&set));
        // A pool without a prefix does not own everything.
        assert!(!Change::to_slot(Variables::new(), "", &caller).unset.contains("HOME"));

        let change = Change::to_none(&caller);
        let unset: Vec<&str> = change.unset.iter().map(String::as_str).collect();
        assert_eq!(unset, ["DB_URL", "KINFRA_ENV", "KINFRA_SLOT", "SHOP_WEB_PORT"]);
        assert!(change.set.is_empty());
    }
}
