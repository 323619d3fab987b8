//! What a resolved model was made from: files, and variables of the caller. Compose does not name them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::compose::project::Project;
use crate::compose::source::{Source, variables};
use crate::digest::Digest;
use crate::dotenv::Variables;
use crate::host::fs::{is_directory, read_named};
use crate::names::DOTENV;

/// The largest file that is read, in bytes.
const LIMIT: u64 = 16 << 20;
/// How many files of one project are followed.
const MOST_FILES: usize = 500;

/// Files and variables, each with the hash of what it held. A missing one has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::stack) struct Inputs {
    files: BTreeMap<Utf8PathBuf, Option<Digest>>,
    /// A value may be secret, so only its hash is kept.
    variables: BTreeMap<String, Option<Digest>>,
    /// Whether the texts alone do not tell all files. Then a model that was made from them is never fresh.
    is_open: bool,
}

impl Inputs {
    /// What a stack's model depends on.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(in crate::stack) fn of(
        project: &Project,
        without: &BTreeSet<String>,
        caller: &Variables,
    ) -> Result<Self> {
        let mut inputs = Self { files: BTreeMap::new(), variables: BTreeMap::new(), is_open: false };
        let mut names = BTreeSet::new();
        let mut next: Vec<Utf8PathBuf> = project.env_files.iter().chain(&project.files).cloned().collect();
        while let Some(path) = next.pop() {
            if inputs.files.contains_key(&path) {
                continue;
            }
            if inputs.files.len() == MOST_FILES {
                inputs.is_open = true;
                break;
            }
            let text = read(&path)?;
            inputs.files.insert(path.clone(), text.as_deref().map(|text| Digest::of(text.as_bytes())));
            let Some(text) = text else { continue };
            if !matches!(path.extension(), Some("yaml" | "yml")) && !project.files.contains(&path) {
                names.extend(variables(&text));
                continue;
            }
            let Ok(source) = Source::read(&text) else {
                inputs.is_open = true;
                continue;
            };
            inputs.is_open |= source.is_open;
            names.extend(source.variables);
            for named in source.files {
                // A path is relative to the file that names it, or to the project.
                let bases = [path.parent().unwrap_or(&path), project.directory.as_path()];
                for named in bases.map(|base| base.join(&named)) {
                    let beside = named.parent().unwrap_or(&named).join(DOTENV);
                    next.extend([named.join(DOTENV), beside, named]);
                }
            }
        }
        let value = |name: String| {
            let value = caller.get(&name).filter(|_| !without.contains(&name));
            (name, value.map(|value| Digest::of(value.as_bytes())))
        };
        inputs.variables = names.into_iter().map(value).collect();
        Ok(inputs)
    }
}

impl Inputs {
    /// Whether a model that was made from these inputs is the one that the `present` ones give.
    pub(in crate::stack) fn give_the_same_as(&self, present: &Self) -> bool {
        !present.is_open && self == present
    }

    /// Whether these are all that the model depends on.
    pub(in crate::stack) fn are_all(&self) -> bool {
        !self.is_open
    }

    /// The names of the variables in the files.
    pub(in crate::stack) fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }
}

/// The text of a file. `None` if there is no such file.
fn read(path: &Utf8Path) -> Result<Option<String>> {
    if is_directory(path) {
        return Ok(None);
    }
    let bytes = read_named(path, LIMIT).with_context(|| format!("could not read `{path}`"))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
