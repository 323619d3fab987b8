//! Where the registry of a pool is: in a file of its root, or on the server that it was applied with.

use anyhow::Result;
use camino::Utf8Path;

use super::index::IndexEntry;
use super::repository::entry_of;
use crate::desired::Pool;
use crate::fault::Fault;
use crate::host::fs::exists;
use crate::host::identity::host_of_pools;
use crate::host::index::Index;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::postgres::credentials::{Login, named};
use crate::host::root::{PULLED, PUSHED, REGISTRY, last_seen};
use crate::ledger::Ledger;
use crate::server::{Given, ServerUrl};

/// What to do where slots.toml names a server that has another registry.
const TO_MOVE: &str =
    "take the change of slots.toml back, or move it: `kinfra registry pull`, then `kinfra registry push`";

/// Where the registry of a pool in the index is.
///
/// # Errors
/// [`Fault`] when the environment names a server that is none.
pub(super) fn ledger_of(entry: &IndexEntry, invocation: &Invocation) -> Result<Ledger, Fault> {
    check_host(entry)?;
    match &entry.registry {
        Some(url) => server_of(url, (entry.root(), &entry.pool), invocation),
        None => Ok(Ledger::of(entry.root())),
    }
}

/// Where the registry of the pool in a root is, as it was applied.
pub(super) fn ledger_in(root: &Utf8Path, invocation: &Invocation) -> Result<Ledger, Fault> {
    let entry = entry_of(root, invocation);
    entry.map_or_else(|| Ok(Ledger::of(root)), |entry| ledger_of(&entry, invocation))
}

/// Where `apply` brings a pool, of which the index has `noted`. This is how a user comes to trust the server
/// that a slots.toml names.
///
/// # Errors
/// [`Fault`] when the pool has its registry elsewhere: nothing moves it there yet.
pub fn to_apply(pool: &Pool, noted: Option<&IndexEntry>, invocation: &Invocation) -> Result<Ledger> {
    let applied = applied(noted)?;
    let Some(url) = &pool.registry else {
        refuse_move(pool, applied.as_ref())?;
        return Ok(Ledger::of(&pool.root));
    };
    let ledger = server_of(url, (&pool.root, &pool.name), invocation)?;
    let Some(replaced) = applied.as_ref().filter(|applied| !applied.is_same_database(url)) else {
        refuse_move(pool, applied.as_ref())?;
        return Ok(ledger);
    };
    refuse_move(pool, Some(url))?;
    if !ledger.has_what_was_seen()? {
        let what = format!(
            "the pool's registry is in `{replaced}`, and slots.toml names `{url}`, which does not have it"
        );
        return Err(Fault::refused(what).advise(TO_MOVE).into());
    }
    Ok(ledger)
}

/// The server that a pool was applied with, if its slots.toml names another url by now: another name of the
/// same server, or another one.
///
/// # Errors
/// [`Fault`] when the pool was applied on another host.
pub fn replaced(pool: &Pool, noted: Option<&IndexEntry>) -> Result<Option<ServerUrl>, Fault> {
    let Some(url) = &pool.registry else { return Ok(None) };
    Ok(applied(noted)?.filter(|applied| !url.is_same_database(applied)))
}

/// [`to_apply`] for a verb that is no trust. `None` where the server was not applied: it is not asked.
///
/// # Errors
/// As [`to_apply`].
pub fn to_plan(
    pool: &Pool,
    noted: Option<&IndexEntry>,
    invocation: &Invocation,
) -> Result<Option<Ledger>, Fault> {
    let applied = applied(noted)?;
    refuse_move(pool, applied.as_ref())?;
    match (&pool.registry, applied) {
        (None, _) => Ok(Some(Ledger::of(&pool.root))),
        (Some(_), Some(url)) => server_of(&url, (&pool.root, &pool.name), invocation).map(Some),
        (Some(url), None) if named()?.is_some() => {
            server_of(url, (&pool.root, &pool.name), invocation).map(Some)
        }
        (Some(_), None) => Ok(None),
    }
}

/// The server that a pool was applied with.
fn applied(noted: Option<&IndexEntry>) -> Result<Option<ServerUrl>, Fault> {
    let Some(noted) = noted else { return Ok(None) };
    check_host(noted)?;
    Ok(noted.registry.clone())
}

/// Refuses a pool that was applied under another name of this host: to its server, that is another host.
fn check_host(entry: &IndexEntry) -> Result<(), Fault> {
    let (Some(applied), Some(_)) = (&entry.host, &entry.registry) else { return Ok(()) };
    let now = host_of_pools();
    if *applied == now {
        return Ok(());
    }
    let (root, applied) = (entry.root.escape_debug(), applied.escape_debug());
    let what = format!(
        "the pool in `{root}` was applied on the host `{applied}`, and this is `{}`",
        now.escape_debug()
    );
    let advice = format!(
        "if it is the same machine, set `KINFRA_HOST={applied}`; else apply it here with a `--root` of its own"
    );
    Err(Fault::refused(what).unchanged().advise(advice))
}

