//! A worktree that asks for a slot. Before the lock it examines the slot that it would get, and renders the
//! files of the claim.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::files::{HolderDir, Texts, env_file};
use super::fitness::{Unfit, unfit};
use super::held::env_text;
use super::lease::{self, Application, Denied, Grant, ProfileOrder, Wanted};
use super::pace::Outlook;
use super::queue::Ahead;
use super::whereabouts::noted_path;
use crate::file::RelPath;
use crate::host;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::queue::{self, Ticket, Waiter};
use crate::ledger::Snapshot;
use crate::registry::{Claim, ClaimId, Entry, Holder, Lease, Provisioned, Registry};
use crate::slot::SlotId;
use crate::time::Span;
use crate::which::by_worktree::FoundPool;
use crate::which::spec_file::Declared;

/// A request for a slot.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// The directory that is to hold the slot, by its canonical path.
    pub worktree: Utf8PathBuf,
    /// Which slots satisfy it.
    pub wanted: Wanted,
    /// The lease of the claim. Without one, the claim holds until it is released.
    pub lease: Option<Span>,
    /// A note for others.
    pub note: Option<String>,
}

/// A worktree that asks a pool for a slot.
pub struct Claimant<'a> {
    pub(super) request: &'a ClaimRequest,
    pub(super) pool: &'a FoundPool,
    pub(super) invocation: &'a Invocation,
    pub(super) policy: LockPolicy<'a>,
    pub(super) profiles: ProfileOrder,
}

/// The free slots that were examined, each with its entry at that time and why it is unfit, if it is.
#[derive(Default)]
pub(super) struct Looked(BTreeMap<SlotId, (Provisioned, Option<Unfit>)>);

/// What was prepared before the lock: a slot for the request, and the files of the claim.
pub(super) struct Prepared {
    pub(super) slot: SlotId,
    pub(super) provisioned: Provisioned,
    pub(super) texts: Texts,
    pub(super) holder: HolderDir,
}

impl<'a> Claimant<'a> {
    /// A worktree and the pool that it asks.
    pub fn new(
        request: &'a ClaimRequest,
        pool: &'a FoundPool,
        invocation: &'a Invocation,
        policy: LockPolicy<'a>,
    ) -> Self {
        let profiles = pool.declared.iter().flat_map(|declared| &declared.spec.profiles);
        let profiles = ProfileOrder(profiles.map(|profile| profile.name.clone()).collect());
        Self { request, pool, invocation, policy, profiles }
    }

    /// Examines the slot that the request would get, and renders the files of the claim.
    pub(super) fn prepare(
        &self,
        seen: &Snapshot,
        directory: &Utf8Path,
        own: Option<&Ticket>,
        looked: &mut Looked,
    ) -> Result<Result<Prepared, Denied>> {
        let Snapshot { registry, root, .. } = seen;
        let holder = HolderDir::open(&self.request.worktree)?;
        loop {
            let ahead = self.ahead(queue::ahead_of(own, root)?, registry, directory, looked)?;
            let grant = match self.would_get(registry, directory, &ahead.wanted, looked) {
                Ok(grant) => grant,
                Err(denied) => return Ok(Err(denied)),
            };
            let slot = grant.slot();
            let entry = registry.slots.get(&slot).context("the slot is not in the registry")?;
            if let Grant::New(_) = grant {
                if !looked.knows(slot, entry) {
                    let unfit = unfit(root, slot, entry, &self.claim_files())?;
                    looked.0.insert(slot, (entry.provisioned.clone(), unfit));
                    continue;
                }
                holder.check(root.path())?;
            }
            let texts = self.texts(seen, slot, entry)?;
            return Ok(Ok(Prepared { slot, provisioned: entry.provisioned.clone(), texts, holder }));
        }
    }

    /// How the pool looks to the holder of a ticket. Takes no lock.
    ///
    /// # Errors
    /// When the pool cannot be read.
    pub fn outlook(&self, ticket: &Ticket, seen: &Snapshot) -> Result<Outlook> {
        let registry = &seen.registry;
        if lease::held_by(registry, &noted_path(registry, &self.request.worktree)).is_some() {
            return Ok(Outlook::Served);
        }
        // Whether a slot is fit for use is examined only when the waiter asks.
        let looked = Looked::default();
        let is_free = |wanted: &Wanted, ahead: &[Wanted]| self.is_free(registry, wanted, ahead, &looked);
        let waiters = queue::ahead_of(Some(ticket), &seen.root)?;
        let waiters =
            waiters.map(|waiter| waiter.map(|waiter| (Wanted::parse(&waiter.wanted), waiter.number)));
        let ahead = Ahead::of(&self.request.wanted, waiters, is_free)?;
        Ok(match ahead.next {
            _ if is_free(&self.request.wanted, &ahead.wanted) => Outlook::Served,
            Some(next) => Outlook::Behind(next),
            None => Outlook::Full,
        })
    }

    /// The pool that it asks.
    pub fn pool(&self) -> &FoundPool {
        self.pool
    }

    /// The worktree that asks.
    pub fn worktree(&self) -> &Utf8Path {
        &self.request.worktree
    }

