//! Claiming a slot. What can be looked at or rendered before the lock is; under it, the request is decided on what the
//! registry says then. A decision for a slot that was not prepared changes nothing: it is prepared, and decided again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::files::{HolderDir, Site, Texts, env_file};
use super::fitness::{Unfit, unfit};
use super::held::env_text;
use super::lease::{self, Application, Denied, Grant, ProfileOrder, Wanted};
use super::pace::Outlook;
use super::queue::Ahead;
use super::refusal::{self, Scene};
use super::standing::standing;
use super::whereabouts::{Following, noted_path, whereabouts};
use crate::file::RelPath;
use crate::host;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::queue::{self, Ticket, Waiter};
use crate::host::signals::Interrupt;
use crate::ledger::{Snapshot, Transaction};
use crate::registry::{Claim, ClaimId, Entry, Holder, Lease, Provisioned, Registry};
use crate::slot::SlotId;
use crate::time::{Span, Time};
use crate::which::by_worktree::FoundPool;
use crate::which::spec_file::Declared;

/// A request for a slot.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// The directory that is to hold the slot, by its canonical path.
    pub worktree: Utf8PathBuf,
    /// Which slots satisfy it.
    pub wanted: Wanted,
    /// The lease of the claim; without one it holds until it is released.
    pub lease: Option<Span>,
    /// A note for others.
    pub note: Option<String>,
}

/// A slot that was given.
#[derive(Debug)]
pub struct Claimed {
    /// Which, and how.
    pub grant: Grant,
    /// Its entry, with its directory as it is now.
    pub entry: Entry,
    /// The free slots that were passed over, and why.
    pub passed_over: BTreeMap<SlotId, Unfit>,
    /// Where the copies are of what stood in the place of the claim's files.
    pub backups: Vec<Utf8PathBuf>,
    /// Files of the claim that stay because they were changed: they may not match the slot.
    pub left: Vec<Utf8PathBuf>,
    /// Why git will show the worktree's env file, if it will.
    pub shown_by_git: Option<Error>,
}

/// Why a request got no slot.
#[derive(Debug)]
pub struct Refusal {
    /// The error that says so.
    pub error: Error,
    /// Whether that may change when a slot is released.
    pub may_pass: bool,
}

/// A place in the queue, and how long its waiter still waits.
pub struct Turn<'a> {
    /// The ticket. The first refusal that may pass gives one, before another request can be decided.
    pub ticket: &'a mut Option<Ticket>,
    /// How long the waiter still waits.
    pub left: Duration,
    /// What ends the wait early.
    pub interrupt: &'a Interrupt,
}

/// A worktree that asks a pool for a slot.
pub struct Claimant<'a> {
    request: &'a ClaimRequest,
    pool: &'a FoundPool,
    invocation: &'a Invocation,
    policy: LockPolicy<'a>,
    profiles: ProfileOrder,
}

/// The free slots that were looked at, with what their entries said then and what is wrong with them.
#[derive(Default)]
struct Looked(BTreeMap<SlotId, (Provisioned, Option<Unfit>)>);

/// What was made ready before the lock.
struct Prepared {
    slot: SlotId,
    provisioned: Provisioned,
    texts: Texts,
    holder: HolderDir,
}

/// What a decision under the lock came to.
enum Decision {
    Claimed(Claimed),
    /// The slot that the request gets is not the prepared one.
    NotPrepared,
    Denied {
        denied: Denied,
        registry: Registry,
        next: Option<(usize, String)>,
    },
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

