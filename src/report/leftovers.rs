//! What stacks left behind: what would be removed, what went, and what stays.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use super::clean::of;
use crate::shown::{printable, word};
use crate::stack::leftovers::{Cleared, Group, Leftovers, Owner, Tie, Tied};
use crate::time::Time;

/// What would be removed, and what stays and why, a line each.
pub fn plan(leftovers: &Leftovers, now: Time) -> String {
    let mut text = String::new();
    for (owner, group) in &leftovers.groups {
        let what = group.labelled();
        let _ = match owner {
            Owner::Held(slot) => {
                writeln!(text, "  {} Slot {slot} is held{}: {}", "=".dimmed(), by(group), group.all())
            }
            Owner::Free(_) => {
                let of = group.left.as_ref().map(|left| of(left, now)).unwrap_or_default();
                writeln!(text, "  {} Would clean {owner}{of}: {what}", "-".red())
            }
            Owner::SlotGone(_) | Owner::PoolGone(..) if what != "nothing" => {
                writeln!(text, "  {} Would remove of {owner}: {what}", "-".red())
            }
            Owner::SlotGone(_) | Owner::PoolGone(..) => Ok(()),
            Owner::Another(root) => {
                let command = format!("kinfra clean --all --root {}", word(root.as_str()));
                writeln!(text, "  {} {}: of {owner}; `{command}` cleans there", "=".dimmed(), group.all())
            }
            Owner::Unknown(..) => writeln!(text, "  {} {}: of {owner}", "!".yellow(), group.all()),
        };
    }
    for (owner, tied) in leftovers.named() {
        let _ = writeln!(text, "  {} Stays: {}", "!".yellow(), untouched(owner, tied));
    }
    if leftovers.is_clean() {
        text.push_str("Nothing is left that no worktree holds.\n");
    }
    text
}

/// What went, and what stays.
pub fn done(cleared: &Cleared) -> String {
    let mut text = String::new();
    for (owner, group) in &cleared.gone.groups {
        let _ = writeln!(text, "Removed of {owner}: {}", group.all());
    }
    for (owner, tied) in &cleared.stays {
        let _ = writeln!(text, "Stays: {} of {owner}", name(tied));
    }
    text
}

/// Why a thing is not touched.
fn untouched(owner: &Owner, tied: &Tied) -> String {
    let why = match tied.tie {
        Tie::ProjectOnly => format!("it has the project name of {owner}, and no label of kinfra"),
        Tie::NamedByAPerson | Tie::Labels => format!("it was made for {owner}, and has another name"),
    };
    format!("{}: {why}", name(tied))
}

fn name(tied: &Tied) -> String {
    format!("{} {}", tied.thing.kind.word(), printable(&tied.thing.name))
}

fn by(group: &Group) -> String {
    let holder = group.holder.as_ref().and_then(|holder| holder.directory()?.file_name());
    holder.map_or_else(String::new, |name| format!(" by {}", printable(name)))
}
