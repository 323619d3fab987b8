use anstream::adapter::strip_str;
use anyhow::Context as _;

use super::*;
use crate::diff::{Field, FieldChange};
use crate::digest::Digest;
use crate::fault::Fault;
use crate::identifier::ProfileName;
use crate::plan::{Blocked, FileChange, Flag};
use crate::registry::{Claim, Entry, Provisioned};
use crate::report::plan::tests::{path, plan, pool, slot};
use crate::shown::Paths;

/// A registry in which worktrees hold some slots.
fn registry(held: &[u16]) -> Registry {
    let entry = |id: &u16| {
        let mut entry = Entry::new(Provisioned {
            infrastructure_path: String::new(),
            profile: ProfileName::new("light").unwrap(),
            workers: BTreeMap::new(),
            ports: BTreeMap::new(),
            udp: BTreeSet::new(),
            files: BTreeMap::new(),
        });
        entry.claim = Some(Claim::of("/src/login".to_owned().into(), None));
        (slot(*id), entry.into())
    };
    Registry { slots: held.iter().map(entry).collect(), ..Registry::default() }
}

fn done_all(plan: &Plan) -> Outcome {
    let done = plan.actions().map(|(slot, action)| (slot, action.clone())).collect();
    Outcome { done, ..Outcome::default() }
}

fn rendered(outcome: &Outcome, plan: &Plan, registry: &Registry, aim: Aim, allowed: &[Flag]) -> String {
    let allowed = allowed.iter().copied().collect();
    let view = View::new(Paths { home: None }, aim, &allowed);
    let pool = pool(u16::try_from(plan.slots.len()).unwrap());
    strip_str(&render(outcome, plan, &pool, registry, view)).to_string()
}

fn update(files: &[(&str, FileChange)]) -> Action {
    let change = FieldChange { field: Field::Profile, old: None, new: None };
    let files = files.iter().map(|(name, change)| (path(name), *change)).collect();
    Action::Update { fields: vec![change], files }
}

fn remove(stays: &[&str]) -> Action {
    Action::Remove { files: Vec::new(), stays: stays.iter().map(|name| (*name).to_owned()).collect() }
}

#[test]
fn a_claim_comes_next_where_there_is_a_new_slot() {
    let made = |action| {
        let done = BTreeMap::from([(slot(1), action)]);
        Outcome { done, ..Outcome::default() }
    };
    assert!(next(&made(Action::Adopt)).contains("`kinfra claim`"));
    let failed = Outcome { error: Some(Error::msg("no space")), ..made(Action::Adopt) };
    for outcome in [Outcome::default(), made(Action::Restore(Vec::new())), failed] {
        assert_eq!(next(&outcome), "");
    }
}

#[test]
fn advice_for_a_failed_slot_has_its_own_line() {
    let changed = Fault::failed("`a` was changed").advise("run the command again");
    let wrapped = Err::<(), _>(changed).context("slot 3").unwrap_err();
    assert_eq!(failure(&wrapped), "slot 3: `a` was changed\n  help: run the command again");
    assert_eq!(failure(&Error::msg("no space")), "no space");
}

