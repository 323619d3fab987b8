//! What `run` says.

use crate::claims::refusal::held as held_by;
use crate::registry::Claim;
use crate::slot::SlotId;

/// That a slot is held already, which the run uses and leaves; and which flags are not used.
pub fn held(slot: SlotId, claim: &Claim, unused: &[&str]) -> String {
    let by = if claim.is_of_run { "the run around this one" } else { "this worktree" };
    let unused = match unused {
        [] => String::new(),
        [flag] => format!(". {flag} is not used: it is for a new claim"),
        flags => format!(". {} are not used: they are for a new claim", flags.join(" and ")),
    };
    format!("Slot {slot} is held by {by} already: it is used as it is, and stays held{unused}\n")
}

/// That another run of this holder is waited for.
pub fn waiting(slot: SlotId, claim: &Claim) -> String {
    format!("Waiting for another run: slot {slot} is {}\n", held_by(claim))
}

/// That the release goes on, although a signal asked to stop.
pub fn releasing(slot: SlotId) -> String {
    format!("Releasing slot {slot}: wait until what it has is removed\n")
}

/// That the claim of a run ended before its command did.
pub const OVER: &str = "warning: the slot was released while the command ran\n";

/// That the worktree claimed the slot for itself while a run had it.
pub fn taken_over(slot: SlotId) -> String {
    format!("Slot {slot} stays held: this worktree claimed it while the command ran\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_finds_is_said() {
        let slot = SlotId::new(3).unwrap();
        let claim = |is_of_run| Claim { is_of_run, ..Claim::of("/w".to_owned().into(), None) };
        let used = "already: it is used as it is, and stays held";
        for (is_of_run, unused, said) in [
            (true, &[][..], format!("Slot 3 is held by the run around this one {used}\n")),
            (
                false,
                &["--ttl"],
                format!("Slot 3 is held by this worktree {used}. --ttl is not used: it is for a new claim\n"),
            ),
            (
                false,
                &["--ttl", "--slot"],
                format!(
                    "Slot 3 is held by this worktree {used}. --ttl and --slot are not used: they are for a new claim\n"
                ),
            ),
        ] {
            assert_eq!(held(slot, &claim(is_of_run), unused), said);
        }
        assert_eq!(waiting(slot, &claim(true)), "Waiting for another run: slot 3 is held by /w\n");
        assert_eq!(releasing(slot), "Releasing slot 3: wait until what it has is removed\n");
        assert_eq!(taken_over(slot), "Slot 3 stays held: this worktree claimed it while the command ran\n");
    }
}
