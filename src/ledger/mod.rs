//! The ledger: where a pool's registry is stored, and the only way to change it.

mod history;
mod recorder;
mod stored;
mod transaction;

pub use recorder::change_of_repair;
pub use stored::{Stored, glance, read};
pub use transaction::{Ledger, Saver, Snapshot, Transaction, followed};