#[test]
fn each_slot_that_was_done_has_a_line_and_each_action_its_count() {
    let plan = plan(&[
        (Some(Action::Create(vec![path("a")])), &[]),
        (Some(Action::Adopt), &[]),
        (Some(Action::Restore(vec![path("a"), path("b")])), &[]),
        (Some(update(&[])), &[]),
        (Some(update(&[("a", FileChange::Replace), ("b", FileChange::Write)])), &[]),
        (Some(remove(&[])), &[]),
        (Some(remove(&["x", "y"])), &[]),
        (None, &[]),
        (None, &[]),
    ]);
    let outcome = Outcome { backups: vec!["/pool/backups/a".into()], ..done_all(&plan) };
    let text = rendered(&outcome, &plan, &registry(&[1, 4, 6]), Aim::Pool, &[]);
    assert_eq!(
        text,
        "Created slot 1 (light)\n\
         Adopted slot 2 (light)\n\
         Restored slot 3: a, b\n\
         Updated slot 4\n\
         Updated slot 5: a, b\n\
         Removed slot 6\n\
         Removed slot 7, but for x, y: it stays registered until that is moved away\n\
         Slot 4 is held by /src/login: `kinfra claim` there brings its .env.sandbox up to date\n\
         Kept what was overwritten as /pool/backups/a\n\
         Created 1 slot(s)\n\
         Adopted 1 slot\n\
         Restored 1 slot\n\
         Updated 2 slots\n\
         Removed 2 slots\n\
         Skipped 2 existing slot(s)\n\
         \n\
         Apply complete! 2 added, 3 changed, 2 destroyed.\n"
    );
    let text = rendered(&outcome, &plan, &registry(&[]), Aim::Destroy, &[]);
    assert!(text.ends_with("Kept 2 slots\n\nDestroy complete! 2 destroyed.\n"), "{text}");
}

#[test]
fn what_failed_and_what_an_interrupt_came_before_makes_an_apply_incomplete() {
    let plan = plan(&[(Some(Action::Adopt), &[]), (Some(Action::Adopt), &[])]);
    let whole = || done_all(&plan);
    let failed = BTreeMap::from([(slot(2), Error::msg("no space"))]);
    for (outcome, said, end) in [
        (whole(), "", "Apply complete! 2 added"),
        (Outcome { failed, ..whole() }, "Failed slot 2: no space\n", "Apply incomplete! 2 added"),
        (
            Outcome { left_out: [slot(2)].into(), ..whole() },
            "Interrupted before slot 2\n",
            "Apply incomplete!",
        ),
        (Outcome { error: Some(Error::msg("disk")), ..whole() }, "", "Apply incomplete!"),
    ] {
        let text = rendered(&outcome, &plan, &registry(&[]), Aim::Slots, &[]);
        assert!(text.contains(said) && text.contains(end), "{text}");
        assert_eq!(text.contains("Failed 1 slot\n"), said.starts_with("Failed"), "{text}");
        assert!(!text.contains("Skipped"), "{text}");
    }
}

#[test]
fn where_nothing_was_done_the_last_line_says_why() {
    let edited = [Blocked::Edited(path("a"))];
    let (none, one) = (plan(&[(None, &[])]), plan(&[(None, &edited), (None, &[])]));
    let two = plan(&[(None, &edited), (None, &edited)]);
    let overwrite = [Flag::Overwrite];
    for (plan, aim, allowed, last) in [
        (&none, Aim::Pool, &[][..], "Skipped 1 existing slot(s)\n"),
        (&one, Aim::Pool, &[], "\nNothing was changed: slot 1 is blocked.\n"),
        (&two, Aim::Slots, &[], "\nNothing was changed: slots 1-2 are blocked.\n"),
        (&two, Aim::Destroy, &[], "\nDestroy complete! 0 destroyed.\n"),
        (
            &one,
            Aim::Pool,
            &overwrite,
            "\nApply refused: all that was asked for is blocked. Nothing was changed.\n",
        ),
        (
            &one,
            Aim::Destroy,
            &overwrite,
            "\nDestroy refused: all that was asked for is blocked. Nothing was changed.\n",
        ),
    ] {
        let text = rendered(&Outcome::default(), plan, &registry(&[]), aim, allowed);
        assert!(text.ends_with(last), "{last:?} does not end:\n{text}");
    }
    let failed = Outcome { error: Some(Error::msg("disk")), ..Outcome::default() };
    for allowed in [&[][..], &overwrite] {
        let text = rendered(&failed, &one, &registry(&[]), Aim::Pool, allowed);
        assert!(text.ends_with("\nApply incomplete! 0 added, 0 changed, 0 destroyed.\n"), "{text}");
    }
}

