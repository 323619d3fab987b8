//! A registry at one moment, as it was read.

use std::sync::Arc;

use super::database::Database;
use super::last_seen::LastSeen;
use super::stored::Stored;
use crate::claims::whereabouts::{Following, Moves};
use crate::fault::Fault;
use crate::host::clock;
use crate::host::root::Root;
use crate::registry::Registry;
use crate::shown::count;
use crate::time::Time;

/// How old a state is that was read because the server does not answer.
#[derive(Debug, Clone)]
pub struct Age {
    /// When it was so.
    pub at: Time,
    /// A sentence, and what to do about the server.
    pub why: Fault,
}

impl Age {
    /// The sentence, for what is shown all the same.
    pub fn warning(&self) -> String {
        format!("warning: {}\n", self.why.what)
    }

    /// That something is not there, where only this state says so.
    pub fn doubts(&self, none: &Fault) -> Fault {
        Fault { what: format!("{}, as far as is known: {}", none.what, self.why.what), ..self.why.clone() }
    }
}

/// The registry at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Its content, with each worktree under the path that git moved it to.
    pub registry: Arc<Registry>,
    /// The root it was read from.
    pub root: Root,
    /// Its content as stored.
    pub(super) stored: Stored,
    pub(super) moves: Moves,
    /// The server that has it, if one does.
    pub(super) database: Option<Arc<Database>>,
    /// When it was so, and why it is not known how it is now.
    old: Option<(Time, Fault)>,
}

impl Snapshot {
    pub(super) fn new(
        root: Root,
        stored: Stored,
        database: Option<Arc<Database>>,
        following: Following<'_>,
    ) -> Self {
        let (registry, moves) = followed(&stored.registry, following);
        Self { registry, root, stored, moves, database, old: None }
    }

    /// The last known state of a registry whose server cannot be asked, and why. `None` if it cannot be read.
    pub(super) fn old(root: Root, (last, why): (&LastSeen, Fault), following: Following<'_>) -> Option<Self> {
        let stored = Stored { registry: last.registry()?, ..Stored::default() };
        Some(Self { old: Some((last.state.at, why)), ..Self::new(root, stored, None, following) })
    }

    /// Whether nothing was saved between this and another look, as far as the text tells.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.stored.registry, &other.stored.registry)
    }

    /// The same registry, with other worktrees followed.
    #[must_use]
    pub fn following(self, following: Following<'_>) -> Self {
        let Self { registry: _, root, stored, moves: _, database, old } = self;
        Self { old, ..Self::new(root, stored, database, following) }
    }

    /// The time by the clock that judges its leases: that of its server, if it has one.
    pub fn now(&self) -> Time {
        self.stored.loaded.as_ref().map_or_else(clock::now, |loaded| loaded.now)
    }

    /// That this is an old state, if it is.
    pub fn age(&self) -> Option<Age> {
        let (at, why) = self.old.as_ref()?;
        let seconds = clock::now().since(*at).as_secs();
        let (number, unit) = match seconds {
            0..60 => (seconds, "second"),
            60..3600 => (seconds / 60, "minute"),
            3600..86_400 => (seconds / 3600, "hour"),
            _ => (seconds / 86_400, "day"),
        };
        let age = count(usize::try_from(number).unwrap_or(usize::MAX), unit);
        let what = format!("{}; this is the pool as it was {age} ago", why.what);
        Some(Age { at: *at, why: Fault { what, ..why.clone() } })
    }
}

/// A registry with each worktree under the path that git moved it to, and these moves.
pub fn followed(stored: &Arc<Registry>, following: Following<'_>) -> (Arc<Registry>, Moves) {
    let moves = Moves::find(stored, following);
    let mut registry = Arc::clone(stored);
    if !moves.is_empty() {
        moves.note_in(Arc::make_mut(&mut registry));
    }
    (registry, moves)
}