    pub(super) fn would_get(
        &self,
        registry: &Registry,
        directory: &Utf8Path,
        ahead: &[Wanted],
        looked: &Looked,
    ) -> Result<Grant, Denied> {
        let Self { request: ClaimRequest { wanted, .. }, profiles, .. } = self;
        let is_fit = |slot| looked.accepts(slot, registry, wanted);
        lease::would_get(registry, &Application { directory, wanted, profiles, ahead }, is_fit)
    }

    pub(super) fn is_free(
        &self,
        registry: &Registry,
        wanted: &Wanted,
        ahead: &[Wanted],
        looked: &Looked,
    ) -> bool {
        let is_fit = |slot| looked.accepts(slot, registry, &self.request.wanted);
        lease::choose(registry, wanted, &self.profiles, ahead, is_fit).is_ok()
    }

    pub(super) fn ahead(
        &self,
        waiters: impl Iterator<Item = Result<Waiter>>,
        registry: &Registry,
        directory: &Utf8Path,
        looked: &Looked,
    ) -> Result<Ahead<Waiter>> {
        let waiters = waiters.map(|waiter| waiter.map(|waiter| (Wanted::parse(&waiter.wanted), waiter)));
        let holds = lease::held_by(registry, directory).is_some();
        let is_free =
            |wanted: &Wanted, ahead: &[Wanted]| !holds && self.is_free(registry, wanted, ahead, looked);
        Ahead::of(&self.request.wanted, waiters, is_free)
    }

    /// The files that a claim would write into a slot's directory.
    pub(super) fn claim_files(&self) -> Vec<&RelPath> {
        let declared = self.pool.declared.iter();
        declared.flat_map(|declared| &declared.spec.claim).map(|file| file.path.get_ref()).collect()
    }

    /// The files that the worktree gets with a slot.
    pub(super) fn texts(&self, seen: &Snapshot, slot: SlotId, entry: &Entry) -> Result<Texts> {
        let Self { request, pool, invocation, .. } = self;
        let root = &seen.root;
        let prefix = pool.env_prefix.as_deref().unwrap_or_default();
        let env = env_text(root, slot, entry, &pool.name, prefix)?;
        let files = |declared: &Declared| {
            declared.claim_files(root.path(), (slot, &entry.provisioned), &request.worktree, invocation)
        };
        let slot_files = pool.declared.as_ref().map(files).transpose()?;
        Ok(Texts { env: env_file(slot, root.path(), &env), slot: slot_files })
    }

    /// The claim as it would be, held under this path.
    pub(super) fn new_claim(&self, directory: &Utf8Path) -> Result<Claim> {
        let ClaimRequest { worktree, wanted: _, lease, note } = self.request;
        let now = host::clock::now();
        let no_git_dir = || format!("could not find the git directory of `{worktree}`");
        let entry = host::git::confirmed_git_dir(worktree).with_context(no_git_dir)?;
        let no_mount = || format!("could not find the mount point of `{worktree}`");
        let mount = host::fs::mount_of(worktree).with_context(no_mount)?;
        let bits = host::identity::random_bits().context("could not read a random id from /dev/urandom")?;
        Ok(Claim {
            claimed_by: Holder::Directory(directory.to_owned()),
            claimed_at: Some(now.to_string()),
            claim_id: Some(ClaimId::from_random(bits)),
            lease: lease.map(|length| Lease::starting(now, length)),
            note: note.clone(),
            claimed_host: Some(host::identity::host_name()),
            claimed_user: Some(self.invocation.user.clone()),
            claimed_gitdir: entry.map(Utf8PathBuf::into_string),
            claimed_mount: Some(mount.to_string()),
            files: BTreeMap::new(),
        })
    }
}

impl Looked {
    /// Whether a slot was examined with its present entry.
    pub(super) fn knows(&self, slot: SlotId, entry: &Entry) -> bool {
        let known = self.0.get(&slot);
        known.is_some_and(|(provisioned, unfit)| {
            *provisioned == entry.provisioned
                && (entry.pending.is_some() == (*unfit == Some(Unfit::Unfinished)))
        })
    }

    /// Why an examined slot is unfit, if it is.
    pub(super) fn of(&self, slot: SlotId) -> Option<Unfit> {
        self.0.get(&slot).and_then(|(_, unfit)| unfit.clone())
    }

    /// Whether a request takes a slot. A slot that was not examined counts as fit.
    pub(super) fn accepts(&self, slot: SlotId, registry: &Registry, wanted: &Wanted) -> bool {
        let known = registry.slots.get(&slot).is_some_and(|entry| self.knows(slot, entry));
        let unfit = self.of(slot).filter(|_| known);
        unfit.is_none_or(|unfit| unfit.is_accepted_by(slot, wanted))
    }

    pub(super) fn unfit(self) -> BTreeMap<SlotId, Unfit> {
        self.0.into_iter().filter_map(|(slot, (_, unfit))| Some((slot, unfit?))).collect()
    }
}

impl Prepared {
    pub(super) fn is_for(&self, slot: SlotId, entry: &Entry) -> bool {
        self.slot == slot && self.provisioned == entry.provisioned
    }
}
