//! The output of reap: which slots it releases, and why.

use super::claim::written;
use super::clean;
use super::slots::ago;
use crate::claims::reap::{Reaped, Remade};
use crate::claims::refusal::held;
use crate::claims::standing::{Reaping, Standing, Uncleaned};
use crate::registry::Claim;
use crate::shown::{count, printable};
use crate::stack::idle::{Idle, IdleStack, Stopped};
use crate::time::Time;

/// What reaping would do, one line per slot.
pub fn plan(reaping: &Reaping, idle: &Idle, now: Time) -> String {
    let Reaping { ends, doubts, cleans } = reaping;
    let mut lines: Vec<_> = ends
        .iter()
        .map(|(slot, (claim, standing))| {
            let why = why(claim, *standing);
            (slot, format!("  - Would release slot {slot}, {}: {why}\n", held(claim)))
        })
        .chain(doubts.iter().map(|(slot, (claim, doubt))| {
            let force = format!("`kinfra release {slot} --force` if it is not in use");
            (slot, format!("  ! Slot {slot} is {}: {doubt} ({force})\n", held(claim)))
        }))
        .chain(
            cleans
                .iter()
                .map(|(slot, why)| (slot, format!("  - Would clean slot {slot}{}\n", uncleaned(why, now)))),
        )
        .chain(idle.stacks.iter().map(|(slot, stack)| {
            let IdleStack { claim, since, .. } = stack;
            let (held, ago) = (held(claim), ago(*since, now));
            (slot, format!("  ~ Would stop the stack of slot {slot}, {held}: last used {ago}\n"))
        }))
        .collect();
    lines.sort();
    let lines: String = lines.into_iter().map(|(_, line)| line).collect();
    let space = if lines.is_empty() { "" } else { "\n" };
    let cleans = if cleans.is_empty() { String::new() } else { format!(", {} to clean", cleans.len()) };
    let stops =
        if idle.stacks.is_empty() { String::new() } else { format!(", {} to stop", idle.stacks.len()) };
    format!("{lines}{space}Reap: {} to release{cleans}{stops}.\n", ends.len())
}

/// What was done.
pub fn done(reaped: &Reaped, idle: &Stopped, now: Time) -> String {
    let Reaped { reaping, left, kept: _, cleaned, not_clean: _, of_another_user, remade } = reaped;
    let slots = reaping.ends.iter();
    let slots = slots.map(|(slot, (claim, _))| format!("Released slot {slot}, which was {}\n", held(claim)));
    let left =
        left.iter().map(|path| format!("Left {}, which was changed since\n", printable(path.as_str())));
    let also = if cleaned.is_empty() { String::new() } else { format!(", {} cleaned", cleaned.len()) };
    let cleaned = cleaned.iter().map(|one| clean::cleaned(one, now));
    let stopped = idle.stopped.iter().map(|(slot, stopped)| {
        let containers = count(*stopped, "container");
        format!("Stopped the stack of slot {slot}: {containers}; `kinfra up` starts it again\n")
    });
    let remade = remade.iter().map(|Remade { path, left }| {
        let path = printable(path.as_str());
        match left {
            None => format!("Removed {path}, which Docker had made anew for a container\n"),
            Some(left) => format!(
                "Left {path}, which Docker had made anew for a container: {}; `sudo rm -r {path}` removes it\n",
                printable(left)
            ),
        }
    });
    let others = of_another_user.iter().map(written);
    let lines: String = left.chain(slots).chain(cleaned).chain(others).chain(remade).chain(stopped).collect();
    let stopped =
        if idle.stopped.is_empty() { String::new() } else { format!(", {} stopped", idle.stopped.len()) };
    format!("{lines}\nReap complete! {} released{also}{stopped}.\n", reaping.ends.len())
}

/// Why a free slot is to be cleaned.
fn uncleaned(why: &Uncleaned, now: Time) -> String {
    match why {
        Uncleaned::Dirty(left) => left.as_ref().map_or_else(String::new, |left| clean::of(left, now)),
        Uncleaned::OfNone(left) => format!("{}: that worktree is gone", clean::of(left, now)),
        Uncleaned::TooOld(left) => format!("{}: its data was kept long enough", clean::of(left, now)),
    }
}

fn why(claim: &Claim, standing: Standing) -> String {
    match claim.lease.filter(|_| standing == Standing::Expired) {
        Some(lease) => format!("its lease of {} ran out {}", lease.length, lease.until.to_the_minute()),
        None => "its directory is gone".to_owned(),
    }
}
