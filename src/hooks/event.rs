//! What a tool says of an event, in JSON on stdin.

use std::collections::BTreeMap;
use std::fmt;

use camino::Utf8PathBuf;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

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
    /// A tool has made a worktree.
    Setup,
    /// A tool is about to remove a worktree.
    Archive,
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

/// What a tool says of an event. It says more than kinfra needs. A field in another form counts as not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Where the agent is.
    pub cwd: Option<Utf8PathBuf>,
    /// The name of a worktree that is to be made. Releases of Claude Code differ in what they call it.
    pub name: Option<String>,
    /// The path of a worktree that is to go.
    pub worktree_path: Option<Utf8PathBuf>,
    /// Why a session ends.
    pub reason: Option<String>,
    /// The session.
    pub session: Option<Session>,
}

/// A session of an agent, by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session(String);

impl Session {
    /// How the note of a claim begins that a session made.
    const NOTE: &str = "agent session ";

    /// The note of a claim in which several sessions work: none of them gives it back.
    pub const SEVERAL: &str = "several agent sessions";

    /// The most that an id may be, in bytes.
    const LONGEST: usize = 100;

    fn new(id: String) -> Option<Self> {
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        (is_plain && (1..=Self::LONGEST).contains(&id.len())).then_some(Self(id))
    }

    /// The note of a claim that it made.
    pub fn note(&self) -> String {
        format!("{}{}", Self::NOTE, self.0)
    }

    /// Whether this is the note of a claim that another session made.
    pub fn is_other(note: &str, own: Option<&Self>) -> bool {
        note.starts_with(Self::NOTE) && own.is_none_or(|own| own.note() != note)
    }
}

/// The fields of an event that kinfra reads. Of a field that is there twice, the last counts.
const FIELDS: [&str; 6] = ["cwd", "name", "worktree_name", "worktree_path", "reason", "session_id"];

/// The text of each of these fields, if that is a text.
struct Fields(BTreeMap<&'static str, Option<String>>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if let Some(field) = FIELDS.into_iter().find(|field| *field == key) {
                        fields.insert(field, map.next_value::<Value>()?.as_str().map(str::to_owned));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(Object)
    }
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
        let fields = serde_json::from_str(text);
        let Fields(mut fields) =
            fields.map_err(|error| Fault::usage(format!("stdin has no JSON of an event: {error}")))?;
        let mut of = |field: &str| fields.remove(field).flatten();
        Ok(Self {
            cwd: of("cwd").map(Utf8PathBuf::from),
            name: of("name").or_else(|| of("worktree_name")),
            worktree_path: of("worktree_path").map(Utf8PathBuf::from),
            reason: of("reason"),
            session: of("session_id").and_then(Session::new),
        })
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
        let said = of(r#"{"cwd": 1, "reason": {"a": [2]}, "worktree_name": "b", "name": {}}"#).unwrap();
        assert_eq!(said, Said { name: Some("b".to_owned()), ..Said::default() });
        let said = of(r#"{"name": "a", "worktree_name": "b", "name": "c", "session_id": ""}"#).unwrap();
        assert_eq!(said, Said { name: Some("c".to_owned()), ..Said::default() });
        let said = of(r#"{"session_id": "a-1"}"#).unwrap().session.unwrap();
        assert!(!Session::is_other(&said.note(), Some(&said)) && Session::is_other(&said.note(), None));
        assert!(!Session::is_other(Session::SEVERAL, None) && !Session::is_other("a note", Some(&said)));
        assert_eq!(of(r#"{"session_id": "a\nb"}"#).unwrap().session, None);
        let deep = format!(r#"{{"x": {}{}, "y": "\ud800", "name": "d"}}"#, "[".repeat(500), "]".repeat(500));
        assert_eq!(of(&deep).unwrap().name.as_deref(), Some("d"));
        for text in ["[]", "1", "{", &"[".repeat(1000)] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
