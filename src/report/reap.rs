//! What reap says: which slots nobody needs any more, and why.

use super::claim::held;
use crate::claims::standing::{Reaping, Standing};
use crate::registry::Claim;

/// What reaping would do, a line a slot.
pub fn plan(reaping: &Reaping) -> String {
    let Reaping { ends, doubts } = reaping;
    let mut lines: Vec<_> = ends
        .iter()
        .map(|(slot, (claim, standing))| {
            let why = why(claim, *standing);
            (slot, format!("  - Would release slot {slot}, {}: {why}\n", held(claim)))
        })
        .chain(doubts.iter().map(|(slot, (claim, doubt))| {
            let force = format!("`kinfra release {slot} --force` if nobody uses it");
            (slot, format!("  ! Slot {slot} is {}: {doubt} ({force})\n", held(claim)))
        }))
        .collect();
    lines.sort();
    let lines: String = lines.into_iter().map(|(_, line)| line).collect();
    let space = if lines.is_empty() { "" } else { "\n" };
    format!("{lines}{space}Reap: {} to release.\n", ends.len())
}

/// What was done.
pub fn done(reaping: &Reaping) -> String {
    let slots = reaping.ends.iter().flat_map(|(slot, (claim, _))| {
        ["Released slot ".to_owned(), slot.to_string(), format!(", which was {}\n", held(claim))]
    });
    format!("{}\nReap complete! {} released.\n", slots.collect::<String>(), reaping.ends.len())
}

fn why(claim: &Claim, standing: Standing) -> String {
    match claim.lease.filter(|_| standing == Standing::Expired) {
        Some(lease) => format!("its lease of {} ran out {}", lease.length, lease.until.to_the_minute()),
        None => "its directory is gone".to_owned(),
    }
}
