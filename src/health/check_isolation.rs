//! What the stacks of a pool's slots would share, for `kinfra validate`.

use std::collections::BTreeSet;

use super::finding::{Findings, Severity};
use crate::desired::Pool;
use crate::fault::{Exit, exit_of};
use crate::host::invocation::Invocation;
use crate::proof::isolation::Conflict;
use crate::stack::admission::preview::{Preview, preview};
use crate::which::spec_file::Declared;

/// Checks that slots which run their worktree's own Compose files share nothing that is not declared.
pub(super) fn check_isolation(
    declared: &Declared,
    pool: &Pool,
    invocation: &Invocation,
    findings: &mut Findings,
) {
    let preview = match preview(declared, pool, invocation) {
        Ok(None) => return,
        Ok(Some(preview)) => preview,
        Err(error) => {
            let is_asked = exit_of(&error) != Exit::Docker;
            let severity = if is_asked { Severity::Error } else { Severity::Warning };
            return findings.failure(severity, "isolation", &error.context("not checked"));
        }
    };
    let Preview { files, isolation, remarks, other_ports, clashes } = preview;
    let names: Vec<&str> = files.iter().filter_map(|file| file.file_name()).collect();
    findings.fine("compose", format!("each worktree runs its own {}", names.join(" and ")));
    for variable in clashes {
        let advice = "choose another `env_prefix` in [pool], or rename the project's variable";
        let found = format!("`{variable}` is a variable of kinfra, and the project's files use it, too");
        findings.error("variables", found, advice);
    }
    for port in other_ports {
        findings.warning("ports", port, "set the base to the main stack's port, so that no slot gets it");
    }
    if !remarks.unpublished.is_empty() {
        let targets: Vec<&str> = remarks.unpublished.iter().map(|(target, _)| target.as_str()).collect();
        let lines: Vec<&str> = remarks.unpublished.iter().map(|(_, line)| line.as_str()).collect();
        let found = format!("slots do not publish {}", targets.join(", "));
        findings.warning("ports", found, format!("add to [ports]: {}", lines.join("; ")));
    }
    for note in remarks.notes {
        findings.warning("compose", note, "");
    }
    let stops = one_for_each_thing(&isolation.conflicts);
    if stops.is_empty() {
        findings.fine("isolation", "slots share nothing but what is declared");
    }
    for conflict in stops {
        findings.error(
            "isolation",
            conflict.to_string(),
            conflict.remedy().to_string().replace('\n', "\n      "),
        );
    }
    let noted: BTreeSet<String> = isolation.notes.iter().map(|note| note.noted.to_string()).collect();
    if !noted.is_empty() {
        let noted: Vec<String> = noted.into_iter().collect();
        findings.warning("isolation", format!("slots use the machine's own: {}", noted.join(", ")), "");
    }
}

/// The first conflict about each thing: what one slot shares, all of them do.
fn one_for_each_thing(conflicts: &[Conflict]) -> Vec<&Conflict> {
    let mut seen = BTreeSet::new();
    conflicts.iter().filter(|conflict| seen.insert(&conflict.thing)).collect()
}
