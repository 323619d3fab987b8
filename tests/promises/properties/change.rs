//! Changing and removing existing slots, with any flags, on damaged pools and edited specs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kinfra::digest::Digest;
use kinfra::plan::{Action, FileChange, Flag, Options, Plan};
use kinfra::saved::{Named, Saved};
use kinfra::slot::SlotId;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::world::{Node, Tree, World, damage};
use super::{LAST, check, edited};

properties! {
    only_what_the_plan_says_changes: 96,
    a_saved_plan_does_what_it_said: 64,
    a_saved_plan_is_stale_or_does_what_it_said_whatever_happened_since: 96,
}

fn flags() -> impl Strategy<Value = BTreeSet<Flag>> {
    let all = vec![Flag::Update, Flag::Overwrite, Flag::Prune, Flag::IncludeClaimed];
    subsequence(all, 0..=4).prop_map(|flags| flags.into_iter().collect())
}

/// The options of a plan. Mostly they select all slots.
fn options() -> impl Strategy<Value = Options> {
    let slots = || subsequence((1..=LAST).collect::<Vec<_>>(), 0..=usize::from(LAST));
    let slots = || slots().prop_map(|slots| slots.into_iter().filter_map(SlotId::new).collect());
    let exclude = prop_oneof![3 => Just(BTreeSet::new()), 1 => slots()];
    (flags(), prop::option::weighted(0.25, slots()), exclude).prop_map(|(allowed, only, exclude)| Options {
        allowed,
        only,
        exclude,
    })
}

/// The files that a plan changes or removes, and the directories above them.
fn planned_paths(plan: &Plan, root: &Path) -> BTreeSet<PathBuf> {
    plan.actions()
        .flat_map(|(id, action)| {
            let dir = root.join(id.directory());
            let files: Vec<PathBuf> = match action {
                Action::Update { fields: _, files } => {
                    let changed = files.iter().filter(|(_, change)| **change != FileChange::Disown);
                    changed.map(|(path, _)| dir.join(path.as_path())).collect()
                }
                Action::Remove { files, stays: _ } => {
                    files.iter().map(|path| dir.join(path.as_path())).chain([dir.clone()]).collect()
                }
                Action::Create(_) | Action::Adopt | Action::Restore(_) => Vec::new(),
            };
            files.into_iter().flat_map(|file| file.ancestors().map(PathBuf::from).collect::<Vec<_>>())
        })
        .collect()
}

fn only_what_the_plan_says_changes(cases: u32) {
    let world = World::new();
    check(cases, (edited(), vec(damage(), 0..10), flags()), |((old, new), damage, allowed)| {
        world.clear();
        world.apply(&old.pool(&world.root()));
        damage.iter().for_each(|damage| world.inflict(damage));
        let pool = new.pool(&world.root());
        let options = Options { allowed, ..Options::default() };
        let (plan, observed) = world.look_with(&pool, &options);
        if !plan.has_work() {
            return Ok(());
        }
        let before = world.files();
        let outcome = world.run(&plan, &pool, &observed).expect("a committed apply");
        prop_assert!(outcome.failed.is_empty(), "{outcome:?}");
        let (after, registry) = (world.files(), world.registry());

        // Claims, and foreign keys in an entry, stay.
        for (id, old) in observed.registry.slots.iter().filter(|(_, entry)| entry.claim.is_some()) {
            let new = registry.slots.get(id);
            prop_assert!(new.is_some(), "the claimed slot {id} was removed");
            let new = new.expect("checked");
            prop_assert_eq!((&old.claim, &old.status, &old.unknown), (&new.claim, &new.status, &new.unknown));
            if !options.allowed.contains(&Flag::IncludeClaimed) && !old.provisioned.files.is_empty() {
                prop_assert_eq!(&old.provisioned, &new.provisioned);
            }
        }

        // Each file that changed or went is in the plan. It was kinfra's own, or there is a copy of it.
        let root = world.root().into_std_path_buf();
        let planned = planned_paths(&plan, &root);
        for (path, node) in before.iter().filter(|(path, node)| after.get(*path) != Some(*node)) {
            prop_assert!(planned.contains(path), "{path:?} changed, and is not in {plan:?}");
            let Node::File(_, bytes) = node else { continue };
            let digest = Digest::of(bytes);
            let is_ours = observed.registry.slots.iter().any(|(id, entry)| {
                let mut written = entry.provisioned.files.iter();
                written.any(|(file, hash)| {
                    *hash == digest && *path == root.join(id.directory()).join(file.as_path())
                })
            });
            let only_mode = matches!(after.get(path), Some(Node::File(_, now)) if now == bytes);
            let mut copies = after.iter().filter(|(path, _)| path.starts_with(root.join("backups")));
            let is_kept = copies.any(|(_, copy)| matches!(copy, Node::File(_, copy) if copy == bytes));
            prop_assert!(is_ours || only_mode || is_kept, "{path:?} is lost");
        }

        // Everything that the flags allow is done and completed.
        let (again, _) = world.look_with(&pool, &options);
        prop_assert_eq!(again.actions().count(), 0, "{:?}", again);
        Ok(())
    });
}

