//! `kinfra claim`

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;

use anyhow::{Context as _, Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::held::env_text;
use super::pool::Declared;
use super::wait::wait;
use super::worktree::{PoolOf, holder, pool_of, this_worktree};
use super::{pool, print, say};
use crate::cli::ClaimArgs;
use crate::environment::FILE;
use crate::fault::{Exit, Fault};
use crate::host;
use crate::host::queue::{self, Ticket};
use crate::host::root::Root;
use crate::invocation::Invocation;
use crate::lease::{self, Application, Denied, Grant, Sizes, Wish};
use crate::observe::{Unfit, registry, unfit};
use crate::registry::{Claim, ClaimId, Entry, Lease, Registry, Time};
use crate::report::{self, Paths};
use crate::slot::SlotId;
use crate::worktree::{self, Site, Texts};

pub(super) fn run(args: &ClaimArgs, invocation: &Invocation) -> Result<Exit> {
    let owner = owner(args, invocation)?;
    let pool = pool_of(&owner, &args.pool, invocation)?;
    // Where the index knew the pool, the spec that it was applied from, if that is still to be had.
    let again = pool.origin.as_ref().and_then(|origin| {
        let spec = origin.spec.as_deref().map(Utf8Path::new);
        pool::read_again(spec, invocation).ok()
    });
    let declared = pool.declared.as_ref().or(again.as_ref());
    let wish = match (&args.profile, args.slot) {
        (Some(profile), _) => Wish::AtLeast(profile.clone()),
        (None, Some(slot)) => Wish::Slot(slot),
        (None, None) => Wish::Any,
    };
    let claimant = Claimant { args, invocation, owner, pool: &pool, declared, wish };
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
    pool: &'a PoolOf,
    /// What declares the pool, as far as that is known.
    declared: Option<&'a Declared>,
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
        let root = applied(&self.pool.root)?.ok_or_else(|| no_pool(&self.pool.root))?;
        let locked = root.lock(&pool::lock_policy(&self.args.lock, "kinfra claim"))?;
        let (registry, text) = registry(locked.root())?;
        // Where nothing is free it does not matter who waits.
        let mut ahead = Vec::new();
        if registry.slots.values().any(|entry| entry.claim.is_none()) {
            queue::sweep(ticket.as_ref(), &locked)?;
            let wishes = queue::ahead_of(ticket.as_ref(), locked.root())?;
            ahead = wishes.map(|wish| Ok(Wish::parse(&wish?))).collect::<Result<_>>()?;
        }
        let looked = RefCell::new(BTreeMap::new());
        let trouble = RefCell::new(None);
        let unfit = |slot| {
            let look = || self.unfit(locked.root(), slot, registry.slots.get(&slot));
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
            Some(
                Unfit::Unfinished
                | Unfit::Foreign
                | Unfit::Lacks(_)
                | Unfit::Busy { .. }
                | Unfit::Obstructed(_),
            ) => false,
        };
        let mut claimed = registry.clone();
        let now = host::clock::now();
        let claim = self.new_claim(&registry, now)?;
        let sizes = &self.sizes();
        let application = Application { claim, wish: &self.wish, sizes, ahead: &ahead, now };
        let grant = lease::claim(&mut claimed, application, fit);
        if let Some(error) = trouble.take() {
            return Err(error);
        }
        let grant = match grant {
            Ok(grant) => grant,
            Err(Denied::Full) if registry.slots.is_empty() => return Err(no_pool(&self.pool.root).into()),
            Err(denied) => {
                let may_pass = matches!(denied, Denied::Full | Denied::Queued(_) | Denied::Taken(_));
                if may_pass && self.args.wait.is_some() && ticket.is_none() {
                    *ticket = Some(queue::join(&locked, &self.wish.to_string())?);
                }
                let message = report::claim::denied(&denied, &self.owner, &registry, unfit);
                return Ok(Err(Refusal { error: fault(&denied, message).into(), may_pass }));
            }
        };
        let slot = grant.slot();
        let entry = claimed.slots.get_mut(&slot).context("the claimed slot is not in the registry")?;
        let site = Site { root: &locked, slot, worktree: &self.owner };
        let texts = self.texts(locked.root(), slot, entry)?;
        if let Grant::New(_) = grant {
            site.check()?;
        }
        let mut files = BTreeMap::new();
        if let Some(claim) = &mut entry.claim {
            files = site.prepare(&claim.files, &texts)?;
            claim.files.clone_from(&files);
        }
        if claimed != registry {
            locked.save_registry(text.as_deref(), &claimed.to_text()?)?;
        }
        site.write(&files, &texts).with_context(|| {
            format!("slot {slot} is claimed, but not all of its files are written: run again")
        })?;
        if let Err(error) = site.exclude_from_git() {
            say(&format!("warning: git will show `{FILE}`: {error:#}\n"))?;
        }
        let mut entry = claimed.slots.remove(&slot).context("the claimed slot is not in the registry")?;
        // The root may have moved since the entry was written.
        entry.provisioned.infrastructure_path = self.pool.root.join(slot.directory()).into_string();
        let looked = looked.into_inner().into_iter();
        let passed_over = looked.filter_map(|(slot, unfit)| Some((slot, unfit?))).collect();
        Ok(Ok(Granted { grant, entry, passed_over }))
    }

    /// Whether there may be a slot for the holder of a ticket now. Takes no lock.
    pub(super) fn may_be_served(&self, ticket: &Ticket) -> Result<bool> {
        let Some(root) = Root::open(&self.pool.root)? else { return Ok(true) };
        let (registry, _) = registry(&root)?;
        let is_free =
            |ahead: &[Wish]| lease::choose(&registry, &self.wish, &self.sizes(), ahead, |_| true).is_ok();
        // Mostly nothing is, and the queue need not be asked.
        let is_held = lease::held_by(&registry, holder(&registry, &self.owner)).is_some();
        if is_held || !is_free(&[]) {
            return Ok(is_held);
        }
        let mut ahead = Vec::new();
        for wish in queue::ahead_of(Some(ticket), &root)? {
            ahead.push(Wish::parse(&wish?));
            if !is_free(&ahead) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What keeps a slot from being used, if anything does.
    fn unfit(&self, root: &Root, slot: SlotId, entry: Option<&Entry>) -> Result<Option<Unfit>> {
        let Some(entry) = entry else { return Ok(None) };
        if let Some(unfit) = unfit(root, slot, entry)? {
            return Ok(Some(unfit));
        }
        let files = self.declared.iter().flat_map(|declared| &declared.spec.claim);
        let path = worktree::obstructed(root, slot, files.map(|file| file.path.get_ref()))?;
        Ok(path.map(Unfit::Obstructed))
    }

    /// What the worktree gets with a slot.
    fn texts(&self, root: &Root, slot: SlotId, entry: &Entry) -> Result<Texts> {
        let Self { pool, declared, owner, invocation, .. } = self;
        let prefix = pool.env_prefix.as_deref().unwrap_or_default();
        let env = env_text(root, slot, entry, &pool.name, prefix)?;
        let env = worktree::env_file(slot, root.path(), &env);
        let files = |declared: &Declared| {
            declared.claim_files(root.path(), (slot, &entry.provisioned), owner, invocation)
        };
        let slot = declared.map(files).transpose()?;
        Ok(Texts { env, slot })
    }

    /// The profiles of the pool, as far as its spec is known.
    fn sizes(&self) -> Sizes {
        let profiles = self.declared.iter().flat_map(|declared| &declared.spec.profiles);
        Sizes(profiles.map(|profile| profile.name.clone()).collect())
    }

    /// The claim as it would be.
    fn new_claim(&self, registry: &Registry, now: Time) -> Result<Claim> {
        let Self { args, invocation, owner, .. } = self;
        let unclear = || format!("it cannot be told where `{owner}` belongs");
        let entry = host::git::entry_of(owner).with_context(unclear)?;
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
        Denied::Full | Denied::Queued(_) | Denied::NoSuchSlot(_) | Denied::NoSuchSize(_) => {
            Fault::no_slot(message)
        }
        Denied::Taken(_) | Denied::HoldsAnother(_) | Denied::Unfit(_) => Fault::refused(message),
    }
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
