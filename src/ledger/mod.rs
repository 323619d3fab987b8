//! The ledger: where a pool's registry is stored, and the only way to change it.

pub mod schema;
mod stored;
mod transaction;

pub use stored::{Stored, glance, read};
pub use transaction::{Ledger, Saver, Snapshot, Transaction, followed};
