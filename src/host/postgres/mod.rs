//! A PostgreSQL server as a client sees it: how it is reached, and what is wrong if it is not.

use std::time::Duration;

pub mod credentials;

#[cfg(not(feature = "postgres"))]
mod absent;
#[cfg(feature = "postgres")]
mod connection;
#[cfg(feature = "postgres")]
mod failure;
#[cfg(feature = "postgres")]
mod tls;

#[cfg(not(feature = "postgres"))]
pub use absent::{Connection, Failure, Row};
#[cfg(feature = "postgres")]
pub use connection::{Connection, Row};
#[cfg(feature = "postgres")]
pub use failure::Failure;

/// The longest that a statement may take on the server.
pub(crate) const STATEMENT: Duration = Duration::from_secs(20);

/// The limits of a transaction, to be set at its beginning: a setting of the session would be another
/// client's behind PgBouncer. A client that was suspended must not keep others waiting.
pub fn beginning() -> String {
    let limit = STATEMENT.as_millis();
    format!("set local statement_timeout = {limit}; set local idle_in_transaction_session_timeout = {limit}")
}

/// A text as a literal of SQL, whatever the server's settings are.
pub fn quoted(text: &str) -> String {
    format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_does_not_end_early() {
        assert_eq!(quoted(r"it's a \ or \'"), r"E'it''s a \\ or \\'''");
    }
}
