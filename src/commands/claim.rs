//! `kinfra claim`

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;

use anyhow::{Context as _, Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::pool::Declared;
use super::wait::wait;
use super::worktree::{PoolOf, holder, pool_of, this_worktree};
use super::{pool, print, say};
use crate::cli::ClaimArgs;
use crate::fault::{Exit, Fault};
use crate::host;
use crate::host::queue::{self, Ticket};
use crate::host::root::Root;
use crate::invocation::Invocation;
use crate::lease::{self, Application, Denied, Grant, Sizes, Wish};
use crate::observe::{Unfit, registry, unfit};
use crate::registry::{Claim, ClaimFiles, ClaimId, Entry, Lease, Registry, Time};
use crate::report::{self, Paths};
use crate::slot::SlotId;

pub(super) fn run(args: &ClaimArgs, invocation: &Invocation) -> Result<Exit> {
    let owner = owner(args, invocation)?;
    let PoolOf { root, declared, .. } = pool_of(&owner, &args.pool, invocation)?;
    let sizes = sizes(declared, &root, args, invocation)?;
    let wish = match (&args.profile, args.slot) {
        (Some(profile), _) => Wish::AtLeast(profile.clone()),
        (None, Some(slot)) => Wish::Slot(slot),
        (None, None) => Wish::Any,
    };
    let claimant = Claimant { args, invocation, owner, root, sizes, wish };
    let Granted { grant, entry, passed_over } = match args.wait {
        None => claimant.ask(&mut None)?.map_err(|refusal| refusal.error)?,
        Some(patience) => wait(&claimant, patience)?,
    };
    say(&report::claim::passed_over(&passed_over))?;
    print(&if args.json {
        report::claim::json(grant, &entry)
    } else {
        report::claim::text(grant, &entry, Paths { home: invocation.home.as_deref() })
    })?;
    Ok(Exit::Done)
}

/// Who claims, and what.
pub(super) struct Claimant<'a> {
    args: &'a ClaimArgs,
    invocation: &'a Invocation,
    /// The directory that is to hold the slot.
    owner: Utf8PathBuf,
    /// The pool's root.
    root: Utf8PathBuf,
    sizes: Sizes,
    wish: Wish,
}

/// What a claimant got.
pub(super) struct Granted {
    grant: Grant,
    entry: Entry,
    /// What is wrong with slots that were looked at.
    passed_over: BTreeMap<SlotId, Unfit>,
}

/// Why a claimant got nothing.
pub(super) struct Refusal {
    pub(super) error: Error,
    /// Whether that may change when somebody releases a slot.
    pub(super) may_pass: bool,
}

