//! The output of reap: which slots it releases, and why.

use crate::claims::reap::Reaped;
use crate::claims::refusal::held;
use crate::claims::standing::{Reaping, Standing};
use crate::registry::Claim;
use crate::shown::printable;

/// What reaping would do, one line per slot.
pub fn plan(reaping: &Reaping) -> String {
    let Reaping { ends, doubts } = reaping;
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
        .collect();
    lines.sort();
    let lines: String = lines.into_iter().map(|(_, line)| line).collect();
    let space = if lines.is_empty() { "" } else { "\n" };
    format!("{lines}{space}Reap: {} to release.\n", ends.len())
}

/// What was done.
pub fn done(reaped: &Reaped) -> String {
    let Reaped { reaping, left, kept: _ } = reaped;
    let slots = reaping.ends.iter();
    let slots = slots.map(|(slot, (claim, _))| format!("Released slot {slot}, which was {}\n", held(claim)));
    let left =
        left.iter().map(|path| format!("Left {}, which was changed since\n", printable(path.as_str())));
    let lines: String = left.chain(slots).collect();
    format!("{lines}\nReap complete! {} released.\n", reaping.ends.len())
}

fn why(claim: &Claim, standing: Standing) -> String {
    match claim.lease.filter(|_| standing == Standing::Expired) {
        Some(lease) => format!("its lease of {} ran out {}", lease.length, lease.until.to_the_minute()),
        None => "its directory is gone".to_owned(),
    }
}