/// Refuses a pool whose registry is not where its slots.toml says: another one would hide who holds what.
fn refuse_move(pool: &Pool, applied: Option<&ServerUrl>) -> Result<(), Fault> {
    let root = &pool.root;
    let has = |name: &str| exists(&root.join(name)).unwrap_or(true);
    let is_aside = applied.is_none() && has(PUSHED) && !has(REGISTRY);
    let is_on_server = applied.is_some() || pool.registry.is_some();
    let (what, advice) = match (&pool.registry, applied) {
        _ if is_on_server && has(PULLED) => (
            format!("the pool's registry is aside, in `{}`: a move of it was cut short", root.join(PULLED)),
            "`kinfra registry pull` completes it",
        ),
        (Some(url), Some(applied)) if !url.is_same_database(applied) => (
            format!("the pool's registry is in `{applied}`, and slots.toml names `{url}`"),
            "`kinfra apply` takes it, if it is another way to the same registry; else take the change of slots.toml back, or \
             move it: `kinfra registry pull`, then `kinfra registry push`",
        ),
        (Some(url), _) if has(REGISTRY) => (
            format!(
                "the pool's registry is the file `{}`, and slots.toml names `{url}`",
                root.join(REGISTRY)
            ),
            "`kinfra registry push` moves it there",
        ),
        // A verb may have noted that beside a move into a file.
        (None, _) if last_seen(root).is_some() && (applied.is_some() || !has(REGISTRY)) => (
            "the pool's registry is on a server, and slots.toml names none".to_owned(),
            "`kinfra registry pull` moves it into a file, or take the change of slots.toml back",
        ),
        _ if is_aside => (
            format!("the pool's registry is aside, in `{}`: a move of it was cut short", root.join(PUSHED)),
            "`kinfra registry push` completes it",
        ),
        _ => return Ok(()),
    };
    Err(Fault::refused(what).advise(advice))
}

/// Whether the registry of a root is in a database by now: `applied` is where it was applied.
///
/// # Errors
/// [`Fault`] when it is in another one.
pub fn is_moved(root: &Utf8Path, applied: Option<&ServerUrl>, url: &ServerUrl) -> Result<bool> {
    let Some(applied) = applied.filter(|_| !exists(&root.join(REGISTRY)).unwrap_or(true)) else {
        return Ok(false);
    };
    if applied.is_same_database(url) {
        return Ok(true);
    }
    let what = format!("the pool's registry is in `{applied}`, and slots.toml names `{url}`");
    Err(Fault::refused(what).advise("`kinfra registry pull` brings it back first").into())
}

/// Notes on which server the registry of a pool is now, after it moved. `None` is that it is a file.
///
/// # Errors
/// [`Fault`] when the index does not have the pool, or cannot be written.
pub fn note_server(
    root: &Utf8Path,
    registry: Option<ServerUrl>,
    invocation: &Invocation,
    policy: &LockPolicy<'_>,
) -> Result<()> {
    let unknown = || Fault::refused(format!("your index of pools does not have the pool in `{root}`"));
    let index = invocation.state.as_deref().map(Index::below).ok_or_else(unknown)?;
    let _lock = index.lock(policy)?;
    let name = IndexEntry::file_name(root);
    let text = index.text(&name)?.ok_or_else(unknown)?;
    let entry =
        IndexEntry::parse(&name, &text).map_err(|why| index.unreadable(Some(&name), &why.to_string()))?;
    index.save(&name, &entry.with_registry(registry, host_of_pools()).to_text()?, &[])
}

/// The ledger on a server, or on the one that the environment names in its place.
///
/// # Errors
/// [`Fault`] when the environment names one that is none.
pub fn server_of(
    url: &ServerUrl,
    (root, pool): (&Utf8Path, &str),
    invocation: &Invocation,
) -> Result<Ledger, Fault> {
    let given = named()?.unwrap_or_else(|| Given { url: url.clone(), password: None });
    if given.url.database != url.database {
        let what = format!(
            "KINFRA_REGISTRY_URL names the database `{}`, and the registry of `{pool}` is in `{}`",
            given.url.database.escape_debug(),
            url.database.escape_debug()
        );
        return Err(Fault::refused(what).unchanged().advise("unset it, or name that database"));
    }
    let login = Login::of(given, &invocation.user);
    Ok(Ledger::on_server(root, pool, login, &invocation.verb, invocation.only_reads()))
}
