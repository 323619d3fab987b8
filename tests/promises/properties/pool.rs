//! Planning and applying, on damaged pools and edited specs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use kinfra::desired::Pool;
use kinfra::diff::diff;
use kinfra::digest::Digest;
use kinfra::file::{FileMode, Obstacle, RelPath};
use kinfra::observe::{FileState, Observed, SlotDir};
use kinfra::plan::{Action, Options, Plan, plan};
use kinfra::registry::{Entry, Registry};
use kinfra::report::{self, Aim, Paths, View};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::world::{Damage, EntryHarm, Node, Tree, World, damage, disk_damage};
use super::{check, edited, model};

properties! {
    planning_is_deterministic: 64,
    apply_then_plan_is_empty: 64,
    apply_only_adds: 96,
    apply_only_adds_when_others_write_meanwhile: 64,
    stopped_and_repeated_is_one_clean_run: 64,
}

/// A world in which `old` was applied, and then damaged.
fn damaged(world: &World, old: &Pool, damage: &[Damage]) {
    world.clear();
    world.apply(old);
    damage.iter().for_each(|damage| world.inflict(damage));
}

/// An observation of an applied pool, in which random numbers decide the state of each slot and file.
fn imagined(old: &Pool, new: &Pool, choices: &[u8]) -> Observed {
    let mut choices = choices.iter().copied().cycle();
    let mut choose = |of: u8| choices.next().unwrap_or(0) % of;
    let mut observed = Observed::default();
    for (id, slot) in &old.slots {
        let mut entry = Entry::new(slot.provisioned());
        match choose(4) {
            0 => continue,
            1 => entry.provisioned.files.clear(),
            _ => {}
        }
        observed.registry.slots.insert(*id, Arc::new(entry));
    }
    for id in old.slots.keys().chain(new.slots.keys()) {
        let both = [old.slots.get(id), new.slots.get(id)];
        let paths: BTreeSet<&RelPath> = both.iter().flatten().flat_map(|slot| slot.files.keys()).collect();
        let states = paths.into_iter().map(|path| {
            let [old, new] = both.map(|slot| slot.and_then(|slot| slot.files.get(path)));
            let present = |digest, mode| FileState::Present { digest, mode };
            let state = match (choose(8), old, new) {
                (0, ..) => FileState::Missing,
                (1, ..) => FileState::Blocked(Obstacle::Symlink),
                (2, ..) => present(Digest::of(b"other"), FileMode::PRIVATE),
                (3 | 4, Some(file), _) | (_, _, Some(file)) => present(file.digest, file.mode),
                (_, _, None) => FileState::Missing,
            };
            (path.clone(), state)
        });
        let states = states.collect();
        let dir = match choose(8) {
            0 => SlotDir::Missing,
            1 => SlotDir::Blocked(Obstacle::File),
            _ => SlotDir::Present { files: states, others: Vec::new() },
        };
        observed.dirs.insert(*id, dir);
    }
    observed
}

fn planning_is_deterministic(cases: u32) {
    let values = edited().prop_flat_map(|(old, new)| {
        let shuffled = Just(new.entries()).prop_shuffle();
        (Just(old), Just(new), shuffled, vec(any::<u8>(), 16))
    });
    check(cases, values, |(old, new, shuffled, choices)| {
        let root = camino::Utf8Path::new("/home/dev/pool");
        let (paths, allowed) = (Paths { home: None }, BTreeSet::new());
        let view = View { verbose: true, names_skipped: true, ..View::new(paths, Aim::Pool, &allowed) };
        let rendered = |entries: &[(String, usize)]| {
            let pool = new.pool_from(entries, root);
            let observed = imagined(&old.pool(root), &pool, &choices);
            let plan = plan(&pool, &observed, &diff(&pool, &observed), &Options::default());
            (report::plan::render(&plan, &pool.outline(), view, &BTreeMap::new()), plan)
        };
        let once = rendered(&new.entries());
        prop_assert_eq!(&rendered(&new.entries()), &once);
        prop_assert_eq!(&rendered(&shuffled), &once);
        prop_assert_eq!(&rendered(&grouped(&shuffled)), &once);
        Ok(())
    });
}

