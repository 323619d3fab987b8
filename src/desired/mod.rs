//! Spec and templates → the [`Pool`] as it should be: every slot with its ports and the text of its files.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::file::{FileMode, RelPath};
use crate::identifier::{PortName, ProfileName};
use crate::port::{Port, PortFormula};
use crate::registry::Provisioned;
use crate::slot::{Profile, SlotId, Workers};

mod render;

pub use render::{MASK, Place, TemplateTexts, claim_files, resolve};

/// The pool that `slots.toml` describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// The directory it lives in, absolute.
    pub root: Utf8PathBuf,
    /// An old tool's registry to take over when there is none, absolute.
    pub import: Option<Utf8PathBuf>,
    /// The formulas behind the ports, in the order of the spec.
    pub formulas: Vec<(PortName, PortFormula)>,
    /// Its slots.
    pub slots: BTreeMap<SlotId, Slot>,
    /// The values of its sensitive variables.
    pub secrets: BTreeSet<String>,
}

/// A slot as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its identity.
    pub id: SlotId,
    /// Its size class.
    pub profile: Rc<Profile>,
    /// Its ports, in the order of the spec; the first is the primary port.
    pub ports: Vec<(PortName, Port)>,
    /// Its directory, absolute.
    pub dir: Utf8PathBuf,
    /// Its files.
    pub files: BTreeMap<RelPath, File>,
}

/// A pool as it should be, with the hashes of its files in place of their texts: what plans show and hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// Its name.
    pub name: String,
    /// The directory it lives in, absolute.
    pub root: Utf8PathBuf,
    /// Its slots.
    pub slots: BTreeMap<SlotId, SlotOutline>,
}

/// A slot as it should be, without the texts of its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotOutline {
    /// The name of its size class.
    pub profile: ProfileName,
    /// The workers that it runs.
    pub workers: Workers,
    /// Its ports, in the order of the spec.
    pub ports: Vec<(PortName, Port)>,
    /// Its files.
    pub files: BTreeMap<RelPath, FileOutline>,
}

/// A file as it should be, without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOutline {
    /// The hash of its text.
    pub sha256: Digest,
    /// Its permissions.
    pub mode: FileMode,
}

impl Outline {
    /// The directory of a slot, absolute.
    pub fn dir(&self, slot: SlotId) -> Utf8PathBuf {
        self.root.join(slot.directory())
    }
}

impl Pool {
    /// The pool without the texts of its files.
    pub fn outline(&self) -> Outline {
        let Self { name, root, import: _, formulas: _, slots, secrets: _ } = self;
        let slots = slots.iter().map(|(id, slot)| (*id, slot.outline())).collect();
        Outline { name: name.clone(), root: root.clone(), slots }
    }

    /// The name of a slot's Compose project.
    pub fn project(&self, slot: SlotId) -> String {
        format!("{}-{}", self.name, slot.directory())
    }
}

impl Slot {
    fn outline(&self) -> SlotOutline {
        let Self { id: _, profile, ports, dir: _, files } = self;
        let outline = |file: &File| FileOutline { sha256: file.digest, mode: file.mode };
        SlotOutline {
            profile: profile.name.clone(),
            workers: profile.workers.clone(),
            ports: ports.clone(),
            files: files.iter().map(|(path, file)| (path.clone(), outline(file))).collect(),
        }
    }

    /// What the registry is to say of the slot.
    pub fn provisioned(&self) -> Provisioned {
        let Self { id: _, profile, ports, dir, files } = self;
        Provisioned {
            infrastructure_path: dir.to_string(),
            profile: profile.name.clone(),
            workers: profile.workers.clone(),
            ports: ports.iter().cloned().collect(),
            files: files.iter().map(|(path, file)| (path.clone(), file.digest)).collect(),
        }
    }
}

/// A file as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What is in it. Slots whose file is the same share the text.
    pub text: Rc<str>,
    /// The hash of the text.
    pub digest: Digest,
    /// Its permissions.
    pub mode: FileMode,
    /// The text with `(sensitive)` for the values of sensitive variables, if it depends on one: what plans may show.
    pub masked: Option<Rc<str>>,
}
