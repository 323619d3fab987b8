//! Tips for the verbs and flags of other tools, and for what is typed almost right.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::time::Span;

/// The verbs of Compose and other tools that kinfra has under other names, or leaves to Compose.
const VERBS: [(&str, &str); 9] = [
    ("ps", "`kinfra status` says what runs, `kinfra compose ps` lists the containers"),
    ("ls", "`kinfra slots` lists the slots"),
    ("list", "`kinfra slots` lists the slots"),
    ("stop", "`kinfra down` stops it and keeps its data, `kinfra compose stop` keeps its containers, too"),
    ("restart", "`kinfra up` starts what changed, `kinfra compose restart` restarts containers"),
    ("psql", "`kinfra shell SERVICE -- psql` runs it in a service"),
    ("rm", "`kinfra down` removes the containers, `kinfra down --volumes` the data, too"),
    ("create", "`kinfra apply` creates the slots of slots.toml"),
    ("provision", "`kinfra apply` creates the slots of slots.toml"),
];

/// The flags of other tools, and how kinfra spells them.
const FLAGS: [(&str, &str); 4] = [
    ("--yes", "did you mean `--auto-approve`?"),
    ("-y", "did you mean `--auto-approve`?"),
    ("--detach", "`kinfra up` always leaves the stack running"),
    ("-d", "`kinfra up` always leaves the stack running"),
];

/// The error of a command line, with a tip where it has the verb or the flag of another tool, or a duration
/// without its `=`.
#[must_use]
pub fn with_tip(mut error: clap::Error) -> clap::Error {
    let (kind, known) = if error.kind() == ErrorKind::InvalidSubcommand {
        (ContextKind::InvalidSubcommand, VERBS.as_slice())
    } else if error.kind() == ErrorKind::UnknownArgument {
        (ContextKind::InvalidArg, FLAGS.as_slice())
    } else {
        return error;
    };
    let Some(ContextValue::String(typed)) = error.get(kind) else { return error };
    let tip = known.iter().find(|(other, _)| other == typed).map(|(_, tip)| (*tip).to_owned());
    if let Some(tip) = tip.or_else(|| duration(typed)) {
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
    }
    error
}

/// What to write for a duration that stands alone: only `--wait` goes without one, so it needs `=`.
fn duration(typed: &str) -> Option<String> {
    Span::parse(typed).ok().map(|span| format!("write `--wait={span}`"))
}
