//! `kinfra doctor`

use anyhow::Result;
use camino::Utf8Path;

use super::approve;
use super::failure::after;
use super::output::show;
use crate::cli::DoctorArgs;
use crate::fault::{Exit, Fault};
use crate::health::repair::RepairNeed;
use crate::health::{doctor, is_well, repair};
use crate::host::invocation::{Invocation, is_plain};
use crate::report::{self, doctor::worst_first};
use crate::shown::word;
use crate::which::kept_in::to_plan;
use crate::which::neighbours::Neighbours;
use crate::which::spec_file::{self, Declared};
use crate::which::trust::Trust;

pub(crate) fn run(args: &DoctorArgs, invocation: &Invocation) -> Result<Exit> {
    let choice = args.pool.choice();
    let declared = spec_file::declared(&choice, invocation)?;
    let pool = declared.pool(&choice, invocation)?;
    let trust = Trust::of(&pool.root, declared.path.as_deref(), &choice, invocation);
    if !args.repair {
        let neighbours = Neighbours::look(&declared, &pool.root, &choice, invocation);
        let ledger = to_plan(&pool, neighbours.noted.as_ref(), invocation);
        let findings = doctor::examine((&pool, ledger), &neighbours, &trust, invocation.state.as_deref());
        let text = if is_plain() { worst_first(&findings) } else { report::doctor::findings(&findings) };
        show(&text)?;
        return Ok(if is_well(&findings) { Exit::Done } else { Exit::Failed });
    }
    let claim_files = declared.spec.claim.iter().map(|file| file.path.get_ref().as_path());
    let need = repair::look(&pool, &claim_files.collect::<Vec<&Utf8Path>>())?;
    show(&report::doctor::repair_need(&need))?;
    if let RepairNeed::Broken(proposal) = need {
        trusted(&trust, &pool.root, &declared)?;
        approve::ask("Do you want to replace the registry?", args.auto_approve)?;
        proposal.carry_out(&pool, &args.lock.policy("kinfra doctor --repair"))?;
        let repaired = "Repaired the registry. `kinfra plan` shows how the pool is now.\n";
        after("repaired the registry", show(repaired))?;
    }
    Ok(Exit::Done)
}

/// Refuses to repair a pool that this user has not applied from here. An apply cannot come first.
fn trusted(trust: &Trust, root: &Utf8Path, declared: &Declared) -> Result<(), Fault> {
    let advice = format!(
        "run it where that pool was applied, or name it: `kinfra doctor --repair --root {}`",
        word(root.as_str())
    );
    let needed = trust.needed(root, &declared.origin);
    needed.map_err(|fault| if *trust == Trust::NotGiven { fault.advise(advice) } else { fault })
}