    /// Asks for a slot. `seen` is the pool as it was looked at; `turn` is the request's place in the queue, if it waits.
    ///
    /// # Errors
    /// What keeps the request from being decided.
    pub fn ask(&self, seen: Snapshot, mut turn: Option<Turn<'_>>) -> Result<Result<Claimed, Refusal>> {
        let policy = match &turn {
            None => self.policy,
            Some(Turn { left, interrupt, .. }) => LockPolicy {
                patience: self.policy.patience.max(*left),
                interrupt: Some(interrupt),
                ..self.policy
            },
        };
        let (mut seen, mut looked) = (seen, Looked::default());
        loop {
            let own = turn.as_ref().and_then(|turn| turn.ticket.as_ref());
            let directory = noted_path(&seen.registry, &self.request.worktree);
            let prepared = match self.prepare(&seen, &directory, own, &mut looked)? {
                Ok(prepared) => Some(prepared),
                Err(denied) => {
                    if turn.is_some() && own.is_none() && may_pass(&denied) {
                        // A waiter is not to learn after hours that it cannot have its file.
                        HolderDir::open(&self.request.worktree)?.check(seen.root.path())?;
                    }
                    None
                }
            };
            let claim = self.new_claim(&directory)?;
            let decision = self.pool.ledger().transact(&seen, &policy, |transaction| {
                self.decide(transaction, claim, prepared.as_ref(), &looked, turn.as_mut())
            })?;
            match decision {
                Decision::Claimed(mut claimed) => {
                    let holder = prepared.as_ref().map(|prepared| &prepared.holder);
                    claimed.shown_by_git = holder.and_then(|holder| holder.exclude_from_git().err());
                    claimed.passed_over = looked.unfit();
                    return Ok(Ok(claimed));
                }
                Decision::Denied { denied, registry, next } => {
                    return self.refuse(&denied, &registry, next, &seen, &looked).map(Err);
                }
                Decision::NotPrepared => {
                    let following = Following::Of(&self.request.worktree);
                    let again = self.pool.ledger().read_since(&seen, following)?;
                    seen = again.ok_or_else(|| self.pool.missing())?;
                }
            }
        }
    }

