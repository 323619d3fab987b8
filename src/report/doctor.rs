//! The doctor's findings, and what a repair would do.

use std::cmp::Reverse;
use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use crate::claims::refusal::held;
use crate::health::repair::{RepairNeed, RepairProposal};
use crate::health::{Finding, Severity};
use crate::registry::Holder;
use crate::shown::{count, printable};

/// The findings with the worst first.
pub fn worst_first(findings: &[Finding]) -> String {
    let mut sorted = findings.to_vec();
    sorted.sort_by_key(|finding| Reverse(finding.severity));
    self::findings(&sorted)
}

/// One line per finding, with its advice below it.
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

/// Whether the registry needs a repair, and what that would do.
pub(crate) fn repair_need(need: &RepairNeed) -> String {
    match need {
        RepairNeed::NoRoot(root) => format!("`{root}` is not there yet: there is nothing to repair.\n"),
        RepairNeed::Readable(registry) => format!("`{registry}` can be read: there is nothing to repair.\n"),
        RepairNeed::Broken(proposal) => repair(proposal),
    }
}

fn repair(proposal: &RepairProposal) -> String {
    let registry = &proposal.repair.registry;
    let slots = count(registry.slots.len(), "slot");
    let mut text = format!("  {} {}\n", "✗".red(), printable(&proposal.why));
    let _ = if proposal.repair.from_backup {
        writeln!(text, "  {} Would restore {slots} from the backup", "+".green())
    } else {
        writeln!(text, "  {} Would register {slots} from the slot directories", "+".green())
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
    for name in &proposal.kept {
        let suffix = &proposal.suffix;
        let _ = writeln!(text, "  {} Would keep the broken {name} as {name}{suffix}", "=".dimmed());
    }
    text
}
