//! Where the registry of a pool is: in a file of its root, or on the server that it was applied with.

use camino::Utf8Path;

use super::index::IndexEntry;
use super::repository::entries;
use crate::desired::Pool;
use crate::fault::Fault;
use crate::host::fs::exists;
use crate::host::invocation::Invocation;
use crate::host::postgres::credentials::{Login, named};
use crate::host::root::{LAST_SEEN, REGISTRY, last_seen};
use crate::ledger::Ledger;
use crate::server::{Given, ServerUrl};

/// Where the registry of a pool in the index is.
///
/// # Errors
/// [`Fault`] when the environment names a server that is none.
pub(super) fn ledger_of(entry: &IndexEntry, invocation: &Invocation) -> Result<Ledger, Fault> {
    match &entry.registry {
        Some(url) => on_server(url, (entry.root(), &entry.pool), invocation),
        None => Ok(Ledger::of(entry.root())),
    }
}

/// Where the registry of the pool in a root is, as it was applied.
pub(super) fn ledger_in(root: &Utf8Path, invocation: &Invocation) -> Result<Ledger, Fault> {
    let entry = entries(invocation).into_iter().find(|entry| entry.root() == root);
    entry.map_or_else(|| Ok(Ledger::of(root)), |entry| ledger_of(&entry, invocation))
}

/// Where `apply` brings a pool. This is how a user comes to trust the server that a slots.toml names.
///
/// # Errors
/// [`Fault`] when the pool has its registry elsewhere: nothing moves it there yet.
pub fn to_apply(pool: &Pool, invocation: &Invocation) -> Result<Ledger, Fault> {
    refuse_move(pool, applied(pool, invocation).as_ref())?;
    match &pool.registry {
        Some(url) => on_server(url, (&pool.root, &pool.name), invocation),
        None => Ok(Ledger::of(&pool.root)),
    }
}

/// [`to_apply`] for a verb that is no trust. `None` where the server was not applied: it is not asked.
///
/// # Errors
/// As [`to_apply`].
pub fn to_plan(pool: &Pool, invocation: &Invocation) -> Result<Option<Ledger>, Fault> {
    let applied = applied(pool, invocation);
    refuse_move(pool, applied.as_ref())?;
    match (&pool.registry, applied) {
        (None, _) => Ok(Some(Ledger::of(&pool.root))),
        (Some(_), Some(url)) => on_server(&url, (&pool.root, &pool.name), invocation).map(Some),
        (Some(url), None) if named()?.is_some() => {
            on_server(url, (&pool.root, &pool.name), invocation).map(Some)
        }
        (Some(_), None) => Ok(None),
    }
}

/// The server that a pool was applied with.
fn applied(pool: &Pool, invocation: &Invocation) -> Option<ServerUrl> {
    let entry = entries(invocation).into_iter().find(|entry| entry.root() == pool.root);
    entry.and_then(|entry| entry.registry)
}

/// Refuses a pool whose registry is not where its slots.toml says: another one would hide who holds what.
fn refuse_move(pool: &Pool, applied: Option<&ServerUrl>) -> Result<(), Fault> {
    let root = &pool.root;
    let has = |name: &str| exists(&root.join(name)).unwrap_or(true);
    let moved = match (&pool.registry, applied) {
        (Some(url), Some(applied)) if !url.is_same_database(applied) => {
            Some((format!("the pool's registry is in `{applied}`, and slots.toml names `{url}`"), LAST_SEEN))
        }
        (Some(url), _) if has(REGISTRY) => {
            let file = root.join(REGISTRY);
            Some((
                format!("the pool's registry is the file `{file}`, and slots.toml names `{url}`"),
                REGISTRY,
            ))
        }
        (None, _) if last_seen(root).is_some() => {
            Some(("the pool's registry is on a server, and slots.toml names none".to_owned(), LAST_SEEN))
        }
        _ => None,
    };
    let Some((what, file)) = moved else { return Ok(()) };
    Err(Fault::refused(what).advise(format!(
        "this kinfra cannot move a registry: take the change of slots.toml back, or `kinfra destroy` the pool before it, \
         and remove `{}` then",
        root.join(file)
    )))
}

/// The ledger on a server, or on the one that the environment names in its place.
fn on_server(
    url: &ServerUrl,
    (root, pool): (&Utf8Path, &str),
    invocation: &Invocation,
) -> Result<Ledger, Fault> {
    let given = named()?.unwrap_or_else(|| Given { url: url.clone(), password: None });
    let login = Login::of(given, &invocation.user);
    Ok(Ledger::on_server(root, pool, login, &invocation.verb, invocation.only_reads()))
}
