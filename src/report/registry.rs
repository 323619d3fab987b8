//! What `registry` prints.

use camino::Utf8Path;
use serde_json::json;

use super::document::{FORMAT_VERSION, document};
use crate::ledger::schema::{PoolOfSchema, Schema, own_version};
use crate::registry::Registry;
use crate::server::ServerUrl;
use crate::shown::{count, printable};

/// What a database has, for people.
pub fn status(url: &ServerUrl, schema: &Schema) -> String {
    let own = own_version();
    let version = match schema.version {
        0 => "no tables of kinfra: an admin makes them with `kinfra registry init`".to_owned(),
        version if version < own => {
            format!("version {version}; an admin brings it to {own} with `kinfra registry migrate`")
        }
        version => format!("version {version}"),
    };
    let pools = schema.pools.iter().map(|PoolOfSchema { name, slots, held }| {
        format!("  pool {}: {}, {held} held\n", printable(name), count(*slots, "slot"))
    });
    format!("{}\n  schema: {version}\n{}", printable(&url.to_string()), pools.collect::<String>())
}

/// The same as JSON.
pub fn status_json(url: &ServerUrl, schema: &Schema) -> String {
    let pools = schema
        .pools
        .iter()
        .map(|PoolOfSchema { name, slots, held }| json!({ "pool": name, "slots": slots, "held": held }));
    document(&json!({
        "format_version": FORMAT_VERSION,
        "url": url,
        "schema": { "version": schema.version, "of_this_kinfra": own_version() },
        "pools": pools.collect::<Vec<_>>(),
    }))
}

/// What a migration did.
pub fn migrated(url: &ServerUrl, made: &[u32]) -> String {
    let url = printable(&url.to_string());
    match made.last() {
        None => format!("The schema in {url} has version {} already\n", own_version()),
        Some(version) => format!("The schema in {url} has version {version} now\n"),
    }
}

/// What a push would do.
pub fn would_push(pool: &str, registry: &Registry, url: &ServerUrl) -> String {
    format!("  The registry of {pool}, {}, would move into {}\n", counts(registry), shown(url))
}

/// What a push did.
pub fn pushed(kept: &Utf8Path, url: &ServerUrl) -> String {
    format!("The registry is in {} now. Its file is kept as {kept}\n", shown(url))
}

/// That a push has nothing to do.
pub fn is_there(url: &ServerUrl) -> String {
    format!("The registry is in {} already\n", shown(url))
}

/// What a pull would do.
pub fn would_pull(pool: &str, registry: &Registry, (file, url): (&Utf8Path, &ServerUrl)) -> String {
    format!("  The registry of {pool}, {}, would move from {} into {file}\n", counts(registry), shown(url))
}

/// The roots of others that a pull leaves behind.
pub fn left_behind(others: &[String]) -> String {
    let line = |root: &String| format!("  {} would be left behind, without slots\n", printable(root));
    others.iter().map(line).collect()
}

/// That a pull has nothing to bring, and that the root is no more of that server.
pub fn nothing_there(pool: &str, url: &ServerUrl) -> String {
    format!(
        "{} has no slots of the pool {pool} on this host. `kinfra apply` makes them in a file\n",
        shown(url)
    )
}

/// What a pull did.
pub fn pulled(file: &Utf8Path) -> String {
    format!("The registry is the file {file} now\n")
}

/// That slots.toml still names a server.
pub fn still_named(origin: &str) -> String {
    format!("note: take `[registry]` out of {origin} before the next `kinfra apply`\n")
}

fn counts(registry: &Registry) -> String {
    let held = registry.slots.values().filter(|entry| entry.claim.is_some()).count();
    format!("{}, {held} of them held", count(registry.slots.len(), "slot"))
}

fn shown(url: &ServerUrl) -> String {
    printable(&url.to_string())
}