#[test]
fn an_import_is_told_where_it_was_committed() {
    let import = ImportState::Pending {
        path: "/old.json".into(),
        sha256: Digest::of(b""),
        slots: 2,
        claimed: 0,
        outside: Box::default(),
    };
    let with = Plan { import: Some(import), ..plan(&[]) };
    let changed = Plan { import: Some(ImportState::Changed("/old.json".into())), ..plan(&[]) };
    let failed = || Outcome { error: Some(Error::msg("disk")), ..Outcome::default() };
    for (plan, outcome, is_told) in
        [(&with, Outcome::default(), true), (&with, failed(), false), (&changed, Outcome::default(), false)]
    {
        let text = rendered(&outcome, plan, &registry(&[]), Aim::Pool, &[]);
        assert_eq!(text.starts_with("Imported 2 slots\n"), is_told, "{text}");
    }
}

#[test]
fn a_long_plan_groups_what_failed_and_leaves_out_what_was_done() {
    let failed = |id: u16, text: &str| (slot(id), Error::msg(text.to_owned()));
    let of = |slots: u16, is_verbose: bool| {
        let actions: Vec<_> = (0..slots).map(|_| (Some(Action::Adopt), &[][..])).collect();
        let plan = plan(&actions);
        let outcome = Outcome {
            failed: [failed(1, "`/pool/slot-1/a`"), failed(2, "`/pool/slot-2/a`"), failed(3, "x")].into(),
            left_out: [slot(4), slot(5)].into(),
            ..done_all(&plan)
        };
        let allowed = BTreeSet::new();
        let view = View { verbose: is_verbose, ..View::new(Paths { home: None }, Aim::Pool, &allowed) };
        strip_str(&render(&outcome, &plan, &pool(slots), &registry(&[]), view)).to_string()
    };
    let most = u16::try_from(LONG).unwrap();
    let each = "Failed slot 1: `/pool/slot-1/a`\nFailed slot 2: `/pool/slot-2/a`\nFailed slot 3: x\n\
                Interrupted before slot 4\nInterrupted before slot 5\n";
    let grouped = "Failed slots 1-2: `/pool/slot-N/a`\nFailed slot 3: x\nInterrupted before slots 4-5\n";
    for (slots, is_verbose, said) in [(most, false, each), (most + 1, false, grouped), (most + 1, true, each)]
    {
        let text = of(slots, is_verbose);
        assert!(text.contains(said), "{slots} {is_verbose}:\n{text}");
        assert_eq!(text.contains("Adopted slot 7 (light)\n"), said == each, "{slots} {is_verbose}");
    }
}

#[test]
fn what_is_left_of_a_destroyed_pool_is_named_with_its_reason() {
    let blocked = [Blocked::Surplus { held: true }, Blocked::Held("/w".to_owned())];
    let plan = plan(&[(None, &blocked), (Some(remove(&["x", "y"])), &[]), (Some(remove(&[])), &[])]);
    let volumes = ["a".to_owned(), "b".to_owned()];
    let of = |volumes: Result<&[String], &str>, names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        stays(&plan, &done_all(&plan), &pool(3), volumes, &names)
    };
    let kept = "Kept slot 1: held by /w\nKept slot 2: x, y in it, which kinfra did not write\n";
    let stays = "The registry, its backup, the journal and the lock stay in `/pool`";
    assert_eq!(of(Ok(&[]), &[]), format!("{kept}{stays}\n"));
    let removes = "Volumes of removed slots stay, `docker volume rm` removes them: a, b\n";
    assert_eq!(of(Ok(&volumes), &["n", "m"]), format!("{kept}{removes}{stays}, with `n`, `m`\n"));
    let says = "Docker does not say which volumes stay: no answer\n";
    assert_eq!(of(Err("no answer"), &[]), format!("{kept}{says}{stays}\n"));
}
