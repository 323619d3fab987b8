//! How a program ended that kinfra ran.

/// A program that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub how: How,
    /// Its last lines, if they were kept.
    pub last_lines: Vec<String>,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// With exit code 0.
    Well,
    /// Otherwise: `exit code 3`, or a signal.
    Badly(String),
    /// It took too long, and was ended.
    NotInTime,
    /// The user asked kinfra to stop.
    Interrupted,
}
