//! Tips for the verbs of other tools.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The verbs of Compose and other tools that kinfra has under other names, or leaves to Compose.
const TIPS: [(&str, &str); 7] = [
    ("ps", "`kinfra status` says what runs, `kinfra compose ps` lists the containers"),
    ("ls", "`kinfra slots` lists the slots"),
    ("start", "`kinfra up` starts the stack of this worktree"),
    ("stop", "`kinfra down` stops it and keeps its data, `kinfra compose stop` keeps its containers, too"),
    ("restart", "`kinfra up` starts what changed, `kinfra compose restart` restarts containers"),
    ("psql", "`kinfra shell SERVICE -- psql` runs it in a service"),
    ("rm", "`kinfra down` removes the containers, `kinfra down --volumes` the data, too"),
];

/// The error of a command line, with a tip where it has the verb of another tool.
#[must_use]
pub fn with_tip(mut error: clap::Error) -> clap::Error {
    let verb = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(verb)) if error.kind() == ErrorKind::InvalidSubcommand => verb.clone(),
        _ => return error,
    };
    if let Some((_, tip)) = TIPS.iter().find(|(other, _)| *other == verb) {
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(*tip)]));
    }
    error
}
