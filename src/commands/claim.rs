//! `kinfra claim`

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use camino::Utf8PathBuf;

use super::{print, say};
use crate::claims::environment::FILE;
use crate::claims::files;
use crate::claims::files::{Site, Texts};
use crate::claims::fitness::Fitness;
use crate::claims::held::env_text;
use crate::claims::lease;
use crate::claims::lease::{Application, Denied, Grant, Sizes, Wish};
use crate::claims::queue::Ahead;
use crate::claims::wait::wait;
use crate::cli::ClaimArgs;
use crate::fault::{Exit, Fault};
use crate::host;
use crate::host::invocation::Invocation;
use crate::host::queue::{self, Ticket};
use crate::host::root::{LockedRoot, Root};
use crate::host::signals::Interrupt;
use crate::observe::{self, Unfit, followed, registry};
use crate::registry::{Claim, ClaimId, Entry, Lease, Registry};
use crate::report::{self, Paths};
use crate::slot::SlotId;
use crate::time::Time;
use crate::which::by_worktree::{PoolOf, claims, holder, pool_for, pool_of, this_worktree, worktree_of};
use crate::which::spec_file as pool;
use crate::which::spec_file::Declared;

pub(crate) fn run(args: &ClaimArgs, invocation: &Invocation) -> Result<Exit> {
    let owner = owner(args, invocation)?;
    let find = if args.owner.is_some() { pool_for } else { pool_of };
    let pool = find(&owner, &args.pool, invocation)?;
    let wish = match (&args.profile, args.slot) {
        (Some(profile), _) => Wish::AtLeast(profile.clone()),
        (None, Some(slot)) => Wish::Slot(slot),
        (None, None) => Wish::Any,
    };
    let claimant = Claimant { args, invocation, owner, pool: &pool, wish };
    let Granted { grant, entry, passed_over, backups, left } = match args.wait {
        None => claimant.ask(Asking::Once)?.map_err(|refusal| refusal.error)?,
        Some(patience) => wait(&claimant, patience)?,
    };
    say(&report::claim::passed_over(&passed_over))?;
    say(&report::claim::backups(&backups))?;
    say(&report::claim::left(&left))?;
    print(&if args.json {
        report::claim::json(grant, &entry)
    } else {
        report::claim::text(grant, &entry, Paths { home: invocation.home.as_deref() })
    })?;
    Ok(Exit::Done)
}

/// How somebody asks for a slot.
pub(crate) enum Asking<'a> {
    /// Now or never.
    Once,
    /// When it is his turn.
    InTurn {
        /// His place in the queue, which he gets with the first refusal that may pass, before anybody else can ask.
        ticket: &'a mut Option<Ticket>,
        /// How long he is still going to wait.
        left: Duration,
        /// What ends that early.
        interrupt: &'a Interrupt,
    },
}

/// How it looks for somebody who waits.
pub(crate) enum Outlook {
    /// There may be a slot for him now.
    Served,
    /// There is none, or it is for those before him: it is the turn of the one with this ticket.
    Behind(u64),
    /// No slot that would do is free.
    Full,
}

/// Who claims, and what.
pub(crate) struct Claimant<'a> {
    args: &'a ClaimArgs,
    invocation: &'a Invocation,
    /// The directory that is to hold the slot.
    owner: Utf8PathBuf,
    pool: &'a PoolOf,
    wish: Wish,
}

/// What a claimant got.
pub(crate) struct Granted {
    grant: Grant,
    entry: Entry,
    /// What is wrong with slots that were looked at.
    passed_over: BTreeMap<SlotId, Unfit>,
    /// Where the copies are of what stood in the place of the claim's files.
    backups: Vec<Utf8PathBuf>,
    /// Files of the claim that somebody changed: they are not of the slot as it is.
    left: Vec<Utf8PathBuf>,
}

/// Why a claimant got nothing.
pub(crate) struct Refusal {
    pub(crate) error: Error,
    /// Whether that may change when somebody releases a slot.
    pub(crate) may_pass: bool,
}

