//! The tools that kinfra has hooks for.

/// A tool that makes worktrees, or works in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// git
    Git,
    /// Claude Code
    Claude,
}

impl Tool {
    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Claude => "claude",
        }
    }
}
