//! `kinfra validate`

use anyhow::Result;
use camino::Utf8Path;

use super::{print, say};
use crate::cli::ListArgs;
use crate::fault::{Exit, exit_of};
use crate::health::doctor::{Finding, Severity, is_well};
use crate::health::validate::{compose_files, ports_in_use};
use crate::host::invocation::Invocation;
use crate::host::root::Root;
use crate::observe::registry;
use crate::report;
use crate::which::neighbours::Neighbours;
use crate::which::spec_file::{self as pool, Declared, Mistakes};

pub(crate) fn run(args: &ListArgs, invocation: &Invocation) -> Result<Exit> {
    let (mut mistakes, mut findings) = (Mistakes::new(), Vec::new());
    match pool::read(&args.pool.choice(), invocation) {
        Ok(Ok(declared)) => {
            say(&format!("Using {}\n", declared.origin))?;
            (mistakes, findings) = examine(&declared, args, invocation)?;
        }
        Ok(Err(found)) => mistakes = found,
        Err(error) if exit_of(&error) == Exit::Spec => {
            findings.push(Finding::new(Severity::Error, "spec", format!("{error:#}"), ""));
        }
        Err(error) => return Err(error),
    }
    print(&if args.json {
        report::validate::json(&mistakes, &findings)
    } else {
        report::validate::text(&mistakes, &findings)
    })?;
    Ok(if mistakes.is_empty() && is_well(&findings) { Exit::Done } else { Exit::Spec })
}

/// Looks at everything that can be looked at: templates with mistakes do not hide ports that collide.
fn examine(
    declared: &Declared,
    args: &ListArgs,
    invocation: &Invocation,
) -> Result<(Mistakes, Vec<Finding>)> {
    let spec = &declared.spec;
    let (slots, ports) = (spec.slots.len(), spec.ports.len());
    let found = format!("{slots} slot(s), {ports} port(s) each, none of them another's or the main stack's");
    let mut findings = vec![Finding::new(Severity::Fine, "spec", found, "")];
    let root = match declared.root(&args.pool.choice(), invocation) {
        Ok(root) => root,
        Err(error) if exit_of(&error) == Exit::Refused => {
            findings.push(Finding::new(Severity::Error, "root", format!("{error:#}"), ""));
            return Ok((Mistakes::new(), findings));
        }
        Err(error) => return Err(error),
    };
    let pool = declared.pool_in(&root, invocation);
    if pool.is_ok() {
        let found = format!("{} file(s) a slot", spec.files.len());
        findings.push(Finding::new(Severity::Fine, "templates", found, ""));
    }
    findings.extend(neighbours(&Neighbours::look(declared, &root, &args.pool.choice(), invocation)));
    findings.extend(in_use(declared, &root));
    let mistakes = match pool {
        Ok(pool) => {
            findings.extend(compose_files(&pool, spec));
            Mistakes::new()
        }
        Err(mistakes) => mistakes,
    };
    Ok((mistakes, findings))
}

fn neighbours(listing: &Neighbours) -> Vec<Finding> {
    let notices = listing.notices.iter().map(|notice| Finding::new(Severity::Warning, "pools", notice, ""));
    let root = listing
        .second_root()
        .map(|why| Finding::new(Severity::Error, "root", why.what.clone(), why.advice.unwrap_or_default()));
    let collisions = listing.collisions();
    let collisions = collisions
        .iter()
        .map(|collision| Finding::new(Severity::Error, "pools", collision.message(), collision.help()));
    let findings: Vec<Finding> = notices.chain(root).chain(collisions).collect();
    if findings.is_empty() {
        return vec![Finding::new(
            Severity::Fine,
            "pools",
            "no other pool on this machine has its ports",
            "",
        )];
    }
    findings
}

/// The ports that are in use, as far as the registry says which are the pool's own.
fn in_use(declared: &Declared, root: &Utf8Path) -> Vec<Finding> {
    match Root::open(root).and_then(|root| root.as_ref().map(registry).transpose()) {
        Ok(read) => ports_in_use(&declared.spec, &read.unwrap_or_default().0),
        Err(error) => {
            let advice = "`kinfra doctor` says more; which ports are in use was not looked at";
            vec![Finding::new(Severity::Warning, "registry", format!("{error:#}"), advice)]
        }
    }
}
