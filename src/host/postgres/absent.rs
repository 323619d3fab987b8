//! A kinfra that was built without PostgreSQL: there is no connection, and so no row and no failure.

use anyhow::Result;

use super::credentials::Login;
use crate::fault::Fault;

/// A connection.
#[derive(Debug)]
pub enum Connection {}

/// A row.
#[derive(Debug)]
pub enum Row {}

/// A failure.
#[derive(Debug)]
pub enum Failure {}

impl Connection {
    /// Says that there is none.
    ///
    /// # Errors
    /// Always.
    pub fn open(login: &Login, _verb: &str) -> Result<Self> {
        let what =
            format!("the registry is in `{}`, and this kinfra was built without PostgreSQL", login.url);
        let advice = "install a kinfra with it: `cargo build` has its feature `postgres` by default";
        Err(Fault::server(what).advise(advice).into())
    }

    /// Says that there is none.
    ///
    /// # Errors
    /// Always.
    pub fn open_again(login: &Login, verb: &str) -> Result<Self> {
        Self::open(login, verb)
    }

    /// Runs statements.
    pub fn run(&self, _statements: &str) -> Result<Vec<Row>, Failure> {
        match *self {}
    }

    /// Runs statements.
    pub fn ask(&self, _statements: &str) -> Result<Vec<Row>, Fault> {
        match *self {}
    }

    /// That the server crashed.
    pub fn lost_unless(&self, _is_there: bool) -> Result<(), Failure> {
        match *self {}
    }

    /// Who is logged in.
    pub fn login(&self) -> &Login {
        match *self {}
    }

    /// A column.
    pub fn text(row: &Row, _column: usize) -> String {
        match *row {}
    }

    /// A column that is a number.
    pub fn number<T>(row: &Row, _column: usize) -> T {
        match *row {}
    }
}

impl Failure {
    /// What the server says.
    pub fn said(&self) -> String {
        match *self {}
    }

    /// Whether another client holds the lock for too long.
    pub fn is_locked(&self) -> bool {
        match *self {}
    }

    /// Whether the connection is gone.
    pub fn is_lost(&self) -> bool {
        match *self {}
    }

    /// Whether it can be tried again.
    pub fn was_taken_back(&self) -> bool {
        match *self {}
    }

    /// The error.
    pub fn fault(&self, _login: &Login) -> Fault {
        match *self {}
    }
}
