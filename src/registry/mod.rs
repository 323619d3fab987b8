//! The registry: what kinfra owns and who holds it. Its format, importing an old tool's, and repairing a
//! broken one. Pure.

mod applied_from;
mod claim;
mod codec;
mod entry;
mod id;
mod mark;
pub mod migrate;
mod quick;
mod rebase;
pub mod rebuild;
mod rows;
mod stack;

pub use applied_from::AppliedFrom;
pub use claim::{Claim, ClaimId, Holder, Lease};
pub use entry::{Condition, Entry, ImportedFrom, Pending, Provisioned, Registry, Status};
pub use id::RegistryId;
pub use mark::{Mark, Place, Token};
pub use rebase::Overlap;
pub use rows::{OwnPlace, RootRow, SlotRow};
pub use stack::{Elsewhere, Engine, Left, MOST_FAILURES, Remains, Started};
