//! A line of a journal: one change of the registry. A change is whole in the journal, or not in it.

use serde::{Deserialize, Serialize};

use super::event::Event;
use crate::digest::Digest;
use crate::time::Time;

/// The first line of a journal: which file it is, and which format it has.
pub const HEADER: &str = "{\"kinfra_journal\":1}\n";

/// The version of the format that this kinfra reads and writes.
const VERSION: u64 = 1;

/// A change, and what happened in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Time,
    /// Who made it.
    pub by: Author,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The registry that it replaces. `None` where the registry stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaces>,
}

/// Who made a change: a process, as its system knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The name of its user.
    pub user: String,
    /// The host name of its machine.
    pub host: String,
    /// Its verb, such as `kinfra claim`.
    pub command: String,
    /// The directory that it ran in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

/// Which registry a change replaces, so that a change whose save was cut short can be told. It is known by
/// its text: a copy of the root, or a touched file, is still that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Replaces(String);

impl Replaces {
    /// The registry with this text. `None` is that there was none.
    pub fn text(text: Option<&str>) -> Self {
        Self(text.map_or_else(|| "none".to_owned(), |text| Digest::of(text.as_bytes()).to_string()))
    }

    /// How a line ends that replaces it.
    pub fn end_of_line(&self) -> String {
        format!("\"replaces\":\"{}\"}}\n", self.0)
    }
}

impl Change {
    /// Reads a line. `None` if it is none that kinfra writes.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// The line, with its end.
    pub fn line(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}

/// Which kinfra wrote a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// It can be read and added to.
    Ours,
    /// A newer kinfra made it.
    Newer,
    /// kinfra did not make the file.
    Foreign,
}

/// Which kinfra wrote a journal that begins so.
pub fn version(start: &str) -> Version {
    #[derive(Deserialize)]
    struct Header {
        kinfra_journal: u64,
    }
    let header = start.lines().next().and_then(|line| serde_json::from_str::<Header>(line).ok());
    match header.map(|header| header.kinfra_journal) {
        Some(VERSION) => Version::Ours,
        Some(newer) if newer > VERSION => Version::Newer,
        Some(_) | None => Version::Foreign,
    }
}
