//! What the last start of a slot's stack used, kept in the slot's directory for the proof of later starts.

use std::collections::BTreeSet;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::compose::model::Model;
use crate::fault::Fault;
use crate::host::fs::{read_named, replace_named};
use crate::names::USES_FILE;
use crate::slot::SlotId;
use crate::stack::compose_files::compose_args::ComposeArgs;
use crate::stack::up::addresses::without_values;

/// The largest file that is read, in bytes.
const LIMIT: u64 = 16 << 20;
/// The version of the format.
const VERSION: u64 = 1;

/// What a start used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Uses {
    version: u64,
    /// When, in ISO 8601 with an offset.
    pub at: String,
    /// The name of the Compose project.
    pub project: String,
    /// Whether `down` was asked for since. Then it counts only while it has containers.
    pub has_ended: bool,
    /// The worktree that it ran from.
    pub worktree: Utf8PathBuf,
    /// What its files came to, without values of variables.
    pub model: Model,
    /// What was asked for since the stack had no containers. An older kinfra did not note it.
    #[serde(default)]
    pub asked: Asked,
}

/// The services that starts ask for, without those that they depend on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// All of them.
    #[default]
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Asked {
    /// What a command of Compose asks for, of the services that there are.
    pub fn by(args: &ComposeArgs, model: &Model) -> Self {
        let words = args.operands().map(|word| word.split('=').next().unwrap_or(word));
        let mut named = words.filter(|word| model.services.contains_key(*word)).map(str::to_owned);
        match args.command.as_deref() {
            // They make no containers.
            Some("start" | "restart" | "unpause") => Self::Only(BTreeSet::new()),
            // Its own container is none of the service's, but what it depends on is started.
            Some("run") => {
                let service = named.next().and_then(|name| model.services.get(&name));
                let needed = service.map(|service| service.depends_on.keys().cloned().collect());
                Self::Only(needed.unwrap_or_default())
            }
            Some(_) | None => {
                let named: BTreeSet<String> = named.collect();
                if named.is_empty() { Self::All } else { Self::Only(named) }
            }
        }
    }

    /// What both ask for.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(own), Self::Only(other)) => Self::Only(&own | &other),
            (Self::All, _) | (_, Self::All) => Self::All,
        }
    }
}

impl Uses {
    /// What a start of a project uses. Values of variables share nothing.
    pub fn new(at: String, project: &str, worktree: &Utf8Path, model: Model, asked: Asked) -> Self {
        let (project, worktree, model) = (project.to_owned(), worktree.to_owned(), without_values(model));
        Self { version: VERSION, at, project, has_ended: false, worktree, model, asked }
    }

    /// What the last start in a slot's directory used. `None` if there was none.
    ///
    /// # Errors
    /// When it cannot be read: then nothing can be proven against it.
    pub fn read(dir: &Utf8Path) -> Result<Option<Self>> {
        let path = dir.join(USES_FILE);
        let unknown = |why: String| {
            let fault = Fault::refused(format!("what a slot was started with is not known: `{path}` {why}"));
            fault.advise("remove the file if the slot's stack has no containers")
        };
        let bytes = read_named(&path, LIMIT).map_err(|error| unknown(format!("cannot be read: {error}")))?;
        let Some(bytes) = bytes else { return Ok(None) };
        Self::parse(&bytes).map(Some).map_err(|why| unknown(why).into())
    }

    /// Reads what another user of the host noted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_slot(slot: SlotId, text: &str) -> Result<Self> {
        let what =
            |why: String| Fault::refused(format!("what slot {slot} was started with is not known: it {why}"));
        let advice = format!("`kinfra down --slot {slot}`, by its holder, and start it again");
        Self::parse(text.as_bytes()).map_err(|why| what(why).advise(advice).into())
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let uses: Self = serde_json::from_slice(bytes).map_err(|error| format!("is broken: {error}"))?;
        if uses.version == VERSION { Ok(uses) } else { Err("is of another kinfra".to_owned()) }
    }

    /// Notes that the stack of a slot's directory is to be up no more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_end(dir: &Utf8Path) -> Result<()> {
        let Some(mut uses) = Self::read(dir)? else { return Ok(()) };
        uses.has_ended = true;
        uses.keep(dir)
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, dir: &Utf8Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        replace_named(&dir.join(USES_FILE), text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_asks_for_is_read_from_its_words() {
        let model =
            r#"{"name": "x", "services": {"db": {}, "api": {"depends_on": {"db": {}}}, "worker": {}}}"#;
        let model = Model::parse(model).unwrap();
        let by = |line: &str| {
            let args = ComposeArgs::read(line.split_whitespace().map(Into::into).collect()).unwrap();
            Asked::by(&args, &model)
        };
        let only = |names: &[&str]| Asked::Only(names.iter().map(|name| (*name).to_owned()).collect());
        for (line, asked) in [
            ("up -d", Asked::All),
            ("up -d api worker", only(&["api", "worker"])),
            ("scale worker=3", only(&["worker"])),
            ("run --rm api sh", only(&["db"])),
            ("run worker api", only(&[])),
            ("restart api", only(&[])),
        ] {
            assert_eq!(by(line), asked, "{line}");
        }
        assert_eq!(by("up api").and(by("up db")), only(&["api", "db"]));
        assert_eq!(by("up api").and(by("restart")), only(&["api"]));
        assert_eq!(by("up api").and(by("up")), Asked::All);
    }
}
