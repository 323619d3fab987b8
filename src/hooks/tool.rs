//! The tools that kinfra has hooks for.

/// A tool that makes worktrees, or works in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// git
    Git,
    /// Claude Code
    Claude,
    /// Cursor
    Cursor,
    /// Codex
    Codex,
    /// Conductor
    Conductor,
    /// worktrunk
    Worktrunk,
    /// direnv
    Direnv,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Git, Self::Claude, Self::Cursor, Self::Codex, Self::Conductor, Self::Worktrunk, Self::Direnv];

    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Claude => "claude",
            Self::Cursor => "cursor",
            Self::Codex => "codex",
            Self::Conductor => "conductor",
            Self::Worktrunk => "worktrunk",
            Self::Direnv => "direnv",
        }
    }
}
