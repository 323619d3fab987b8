//! Claiming a slot. Files are examined and rendered before the lock. Under the lock, the request is decided
//! with the registry of that moment. If the request gets a slot that was not prepared, nothing is changed:
//! that slot is prepared, and the request is decided again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use camino::Utf8PathBuf;

use super::bring::{Brought, bring};
use super::claimant::{Claimant, Prepared, Ready, Verdict};
use super::files::{HolderDir, Site};
use super::fitness::{Unfit, not_clean};
use super::held_by::Directory;
use super::lease;
use super::looked::{Looked, Place};
use super::pick::{Denied, Grant, may_come};
use super::refusal::{self, Obstacles, Scene};
use super::release::half_claimed;
use super::signs::Sign;
use super::standing::standing;
use super::whereabouts::{Following, Moves, whereabouts};
use crate::host::lock::LockPolicy;
use crate::host::root::Root;
use crate::host::signals::Interrupt;
use crate::ledger::{Snapshot, Ticket, Transaction};
use crate::observe::port_user::PortUsers;
use crate::observe::whose::Whose;
use crate::registry::{Claim, Engine, Entry, Registry};
use crate::slot::SlotId;
use crate::stack::clean::{Cleaned, Cleaning, clean};

/// A slot that was given.
#[derive(Debug)]
pub struct Claimed {
    /// Which, and how.
    pub grant: Grant,
    /// Its entry, with its directory as it is now.
    pub entry: Entry,
    /// The free slots that were passed over, and why.
    pub passed_over: BTreeMap<SlotId, Unfit>,
    /// The copies of files that were in the place of the claim's files.
    pub backups: Vec<Utf8PathBuf>,
    /// Files of the claim that stay because they were changed. They may not match the slot.
    pub left: Vec<Utf8PathBuf>,
    /// Why git will show the worktree's env file, if it will.
    pub shown_by_git: Option<Error>,
    /// The files that git does not bring. Only in a pool for a project's own Compose files.
    pub brought: Brought,
    /// The slots that were cleaned of other holders' stacks for it.
    pub cleaned: Vec<Cleaned>,
    /// Whether the slot has the volumes of the worktree's last claim.
    pub has_data: bool,
}

/// Why a request got no slot.
#[derive(Debug)]
pub struct Refusal {
    /// The error that says so.
    pub error: Error,
    /// Whether a release may change that.
    pub may_pass: bool,
    /// That Docker cannot be asked what is left in free slots, if that is so.
    pub unasked: Option<String>,
    /// What the request waits for, if it waits.
    pub obstacles: Obstacles,
}

/// A place in the queue, and how long its waiter still waits.
pub struct Turn<'a> {
    /// The ticket. The first refusal that a release may change gives one, before another request can be
    /// decided.
    pub ticket: &'a mut Option<Ticket>,
    /// The rest of its timeout.
    pub left: Duration,
    /// What ends the wait early.
    pub interrupt: &'a Interrupt,
}

/// What is known before the lock is taken.
#[derive(Default)]
struct Preparation {
    looked: Looked,
    /// What is ready for the slot that the request would get; `None` where it would get none.
    ready: Option<Ready>,
    cleaned: Vec<Cleaned>,
    /// The engines that did not answer.
    silent: BTreeMap<Option<Engine>, Unfit>,
}

/// The result of a decision under the lock.
enum Decision {
    Claimed(Box<Claimed>),
    /// The slot that the request gets is not the prepared one, or not as it was looked at.
    NotPrepared,
    Denied(Box<Denial>),
}

/// A request that was denied, and the pool at that moment.
struct Denial {
    denied: Denied,
    registry: Registry,
    /// How many waiters are ahead, and the holder that the next slot is for.
    next: Option<(usize, String)>,
}

