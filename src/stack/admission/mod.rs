//! Admission: what must hold before Compose starts anything for a slot.

pub mod admit;
pub mod neighbours;
pub mod ownership;
pub mod preview;
pub mod uses;

mod clash;
mod subnets;