/// The same slots in one `[[slots]]` entry a profile.
fn grouped(entries: &[(String, usize)]) -> Vec<(String, usize)> {
    let profiles: BTreeSet<usize> = entries.iter().map(|(_, profile)| *profile).collect();
    let ids = |profile| {
        let ids = entries.iter().filter(|entry| entry.1 == profile).map(|(ids, _)| ids.as_str());
        ids.collect::<Vec<_>>().join(", ")
    };
    profiles.into_iter().map(|profile| (ids(profile), profile)).collect()
}

fn apply_then_plan_is_empty(cases: u32) {
    let world = World::new();
    check(cases, model(), |model| {
        world.clear();
        let pool = model.pool(&world.root());
        world.apply(&pool);
        let tree = world.tree();
        for slot in pool.slots.values() {
            for (path, file) in &slot.files {
                let node = Node::File(file.mode.bits().into(), file.text.as_bytes().to_owned());
                prop_assert_eq!(tree.get(slot.dir.join(path.as_path()).as_std_path()), Some(&node));
            }
        }
        let (plan, observed) = world.look(&pool);
        prop_assert!(plan.is_empty(), "{plan:?}");
        // Not even an apply that has nothing to do writes anything.
        if observed.is_applied {
            world.run(&plan, &pool, &observed).expect("an applied plan");
        }
        prop_assert_eq!(world.tree(), tree);
        Ok(())
    });
}

/// The expected tree after a plan: the tree before, the files of the plan, and directories for them.
fn with_planned(mut tree: Tree, plan: &Plan, pool: &Pool) -> Tree {
    for (id, action) in plan.actions() {
        let (Action::Create(paths) | Action::Restore(paths)) = action else { continue };
        let slot = &pool.slots[&id];
        for path in paths {
            let file = &slot.files[path];
            let node = Node::File(file.mode.bits().into(), file.text.as_bytes().to_owned());
            let path = slot.dir.join(path.as_path()).into_std_path_buf();
            let above = path.ancestors().skip(1).take_while(|dir| dir.starts_with(&pool.root));
            for dir in above {
                tree.entry(dir.to_owned()).or_insert(Node::Dir(0o700));
            }
            tree.entry(path).or_insert(node);
        }
    }
    tree
}

/// Asserts what an apply did to the registry: it wrote what the spec says of the slots in `registered`,
/// nothing else.
fn check_registry(before: &Registry, after: &Registry, registered: &[u16], pool: &Pool) -> TestCaseResult {
    // The first save chooses the id, and no other one changes it. A pool without slots is of no spec.
    let applied_from =
        if after.slots.is_empty() { before.applied_from.clone() } else { Some(pool.applied_from.clone()) };
    let mut expected = Registry { id: before.id.or(after.id), applied_from, ..before.clone() };
    for (id, slot) in pool.slots.iter().filter(|(id, _)| registered.contains(&id.get())) {
        let provisioned = slot.provisioned();
        let entry = expected.slots.entry(*id).or_insert_with(|| Arc::new(Entry::new(provisioned.clone())));
        let entry = Arc::make_mut(entry);
        entry.provisioned = provisioned;
    }
    prop_assert_eq!(after, &expected);
    let ports: Vec<_> = after.slots.values().flat_map(|entry| entry.provisioned.ports.values()).collect();
    prop_assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len(), "{:?}", ports);
    Ok(())
}

fn registers(action: &Action) -> bool {
    matches!(action, Action::Create(_) | Action::Adopt)
}

fn apply_only_adds(cases: u32) {
    let world = World::new();
    check(cases, (edited(), vec(damage(), 0..10)), |((old, new), damage)| {
        damaged(&world, &old.pool(&world.root()), &damage);
        let pool = new.pool(&world.root());
        let (tree, entries) = (world.files(), world.registry());
        let plan = world.apply(&pool);
        prop_assert_eq!(world.files(), with_planned(tree, &plan, &pool));
        let registered: Vec<u16> =
            plan.actions().filter(|(_, action)| registers(action)).map(|(id, _)| id.get()).collect();
        check_registry(&entries, &world.registry(), &registered, &pool)?;
        let (again, _) = world.look(&pool);
        prop_assert_eq!(again.actions().count(), 0, "{:?}", again);
        Ok(())
    });
}

