//! How long things may take on a server.

use std::time::Duration;

/// The longest that a statement may take.
pub(super) const STATEMENT: Duration = Duration::from_secs(20);

/// The beginning of a transaction. Those who wait for a row see what the one before them saved, whatever
/// level of isolation the database has by itself.
pub fn beginning() -> String {
    format!("begin transaction isolation level read committed; {}", limits())
}

/// The beginning of a transaction that only reads: its rows are of one moment.
pub fn beginning_to_read() -> String {
    format!("begin transaction isolation level repeatable read read only; {}", limits())
}

/// The limits of a transaction, to be set at its beginning: a setting of the session would be another
/// client's behind PgBouncer. A client that was suspended must not keep others waiting.
fn limits() -> String {
    let limit = STATEMENT.as_millis();
    format!("set local statement_timeout = {limit}; set local idle_in_transaction_session_timeout = {limit}")
}