impl Claimant<'_> {
    /// Asks for a slot. `seen` is the registry as it was read before. `turn` is the request's place in the
    /// queue, if it waits.
    ///
    /// # Errors
    /// When the request cannot be decided.
    pub fn ask(&self, seen: Snapshot, mut turn: Option<Turn<'_>>) -> Result<Result<Claimed, Refusal>> {
        let policy = match &turn {
            None => self.policy,
            Some(Turn { left, interrupt, .. }) => LockPolicy {
                patience: self.policy.patience.max(*left),
                interrupt: Some(interrupt),
                ..self.policy
            },
        };
        let (mut seen, mut preparation) = (seen, Preparation::default());
        loop {
            let directory = self.directory_in(&seen.registry)?;
            let own = turn.as_ref().and_then(|turn| turn.ticket.as_ref());
            let prepared = self.prepare(&seen, &directory, own, &mut preparation.looked)?;
            if let Prepared::ToClean(slot, cleaning) = prepared {
                own.map_or(Ok(()), Ticket::answer)?;
                let policy = LockPolicy { patience: self.policy.patience, ..policy };
                let clean = || self.clean((slot, cleaning), seen, &mut preparation, &policy);
                seen = if let Some(own) = own { own.during(clean) } else { clean() }?;
                continue;
            }
            preparation.ready = self.make_ready(prepared, &seen, turn.as_ref(), &preparation.looked)?;
            let claim = self.new_claim(&seen, &directory, preparation.ready.is_some())?;
            let decision = self.pool.ledger().transact(&seen, &policy, |transaction| {
                self.decide(transaction, (&directory, claim), &mut preparation, turn.as_mut())
            })?;
            match decision {
                Decision::Claimed(mut claimed) => {
                    let holder = preparation.ready.as_ref().map(|ready| &ready.holder);
                    claimed.shown_by_git = holder.and_then(|holder| holder.exclude_from_git().err());
                    let users = users(&seen.root, &seen.registry);
                    let unfit = preparation.looked.unfit().into_iter();
                    claimed.passed_over =
                        unfit.map(|(slot, unfit)| (slot, unfit.with_user(&users))).collect();
                    claimed.cleaned = preparation.cleaned;
                    claimed.brought = self.bring();
                    return Ok(Ok(*claimed));
                }
                Decision::Denied(denial) => return Ok(Err(self.refuse(&denial, &seen, &preparation.looked))),
                Decision::NotPrepared => seen = self.look_again(&seen)?,
            }
        }
    }

    /// Cleans a slot for the request, and notes how that ended. An engine that did not answer is not asked
    /// again. Returns the registry as it is then.
    fn clean(
        &self,
        (slot, cleaning): (SlotId, Cleaning),
        seen: Snapshot,
        preparation: &mut Preparation,
        policy: &LockPolicy<'_>,
    ) -> Result<Snapshot> {
        let started = seen.registry.slots.get(&slot).and_then(|entry| entry.started.as_ref());
        let engine = started.and_then(|started| started.engine.clone());
        if let (Some(silent), Some(entry)) = (preparation.silent.get(&engine), seen.registry.slots.get(&slot))
        {
            preparation.looked.note(slot, entry, Some(silent.clone()));
            return Ok(seen);
        }
        let outcome = clean(&self.pool.ledger(), slot, cleaning, policy);
        let seen = self.look_again(&seen)?;
        match (outcome, seen.registry.slots.get(&slot)) {
            (Ok(cleaned), _) => cleaned.into_iter().for_each(|one| preparation.note_cleaned(one)),
            (Err(error), Some(entry)) => {
                let unfit = Unfit::of_cleaning(&error, entry);
                if let Unfit::NotAsked(_) = unfit {
                    preparation.silent.insert(engine, unfit.clone());
                }
                preparation.looked.note(slot, entry, Some(unfit));
            }
            (Err(_), None) => {}
        }
        Ok(seen)
    }

    fn look_again(&self, seen: &Snapshot) -> Result<Snapshot> {
        let again = self.pool.ledger().read_since(seen, Following::Of(&self.request.worktree))?;
        Ok(again.ok_or_else(|| self.pool.missing())?)
    }

    /// Brings the files that git does not.
    fn bring(&self) -> Brought {
        let declared = self.pool.declared.as_ref().filter(|_| !self.request.purpose.is_in_advance());
        let compose = declared.and_then(|declared| Some((declared, declared.spec.compose.as_ref()?)));
        let Some((declared, compose)) = compose else { return Brought::default() };
        let below = declared.below_top().unwrap_or_default();
        bring(&self.request.worktree, &below, compose)
    }

    /// What is ready for the slot that the request would get; `None` if it would get none.
    fn make_ready(
        &self,
        prepared: Prepared,
        seen: &Snapshot,
        turn: Option<&Turn<'_>>,
        looked: &Looked,
    ) -> Result<Option<Ready>> {
        let denied = match prepared {
            Prepared::Ready(ready) => return Ok(Some(*ready)),
            Prepared::ToClean(..) => return Ok(None),
            Prepared::Denied(denied) => denied,
        };
        let is_first = turn.is_some_and(|turn| turn.ticket.is_none());
        if is_first && self.may_pass(&denied, &seen.registry, looked) {
            // A waiter must learn now, not after hours, that its file cannot be written.
            self.check(&HolderDir::open(&self.request.worktree), &seen.root)?;
        }
        Ok(None)
    }

    /// Decides the request with the present registry.
    fn decide(
        &self,
        transaction: &mut Transaction,
        (directory, claim): (&Directory, Claim),
        preparation: &mut Preparation,
        turn: Option<&mut Turn<'_>>,
    ) -> Result<Decision> {
        let Preparation { looked, ready, cleaned: _, silent: _ } = preparation;
        let own = turn.as_ref().and_then(|turn| turn.ticket.as_ref());
        own.map_or(Ok(()), |own| transaction.answer(own))?;
        let waiters = transaction.waiters_ahead(own)?;
        let (denied, waiter) = match self.judge(waiters, transaction.registry(), directory, looked)? {
            Verdict::LookAt(_) => return Ok(Decision::NotPrepared),
            Verdict::Granted(grant) => {
                return match ready {
                    Some(ready) if self.is_still_so(transaction, grant, ready, looked)? => {
                        Ok(Decision::Claimed(Box::new(self.take(transaction, claim, grant, ready)?)))
                    }
                    Some(_) | None => Ok(Decision::NotPrepared),
                };
            }
            Verdict::Denied(Denied::Full, _) if transaction.registry().slots.is_empty() => {
                return Err(self.pool.missing().into());
            }
            Verdict::Denied(denied, waiter) => (denied, waiter),
        };
        let mut next = None;
        if let (Denied::Queued, Some(waiter)) = (&denied, waiter) {
            // A waiter that cleans its slot takes its time.
            if !is_one_cleaned(transaction) {
                transaction.call(&waiter)?;
            }
            next = Some((transaction.queue_length(own)?, waiter.owner));
        }
        if let Some(turn) = turn.filter(|turn| turn.ticket.is_none())
            && self.may_pass(&denied, transaction.registry(), looked)
        {
            let (wanted, owner) = (self.request.wanted.to_string(), self.request.worktree.as_str());
            *turn.ticket = Some(transaction.join_queue(&wanted, owner)?);
        }
        Ok(Decision::Denied(Box::new(Denial { denied, registry: transaction.registry().clone(), next })))
    }

    /// Whether the preparation is for this grant, and the slot and the worktree are still fit. The wait for
    /// the lock may have been long.
    fn is_still_so(
        &self,
        transaction: &Transaction,
        grant: Grant,
        ready: &Ready,
        looked: &mut Looked,
    ) -> Result<bool> {
        let slot = grant.slot();
        let entry = transaction.registry().slots.get(&slot).filter(|entry| ready.is_for(slot, entry));
        let (Some(entry), Grant::New(_)) = (entry, grant) else { return Ok(entry.is_some()) };
        let (root, place) = (transaction.locked().root(), Place::under(transaction));
        self.look_at(slot, entry, place, looked)?;
        let worktree = HolderDir::open(&self.request.worktree);
        let is_clean = self.cleaning(place, slot, entry)?.is_none();
        Ok(is_clean
            && looked.accepts(slot, entry, &self.request.wanted)
            && self.check(&worktree, root).is_ok())
    }

    /// Carries out a grant: records the claim and its files, saves, then writes the files.
    fn take(
        &self,
        transaction: &mut Transaction,
        claim: Claim,
        grant: Grant,
        ready: &Ready,
    ) -> Result<Claimed> {
        let (slot, now) = (grant.slot(), transaction.now());
        let length = self.request.lease_of(lease::begins(transaction.registry(), grant, &claim));
        lease::grant(transaction.registry_mut(), grant, claim, length, now);
        let entry =
            transaction.registry().slots.get(&slot).context("the claimed slot is not in the registry")?;
        let before = entry.claim.as_ref().map(|claim| claim.files.clone()).unwrap_or_default();
        let (files, backups) = Site { root: transaction.locked(), slot, holder: &ready.holder }
            .prepare(&before, &ready.texts)?;
        if let Some(claim) = transaction.registry_mut().slot_mut(slot).and_then(|entry| entry.claim.as_mut())
        {
            claim.files.clone_from(&files);
        }
        transaction.save()?;
        let signed = Sign::leave(transaction.locked(), slot, transaction.registry());
        let site = Site { root: transaction.locked(), slot, holder: &ready.holder };
        let left = match signed.and_then(|()| site.write(&files, &ready.texts)) {
            Ok(left) => left,
            Err(error) => return Err(half_claimed(error, transaction, (&self.pool.name, slot), grant)),
        };
        let entry = transaction.registry().slots.get(&slot).context("the slot vanished")?;
        let mut entry = Entry::clone(entry);
        // The root may have moved since the entry was written.
        entry.provisioned.infrastructure_path = self.pool.root.join(slot.directory()).into_string();
        let (passed_over, brought, cleaned) = (BTreeMap::new(), Brought::default(), Vec::new());
        let has_data = matches!(grant, Grant::New(_)) && entry.started.is_some();
        Ok(Claimed {
            grant,
            entry,
            passed_over,
            backups,
            left,
            shown_by_git: None,
            brought,
            cleaned,
            has_data,
        })
    }

    /// Whether a release may change a refusal.
    fn may_pass(&self, denied: &Denied, registry: &Registry, looked: &Looked) -> bool {
        match denied {
            Denied::Full => may_come(registry, &self.request.wanted, &self.profiles),
            Denied::Queued | Denied::Taken(_) => true,
            Denied::Unfit(slot) => {
                let look = registry.slots.get(slot).map(|entry| looked.of(*slot, entry));
                // One that was not looked at has the pause after a failure.
                look.is_some_and(|look| {
                    look.is_none_or(|look| look.unfit.as_ref().is_some_and(Unfit::may_pass))
                })
            }
            Denied::NoSuchSlot(_) | Denied::NoSuchProfile(_) | Denied::HoldsAnother(_) => false,
        }
    }

    /// The refusal in words. Examines other holders' directories, after the lock.
    fn refuse(&self, denial: &Denial, seen: &Snapshot, looked: &Looked) -> Refusal {
        let Denial { denied, registry, next } = denial;
        let now = seen.now();
        let mut registry = registry.clone();
        Moves::find(&registry, Following::EveryHolder).note_in(&mut registry);
        let users = users(&seen.root, &registry);
        let look = |slot| {
            let entry = registry.slots.get(&slot)?;
            let afresh = || self.unfit(Place::of(&seen.root), slot, entry).ok().flatten();
            let unfit = looked.of(slot, entry).map_or_else(afresh, |look| look.unfit.clone());
            unfit.or_else(|| not_clean(&seen.root, slot, entry)).map(|unfit| unfit.with_user(&users))
        };
        let scene = Scene { worktree: &self.request.worktree, registry: &registry, next: next.clone() };
        let unasked = refusal::unasked(&registry, look);
        let obstacles = Obstacles::of(&registry, now, look);
        let fault = refusal::denied(denied, &scene, look, |claim| standing(claim, now, whereabouts(claim)));
        let may_pass = self.may_pass(denied, &registry, looked);
        Refusal { error: fault.into(), may_pass, unasked, obstacles }
    }
}

impl Preparation {
    /// Notes a cleaned slot. What runs in it goes first, and the data that is kept for another next.
    fn note_cleaned(&mut self, cleaned: Cleaned) {
        match self.cleaned.iter_mut().find(|before| before.slot == cleaned.slot) {
            Some(before) => {
                before.removed.gone.extend(cleaned.removed.gone);
                before.removed.others.extend(cleaned.removed.others);
            }
            None => self.cleaned.push(cleaned),
        }
    }
}

/// Who has the ports of a pool's slots, by the engine in use.
fn users<'a>(root: &'a Root, registry: &'a Registry) -> PortUsers<'a> {
    PortUsers::new(None, Some(Whose::new(root.path(), registry, registry.id)))
}

/// Whether a process works on the stack of a free slot.
fn is_one_cleaned(transaction: &Transaction) -> bool {
    let slots = transaction.registry().slots.iter();
    let mut dirty = slots.filter(|(_, entry)| entry.claim.is_none() && entry.started.is_some());
    let root = transaction.locked().root();
    dirty.any(|(slot, _)| root.holder_of_stack(*slot).is_ok_and(|holder| holder.is_some()))
}