fn apply_only_adds_when_others_write_meanwhile(cases: u32) {
    let world = World::new();
    let values = (edited(), vec(damage(), 0..10), any::<bool>(), vec(disk_damage(), 1..10));
    check(cases, values, |((old, new), mut damage, imported, meanwhile)| {
        if imported {
            // Only the entries of an old tool get other ports.
            damage.push(Damage::Entry(None, EntryHarm::Import));
        }
        damaged(&world, &old.pool(&world.root()), &damage);
        let pool = new.pool(&world.root());
        let (plan, observed) = world.look(&pool);
        meanwhile.iter().for_each(|damage| world.inflict(damage));
        let (tree, entries) = (world.files(), world.registry());
        let outcome = world.run(&plan, &pool, &observed);
        prop_assert!(outcome.is_ok(), "{outcome:?}");
        let after = world.files();
        let expected = with_planned(tree.clone(), &plan, &pool);
        for (path, node) in &tree {
            prop_assert_eq!(after.get(path), Some(node), "{:?}", path);
        }
        for (path, node) in &after {
            prop_assert_eq!(expected.get(path), Some(node), "{:?}", path);
        }
        let outcome = outcome.expect("checked");
        let registered: Vec<u16> =
            outcome.done.iter().filter(|(_, action)| registers(action)).map(|(id, _)| id.get()).collect();
        check_registry(&entries, &world.registry(), &registered, &pool)?;
        world.apply(&pool);
        prop_assert_eq!(world.look(&pool).0.actions().count(), 0);
        Ok(())
    });
}

/// A plan stopped midway: some actions not done, some done in part.
fn partly(plan: &Plan, choices: u64) -> Plan {
    let mut plan = plan.clone();
    let mut choices = (0..64).map(|bit| choices >> bit & 1 == 1).cycle();
    let mut keep = || choices.next().unwrap_or(true);
    for slot in plan.slots.values_mut() {
        if keep() && keep() {
            slot.action = None;
        }
        if let Some(Action::Create(paths) | Action::Restore(paths)) = &mut slot.action {
            paths.retain(|_| keep());
        }
    }
    plan
}

fn stopped_and_repeated_is_one_clean_run(cases: u32) {
    let world = World::new();
    let values = (edited(), any::<bool>(), vec(damage(), 0..10), any::<u64>(), any::<bool>());
    check(cases, values, |((old, new), fresh, damage, choices, litter)| {
        let pool = new.pool(&world.root());
        let begin = || if fresh { world.clear() } else { damaged(&world, &old.pool(&world.root()), &damage) };
        begin();
        world.apply(&pool);
        let clean = world.tree();

        begin();
        let (plan, observed) = world.look(&pool);
        if !plan.has_work() {
            return Ok(());
        }
        let root = world.root();
        let before = fs::read_to_string(root.join("registry.json")).ok();
        // Two slots may swap ports only together, so the registry may refuse a partial plan. The error does
        // not matter here.
        let _ = world.run(&partly(&plan, choices), &pool, &observed);
        match before {
            Some(text) => fs::write(root.join("registry.json"), text).expect("a written file"),
            None => ["registry.json", "registry.json.bak"].iter().for_each(|name| {
                let _ = fs::remove_file(root.join(name));
            }),
        }
        // The next writer removes it, if there is something left to write.
        if litter && world.look(&pool).0.has_work() {
            leave_litter(root.join(".tmp").as_std_path());
        }
        world.apply(&pool);
        prop_assert_eq!(world.tree(), clean);
        Ok(())
    });
}

/// Puts a dead writer's leftovers among the temporary files.
fn leave_litter(temporary: &Path) {
    fs::create_dir_all(temporary.join("slot-1/etc")).expect("directories");
    fs::write(temporary.join("slot-1/etc/app.toml"), "half").expect("a file");
    fs::write(temporary.join("registry.json"), "{").expect("a file");
    fs::write(temporary.join("registry.json.bak"), "{").expect("a file");
}