impl Claimant<'_> {
    /// Asks for a slot, once.
    pub(crate) fn ask(&self, asking: Asking<'_>) -> Result<Result<Granted, Refusal>> {
        let mut policy = pool::lock_policy(&self.args.lock, "kinfra claim");
        let ticket = match asking {
            Asking::Once => None,
            Asking::InTurn { ticket, left, interrupt } => {
                policy.patience = policy.patience.max(left);
                policy.interrupt = Some(interrupt);
                Some(ticket)
            }
        };
        let own = ticket.as_deref().and_then(Option::as_ref);
        let root = self.pool.applied()?.ok_or_else(|| self.pool.missing())?;
        let locked = root.lock(&policy)?;
        own.map_or(Ok(()), Ticket::come)?;
        let (found, text) = registry(locked.root())?;
        let registry = followed(found.clone());
        let files = self.pool.declared.iter().flat_map(|declared| &declared.spec.claim);
        let files = files.map(|file| file.path.get_ref()).collect();
        let fitness = Fitness::new(locked.root(), &registry, files);
        let fit = |slot| fitness.is_fit(slot, &self.wish);
        let sizes = &self.sizes();
        let is_free = |wish: &Wish, ahead: &[Wish]| {
            !self.holds(&registry) && lease::choose(&registry, wish, sizes, ahead, fit).is_ok()
        };
        let queue = queue::sweep_ahead_of(own, &locked)?;
        let queue = queue.map(|waiter| waiter.map(|waiter| (Wish::parse(&waiter.wish), waiter)));
        let ahead = Ahead::of(&self.wish, queue, is_free)?;
        let mut claimed = registry.clone();
        let now = host::clock::now();
        let claim = self.new_claim(&registry, now)?;
        let application = Application { claim, wish: &self.wish, sizes, ahead: &ahead.wishes, now };
        let grant = lease::claim(&mut claimed, application, fit);
        fitness.check()?;
        let grant = match grant {
            Ok(grant) => grant,
            Err(Denied::Full) if registry.slots.is_empty() => return Err(self.pool.missing().into()),
            Err(denied) => {
                let may_pass = matches!(denied, Denied::Full | Denied::Queued | Denied::Taken(_));
                let mut turn = None;
                if let (Denied::Queued, Some(next)) = (&denied, ahead.next) {
                    queue::call(&locked, &next)?;
                    turn = Some((queue::length(own, locked.root())?, next.owner));
                }
                if let Some(none @ None) = ticket.filter(|_| may_pass) {
                    // Not to learn it after hours.
                    files::check(locked.root(), &self.owner)?;
                    *none = Some(queue::join(&locked, &self.wish.to_string(), self.owner.as_str())?);
                }
                let unfit = |slot| fitness.unfit(slot);
                let standing =
                    |claim: &Claim| crate::claims::standing::standing(claim, now, observe::worktree(claim));
                let message = report::claim::denied(&denied, &self.owner, &registry, turn, unfit, standing);
                return Ok(Err(Refusal { error: fault(&denied, message).into(), may_pass }));
            }
        };
        let (entry, backups, left) = self.take(&locked, (&found, text.as_deref()), claimed, grant)?;
        Ok(Ok(Granted { grant, entry, passed_over: fitness.passed_over(), backups, left }))
    }

    /// Makes a grant true: saves the registry that has it in the place of the one that was found, and writes the files that
    /// come with the slot. The slot's entry, where the copies are of what stood in the files' places, and which of them stay as
    /// somebody changed them.
    fn take(
        &self,
        locked: &LockedRoot,
        (found, text): (&Registry, Option<&str>),
        mut claimed: Registry,
        grant: Grant,
    ) -> Result<(Entry, Vec<Utf8PathBuf>, Vec<Utf8PathBuf>)> {
        let slot = grant.slot();
        let mut entry =
            claimed.slots.get(&slot).cloned().context("the claimed slot is not in the registry")?;
        let site = Site { root: locked, slot, worktree: &self.owner };
        let texts = self.texts(locked.root(), slot, &entry)?;
        if let Grant::New(_) = grant {
            files::check(locked.root(), &self.owner)?;
        }
        let (mut files, mut backups) = (BTreeMap::new(), Vec::new());
        if let Some(claim) = &mut entry.claim {
            (files, backups) = site.prepare(&claim.files, &texts)?;
            claim.files.clone_from(&files);
        }
        claimed.slots.insert(slot, entry.clone());
        if claimed != *found {
            locked.save_registry(text, &claimed.to_text()?)?;
        }
        let left = site.write(&files, &texts).with_context(|| {
            format!("slot {slot} is claimed, but not all of its files are written: run again")
        })?;
        if let Err(error) = site.exclude_from_git() {
            say(&format!("warning: git will show `{FILE}`: {error:#}\n"))?;
        }
        // The root may have moved since the entry was written.
        entry.provisioned.infrastructure_path = self.pool.root.join(slot.directory()).into_string();
        Ok((entry, backups, left))
    }

    /// How it looks for the holder of a ticket. Takes no lock.
    pub(crate) fn outlook(&self, ticket: &Ticket) -> Result<Outlook> {
        let Some(root) = Root::open(&self.pool.root)? else { return Ok(Outlook::Served) };
        let (registry, _) = claims(&root)?;
        if self.holds(&registry) {
            return Ok(Outlook::Served);
        }
        let sizes = &self.sizes();
        // Whether a slot is fit for use is looked at under the lock.
        let is_free =
            |wish: &Wish, ahead: &[Wish]| lease::choose(&registry, wish, sizes, ahead, |_| true).is_ok();
        let queue = queue::ahead_of(Some(ticket), &root)?;
        let queue = queue.map(|waiter| waiter.map(|waiter| (Wish::parse(&waiter.wish), waiter.number)));
        let ahead = Ahead::of(&self.wish, queue, is_free)?;
        Ok(match ahead.next {
            _ if is_free(&self.wish, &ahead.wishes) => Outlook::Served,
            Some(next) => Outlook::Behind(next),
            None => Outlook::Full,
        })
    }

    /// Whether the owner holds a slot already.
    fn holds(&self, registry: &Registry) -> bool {
        lease::held_by(registry, holder(registry, &self.owner)).is_some()
    }

    /// What the worktree gets with a slot.
    fn texts(&self, root: &Root, slot: SlotId, entry: &Entry) -> Result<Texts> {
        let Self { pool, owner, invocation, .. } = self;
        let prefix = pool.env_prefix.as_deref().unwrap_or_default();
        let env = env_text(root, slot, entry, &pool.name, prefix)?;
        let env = files::env_file(slot, root.path(), &env);
        let files = |declared: &Declared| {
            declared.claim_files(root.path(), (slot, &entry.provisioned), owner, invocation)
        };
        let slot = pool.declared.as_ref().map(files).transpose()?;
        Ok(Texts { env, slot })
    }

    /// The profiles of the pool, as far as its spec is known.
    fn sizes(&self) -> Sizes {
        let profiles = self.pool.declared.iter().flat_map(|declared| &declared.spec.profiles);
        Sizes(profiles.map(|profile| profile.name.clone()).collect())
    }

    /// The claim as it would be.
    fn new_claim(&self, registry: &Registry, now: Time) -> Result<Claim> {
        let Self { args, invocation, owner, .. } = self;
        let unclear = || format!("it cannot be told where `{owner}` belongs");
        let entry = host::git::confirmed_git_dir(owner).with_context(unclear)?;
        let mount = host::fs::mount_of(owner).with_context(unclear)?;
        let bits = host::identity::random_bits().context("no random id can be had from /dev/urandom")?;
        Ok(Claim {
            claimed_by: holder(registry, owner).to_owned(),
            claimed_at: Some(now.to_string()),
            claim_id: Some(ClaimId::from_random(bits)),
            lease: args.lease.map(|length| Lease::starting(now, length)),
            note: args.note.clone(),
            claimed_host: Some(host::identity::host_name()),
            claimed_user: Some(invocation.user.clone()),
            claimed_gitdir: entry.map(Utf8PathBuf::into_string),
            claimed_mount: Some(mount.to_string()),
            files: BTreeMap::new(),
        })
    }
}

fn fault(denied: &Denied, message: String) -> Fault {
    match denied {
        Denied::Full | Denied::Queued | Denied::NoSuchSlot(_) | Denied::NoSuchSize(_) => {
            Fault::no_slot(message)
        }
        Denied::Taken(_) | Denied::HoldsAnother(_) | Denied::Unfit(_) => Fault::refused(message),
    }
}

/// The directory that is to hold the slot, by its canonical path: a worktree, be it named by a directory in it.
fn owner(args: &ClaimArgs, invocation: &Invocation) -> Result<Utf8PathBuf> {
    let Some(named) = &args.owner else { return this_worktree(invocation) };
    let refuse = |why: &str| Fault::usage(format!("`{named}`, from --for, cannot hold a slot: {why}"));
    if named.as_str().is_empty() {
        return Err(refuse("it names no directory").into());
    }
    let path = host::fs::canonical(&invocation.here.join(named)).map_err(|error| {
        let missing = error.kind() == ErrorKind::NotFound;
        if missing { refuse("it does not exist") } else { refuse(&error.to_string()) }
    })?;
    if host::fs::is_directory(&path) {
        worktree_of(&path)
    } else {
        Err(refuse("it is not a directory").into())
    }
}
