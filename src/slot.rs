//! The nouns of a slot: ids, ports and their formulas, profiles, file paths. Valid by construction.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU16;

use camino::{Utf8Component, Utf8Path};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The identity of a slot: 1 to [`SlotId::MAX`]. Slot 0 is the main stack and never part of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SlotId(u16);

impl SlotId {
    /// The most that ports allow: [`Port::MAX`] less [`Port::MIN`].
    pub const MAX: u16 = Port::MAX - Port::MIN;

    /// The id, if it is within 1 and [`SlotId::MAX`].
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
    /// A sentence that says which part is wrong and why.
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

    /// The slot whose directory has this name, if it is the name of one.
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

/// A TCP or UDP port that needs no privilege: 1024 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Port(u16);

impl Port {
    /// The lowest port that needs no privilege.
    pub const MIN: u16 = 1024;
    /// The highest port there is.
    pub const MAX: u16 = u16::MAX;

    /// The port, if it is in range.
    pub fn new(number: u16) -> Option<Self> {
        (number >= Self::MIN).then_some(Self(number))
    }

    /// The port as a number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u16::deserialize(deserializer)?;
        Self::new(number).ok_or_else(|| de::Error::custom(format!("port {number} is below {}", Self::MIN)))
    }
}

/// How a service's host port follows from a slot: `base + stride × slot id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortFormula {
    /// The port of slot 0, the main stack.
    pub base: Port,
    /// How far the ports of neighbouring slots are apart.
    pub stride: NonZeroU16,
}

impl PortFormula {
    /// The port of a slot, if it is one; `slot` may be 0.
    pub fn port(self, slot: u16) -> Option<Port> {
        u16::try_from(self.number(slot)).ok().and_then(Port::new)
    }

    /// What the formula gives for a slot, be it a port or too large for one.
    pub fn number(self, slot: u16) -> u32 {
        u32::from(self.base.0) + u32::from(self.stride.get()) * u32::from(slot)
    }
}

impl fmt::Display for PortFormula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stride.get() {
            1 => write!(f, "{} + slot", self.base),
            stride => write!(f, "{} + {stride} × slot", self.base),
        }
    }
}

/// Declares a name that matches `[a-z][a-z0-9_]*`.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $type(String);

        impl $type {
            /// The name, if it matches `[a-z][a-z0-9_]*`.
            ///
            /// # Errors
            /// A sentence that says what a name looks like.
            pub fn new(name: &str) -> Result<Self, String> {
                if is_name(name) {
                    Ok(Self(name.to_owned()))
                } else {
                    let name = name.escape_debug();
                    Err(format!("`{name}` is no {}: use lowercase letters, digits and `_`, a letter first", $noun))
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

name!(
    /// What a port is for, such as `api` or `otlp_grpc`.
    PortName,
    "name for a port"
);
name!(
    /// A size class of slots, such as `light`.
    ProfileName,
    "name for a profile"
);
impl ProfileName {
    /// The profile of a slot of which nobody knows it.
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }
}

name!(
    /// A kind of worker that a profile counts, such as `backtest`.
    WorkerKind,
    "name for a kind of worker"
);

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
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
}

/// The path of a file below a directory: relative, of plain components, without `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RelPath(String);

impl RelPath {
    /// The path, if it stays below its directory.
    ///
    /// # Errors
    /// A sentence that says why it does not.
    pub fn new(path: &str) -> Result<Self, String> {
        let shown = path.escape_debug();
        if path.chars().any(char::is_control) {
            return Err(format!("`{shown}` has a control character"));
        }
        let mut components = Vec::new();
        for component in Utf8Path::new(path).components() {
            match component {
                Utf8Component::Normal(name) => components.push(name),
                Utf8Component::CurDir => {}
                Utf8Component::ParentDir => {
                    return Err(format!("`{shown}` leaves its directory with `..`"));
                }
                Utf8Component::RootDir | Utf8Component::Prefix(_) => {
                    return Err(format!("`{shown}` is absolute: write it relative to its directory"));
                }
            }
        }
        if components.is_empty() || path.ends_with('/') {
            return Err(format!("`{shown}` does not name a file"));
        }
        Ok(Self(components.join("/")))
    }

    /// The path as text, its components joined by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as a path.
    pub fn as_path(&self) -> &Utf8Path {
        Utf8Path::new(&self.0)
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The permission bits of a file. Its owner, kinfra, can always read and write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(u16);

impl FileMode {
    /// What a file has unless the spec says otherwise: for its owner only.
    pub const PRIVATE: Self = Self(0o600);
    /// What files of a project have.
    pub const SHARED: Self = Self(0o644);

    /// The mode written as four octal digits, such as `0644`.
    ///
    /// # Errors
    /// A sentence that says what a mode looks like.
    pub fn parse(octal: &str) -> Result<Self, String> {
        let bits = (octal.len() == 4 && octal.starts_with('0'))
            .then(|| u16::from_str_radix(octal, 8).ok())
            .flatten()
            .ok_or_else(|| {
                format!("`{}` is not a mode: write four octal digits, such as `0644`", octal.escape_debug())
            })?;
        if bits & 0o600 == 0o600 {
            Ok(Self(bits))
        } else {
            Err(format!(
                "`{octal}` would keep kinfra from its own file: the first digit after 0 must be 6 or 7"
            ))
        }
    }

    /// Whether it allows anything to anybody but the owner.
    pub fn is_open_to_others(self) -> bool {
        self.0 & 0o077 != 0
    }

    /// The permission bits.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// The mode of a file that was found on disk.
    pub fn from_bits(bits: u32) -> Self {
        Self(u16::try_from(bits & 0o7777).unwrap_or(0))
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for FileMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FileMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let octal = String::deserialize(deserializer)?;
        let bits = u32::from_str_radix(&octal, 8).map_err(de::Error::custom)?;
        Ok(Self::from_bits(bits))
    }
}

/// Something that is in the way, as messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// A symbolic link; never followed.
    Symlink,
    /// A directory where a file belongs.
    Directory,
    /// A file where a directory belongs.
    File,
    /// A FIFO, socket or device.
    Special,
    /// It may not be opened.
    Forbidden,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Symlink => "a symbolic link",
            Self::Directory => "a directory",
            Self::File => "a file",
            Self::Special => "a FIFO, socket or device",
            Self::Forbidden => "not readable",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_ids() {
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
            assert!(ids(list).is_err(), "{list:?} was taken");
        }
    }

    #[test]
    fn paths_stay_below_their_directory() {
        assert_eq!(RelPath::new("conf/./app.toml").unwrap().as_str(), "conf/app.toml");
        for path in ["", ".", "/etc/passwd", "..", "a/../b", "a/", "a\nb", "a\0b"] {
            assert!(RelPath::new(path).is_err(), "{path:?} was taken");
        }
    }

    #[test]
    fn modes_leave_kinfra_its_own_files() {
        assert_eq!(FileMode::parse("0644").unwrap().bits(), 0o644);
        for mode in ["644", "0044", "0400", "1644", "0689", "+644", ""] {
            assert!(FileMode::parse(mode).is_err(), "{mode:?} was taken");
        }
    }
}
