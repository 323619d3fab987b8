//! What a claim is for.

/// What a claim is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Work in the directory.
    Work,
    /// A worktree that git has yet to make of the empty directory: nothing is written into it.
    Worktree,
    /// The same, where nothing was at the path just before.
    NewWorktree,
    /// A command, and no longer than that runs.
    Run,
}

impl Purpose {
    /// Whether git has yet to make the worktree.
    pub fn is_in_advance(self) -> bool {
        matches!(self, Self::Worktree | Self::NewWorktree)
    }
}
