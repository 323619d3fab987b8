//! A PostgreSQL server as a client sees it: how it is reached, and what is wrong if it is not.

pub mod credentials;

#[cfg(not(feature = "postgres"))]
mod absent;
#[cfg(feature = "postgres")]
mod connection;
#[cfg(feature = "postgres")]
mod failure;
mod limits;
#[cfg(feature = "postgres")]
mod tls;

#[cfg(not(feature = "postgres"))]
pub use absent::{Connection, Failure, Row};
#[cfg(feature = "postgres")]
pub use connection::{Connection, Row};
#[cfg(feature = "postgres")]
pub use failure::Failure;
pub use limits::{beginning, beginning_to_read};

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
