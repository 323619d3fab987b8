//! Who holds which slot: claiming, waiting, renewing, releasing and reaping.

pub mod environment;
pub mod files;
pub mod fitness;
pub mod held;
pub mod lease;
pub mod queue;
pub mod standing;
pub mod wait;
