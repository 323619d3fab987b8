//! A kinfra that was built without PostgreSQL.

use anyhow::Result;

use super::credentials::Login;
use crate::fault::Fault;

/// A connection, which this kinfra cannot make.
#[derive(Debug)]
pub enum Connection {}

impl Connection {
    /// Says so.
    ///
    /// # Errors
    /// Always.
    pub fn open(login: &Login, _verb: &str) -> Result<Self> {
        let what =
            format!("the registry is in `{}`, and this kinfra was built without PostgreSQL", login.url);
        Err(Fault::server(what)
            .advise("install a kinfra with it: `cargo build` has the feature `postgres` by default")
            .into())
    }
}
