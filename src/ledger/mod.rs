//! The ledger: where a pool's registry is stored, and the only way to change it.

mod database;
mod save;
pub mod schema;
mod stored;
mod transaction;

pub use database::{Change, Database, Loaded};
pub use stored::{Stored, glance, read};
pub use transaction::{Ledger, Saver, Snapshot, Transaction, followed};
