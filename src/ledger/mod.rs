//! The ledger: where a pool's registry is stored, and the only way to change it.

mod change;
mod database;
mod history;
mod last_seen;
mod moving;
mod other_hosts;
mod queue;
mod recorder;
mod save;
pub mod schema;
mod shared_uses;
mod snapshot;
mod stack_turns;
mod stored;
mod transaction;
mod writer;

pub use change::Change;
pub use database::{Database, Loaded, Locking};
pub use moving::MadeHere;
pub use other_hosts::OtherHosts;
pub use queue::Ticket;
pub use recorder::change_of_repair;
pub use shared_uses::SharedUses;
pub use snapshot::{Age, Snapshot, followed};
pub use stored::{Stored, glance, read};
pub use transaction::Ledger;
pub use writer::{Saver, Transaction};
