//! The machine. The only code that opens files, takes locks and asks for the time.

pub mod clock;
pub mod fs;
mod lock;
pub mod root;
pub mod staging;
