//! `kinfra doctor`: what is wrong with this machine and a pool's root, and what to do about it. Changes
//! nothing.

use camino::Utf8Path;

use super::check_disk::check_disk;
use super::check_docker::check_docker;
use super::check_engines::check_engines;
use super::check_index::check_index;
use super::check_leftovers::check_leftovers;
use super::check_networks::check_networks;
use super::check_owners::check_owners;
use super::check_podman::check_podman;
use super::check_ports::check_free_slots;
use super::check_root::{
    check_backup, check_journal, check_lock, check_registry, check_root, check_temporary_files,
};
use super::check_slots::check_slots;
use super::check_worktrees::check_worktrees;
use super::finding::{Finding, Findings, Severity, what_of};
use crate::desired::Pool;
use crate::fault::{Fault, advice_of};
use crate::host::closed::Closed;
use crate::host::fs::Dir;
use crate::host::root::{LOCK, REGISTRY, Root};
use crate::ledger::Ledger;
use crate::stack::leftovers::Place;
use crate::which::neighbours::Neighbours;
use crate::which::trust::Trust;

/// Checks everything. A check that fails does not stop the others. The ledger is `None` where its server was
/// not applied. `state` is the user's directory for state, with the index of pools, and `trust` what that
/// says of this one.
pub fn examine(
    (pool, ledger): (&Pool, Result<Option<Ledger>, Fault>),
    neighbours: &Neighbours,
    trust: &Trust,
    state: Option<&Utf8Path>,
) -> Vec<Finding> {
    let (mut findings, mut registry) = (Findings::default(), None);
    // Of what is closed to this user, nothing more can be said.
    let closed = [REGISTRY, LOCK].iter().find_map(|name| Closed::on_the_way_to(&pool.root.join(name)));
    match closed.map_or_else(|| Root::open(&pool.root), |closed| Err(Fault::from(closed).into())) {
        Ok(Some(root)) => {
            check_root(&root, &mut findings);
            registry = check_registry(Some(&root), (pool, ledger), &mut findings);
            // A server has the registry and its history by itself.
            if pool.registry.is_none() {
                check_backup(&root, &mut findings);
                check_journal(&root, &mut findings);
            }
            // The files in `.tmp` belong to the holder of the lock.
            if !check_lock(&root, &mut findings) {
                check_temporary_files(&root, &mut findings);
            }
            check_slots(&root, registry.as_ref(), pool, &mut findings);
            check_free_slots(registry.as_ref(), pool, &mut findings);
            check_worktrees(registry.as_ref(), pool, &mut findings);
            check_disk(root.dir(), &mut findings);
        }
        Ok(None) => {
            findings.fine("root", format!("`{}` is not there yet: `kinfra apply` makes it", pool.root));
            check_registry(None, (pool, ledger), &mut findings);
            check_free_slots(None, pool, &mut findings);
            if let Some(above) = pool.root.ancestors().find_map(|above| Dir::open(above).ok()) {
                check_disk(&above, &mut findings);
            }
        }
        Err(error) => {
            let advice = advice_of(&error).unwrap_or("choose another with --root");
            findings.error("root", what_of(&error), advice);
        }
    }
    let has_slots = registry.as_ref().is_some_and(|registry| !registry.slots.is_empty());
    check_index(neighbours, trust, has_slots, state, &mut findings);
    if let Some(why) = neighbours.another_pool() {
        findings.failure(Severity::Error, "root", &why.into());
    }
    for namesake in neighbours.namesakes() {
        findings.warning("pools", namesake, "");
    }
    check_engines(registry.as_ref(), &mut findings);
    let answers = check_docker(&mut findings);
    check_podman(&mut findings);
    if answers {
        check_owners(registry.as_ref(), pool, &mut findings);
        let place = Place { root: &pool.root, pool: &pool.name, state };
        check_leftovers(place, registry.as_ref(), &mut findings);
        check_networks(&mut findings);
    }
    findings.into_vec()
}
