//! The registry of a test's pool where it is on a server, as the text that its file would have.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use kinfra::host::identity::host_name;
use kinfra::host::postgres::Connection;
use kinfra::host::postgres::credentials::Login;
use kinfra::ledger::{Change, Database, Locking};
use kinfra::registry::{OwnPlace, Registry};
use kinfra::server::Given;

/// The registry in a root.
fn database(url: &str, root: &Path) -> Arc<Database> {
    let login = || Login::of(Given::parse(url).expect("a url"), "postgres");
    let connection = Connection::open(&login(), "test").expect("a connection");
    let pools = connection.ask("select name from kinfra.pool").expect("pools");
    let pool = Connection::text(pools.first().expect("a pool"), 0);
    let root = root.canonicalize().expect("a root");
    let root = Utf8PathBuf::from_path_buf(root).expect("text");
    Arc::new(Database::new(login(), "test", &pool, OwnPlace { host: host_name(), root }))
}

/// How many waiters have a ticket in a database.
pub(super) fn tickets(url: &str) -> usize {
    let login = Login::of(Given::parse(url).expect("a url"), "postgres");
    let connection = Connection::open(&login, "test").expect("a connection");
    let rows = connection.ask("select count(*) from kinfra.queue").expect("a count");
    Connection::number(rows.first().expect("a row"), 0)
}

/// Its text.
pub(super) fn read(url: &str, root: &Path) -> String {
    let loaded = database(url, root).read(None).expect("it is read").expect("a registry");
    loaded.registry.to_text().expect("text")
}

/// Replaces it, as a backup of the database that is put back: no claim ended by that.
pub(super) fn write(url: &str, root: &Path, text: &[u8]) {
    let after = Registry::parse(std::str::from_utf8(text).expect("text")).expect("a registry");
    let locking = Locking { may_make: true, patience: Duration::from_mins(1), flag: None, interrupt: None };
    let change = Change::begin(&database(url, root), None, locking).expect("a change");
    let mut change = change.expect("a pool");
    let before = Arc::clone(&change.loaded().registry);
    change.save(&before, &Arc::new(after), None).expect("a save");
    let login = Login::of(Given::parse(url).expect("a url"), "postgres");
    let connection = Connection::open(&login, "test").expect("a connection");
    connection.ask("delete from kinfra.ended").expect("what ended");
}