fn a_saved_plan_does_what_it_said(cases: u32) {
    let world = World::new();
    check(cases, (edited(), vec(damage(), 0..10), options()), |((old, new), damage, options)| {
        let pool = new.pool(&world.root());
        let begin = || world.damaged(&old.pool(&world.root()), &damage, &pool, &options);
        let (plan, observed) = begin();
        if !plan.has_work() {
            return Ok(());
        }
        world.run(&plan, &pool, &observed).expect("a committed apply");
        let directly = without_times(world.tree());

        let (shown, observed) = begin();
        let saved = Saved::new(Named::default(), options.clone(), shown, pool.outline(), &observed);
        let text = saved.to_text().expect("a text");
        let saved = Saved::parse(&text).expect("a plan").expect("a saved one");
        prop_assert_eq!(saved.to_text().expect("a text"), text);
        prop_assert_eq!(&saved.plan, &plan);
        let (again, observed) = world.look_with(&pool, &saved.options_to_apply());
        prop_assert_eq!(saved.changes(&again, pool.outline(), &observed), vec![]);
        prop_assert!(saved.does_the_same_as(&again), "{:?} is not {:?}", again, saved.plan);
        world.run(&again, &pool, &observed).expect("a committed apply");
        prop_assert_eq!(without_times(world.tree()), directly);

        // The next plan does not repeat what was done.
        let (again, observed) = world.look_with(&pool, &saved.options_to_apply());
        let is_stale =
            !saved.changes(&again, pool.outline(), &observed).is_empty() || !saved.does_the_same_as(&again);
        prop_assert!(is_stale, "{:?} could be run twice", saved.plan);
        Ok(())
    });
}

fn a_saved_plan_is_stale_or_does_what_it_said_whatever_happened_since(cases: u32) {
    let world = World::new();
    let values = (edited(), vec(damage(), 0..10), options(), vec(damage(), 1..4));
    check(cases, values, |((old, new), damage, options, since)| {
        let pool = new.pool(&world.root());
        let begin = || world.damaged(&old.pool(&world.root()), &damage, &pool, &options);
        // The expected entries and declared files of the slots that the plan acts on.
        let made = |saved: &Saved| {
            let (tree, registry) = (world.tree(), world.registry());
            let of_slot = |(slot, _)| {
                let dir = world.root().join(SlotId::directory(slot));
                let files = pool.slots.get(&slot).into_iter().flat_map(|slot| slot.files.keys());
                let files = files.map(|path| tree.get(dir.join(path.as_path()).as_std_path()).cloned());
                let entry = registry.slots.get(&slot).map(|entry| entry.provisioned.clone());
                (slot, files.collect::<Vec<_>>(), entry)
            };
            saved.plan.actions().map(of_slot).collect::<Vec<_>>()
        };
        let (plan, observed) = begin();
        if !plan.has_work() {
            return Ok(());
        }
        let saved = Saved::new(Named::default(), options.clone(), plan.clone(), pool.outline(), &observed);
        world.run(&plan, &pool, &observed).expect("a committed apply");
        let at_once = made(&saved);

        begin();
        since.iter().for_each(|damage| world.inflict(damage));
        let before = world.tree();
        let (again, observed) = world.look_with(&pool, &saved.options_to_apply());
        let changes = saved.changes(&again, pool.outline(), &observed);
        if changes.is_empty() && saved.does_the_same_as(&again) {
            world.run(&again, &pool, &observed).expect("a committed apply");
            prop_assert_eq!(made(&saved), at_once);
        } else {
            prop_assert_ne!(
                &before,
                &{
                    begin();
                    world.tree()
                },
                "stale, and nothing happened: {:?}",
                changes
            );
        }
        Ok(())
    });
}

/// The tree without the times in the names of copies.
fn without_times(tree: Tree) -> Vec<(PathBuf, Node)> {
    let without = |path: PathBuf| {
        if path.components().any(|part| part.as_os_str() == "backups") {
            path.with_extension("")
        } else {
            path
        }
    };
    tree.into_iter().map(|(path, node)| (without(path), node)).collect()
}
