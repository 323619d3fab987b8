//! What the doctor found, and what a repair would do.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use super::Commas;
use crate::doctor::{Finding, Severity};
use crate::repair::Repair;

/// One line a finding, its advice below it.
pub fn findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { severity, subject, found, advice } in findings {
        let mark = match severity {
            Severity::Fine => "✓".green().to_string(),
            Severity::Warning => "!".yellow().to_string(),
            Severity::Error => "✗".red().to_string(),
        };
        let _ = writeln!(text, "  {mark} {subject}: {}", super::printable(found));
        if !advice.is_empty() {
            let _ = writeln!(text, "      {}", super::printable(advice));
        }
    }
    text
}

/// What a repair would put in the place of the registry.
pub fn repair(repair: &Repair, aside: &str) -> String {
    let Repair { registry, from_backup, claimed } = repair;
    let slots = registry.slots.len();
    let mut text = match from_backup {
        true => format!("  + Would restore the registry from its backup: {slots} slot(s)\n"),
        false => format!("  + Would make a new registry from the slot directories: {slots} slot(s)\n"),
    };
    for (slot, claim) in registry.slots.iter().filter_map(|(slot, entry)| Some((slot, entry.claim.as_ref()?)))
    {
        let _ = writeln!(text, "      slot {slot} {}", super::claim::held(claim));
    }
    if !claimed.is_empty() {
        let _ = writeln!(text, "      signs of use keep claimed: slot {}", Commas(claimed.iter()));
    }
    let _ = writeln!(text, "  ~ Would keep the broken one as {aside}");
    text
}
