//! What a plan may do, and to which slots.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::slot::SlotId;

/// What a plan may do, and to which slots.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Options {
    /// What is allowed beyond creating, adopting and restoring.
    pub allowed: BTreeSet<Flag>,
    /// Plan only these slots; `None` plans all.
    pub only: Option<BTreeSet<SlotId>>,
    /// Leave these slots out.
    pub exclude: BTreeSet<SlotId>,
}

impl Options {
    /// Whether the plan covers a slot.
    pub fn selects(&self, slot: SlotId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&slot)) && !self.exclude.contains(&slot)
    }

    /// Whether the options name slots.
    pub fn is_selective(&self) -> bool {
        self.only.is_some() || !self.exclude.is_empty()
    }
}

/// A flag that allows a blocked difference to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// `--update`
    Update,
    /// `--overwrite`
    Overwrite,
    /// `--prune`
    Prune,
    /// `--include-claimed`
    IncludeClaimed,
    /// `--data`, which only `destroy` has
    Data,
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Update => "--update",
            Self::Overwrite => "--overwrite",
            Self::Prune => "--prune",
            Self::IncludeClaimed => "--include-claimed",
            Self::Data => "--data",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_name_slots_cover_some_of_them() {
        let slots = |ids: &str| SlotId::parse_list(ids).expect("slots");
        let options = |only: Option<&str>, exclude: Option<&str>| Options {
            only: only.map(slots),
            exclude: exclude.map(slots).unwrap_or_default(),
            ..Options::default()
        };
        for (options, is_selective, selected) in [
            (options(None, None), false, slots("1-2")),
            (options(Some("1"), None), true, slots("1")),
            (options(None, Some("1")), true, slots("2")),
            (options(Some("1-2"), Some("1")), true, slots("2")),
        ] {
            assert_eq!(options.is_selective(), is_selective, "{options:?}");
            let selects = slots("1-2").into_iter().filter(|slot| options.selects(*slot));
            assert_eq!(selects.collect::<BTreeSet<_>>(), selected, "{options:?}");
        }
    }
}
