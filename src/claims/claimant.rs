//! A worktree that asks for a slot. Before the lock it examines the slot that it would get, and renders the
//! files of the claim.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::files::{HolderDir, Texts, env_file};
use super::fitness::{Unfit, no_memory, unfit};
use super::held::env_text;
use super::held_by::{Directory, begun_at, held_by, is_within};
use super::looked::{Looked, Place};
use super::pace::Outlook;
use super::pick::{
    Application, Denied, Fitness, FreeSlots, Grant, NotPicked, ProfileOrder, Wanted, may_come, would_get,
};
use super::purpose::Purpose;
use super::signs::{Sign, slot_shown_to};
use super::turn::{Ahead, Stop};
use super::whereabouts::{is_of, look_at, lost, noted};
use crate::file::RelPath;
use crate::host;
use crate::host::holder_mark::ensure_mark;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::queue::Waiter;
use crate::host::root::Root;
use crate::ledger::{Snapshot, Ticket};
use crate::registry::{Claim, ClaimId, Condition, Entry, Holder, Left, Provisioned, Registry, Remains};
use crate::slot::SlotId;
use crate::stack::clean::Cleaning;
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
    /// The lease of a new claim for which none was asked.
    pub usual_lease: Option<Span>,
    /// A note for others.
    pub note: Option<String>,
    /// Whether it waits for a slot. Then it leaves alone what could not be cleaned just now.
    pub waits: bool,
    /// What the claim is for.
    pub purpose: Purpose,
}

impl ClaimRequest {
    /// The lease that a grant is to have, of a new claim or an old one. Without one, a renewal keeps its own.
    pub(super) fn lease_of(&self, is_new: bool) -> Option<Span> {
        // What another run has got in the meantime is that run's.
        let own = self.lease.filter(|_| is_new || self.purpose != Purpose::Run);
        own.or_else(|| self.usual_lease.filter(|_| is_new))
    }
}

/// A worktree that asks a pool for a slot.
pub struct Claimant<'a> {
    pub(super) request: &'a ClaimRequest,
    pub(super) pool: &'a FoundPool,
    pub(super) invocation: &'a Invocation,
    pub(super) policy: LockPolicy<'a>,
    pub(super) profiles: ProfileOrder,
    /// The slot that shows a claim of the worktree, also where the registry forgot that claim.
    shown_slot: OnceCell<Option<SlotId>>,
}

