//! Who holds which slot: claiming, waiting, renewing, releasing and reaping.
//!
//! Pure: `pick`, `lease`, `turn`, `standing`, `pace`. The other files look at the machine, or change the
//! ledger in one transaction each.

pub mod bring;
pub mod claim;
pub mod claimant;
pub mod clean_slots;
pub mod environment;
pub mod files;
pub mod fitness;
pub mod held;
pub mod held_by;
pub mod keeper;
pub mod lease;
pub mod listing;
mod looked;
pub mod other_run;
pub mod pace;
pub mod pick;
pub mod purpose;
pub mod reap;
pub mod refusal;
pub mod release;
pub mod renew;
pub mod signs;
pub mod standing;
pub mod turn;
pub mod wait;
pub mod whereabouts;
