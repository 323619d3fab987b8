//! What a tool says of an event, in JSON on stdin.

use camino::Utf8PathBuf;
use serde::Deserialize;

use crate::fault::Fault;
use crate::host::hook_input::Input;

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// git has checked out a worktree.
    PostCheckout,
    /// A worktree is to be made.
    WorktreeCreate,
    /// A worktree is to go.
    WorktreeRemove,
    /// An agent begins to work in a directory.
    SessionStart,
    /// An agent ends.
    SessionEnd,
}

impl Event {
    /// Whether the tool waits for what comes of it. Any other event is told as a courtesy, and fails nothing.
    pub fn must_succeed(self) -> bool {
        self == Self::WorktreeCreate
    }
}

/// Whether git's words for its post-checkout hook may be those of a new worktree: HEAD was nowhere before,
/// and is on a commit now. So they are in a clone, too.
pub fn makes_worktree(words: &[String]) -> bool {
    let is_null = |commit: &String| !commit.is_empty() && commit.bytes().all(|digit| digit == b'0');
    matches!(words, [before, after, ..] if is_null(before) && !is_null(after))
}

/// What a tool says of an event. It says more than kinfra needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Said {
    /// Where the agent is.
    pub cwd: Option<Utf8PathBuf>,
    /// The name of a worktree that is to be made. Releases of Claude Code differ in what they call it.
    #[serde(alias = "worktree_name")]
    pub name: Option<String>,
    /// The path of a worktree that is to go.
    pub worktree_path: Option<Utf8PathBuf>,
    /// Why a session ends.
    pub reason: Option<String>,
}

impl Said {
    /// Whether a session goes on under another name.
    pub fn goes_on(&self) -> bool {
        matches!(self.reason.as_deref(), Some("clear" | "resume"))
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Fault`] when what was said is not to be understood.
    pub fn of(input: &Input) -> Result<Self, Fault> {
        let text = match input {
            Input::Nothing => return Ok(Self::default()),
            Input::Value(text) => text,
            Input::TooLong(most) => {
                return Err(Fault::usage(format!("stdin has more than {} MiB", most >> 20)));
            }
            Input::Broken => return Err(Fault::usage("stdin has no whole JSON value")),
        };
        if !text.trim_start().starts_with('{') {
            return Err(Fault::usage("stdin has no JSON object"));
        }
        let said = serde_json::from_str(text);
        said.map_err(|error| Fault::usage(format!("stdin has no JSON of an event: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_passed_over() {
        let of = |text: &str| Said::of(&Input::Value(text.to_owned()));
        let said = of(r#"{"session_id": 1, "worktree_name": "a", "cwd": "/x", "more": {"cwd": 2}}"#).unwrap();
        assert_eq!((said.name.as_deref(), said.cwd), (Some("a"), Some("/x".into())));
        assert_eq!(Said::of(&Input::Nothing), Ok(Said::default()));
        for text in ["[]", "1", r#"{"cwd": 1}"#, r#"{"name": {}}"#, &"[".repeat(1000)] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
