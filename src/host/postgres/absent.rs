//! A kinfra that was built without PostgreSQL.

use std::convert::Infallible;

use anyhow::Result;

use super::credentials::Login;
use crate::fault::Fault;

/// A connection, which this kinfra cannot make.
#[derive(Debug)]
pub struct Connection(Infallible);

/// A failure, which it cannot have.
#[derive(Debug)]
pub struct Failure(Infallible);

impl Connection {
    /// Says so.
    ///
    /// # Errors
    /// Always.
    pub fn open(login: &Login, _verb: &str) -> Result<Self> {
        let what =
            format!("the registry is in `{}`, and this kinfra was built without PostgreSQL", login.url);
        let advice = "install a kinfra with it: `cargo build` has its feature `postgres` by default";
        Err(Fault::server(what).advise(advice).into())
    }

    /// Runs nothing.
    ///
    /// # Errors
    /// Never: there is no connection.
    pub fn run(&self, _statements: &str) -> Result<Vec<Infallible>, Failure> {
        match self.0 {}
    }

    /// Asks nothing.
    ///
    /// # Errors
    /// Never: there is no connection.
    pub fn ask(&self, _statements: &str) -> Result<Vec<Infallible>, Fault> {
        match self.0 {}
    }

    /// A column of no row.
    pub fn text(row: &Infallible, _column: usize) -> String {
        match *row {}
    }

    /// A column of no row.
    pub fn number<T>(row: &Infallible, _column: usize) -> T {
        match *row {}
    }
}
