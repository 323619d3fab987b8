//! The isolation proof, against a comparison of every pair of stacks that does nothing clever.
//!
//! The comparison reads the resolved JSON itself, and asks of two stacks whether they share a thing of each kind.

use std::collections::BTreeSet;

use camino::Utf8Path;
use kinfra::compose::model::Model;
use kinfra::proof::isolation::{Conflict, HostThing, Owner, Stack, prove, shared_by_every_slot};
use kinfra::slot::SlotId;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use serde_json::Value;

use self::files::{declared, files, project};
use self::pairs::{Kind, Reader, shared_kinds};
use super::check;

mod files;
mod pairs;

properties! {
    stacks_are_apart_iff_no_pair_shares_a_thing: 256,
    what_every_slot_would_share_is_what_two_slots_share: 256,
    the_order_of_stacks_changes_no_finding: 64,
}

/// Worktrees; the last lies in another.
const WORKTREES: [&str; 3] = ["/wt/0", "/wt/1", "/wt/1/x/2"];

fn kind(thing: &HostThing) -> Kind {
    match thing {
        HostThing::Port { .. } => "port",
        HostThing::ContainerName(_) => "name",
        HostThing::Volume(_) => "volume",
        HostThing::Network(_) => "network",
        HostThing::Subnet { .. } => "subnet",
        HostThing::Address { .. } => "address",
        HostThing::Mount(_) | HostThing::Device(_) => "path",
        HostThing::Image(_) => "image",
        HostThing::Namespace(_) => "namespace",
    }
}

fn owner(place: usize) -> Owner {
    match u16::try_from(place).ok().and_then(SlotId::new) {
        Some(id) => Owner::Slot(id),
        None => Owner::Main,
    }
}

fn models(projects: &[Value]) -> Vec<Model> {
    projects.iter().map(|project| Model::parse(&project.to_string()).expect("a model")).collect()
}

fn stacks_are_apart_iff_no_pair_shares_a_thing(cases: u32) {
    check(cases, (vec(files(), 2..=3), declared()), |(files, shared)| {
        let projects: Vec<Value> =
            files.iter().enumerate().map(|(place, files)| project(files, &format!("p{place}"))).collect();
        let models = models(&projects);
        let stack = |place: usize| Stack {
            owner: owner(place),
            model: &models[place],
            worktree: Utf8Path::new(WORKTREES[place]),
        };
        let stacks: Vec<Stack<'_>> = (0..models.len()).map(stack).collect();
        let found = prove(&stacks, &shared).conflicts;
        let reader =
            |place: usize| Reader { stack: &projects[place], worktree: WORKTREES[place], shared: &shared };
        for second in 0..models.len() {
            for first in 0..second {
                let pair = found.iter().filter(|conflict| {
                    conflict.first.owner == owner(first) && conflict.second.owner == owner(second)
                });
                let proven: BTreeSet<Kind> = pair.map(|conflict| kind(&conflict.thing)).collect();
                prop_assert_eq!(proven, shared_kinds(&reader(first), &reader(second)));
            }
        }
        Ok(())
    });
}

/// The same files as two slots have them, each in its own worktree and with what a slot has its own of.
fn what_every_slot_would_share_is_what_two_slots_share(cases: u32) {
    check(cases, (files(), declared()), |(mut files, shared)| {
        for service in files["services"].as_object_mut().expect("a table").values_mut() {
            for key in ["container_name", "build", "ports"] {
                service.as_object_mut().expect("a table").remove(key);
            }
        }
        for network in files["networks"].as_object_mut().expect("a table").values_mut() {
            network.as_object_mut().expect("a table").remove("ipam");
        }
        let projects = [project(&files, "k1"), project(&files, "k2")];
        let worktree = Utf8Path::new("/elsewhere");
        let model = &models(&projects)[0];
        let reader =
            |place: usize| Reader { stack: &projects[place], worktree: worktree.as_str(), shared: &shared };
        let found = shared_by_every_slot(model, worktree, &shared);
        let kinds: BTreeSet<Kind> = found.iter().map(|conflict| kind(&conflict.thing)).collect();
        prop_assert_eq!(kinds, shared_kinds(&reader(0), &reader(1)));
        Ok(())
    });
}

fn the_order_of_stacks_changes_no_finding(cases: u32) {
    let values = (vec(files(), 3), declared(), btree_set(0..3_usize, 0..=1));
    check(cases, values, |(files, shared, rotated)| {
        let projects: Vec<Value> =
            files.iter().enumerate().map(|(place, files)| project(files, &format!("p{place}"))).collect();
        let models = models(&projects);
        let stack = |place: usize| Stack {
            owner: owner(place),
            model: &models[place],
            worktree: Utf8Path::new(WORKTREES[place]),
        };
        let mut stacks: Vec<Stack<'_>> = (0..3).map(stack).collect();
        let once = prove(&stacks, &shared);
        prop_assert_eq!(&prove(&stacks, &shared), &once);
        stacks.rotate_left(rotated.first().copied().unwrap_or(1));
        stacks.reverse();
        let again = prove(&stacks, &shared);
        let pairs = |found: &[Conflict]| {
            let pair = |conflict: &Conflict| {
                let both = [&conflict.first, &conflict.second]
                    .map(|party| (party.owner.clone(), party.thing.clone()));
                BTreeSet::from(both)
            };
            found.iter().map(pair).collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(pairs(&again.conflicts), pairs(&once.conflicts));
        prop_assert_eq!(again.notes.len(), once.notes.len());
        Ok(())
    });
}