impl Claimant<'_> {
    /// Asks for a slot, once. Whoever is to wait gets a ticket with the first refusal that may pass, before anybody else can
    /// ask.
    pub(super) fn ask(&self, ticket: &mut Option<Ticket>) -> Result<Result<Granted, Refusal>> {
        let root = applied(&self.root)?.ok_or_else(|| no_pool(&self.root))?;
        let locked = root.lock(&pool::lock_policy(&self.args.lock, "kinfra claim"))?;
        let (mut registry, text) = registry(locked.root())?;
        let ahead = ahead_of(ticket.as_ref(), locked.root())?;
        let looked = RefCell::new(BTreeMap::new());
        let trouble = RefCell::new(None);
        let unfit = |slot| {
            let look =
                || registry.slots.get(&slot).map_or(Ok(None), |entry| unfit(locked.root(), slot, entry));
            let mut looked = looked.borrow_mut();
            let unfit = looked
                .entry(slot)
                .or_insert_with(|| look().unwrap_or_else(|error| trouble.replace(Some(error)).and(None)));
            unfit.clone()
        };
        // Whoever names a slot may have edited it.
        let fit = |slot| match unfit(slot) {
            None => true,
            Some(Unfit::Edited(_)) => self.wish == Wish::Slot(slot),
            Some(Unfit::Unfinished | Unfit::Foreign | Unfit::Lacks(_) | Unfit::Busy { .. }) => false,
        };
        let mut claimed = registry.clone();
        let now = host::clock::now();
        let claim = self.new_claim(&registry, now)?;
        let application = Application { claim, wish: &self.wish, sizes: &self.sizes, ahead: &ahead, now };
        let grant = lease::claim(&mut claimed, application, fit);
        if let Some(error) = trouble.take() {
            return Err(error);
        }
        let grant = match grant {
            Ok(grant) => grant,
            Err(Denied::Full) if registry.slots.is_empty() => return Err(no_pool(&self.root).into()),
            Err(denied) => {
                let may_pass = matches!(denied, Denied::Full | Denied::Queued(_) | Denied::Taken(_));
                if may_pass && self.args.wait.is_some() && ticket.is_none() {
                    *ticket = Some(queue::join(&locked, &self.wish.to_string())?);
                }
                let message = report::claim::denied(&denied, &self.owner, &registry, unfit);
                return Ok(Err(Refusal { error: fault(&denied, message).into(), may_pass }));
            }
        };
        if claimed != registry {
            locked.save_registry(text.as_deref(), &claimed.to_text()?)?;
            // What the worktree gets with its slot is written here, after the registry.
        }
        let slot = grant.slot();
        registry = claimed;
        let mut entry = registry.slots.remove(&slot).context("the claimed slot is not in the registry")?;
        // The root may have moved since the entry was written.
        entry.provisioned.infrastructure_path = self.root.join(slot.directory()).into_string();
        let looked = looked.into_inner().into_iter();
        let passed_over = looked.filter_map(|(slot, unfit)| Some((slot, unfit?))).collect();
        Ok(Ok(Granted { grant, entry, passed_over }))
    }

    /// How many wait before a ticket, and whether there may be a slot for its holder now. Takes no lock.
    pub(super) fn look(&self, ticket: Option<&Ticket>) -> Result<(usize, bool)> {
        let Some(root) = Root::open(&self.root)? else { return Ok((0, true)) };
        let ahead = ahead_of(ticket, &root)?;
        let (registry, _) = registry(&root)?;
        let holds_one = lease::held_by(&registry, holder(&registry, &self.owner)).is_some();
        let is_free = lease::choose(&registry, &self.wish, &self.sizes, &ahead, |_| true).is_ok();
        Ok((ahead.len(), holds_one || is_free))
    }

    /// The claim as it would be.
    fn new_claim(&self, registry: &Registry, now: Time) -> Result<Claim> {
        let Self { args, invocation, owner, .. } = self;
        let bits = host::identity::random_bits().context("no random id can be had from /dev/urandom")?;
        Ok(Claim {
            claimed_by: holder(registry, owner).to_owned(),
            claimed_at: Some(now.to_string()),
            claim_id: Some(ClaimId::from_random(bits)),
            lease: args.lease.map(|length| Lease::starting(now, length)),
            note: args.note.clone(),
            claimed_host: Some(host::identity::host_name()),
            claimed_user: Some(invocation.user.clone()),
            claimed_repo: host::git::repo_of(owner).map(Utf8PathBuf::into_string),
            claimed_mount: host::fs::mount_of(owner).map(Utf8Path::to_string),
            files: ClaimFiles::default(),
        })
    }
}

/// What those wish who wait before a ticket, or at all.
fn ahead_of(ticket: Option<&Ticket>, root: &Root) -> Result<Vec<Wish>> {
    Ok(queue::ahead_of(ticket, root)?.iter().map(|wish| Wish::parse(wish)).collect())
}

fn fault(denied: &Denied, message: String) -> Fault {
    match denied {
        Denied::Full | Denied::Queued(_) | Denied::NoSuchSlot(_) | Denied::NoSuchSize(_) => {
            Fault::no_slot(message)
        }
        Denied::Taken(_) | Denied::HoldsAnother(_) | Denied::Unfit(_) => Fault::refused(message),
    }
}

/// The profiles of the pool, as far as its spec is known.
fn sizes(
    declared: Option<Declared>,
    root: &Utf8Path,
    args: &ClaimArgs,
    invocation: &Invocation,
) -> Result<Sizes> {
    let declared = match declared {
        Some(declared) => Some(declared),
        // The worktree holds a slot already, and only whoever asks for a size needs to know them.
        None if args.profile.is_none() => None,
        None => {
            let here = pool::declared(&args.pool, invocation)?;
            Some(here).filter(|here| here.root(&args.pool, invocation).is_ok_and(|path| path == root))
        }
    };
    let profiles = declared.iter().flat_map(|declared| &declared.spec.profiles);
    Ok(Sizes(profiles.map(|profile| profile.name.clone()).collect()))
}

/// The directory that is to hold the slot, by its canonical path.
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
    if host::fs::is_directory(&path) { Ok(path) } else { Err(refuse("it is not a directory").into()) }
}

/// The root of a pool that was applied. In any other directory there is nothing to claim, and nothing is written.
pub(super) fn applied(path: &Utf8Path) -> Result<Option<Root>> {
    let Some(root) = Root::open(path)? else { return Ok(None) };
    Ok(root.registry()?.is_some().then_some(root))
}

pub(super) fn no_pool(root: &Utf8Path) -> Fault {
    Fault::no_slot(format!("there is no pool in `{root}` yet: `kinfra apply` creates it"))
}