/// What was made ready before the lock.
pub(super) struct Ready {
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
        Self { request, pool, invocation, policy, profiles, shown_slot: OnceCell::new() }
    }

    /// The worktree, as it is now, with the owner of this run.
    pub(super) fn directory(&self) -> Result<Directory> {
        Ok(look_at(&self.request.worktree)?.owned_by(self.invocation.owner.clone()))
    }

    /// The worktree, as the registry is to know it. A start that was killed may have claimed a slot for its
    /// path and lost the directory: then the claim is continued with the new directory.
    pub(super) fn directory_in(&self, registry: &Registry) -> Result<Directory> {
        let directory = noted(registry, &self.directory()?);
        let is_new = self.request.purpose == Purpose::NewWorktree;
        let begun = is_new.then(|| begun_at(registry, &lost(&directory.path))).flatten();
        Ok(Directory { mark: begun.or(directory.mark), ..directory })
    }

    /// Where the claim writes its env file. The claim of an owner writes none: there may be several.
    fn holder(&self) -> HolderDir {
        let (worktree, is_own) = (&self.request.worktree, self.invocation.owner.is_none());
        if is_own { HolderDir::open(worktree) } else { HolderDir::apart(worktree) }
    }

    /// Checks that a new claim can write its env file.
    pub(super) fn check(&self, holder: &HolderDir, root: &Root) -> Result<()> {
        if self.invocation.owner.is_none() { holder.check(root.path()) } else { Ok(()) }
    }

    /// Looks at the slots that decide the request, and renders what comes with the one that it would get.
    pub(super) fn prepare(
        &self,
        seen: &Snapshot,
        directory: &Directory,
        own: Option<&Ticket>,
        looked: &mut Looked,
    ) -> Result<Prepared> {
        let Snapshot { registry, root, .. } = seen;
        let holder = self.holder();
        let grant = loop {
            match self.judge(seen.waiters_ahead(own)?, registry, directory, looked)? {
                Verdict::Granted(grant) => break grant,
                Verdict::Denied(denied, _) => return Ok(Prepared::Denied(denied)),
                Verdict::LookAt(slot) => {
                    let entry = registry.slots.get(&slot).context("the slot is not in the registry")?;
                    self.look_at(slot, entry, Place::of(root), looked)?;
                }
            }
        };
        let slot = grant.slot();
        let entry = registry.slots.get(&slot).context("the slot is not in the registry")?;
        if let Grant::New(_) = grant {
            self.check(&holder, root)?;
            // Only now: what is kept for another must not go for a request that is not served.
            if let Some(cleaning) = self.cleaning(Place::of(root), slot, entry)? {
                return Ok(Prepared::ToClean(slot, cleaning));
            }
        }
        let texts = self.texts(seen, slot, entry)?;
        Ok(Prepared::Ready(Box::new(Ready { slot, provisioned: entry.provisioned.clone(), texts, holder })))
    }

    /// Looks at a free slot.
    pub(super) fn look_at(
        &self,
        slot: SlotId,
        entry: &Entry,
        place: Place<'_>,
        looked: &mut Looked,
    ) -> Result<()> {
        let unfit = self.unfit(place, slot, entry)?;
        let mut profiles = self.pool.declared.iter().flat_map(|declared| &declared.spec.profiles);
        let profile = profiles.find(|profile| profile.name == entry.provisioned.profile);
        let unfit = unfit.or_else(|| no_memory(profile.and_then(|profile| profile.memory)));
        looked.note(slot, entry, unfit);
        Ok(())
    }

    /// What is wrong with a free slot but for its memory.
    pub(super) fn unfit(&self, place: Place<'_>, slot: SlotId, entry: &Entry) -> Result<Option<Unfit>> {
        let unfit = unfit(place.root, slot, entry, &self.claim_files())?;
        Ok(match self.sign(place, slot, entry)? {
            None => unfit,
            // What is on its ports is its own stack.
            Some(sign) if sign.is_by(&self.directory()?) => {
                unfit.filter(|it| !matches!(it, Unfit::Busy { .. }))
            }
            Some(sign) => std::iter::once(Unfit::in_use(&sign, slot)).chain(unfit).min(),
        })
    }

    /// The sign of a claim that is not known to stand or to have ended.
    fn sign(&self, place: Place<'_>, slot: SlotId, entry: &Entry) -> Result<Option<Sign>> {
        let Some(sign) = Sign::unknown_to(place.root, slot, entry)? else { return Ok(None) };
        let has_ended = sign.id().map_or(Ok(false), |id| place.has_ended(id, &self.pool.ledger()))?;
        Ok((!has_ended).then_some(sign))
    }

    /// How a free slot must be cleaned before this worktree gets it. `None` if it gets it as it is. Data that
    /// is kept for another worktree goes only once nothing runs any more, and the ports are seen to be free.
    /// A slot that shows a claim of this worktree has its stack and its data. An older registry may say
    /// otherwise.
    ///
    /// # Errors
    /// When the slot's directory cannot be read.
    pub(super) fn cleaning(&self, place: Place<'_>, slot: SlotId, entry: &Entry) -> Result<Option<Cleaning>> {
        let cleaning = match entry.condition() {
            Condition::Held | Condition::Clean | Condition::Quarantined(_) => return Ok(None),
            Condition::KeepsData(left) if self.is_own(left) => return Ok(None),
            Condition::KeepsData(_) => Cleaning::Everything,
            Condition::Dirty(_) => Cleaning::KeepData,
        };
        let is_own = match self.sign(place, slot, entry)? {
            Some(sign) => sign.is_by(&self.directory()?),
            None => false,
        };
        Ok((!is_own).then_some(cleaning))
    }

    /// Whether a stack that was left was this worktree's.
    fn is_own(&self, left: &Left) -> bool {
        self.invocation.owner.is_none() && is_of(left, &self.request.worktree)
    }

    /// The free slot that keeps this worktree's data, or that it used under a claim which is forgotten.
    fn kept(&self, registry: &Registry) -> Option<SlotId> {
        let keeps = |entry: &Entry| match entry.condition() {
            Condition::KeepsData(left) | Condition::Dirty(Some(left)) => {
                left.remains != Remains::Everything && self.is_own(left)
            }
            Condition::Held | Condition::Clean | Condition::Dirty(None) | Condition::Quarantined(_) => false,
        };
        let kept = registry.slots.iter().find(|(_, entry)| keeps(entry)).map(|(slot, _)| *slot);
        let is_free = |slot: &SlotId| registry.slots.get(slot).is_some_and(|entry| entry.claim.is_none());
        let shown = || slot_shown_to(&self.directory().ok()?, &self.pool.root);
        kept.or_else(|| self.shown_slot.get_or_init(shown).filter(is_free))
    }

    /// How the pool looks to the holder of a ticket. Takes no lock.
    ///
    /// # Errors
    /// When the pool cannot be read.
    pub fn outlook(&self, ticket: &Ticket, seen: &Snapshot) -> Result<Outlook> {
        let registry = &seen.registry;
        let directory = &self.directory_in(registry)?;
        if held_by(registry, directory).is_some() {
            return Ok(Outlook::Served);
        }
        if !may_come(registry, &self.request.wanted, &self.profiles) {
            return Ok(Outlook::Hopeless);
        }
        // Whether a slot is fit for use is looked at when the waiter asks.
        let is_out = |entry: &Entry| matches!(entry.condition(), Condition::Quarantined(_)) || pauses(entry);
        let fitness = |slot| match registry.slots.get(&slot) {
            Some(entry) if is_out(entry) => Fitness::Unfit,
            Some(_) | None => Fitness::Fit,
        };
        let wanted = &self.request.wanted;
        let mut left = FreeSlots::new(registry, &self.profiles, fitness);
        // Where no slot is free, no request counts, and the queue is not read.
        if left.first(wanted, None) == Ok(None) {
            return Ok(Outlook::Full);
        }
        let waiters = seen.waiters_ahead(Some(ticket))?;
        let waiters =
            waiters.map(|waiter| waiter.map(|waiter| (Wanted::parse(&waiter.wanted), waiter.number)));
        let ahead = match Ahead::of((wanted, None), waiters, &mut left) {
            Ok(ahead) => ahead,
            Err(Stop::Failed(error)) => return Err(error),
            // Asking looks at it.
            Err(Stop::LookAt(_)) => return Ok(Outlook::Served),
        };
        Ok(match (ahead.next, left.first(wanted, None)) {
            (_, Ok(Some(_)) | Err(_)) => Outlook::Served,
            (Some(next), Ok(None)) => Outlook::Behind(next),
            (None, Ok(None)) => Outlook::Full,
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

    /// Decides the request on a registry, as far as the free slots were looked at.
    pub(super) fn judge(
        &self,
        waiters: impl Iterator<Item = Result<Waiter>>,
        registry: &Registry,
        directory: &Directory,
        looked: &Looked,
    ) -> Result<Verdict> {
        let (wanted, profiles) = (&self.request.wanted, &self.profiles);
        let entry = |slot| registry.slots.get(&slot);
        let mut waiters = waiters.peekable();
        let is_queued = self.request.waits || waiters.peek().is_some();
        let fitness = |slot| match entry(slot) {
            Some(entry) if is_queued && pauses(entry) => Fitness::Unfit,
            Some(entry) => looked.fitness(slot, entry, wanted),
            None => Fitness::Unfit,
        };
        let holds = held_by(registry, directory).is_some();
        let kept = if holds { None } else { self.kept(registry) };
        let waiters = waiters.map(|waiter| waiter.map(|waiter| (Wanted::parse(&waiter.wanted), waiter)));
        // The queue is nothing to a worktree that has its slot.
        let waiters = waiters.take_while(|_| !holds);
        let mut left = FreeSlots::new(registry, profiles, fitness);
        let ahead = match Ahead::of((wanted, kept), waiters, &mut left) {
            Ok(ahead) => ahead,
            Err(Stop::LookAt(slot)) if !holds => return Ok(Verdict::LookAt(slot)),
            Err(Stop::LookAt(_)) => Ahead { wanted: Vec::new(), next: None },
            Err(Stop::Failed(error)) => return Err(error),
        };
        let application = Application { directory, wanted, profiles, ahead: &ahead.wanted, kept };
        Ok(match would_get(registry, &application, fitness) {
            Ok(grant) => Verdict::Granted(grant),
            Err(NotPicked::Denied(denied)) => Verdict::Denied(denied, ahead.next),
            Err(NotPicked::LookAt(slot)) => Verdict::LookAt(slot),
        })
    }

    /// The files that a claim would write into a slot's directory.
    pub(super) fn claim_files(&self) -> Vec<&RelPath> {
        let declared = self.pool.declared.iter();
        declared.flat_map(|declared| &declared.spec.claim).map(|file| file.path.get_ref()).collect()
    }

    /// The files that the worktree gets with a slot.
    pub(super) fn texts(&self, seen: &Snapshot, slot: SlotId, entry: &Entry) -> Result<Texts> {
        let (Self { request, pool, invocation, .. }, root) = (self, &seen.root);
        let prefix = pool.env_prefix.as_deref().unwrap_or_default();
        let env = env_text(root, slot, entry, &pool.name, prefix)?;
        let files = |declared: &Declared| {
            declared.claim_files(root.path(), (slot, &entry.provisioned), &request.worktree, invocation)
        };
        let slot_files = pool.declared.as_ref().map(files).transpose()?;
        let env = (!request.purpose.is_in_advance()).then(|| env_file(slot, root.path(), &env));
        Ok(Texts { env, slot: slot_files })
    }

    /// The claim as it would be, held by this directory. Only one that is granted needs a token.
    pub(super) fn new_claim(&self, seen: &Snapshot, directory: &Directory, is_ready: bool) -> Result<Claim> {
        let ClaimRequest { worktree, wanted: _, lease: _, usual_lease: _, note, waits: _, purpose } =
            self.request;
        let no_git_dir = || format!("could not find the git directory of `{worktree}`");
        let entry = host::git::confirmed_git_dir(worktree).with_context(no_git_dir)?;
        let no_mount = || format!("could not find the mount point of `{worktree}`");
        let mount = host::fs::mount_of(worktree).with_context(no_mount)?;
        let mark = if is_ready { ensure_mark(worktree) } else { directory.mark.unwrap_or_default() };
        let bits = host::identity::random_bits().context("could not read a random id from /dev/urandom")?;
        Ok(Claim {
            claimed_by: Holder::Directory(directory.path.clone()),
            claim_owner: directory.owner.clone(),
            is_of_run: *purpose == Purpose::Run || is_within(&seen.registry, directory, self.invocation.run),
            in_run: self.invocation.run,
            // The time and the lease begin with the grant.
            claimed_at: None,
            claim_id: Some(ClaimId::from_random(bits)),
            lease: None,
            note: note.clone(),
            claimed_host: directory.host.clone(),
            claimed_user: Some(self.invocation.user.clone()),
            claimed_gitdir: entry.map(Utf8PathBuf::into_string),
            claimed_mount: Some(mount.to_string()),
            mark,
            files: BTreeMap::new(),
        })
    }
}

/// Whether cleaning a free slot failed just now, so that no waiter tries it again yet.
fn pauses(entry: &Entry) -> bool {
    matches!(entry.condition(), Condition::Dirty(Some(left)) if !left.is_due(host::clock::now()))
}

/// What preparing a request comes to.
pub(super) enum Prepared {
    /// The slot that it would get is ready.
    Ready(Box<Ready>),
    /// The slot that it would get must be cleaned first.
    ToClean(SlotId, Cleaning),
    /// It would get none.
    Denied(Denied),
}

/// What a request comes to.
pub(super) enum Verdict {
    Granted(Grant),
    /// With the waiter whose turn it is.
    Denied(Denied, Option<Waiter>),
    /// This slot must be looked at first.
    LookAt(SlotId),
}

impl Ready {
    /// Whether it is for this slot, as its entry is now.
    pub(super) fn is_for(&self, slot: SlotId, entry: &Entry) -> bool {
        self.slot == slot && self.provisioned == entry.provisioned && entry.pending.is_none()
    }
}
