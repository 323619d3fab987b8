//! What the judge believes of an agent, from what the agent did and not from kinfra's code.

use std::collections::BTreeSet;

/// How far the clock may be off, in minutes: the machine's own time passes, too.
const SLACK: u64 = 15;

/// An agent, and the worktree that it works in.
pub(super) struct Agent {
    pub(super) name: &'static str,
    /// How often its worktree was made. One that is made anew is another worktree.
    pub(super) life: u32,
    /// Whether its worktree is there.
    pub(super) is_there: bool,
    pub(super) holds: Option<Hold>,
    /// Its data in slots that it released. There are several if it could not have the one with its data again.
    pub(super) kept: Vec<Kept>,
}

/// A claim.
pub(super) struct Hold {
    pub(super) slot: u16,
    pub(super) lease: Option<Lease>,
    pub(super) data: Data,
    /// Whether its stack was started, and not ended since.
    pub(super) is_up: bool,
    /// The minutes of its last use: the last certain one, and the last possible one.
    pub(super) used: (u64, u64),
}

/// A lease, in minutes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    pub(super) length: u64,
    /// When it runs out: at the earliest, and at the latest.
    until: (u64, u64),
}

/// What is in a volume.
#[derive(Debug, Clone, Default)]
pub(super) struct Data {
    pub(super) lines: BTreeSet<String>,
    /// Whether a command that removes them may have done so.
    pub(super) is_doubtful: bool,
}

/// Data in a slot that its worktree does not hold.
pub(super) struct Kept {
    pub(super) slot: u16,
    pub(super) data: Data,
}

/// How a claim ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The data is kept for the worktree.
    Kept,
    /// The data goes.
    Wiped,
}

impl Agent {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, life: 1, is_there: true, holds: None, kept: Vec::new() }
    }

    /// Who writes its data.
    pub(super) fn writer(&self) -> String {
        format!("{}.{}", self.name, self.life)
    }

    /// A command that renews the claim and uses the stack has run. It may have done nothing if it is not certain.
    pub(super) fn used(&mut self, now: u64, is_certain: bool) {
        let Some(hold) = &mut self.holds else { return };
        hold.used = (if is_certain { now } else { hold.used.0 }, now);
        self.renewed(now, is_certain);
    }

    pub(super) fn renewed(&mut self, now: u64, is_certain: bool) {
        let lease = self.holds.as_mut().and_then(|hold| hold.lease.as_mut());
        lease.into_iter().for_each(|lease| lease.renew(now, is_certain));
    }

    /// Whether a slot that it does not hold has its data.
    pub(super) fn keeps(&self, slot: u16) -> bool {
        self.kept.iter().any(|kept| kept.slot == slot)
    }

    /// Its claim has ended.
    pub(super) fn ends(&mut self, end: End) {
        let Some(Hold { slot, data, .. }) = self.holds.take() else { return };
        self.kept.extend((end == End::Kept && self.is_there).then_some(Kept { slot, data }));
    }
}

impl Lease {
    pub(super) fn new(now: u64, length: u64) -> Self {
        Self { length, until: (now + length, now + length) }
    }

    fn renew(&mut self, now: u64, is_certain: bool) {
        self.until = (if is_certain { now + self.length } else { self.until.0 }, now + self.length);
    }

    pub(super) fn may_be_over(&self, now: u64) -> bool {
        self.until.0 <= now + SLACK
    }

    pub(super) fn is_over(&self, now: u64) -> bool {
        self.until.1 + SLACK <= now
    }
}

impl Data {
    /// Whether there is some for certain.
    pub(super) fn is_certain(&self) -> bool {
        !self.is_doubtful && !self.lines.is_empty()
    }

    /// Compares it with what a volume has. The error says what is wrong.
    pub(super) fn meets(&mut self, found: &BTreeSet<String>) -> Result<(), String> {
        if self.is_doubtful && found.is_empty() {
            self.lines.clear();
        }
        self.is_doubtful = false;
        let lost: Vec<_> = self.lines.difference(found).collect();
        let foreign: Vec<_> = found.difference(&self.lines).collect();
        if lost.is_empty() && foreign.is_empty() {
            return Ok(());
        }
        Err(format!("lost {lost:?}, and sees {foreign:?}, which it did not write or has removed"))
    }
}
