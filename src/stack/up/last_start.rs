//! What the stack that runs was started from, kept in the slot's directory. With it, `up` of a stack that
//! runs starts nothing. Without it, Compose is asked.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::addresses::without_values;
use crate::compose::model::Model;
use crate::digest::Digest;
use crate::host::fs::{read_named, replace_named};
use crate::names::START_FILE;

/// The largest file that is read, in bytes.
const LIMIT: u64 = 16 << 20;
/// The version of the format. Another one is as good as none.
const VERSION: u64 = 1;

/// A start after which the stack ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::stack) struct LastStart {
    version: u64,
    /// The hash of all that decides what Compose would start. `None` if the files do not tell.
    pub(in crate::stack) key: Option<Digest>,
    /// The same hash, where Compose started all of it and it is not known whether it runs.
    pub(in crate::stack) attempt: Option<Digest>,
    /// The services that were named. None is all of them.
    pub(in crate::stack) named: BTreeSet<String>,
    /// What its files came to, without values of variables.
    pub(in crate::stack) model: Model,
    /// The hash of what its images were built from.
    pub(in crate::stack) builds: Option<Digest>,
    /// The id of each image, by its name.
    pub(in crate::stack) images: BTreeMap<String, String>,
    /// The containers by their ids, and whether each ran. The others had ended well.
    pub(in crate::stack) containers: BTreeMap<String, bool>,
    /// The services that ran once, each with the hash of its inputs.
    pub(in crate::stack) once: BTreeMap<String, Digest>,
}

impl LastStart {
    /// What the values of variables were is in the key.
    pub(in crate::stack) fn new(key: Option<Digest>, named: &BTreeSet<String>, model: &Model) -> Self {
        Self {
            version: VERSION,
            key,
            attempt: None,
            named: named.clone(),
            model: without_values(model.clone()),
            builds: None,
            images: BTreeMap::new(),
            containers: BTreeMap::new(),
            once: BTreeMap::new(),
        }
    }

    /// The last start of a slot's stack, if it is known.
    pub(in crate::stack) fn read(dir: &Utf8Path) -> Option<Self> {
        let bytes = read_named(&dir.join(START_FILE), LIMIT).ok().flatten()?;
        serde_json::from_slice(&bytes).ok().filter(|last: &Self| last.version == VERSION)
    }

    /// The same, where it is not known any more what runs.
    pub(in crate::stack) fn without_key(&self) -> Self {
        Self { key: None, attempt: None, ..self.clone() }
    }

    /// The same, where Compose started it, and the gate is to see whether it runs.
    pub(in crate::stack) fn as_attempt(&self) -> Self {
        Self { key: None, attempt: self.key, ..self.clone() }
    }

    /// Keeps it for the next run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(in crate::stack) fn keep(&self, dir: &Utf8Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        replace_named(&dir.join(START_FILE), text.as_bytes())
    }
}

/// Forgets the last start of a slot's stack.
///
/// # Errors
/// When it cannot be written.
pub(in crate::stack) fn forget(dir: &Utf8Path) -> Result<()> {
    if LastStart::read(dir).is_some() { replace_named(&dir.join(START_FILE), b"") } else { Ok(()) }
}

/// The names of the images that services run.
pub(in crate::stack) fn images(model: &Model) -> BTreeSet<String> {
    let built = model.built_images().into_values();
    let named = model.services.values().filter_map(|service| service.image.clone());
    built.chain(named).collect()
}
