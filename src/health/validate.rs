//! `kinfra validate`: what is wrong with a pool before it is applied. Writes nothing in the pool.

use anyhow::Result;
use camino::Utf8Path;

use super::check_age::check_age;
use super::check_compose_files::check_compose_files;
use super::check_isolation::check_isolation;
use super::check_ports::check_new_slots;
use super::finding::{Finding, Findings, Severity, is_well, what_of};
use crate::claims::whereabouts::Following;
use crate::fault::{Exit, exit_of};
use crate::host::invocation::Invocation;
use crate::ledger::{Ledger, glance};
use crate::shown::count;
use crate::which::choice::PoolChoice;
use crate::which::neighbours::Neighbours;
use crate::which::spec_file::{self, Declared, Mistakes};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Validation {
    /// The mistakes in the spec or its templates.
    pub(crate) mistakes: Mistakes,
    /// Everything else that was checked.
    pub(crate) findings: Vec<Finding>,
}

impl Validation {
    /// Whether the pool can be applied.
    pub(crate) fn is_valid(&self) -> bool {
        self.mistakes.is_empty() && is_well(&self.findings)
    }
}

/// Reads the spec: what it declares, or why it cannot be used.
///
/// # Errors
/// When it cannot be searched for.
pub(crate) fn read(choice: &PoolChoice, invocation: &Invocation) -> Result<Result<Declared, Validation>> {
    match spec_file::judged(choice, invocation) {
        Ok(read) => Ok(read.map_err(|mistakes| Validation { mistakes, findings: Vec::new() })),
        Err(error) if exit_of(&error) == Exit::Spec => {
            let mut findings = Findings::default();
            findings.failure(Severity::Error, "spec", &error);
            Ok(Err(Validation { mistakes: Mistakes::new(), findings: findings.into_vec() }))
        }
        Err(error) => Err(error),
    }
}

/// Checks everything that can be checked: mistakes in templates do not hide ports that collide.
///
/// # Errors
/// When the root cannot be found.
pub(crate) fn examine(
    declared: &Declared,
    choice: &PoolChoice,
    invocation: &Invocation,
) -> Result<Validation> {
    let spec = &declared.spec;
    let (slots, ports) = (spec.slots.len(), spec.ports.len());
    let mut findings = Findings::default();
    let (slots, ports) = (count(slots, "slot"), count(ports, "port"));
    let found = format!("{slots}, {ports} each, no port used twice or by the main stack");
    findings.fine("spec", found);
    check_age(spec, &mut findings);
    let root = match declared.root(choice, invocation) {
        Ok(root) => root,
        Err(error) if exit_of(&error) == Exit::Refused => {
            findings.failure(Severity::Error, "root", &error);
            return Ok(Validation { mistakes: Mistakes::new(), findings: findings.into_vec() });
        }
        Err(error) => return Err(error),
    };
    let pool = declared.pool_in(&root, invocation);
    if let Ok(pool) = &pool {
        let files = pool.slots.values().next().map_or(0, |slot| slot.files.len());
        findings.fine("templates", format!("{} a slot", count(files, "file")));
        pool.left_out.iter().for_each(|notice| findings.error("templates", notice, "choose another name"));
    }
    check_neighbours(&Neighbours::look(declared, &root, choice, invocation), &mut findings);
    check_ports(declared, &root, &mut findings);
    let mistakes = match pool {
        Ok(pool) => {
            if spec.compose.is_none() {
                check_compose_files(&pool, spec, &mut findings);
            }
            check_isolation(declared, &pool, invocation, &mut findings);
            Mistakes::new()
        }
        Err(mistakes) => mistakes,
    };
    Ok(Validation { mistakes, findings: findings.into_vec() })
}

/// Checks the pool against the others on this machine.
fn check_neighbours(neighbours: &Neighbours, findings: &mut Findings) {
    let before = findings.len();
    for notice in &neighbours.notices {
        findings.warning("pools", notice, "");
    }
    if let Some(why) = neighbours.another_pool() {
        findings.failure(Severity::Error, "root", &why.into());
    }
    for why in [neighbours.disk_away(), neighbours.second_root()].into_iter().flatten() {
        findings.failure(Severity::Error, "root", &why.into());
    }
    if let Some(why) = neighbours.taken_name() {
        findings.failure(Severity::Error, "pools", &why.into());
    }
    for collision in neighbours.collisions() {
        findings.error("pools", collision.message(), collision.help());
    }
    if findings.len() == before {
        findings.fine("pools", "no other pool on this machine has its name or its ports");
    }
}

/// Checks the ports of new slots. Only the registry tells which slots are new.
fn check_ports(declared: &Declared, root: &Utf8Path, findings: &mut Findings) {
    match Ledger::of(root).read(Following::NoHolder) {
        Ok(snapshot) => {
            let registry = snapshot.map(|snapshot| snapshot.registry);
            let registry = registry.or_else(|| glance(root).ok().flatten()).unwrap_or_default();
            check_new_slots(&declared.spec, &registry, findings);
        }
        Err(error) => {
            let advice = "`kinfra doctor` says more; which ports are in use was not looked at";
            findings.warning("registry", what_of(&error), advice);
        }
    }
}
