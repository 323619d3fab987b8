//! What two stacks take at once.

use std::fmt;
use std::rc::Rc;

use super::note::Note;
use super::stack::Owner;
use super::thing::HostThing;
use crate::shown::printable;

/// What the proof found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Isolation {
    /// What two stacks take at once, ordered by stack.
    pub conflicts: Vec<Conflict>,
    /// What is the machine's own, and stops nothing.
    pub notes: Vec<Note>,
}

/// Something that two stacks take at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What both take: the smaller of the two where one contains the other.
    pub thing: HostThing,
    /// The stack that was given first.
    pub first: Rc<Party>,
    /// The other.
    pub second: Rc<Party>,
}

/// A stack's part in a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Whose stack it is.
    pub owner: Owner,
    /// The services that take it, in order.
    pub services: Vec<String>,
    /// What they take, which can be larger than what both take.
    pub thing: HostThing,
    /// Where it is in the containers: paths of mounts, `SERVICE:PORT` of ports.
    pub targets: Vec<String>,
    /// Whether it lies in the stack's own worktree.
    pub inside: bool,
}

impl Conflict {
    /// Whether one of the two stacks is this owner's.
    pub fn involves(&self, owner: &Owner) -> bool {
        self.first.owner == *owner || self.second.owner == *owner
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.owner, printable(&self.services.join(", ")))
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} and {} both use it: {}", self.thing, self.first, self.second, self.risk())
    }
}
