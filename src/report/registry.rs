//! What `registry` prints.

use serde_json::json;

use super::document::{FORMAT_VERSION, document};
use crate::ledger::schema::{PoolOfSchema, Schema, own_version};
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
