//! What the verbs of a worktree begin with: which directory it is, and the pool that it has a slot in.

use anyhow::{Context as _, Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::claims::lease;
use crate::cli::PoolArgs;
use crate::fault::Fault;
use crate::host;
use crate::host::index::Index;
use crate::host::invocation::Invocation;
use crate::host::root::Root;
use crate::observe::{followed, registry};
use crate::registry::{ClaimId, Registry};
use crate::which::index::Entry;
use crate::which::spec_file::{self as pool, Declared};

/// A pool as the verbs of a worktree know it.
#[derive(Debug)]
pub(crate) struct PoolOf {
    /// Its root.
    pub(crate) root: Utf8PathBuf,
    /// Its name.
    pub(crate) name: String,
    /// What the names of its slots' variables start with. An index that an older kinfra wrote does not say.
    pub(crate) env_prefix: Option<String>,
    /// What declares it, as far as that is known. Where the index knew the pool that is the spec that it was applied from, if
    /// it is still to be had: what is checked out need not have it.
    pub(crate) declared: Option<Declared>,
    /// How the output names the spec.
    pub(crate) origin: String,
}

/// The pool of a worktree: the one that it holds a slot in, whatever is checked out; else the one that the spec here
/// declares. A spec or a root that was named beats the index of pools.
///
/// # Errors
/// What keeps the spec from being read, or its root from being one.
pub(crate) fn pool_of(owner: &Utf8Path, args: &PoolArgs, invocation: &Invocation) -> Result<PoolOf> {
    let noted = Noted::with_holder(owner, args, invocation);
    noted.or_declared(|| pool::declared(args, invocation), args, invocation)
}

/// [`pool_of`] a worktree that was named: the spec there comes before the one here.
pub(crate) fn pool_for(owner: &Utf8Path, args: &PoolArgs, invocation: &Invocation) -> Result<PoolOf> {
    let declared = || {
        let there = Invocation { here: owner.to_owned(), ..invocation.clone() };
        let is_there = pool::named_spec(args).is_none() && pool::has_spec(args, &there)?;
        pool::declared(args, if is_there { &there } else { invocation })
    };
    Noted::with_holder(owner, args, invocation).or_declared(declared, args, invocation)
}

/// The pool that has the claim with this id, else that of `owner`.
pub(crate) fn pool_with(
    id: Option<ClaimId>,
    owner: &Utf8Path,
    args: &PoolArgs,
    invocation: &Invocation,
) -> Result<PoolOf> {
    let Some(id) = id else { return pool_of(owner, args, invocation) };
    let has = |registry: &Registry| lease::with_id(registry, id).is_some();
    let Noted { found, unreadable } = Noted::search(args, invocation, has);
    if let Some(found) = found {
        return Ok(found);
    }
    let pool = pool_of(owner, args, invocation)?;
    match unreadable {
        // It may be there.
        Some(error)
            if !pool.applied()?.is_some_and(|root| claims(&root).is_ok_and(|(found, _)| has(&found))) =>
        {
            Err(error.context(format!("the claim {id} is in no pool that can be read")))
        }
        _ => Ok(pool),
    }
}

/// The pool that is shown here, and put in order: the one that the spec here declares. Where there is none, the one in which
/// this worktree holds a slot comes before the embedded one.
///
/// # Errors
/// What keeps the spec from being read, or its root from being one.
pub(crate) fn pool_here(args: &PoolArgs, invocation: &Invocation) -> Result<PoolOf> {
    let declared = pool::declared(args, invocation)?;
    if declared.path.is_some() {
        return PoolOf::declared(declared, args, invocation);
    }
    Noted::with_holder(&this_worktree(invocation)?, args, invocation).or_declared(
        || Ok(declared),
        args,
        invocation,
    )
}

impl PoolOf {
    fn declared(declared: Declared, args: &PoolArgs, invocation: &Invocation) -> Result<Self> {
        let root = declared.root(args, invocation)?;
        let (name, env_prefix) = (declared.spec.name.clone(), Some(declared.spec.env_prefix.clone()));
        let origin = declared.origin.clone();
        Ok(Self { root, name, env_prefix, declared: Some(declared), origin })
    }

    fn of(entry: Entry, invocation: &Invocation) -> Self {
        let root = entry.root().to_owned();
        let Entry { pool: name, env_prefix, origin, .. } = entry;
        let spec = origin.spec.as_deref().map(Utf8Path::new);
        let (declared, origin) = (pool::read_again(spec, invocation).ok(), pool::origin(spec, invocation));
        Self { root, name, env_prefix, declared, origin }
    }

    /// Its root, if the pool was applied. In any other directory there is nothing to claim, and nothing is written.
    pub(crate) fn applied(&self) -> Result<Option<Root>> {
        let Some(root) = Root::open(&self.root)? else { return Ok(None) };
        Ok(root.registry()?.is_some().then_some(root))
    }

    /// That it was not.
    pub(crate) fn missing(&self) -> Fault {
        let Self { root, origin, .. } = self;
        Fault::no_slot(format!("there is no pool of {origin} in `{root}` yet: `kinfra apply` creates it"))
    }
}

/// What the index of pools tells of a claim.
#[derive(Default)]
struct Noted {
    /// The pool that has it.
    found: Option<PoolOf>,
    /// Why another pool cannot be looked at, which may have it.
    unreadable: Option<Error>,
}

impl Noted {
    fn with_holder(owner: &Utf8Path, args: &PoolArgs, invocation: &Invocation) -> Self {
        let holds = |registry: &Registry| lease::held_by(registry, holder(registry, owner)).is_some();
        Self::search(args, invocation, holds)
    }

    /// Searches the registries of all pools. A spec or a root that was named needs no search.
    fn search(args: &PoolArgs, invocation: &Invocation, has: impl Fn(&Registry) -> bool) -> Self {
        let is_named = pool::named_root(args).is_some() || pool::named_spec(args).is_some();
        let index = invocation.state.as_deref().filter(|_| !is_named).map(Index::below);
        let mut noted = Self::default();
        for (name, text) in index.and_then(|index| index.files().ok()).into_iter().flatten() {
            // What is no entry is told by `plan`.
            let Some(entry) = text.ok().and_then(|text| Entry::parse(&name, &text).ok()) else { continue };
            match Root::open(entry.root()).and_then(|root| root.as_ref().map(claims).transpose()) {
                Ok(Some((registry, _))) if has(&registry) => {
                    noted.found = Some(PoolOf::of(entry, invocation));
                    return noted;
                }
                Ok(_) => {}
                Err(error) => noted.unreadable = Some(error),
            }
        }
        noted
    }

    /// The pool that was found, else the one that is declared. The embedded one is declared everywhere, and does not stand in
    /// for a pool that cannot be looked at.
    fn or_declared(
        self,
        declared: impl FnOnce() -> Result<Declared>,
        args: &PoolArgs,
        invocation: &Invocation,
    ) -> Result<PoolOf> {
        if let Some(found) = self.found {
            return Ok(found);
        }
        let declared = declared()?;
        match self.unreadable {
            Some(error) if declared.path.is_none() => Err(error.context(
                "no slots.toml is here, and a pool that may have this worktree's claim cannot be read",
            )),
            _ => PoolOf::declared(declared, args, invocation),
        }
    }
}

/// The registry of a root for those who hold slots, with the text it was read from: worktrees that git has moved hold theirs
/// under their new paths.
///
/// # Errors
/// [`Fault`] when it cannot be trusted.
pub(crate) fn claims(root: &Root) -> Result<(Registry, Option<String>)> {
    let (registry, text) = registry(root)?;
    Ok((followed(registry), text))
}

/// The directory that stands for whoever runs kinfra: the worktree, else the current directory; by its canonical path.
///
/// # Errors
/// When it cannot be resolved.
pub(crate) fn this_worktree(invocation: &Invocation) -> Result<Utf8PathBuf> {
    worktree_of(&invocation.here)
}

/// The worktree that a directory is in, else the directory itself; by its canonical path.
///
/// # Errors
/// When it cannot be resolved.
pub(crate) fn worktree_of(directory: &Utf8Path) -> Result<Utf8PathBuf> {
    let top = host::git::top_of(directory)?.unwrap_or(directory);
    host::fs::canonical(top).with_context(|| format!("`{top}` cannot be resolved"))
}

/// The name by which a directory holds a slot: its own, or the one that an old tool gave it, which may lead through links.
pub(crate) fn holder<'a>(registry: &'a Registry, owner: &'a Utf8Path) -> &'a str {
    let claims = registry.slots.values().filter_map(|entry| entry.claim.as_ref());
    let mut names =
        claims.map(|claim| claim.claimed_by.as_str()).filter(|_| registry.imported_from.is_some());
    let is_owner = |name: &&str| host::fs::canonical(Utf8Path::new(name)).is_ok_and(|path| path == owner);
    names.find(is_owner).unwrap_or(owner.as_str())
}
