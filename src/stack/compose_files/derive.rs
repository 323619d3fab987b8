//! Writes the overlay of a slot when it is missing or stale.

use std::collections::BTreeSet;
use std::iter;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::compose_args::ComposeArgs;
use super::inputs::Inputs;
use super::look::{Look, Remarks};
use super::main_stack;
use super::place::Place;
use super::real_paths::real_paths;
use super::resolve::{EVERY_PROFILE, become_compose, resolve};
use crate::address_block::AddressBlock;
use crate::claims::held::Held;
use crate::compose::overlay::{Slot, overlay};
use crate::desired::Environments;
use crate::digest::Digest;
use crate::fault::Fault;
use crate::host::compose::ComposeCall;
use crate::host::fs::{Umask, exists, replace_named};
use crate::host::invocation::{self, Invocation};
use crate::host::lock::LockPolicy;
use crate::names::OVERLAY;

/// How much of a claim's id is in a tag, in digits.
const TAG: usize = 12;

/// The files of a slot's stack, ready for Compose.
#[derive(Debug)]
pub struct Derived {
    /// The project's files and the overlay, absolute.
    pub files: Vec<Utf8PathBuf>,
    /// What the overlay leaves out or cannot move.
    pub remarks: Remarks,
}

impl Place<'_> {
    /// The files of the stack, with an overlay that is as it should be. Asks Compose only if it is not: a
    /// start proves what Compose makes of all of them together, the overlay included.
    ///
    /// # Errors
    /// [`Fault`] when Compose does not take the files, or the overlay cannot be written.
    pub fn derive(&self, policy: &LockPolicy<'_>, invocation: &Invocation) -> Result<Derived> {
        let parts = Parts::of(self, policy, invocation)?;
        if let Some(look) = Look::fresh(&self.held.dir(), parts.key, &parts.inputs) {
            return Ok(self.derived(look.remarks));
        }
        self.write(parts)
    }

    /// The hash of all that decides what Compose would start with these profiles. `None` if the overlay is
    /// stale, or the files do not tell.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(in crate::stack) fn key(
        &self,
        profiles: &[String],
        policy: &LockPolicy<'_>,
        invocation: &Invocation,
    ) -> Result<Option<Digest>> {
        let parts = Parts::of(self, policy, invocation)?;
        if Look::fresh(&self.held.dir(), parts.key, &parts.inputs).is_none() {
            return Ok(None);
        }
        let main = match self.main_project() {
            Some(main) => {
                let inputs = Inputs::of(&main, &self.without, &invocation::environment())?;
                if !inputs.are_all() {
                    return Ok(None);
                }
                Some(inputs)
            }
            None => None,
        };
        let all = serde_json::to_string(&(parts.key, &parts.inputs, main, profiles))?;
        Ok(Some(Digest::of(all.as_bytes())))
    }

    fn write(&self, parts: Parts) -> Result<Derived> {
        let name = main_stack::name(&self.project)?;
        let profiles = [EVERY_PROFILE.to_owned()];
        let call = self.call(name.as_deref(), &self.project.files, &profiles);
        let model = real_paths(&resolve(&call, &format!("the files of `{}`", self.worktree))?);
        let overlay = overlay(&model, &parts.slot(self))?;
        let remarks = Remarks::of(&overlay);
        let (dir, slot) = (self.held.dir(), self.held.slot);
        replace_named(&dir.join(OVERLAY), overlay.text.as_bytes())
            .with_context(|| format!("could not write the overlay of slot {slot}"))?;
        Look::new(parts.key, parts.inputs, &overlay.text, remarks.clone())
            .keep(&dir)
            .with_context(|| format!("could not keep what was learnt of slot {slot}"))?;
        Ok(self.derived(remarks))
    }

    /// The files of the stack where the overlay could not be written and none is there. Compose refuses them,
    /// as one is missing, and does not mean the main stack. `None` if one is there: it is of other files.
    pub(super) fn unwritten(&self) -> Result<Option<Derived>> {
        let is_there = exists(&self.held.dir().join(OVERLAY))?;
        Ok((!is_there).then(|| self.derived(Remarks::default())))
    }

    fn derived(&self, remarks: Remarks) -> Derived {
        let files = self.project.files.iter().cloned().chain(iter::once(self.held.dir().join(OVERLAY)));
        Derived { files: files.collect(), remarks }
    }

    /// Replaces the kinfra process by Compose. Returns only if it cannot be started, with the reason.
    pub fn become_compose(&self, derived: &Derived, args: &ComposeArgs, umask: Umask) -> Fault {
        let call = self.call(Some(&self.name), &derived.files, &[]);
        become_compose(&call, args, umask, &format!("the stack of slot {}", self.held.slot))
    }
}

/// Replaces the kinfra process by Compose, without files: Compose finds the containers by the project's name.
/// So a stack can be stopped whose files are broken or gone. Returns only if it cannot be started.
pub fn become_compose_by_name(held: &Held, args: &ComposeArgs, umask: Umask) -> Fault {
    let (name, none) = (held.project(), BTreeSet::new());
    // Compose looks for files in the project's directory and above it: in this one there are none.
    let directory = Utf8Path::new("/");
    let call = ComposeCall {
        project: Some(&name),
        files: &[],
        directory,
        env_files: &[],
        profiles: &[],
        without: &none,
        engine: held.engine(),
    };
    become_compose(&call, args, umask, &format!("the stack of slot {}", held.slot))
}

/// What an overlay is made from, besides the model.
struct Parts {
    registry: String,
    /// The tag of the slot's images: each claim has its own, so that no holder runs another's code.
    tag: String,
    environment: Environments,
    /// The addresses of its networks.
    subnet: Option<AddressBlock>,
    /// The hash of what kinfra itself brings.
    key: Digest,
    /// What the model depends on.
    inputs: Inputs,
}

impl Parts {
    fn of(place: &Place<'_>, policy: &LockPolicy<'_>, invocation: &Invocation) -> Result<Self> {
        let held = place.held;
        let registry = held.pool().ledger().id(held.seen(), policy)?.to_string();
        let slot = (held.slot, &held.entry.provisioned);
        let environment =
            place.declared.environments(&held.pool().root, slot, &place.worktree, invocation)?;
        let id = held.entry.claim.as_ref().and_then(|claim| claim.claim_id);
        let tag = id.map_or_else(|| "slot".to_owned(), |id| id.to_string().chars().take(TAG).collect());
        let inputs = Inputs::of(&place.project, &place.without, &invocation::environment())?;
        let subnet = held.stack().subnet.map(|subnet| subnet.block(held.slot)).transpose()?;
        let mut parts = Self { registry, tag, environment, subnet, key: Digest::of(b""), inputs };
        // The version counts, because another kinfra may write another overlay.
        let version = env!("CARGO_PKG_VERSION");
        let all = format!("{version} {} {:?} {:?}", place.name, place.project, parts.slot(place));
        parts.key = Digest::of(all.as_bytes());
        Ok(parts)
    }

    fn slot<'a>(&'a self, place: &'a Place<'_>) -> Slot<'a> {
        let (held, pool) = (place.held, place.held.pool());
        Slot {
            pool: &pool.name,
            id: held.slot,
            tag: &self.tag,
            registry: &self.registry,
            root: &pool.root,
            worktree: &place.worktree,
            ports: &held.entry.provisioned.ports,
            spec: &place.declared.spec,
            workers: &held.entry.provisioned.workers,
            environment: &self.environment,
            subnet: self.subnet,
        }
    }
}
