//! What is proven before anything starts.

pub mod isolation;
pub mod ports;
pub mod subnets;
