//! A slot's id, profile and workers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::identifier::{ProfileName, WorkerKind};
use crate::memory::Memory;
use crate::port::Port;

/// The id of a slot: 1 to [`SlotId::MAX`]. Slot 0 is the main stack, which no pool contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SlotId(u16);

impl SlotId {
    /// The highest id for which a port can exist: [`Port::MAX`] minus [`Port::MIN`].
    pub const MAX: u16 = Port::MAX - Port::MIN;

    /// The id. `None` if it is not within 1 and [`SlotId::MAX`].
    pub fn new(number: u16) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// The id as a number.
    pub fn get(self) -> u16 {
        self.0
    }

    /// The ids that a list such as `"5"`, `"1-4"` or `"1-3,7"` names.
    ///
    /// # Errors
    /// The part that is wrong, and why.
    pub fn parse_list(list: &str) -> Result<BTreeSet<Self>, String> {
        let mut ids = BTreeSet::new();
        for part in list.split(',') {
            let part = part.trim();
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (Self::parse(first, part)?, Self::parse(last, part)?),
                None => (Self::parse(part, part)?, Self::parse(part, part)?),
            };
            if first > last {
                return Err(format!("`{part}` runs backwards: write `{last}-{first}`"));
            }
            for id in (first.0..=last.0).map(Self) {
                if !ids.insert(id) {
                    return Err(format!("slot {id} is listed twice"));
                }
            }
        }
        Ok(ids)
    }

    /// The ids as a list that [`SlotId::parse_list`] reads.
    pub fn list(ids: &BTreeSet<Self>) -> String {
        let ids: Vec<Self> = ids.iter().copied().collect();
        let runs =
            ids.chunk_by(|id, next| id.0 + 1 == next.0).filter_map(|run| Some((run.first()?, run.last()?)));
        let parts: Vec<String> = runs
            .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
            .collect();
        parts.join(",")
    }

    /// The ids in a sentence: `slot 3`, `slots 1-4`.
    pub fn named(ids: &BTreeSet<Self>) -> String {
        let noun = if ids.len() == 1 { "slot" } else { "slots" };
        format!("{noun} {}", Self::list(ids))
    }

    fn parse(digits: &str, part: &str) -> Result<Self, String> {
        let digits = digits.trim();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("`{part}` is not a list of slot ids: write `5`, `1-4` or `1-3,7`"));
        }
        match digits.parse::<u16>() {
            Ok(0) => Err("slot 0 is the main stack, on the base ports: ids start at 1".to_owned()),
            Ok(number) if number <= Self::MAX => Ok(Self(number)),
            Ok(_) | Err(_) => Err(format!("slot {digits} is above {}, the most that ports allow", Self::MAX)),
        }
    }

    /// The slot whose directory has this name. `None` if no slot's directory can have it.
    pub fn of_directory(name: &str) -> Option<Self> {
        let id = name.strip_prefix("slot-")?.parse().ok().and_then(Self::new)?;
        (id.directory() == name).then_some(id)
    }

    /// The name of the slot's directory in the root.
    pub fn directory(self) -> String {
        format!("slot-{self}")
    }
}

impl<'de> Deserialize<'de> for SlotId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u16::deserialize(deserializer)?;
        Self::new(number).ok_or_else(|| de::Error::custom(format!("{number} is not the id of a slot")))
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many workers of each kind a slot runs.
pub type Workers = BTreeMap<WorkerKind, u16>;

/// A size class of slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: ProfileName,
    /// The workers that a slot of this profile runs.
    pub workers: Workers,
    /// The memory that its stack needs, if that is declared.
    pub memory: Option<Memory>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_ids_are_read_and_written() {
        let ids = |list: &str| {
            SlotId::parse_list(list).map(|ids| ids.iter().map(|id| id.get()).collect::<Vec<_>>())
        };
        assert_eq!(ids("5"), Ok(vec![5]));
        assert_eq!(ids("1-4"), Ok(vec![1, 2, 3, 4]));
        assert_eq!(ids("1-3, 7"), Ok(vec![1, 2, 3, 7]));
        assert!(ids("0").unwrap_err().contains("main stack"));
        assert!(ids("-1").unwrap_err().contains("`-1` is not a list of slot ids"));
        assert!(ids("3-1").unwrap_err().contains("write `1-3`"));
        assert!(ids("1-1000000000").unwrap_err().contains("above 64511"));
        assert!(ids("64512").unwrap_err().contains("above 64511"));
        assert!(ids("1-3,2").unwrap_err().contains("slot 2 is listed twice"));
        for list in ["5", "1-4", "1-3,7", "1,3,5-6"] {
            assert_eq!(SlotId::list(&SlotId::parse_list(list).unwrap()), list);
        }
        for list in ["", ",", "1,", "a", "+1", "1-2-3", "1 2", "٣"] {
            assert!(ids(list).is_err(), "{list:?} was accepted");
        }
    }
}
