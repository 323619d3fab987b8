//! What is proven before anything starts.

pub mod ports;
