//! What the doctor found, and what a repair would do.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use crate::claims::refusal::held;
use crate::health::doctor::{Finding, Severity};
use crate::registry::Holder;
use crate::registry::repair::Repair;
use crate::shown::printable;

/// One line a finding, its advice below it.
pub fn findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { severity, subject, found, advice } in findings {
        let mark = match severity {
            Severity::Fine => "✓".green().to_string(),
            Severity::Warning => "!".yellow().to_string(),
            Severity::Error => "✗".red().to_string(),
        };
        let _ = writeln!(text, "  {mark} {subject}: {}", printable(found));
        if !advice.is_empty() {
            let _ = writeln!(text, "      {}", printable(advice));
        }
    }
    text
}

/// What a repair would put in the place of the registry. `kept` are the files that stay, with `suffix` after their names.
pub fn repair(repair: &Repair, broken: &str, kept: &[&str], suffix: &str) -> String {
    let Repair { registry, from_backup } = repair;
    let slots = registry.slots.len();
    let mut text = format!("  {} {}\n", "✗".red(), printable(broken));
    let _ = match from_backup {
        true => writeln!(text, "  {} Would restore {slots} slot(s) from the backup", "+".green()),
        false => writeln!(text, "  {} Would register {slots} slot(s) from the slot directories", "+".green()),
    };
    let claims = registry.slots.iter().filter_map(|(slot, entry)| Some((slot, entry.claim.as_ref()?)));
    for (slot, claim) in claims {
        let advice = if claim.claimed_by == Holder::Unknown {
            format!(": `kinfra release {slot} --force` once it is no longer used")
        } else {
            String::new()
        };
        let _ = writeln!(text, "      slot {slot}  {}{advice}", held(claim));
    }
    for name in kept {
        let _ = writeln!(text, "  {} Would keep the broken {name} as {name}{suffix}", "=".dimmed());
    }
    text
}