    /// Looks at the slot that the request would get, and renders what comes with it.
    fn prepare(
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

    /// Decides the request on what the registry says now.
    fn decide(
        &self,
        transaction: &mut Transaction,
        claim: Claim,
        prepared: Option<&Prepared>,
        looked: &Looked,
        turn: Option<&mut Turn<'_>>,
    ) -> Result<Decision> {
        let own = turn.as_ref().and_then(|turn| turn.ticket.as_ref());
        own.map_or(Ok(()), Ticket::answer)?;
        let directory = claim.claimed_by.directory().context("a new claim has a directory")?;
        let waiters = queue::sweep_ahead_of(own, transaction.locked())?;
        let ahead = self.ahead(waiters, &transaction.registry, directory, looked)?;
        let granted = self.would_get(&transaction.registry, directory, &ahead.wanted, looked);
        let denied = match granted {
            Ok(grant) => {
                let entry = transaction.registry.slots.get(&grant.slot());
                return match prepared
                    .filter(|prepared| entry.is_some_and(|entry| prepared.is_for(grant.slot(), entry)))
                {
                    Some(prepared) => self.take(transaction, claim, grant, prepared).map(Decision::Claimed),
                    None => Ok(Decision::NotPrepared),
                };
            }
            Err(Denied::Full) if transaction.registry.slots.is_empty() => {
                return Err(self.pool.missing().into());
            }
            Err(denied) => denied,
        };
        let mut next = None;
        if let (Denied::Queued, Some(waiter)) = (&denied, ahead.next) {
            queue::call(transaction.locked(), &waiter)?;
            next = Some((queue::length(own, transaction.locked().root())?, waiter.owner));
        }
        if let Some(turn) = turn.filter(|turn| turn.ticket.is_none() && may_pass(&denied)) {
            let (wanted, owner) = (self.request.wanted.to_string(), self.request.worktree.as_str());
            *turn.ticket = Some(queue::join(transaction.locked(), &wanted, owner)?);
        }
        Ok(Decision::Denied { denied, registry: transaction.registry.clone(), next })
    }

    /// Makes a grant true: notes the claim and its files, saves, then writes the files.
    fn take(
        &self,
        transaction: &mut Transaction,
        claim: Claim,
        grant: Grant,
        prepared: &Prepared,
    ) -> Result<Claimed> {
        let slot = grant.slot();
        lease::grant(&mut transaction.registry, grant, claim, host::clock::now());
        let entry =
            transaction.registry.slots.get(&slot).context("the claimed slot is not in the registry")?;
        let before = entry.claim.as_ref().map(|claim| claim.files.clone()).unwrap_or_default();
        let (files, backups) = Site { root: transaction.locked(), slot, holder: &prepared.holder }
            .prepare(&before, &prepared.texts)?;
        if let Some(claim) = transaction.registry.slots.get_mut(&slot).and_then(|entry| entry.claim.as_mut())
        {
            claim.files.clone_from(&files);
        }
        transaction.save()?;
        let left = Site { root: transaction.locked(), slot, holder: &prepared.holder }
            .write(&files, &prepared.texts)
            .with_context(|| {
                format!("slot {slot} is claimed, but not all of its files are written: run again")
            })?;
        let mut entry = transaction.registry.slots.get(&slot).cloned().context("the slot vanished")?;
        // The root may have moved since the entry was written.
        entry.provisioned.infrastructure_path = self.pool.root.join(slot.directory()).into_string();
        let passed_over = BTreeMap::new();
        Ok(Claimed { grant, entry, passed_over, backups, left, shown_by_git: None })
    }

    /// The refusal in words. Other holders' directories are looked at here, after the lock.
    fn refuse(
        &self,
        denied: &Denied,
        registry: &Registry,
        next: Option<(usize, String)>,
        seen: &Snapshot,
        looked: &Looked,
    ) -> Result<Refusal> {
        let now = host::clock::now();
        let look = |slot| match registry.slots.get(&slot) {
            Some(entry) if looked.knows(slot, entry) => looked.of(slot),
            Some(entry) => unfit(&seen.root, slot, entry, &self.claim_files()).ok().flatten(),
            None => None,
        };
        let scene = Scene { worktree: &self.request.worktree, registry, next };
        let fault = refusal::denied(denied, &scene, look, |claim| standing(claim, now, whereabouts(claim)));
        Ok(Refusal { error: fault.into(), may_pass: may_pass(denied) })
    }

    /// How the pool looks to the holder of a ticket. Takes no lock.
    ///
    /// # Errors
    /// What keeps the pool from being looked at.
    pub fn outlook(&self, ticket: &Ticket, seen: &Snapshot) -> Result<Outlook> {
        let registry = &seen.registry;
        if lease::held_by(registry, &noted_path(registry, &self.request.worktree)).is_some() {
            return Ok(Outlook::Served);
        }
        // Whether a slot is fit for use is looked at when the waiter asks.
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

    fn would_get(
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

    fn is_free(&self, registry: &Registry, wanted: &Wanted, ahead: &[Wanted], looked: &Looked) -> bool {
        let is_fit = |slot| looked.accepts(slot, registry, &self.request.wanted);
        lease::choose(registry, wanted, &self.profiles, ahead, is_fit).is_ok()
    }

    fn ahead(
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
    fn claim_files(&self) -> Vec<&RelPath> {
        let declared = self.pool.declared.iter();
        declared.flat_map(|declared| &declared.spec.claim).map(|file| file.path.get_ref()).collect()
    }

    /// What the worktree gets with a slot.
    fn texts(&self, seen: &Snapshot, slot: SlotId, entry: &Entry) -> Result<Texts> {
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
    fn new_claim(&self, directory: &Utf8Path) -> Result<Claim> {
        let ClaimRequest { worktree, wanted: _, lease, note } = self.request;
        let now: Time = host::clock::now();
        let unclear = || format!("it cannot be seen where `{worktree}` belongs");
        let entry = host::git::confirmed_git_dir(worktree).with_context(unclear)?;
        let mount = host::fs::mount_of(worktree).with_context(unclear)?;
        let bits = host::identity::random_bits().context("no random id can be had from /dev/urandom")?;
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

/// Whether a refusal may change when a slot is released.
fn may_pass(denied: &Denied) -> bool {
    matches!(denied, Denied::Full | Denied::Queued | Denied::Taken(_))
}

impl Looked {
    /// Whether a slot was looked at, with the entry that it has.
    fn knows(&self, slot: SlotId, entry: &Entry) -> bool {
        let known = self.0.get(&slot);
        known.is_some_and(|(provisioned, unfit)| {
            *provisioned == entry.provisioned
                && (entry.pending.is_some() == (*unfit == Some(Unfit::Unfinished)))
        })
    }

    /// What is wrong with a slot that was looked at.
    fn of(&self, slot: SlotId) -> Option<Unfit> {
        self.0.get(&slot).and_then(|(_, unfit)| unfit.clone())
    }

    /// Whether a request takes a slot. One that was not looked at may be fit.
    fn accepts(&self, slot: SlotId, registry: &Registry, wanted: &Wanted) -> bool {
        let known = registry.slots.get(&slot).is_some_and(|entry| self.knows(slot, entry));
        let unfit = self.of(slot).filter(|_| known);
        unfit.is_none_or(|unfit| unfit.is_accepted_by(slot, wanted))
    }

    fn unfit(self) -> BTreeMap<SlotId, Unfit> {
        self.0.into_iter().filter_map(|(slot, (_, unfit))| Some((slot, unfit?))).collect()
    }
}

impl Prepared {
    fn is_for(&self, slot: SlotId, entry: &Entry) -> bool {
        self.slot == slot && self.provisioned == entry.provisioned
    }
}
