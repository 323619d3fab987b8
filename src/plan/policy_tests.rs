use super::*;
use crate::diff::Remnant;
use crate::file::{FileMode, Obstacle};
use FileDifference as File;

const OPEN: FileMode = FileMode::SHARED;

fn slot() -> SlotId {
    SlotId::new(1).unwrap()
}

fn path(name: &str) -> RelPath {
    RelPath::new(name).unwrap()
}

fn paths<const N: usize>(names: [&str; N]) -> Vec<RelPath> {
    names.map(path).into()
}

fn of(registration: Registration, files: &[(&str, File)]) -> Difference {
    Difference {
        registration,
        obstacle: None,
        files: files.iter().map(|(name, file)| (path(name), *file)).collect(),
        others: Vec::new(),
        unfinished: None,
        claimed_by: None,
        remnant: None,
    }
}

fn field(field: Field) -> FieldChange {
    FieldChange { field, old: Some("1".to_owned()), new: Some("2".to_owned()) }
}

fn decided(difference: &Difference, containers: &Containers, allowed: &[Flag]) -> SlotPlan {
    decide(slot(), difference, containers, &allowed.iter().copied().collect())
}

fn does(action: Action) -> SlotPlan {
    SlotPlan { action: Some(action), blocked: Vec::new() }
}

fn blocked<const N: usize>(why: [Blocked; N]) -> SlotPlan {
    SlotPlan { action: None, blocked: why.into() }
}

fn updates<const N: usize>(files: [(&str, FileChange); N]) -> SlotPlan {
    let files = files.into_iter().map(|(name, change)| (path(name), change)).collect();
    does(Action::Update { fields: Vec::new(), files })
}

fn removes<const N: usize, const M: usize>(files: [&str; N], stays: [&str; M]) -> SlotPlan {
    does(Action::Remove { files: paths(files), stays: stays.map(str::to_owned).into() })
}

fn asked(in_use: InUse) -> Containers {
    Containers::Asked { slots: BTreeMap::from([(slot(), in_use)]), others: InUse::No }
}

#[test]
fn a_slot_that_kinfra_did_not_write_is_taken_as_a_whole() {
    for registration in [Registration::Unregistered, Registration::Imported, Registration::Shared(Vec::new())]
    {
        let of = |files: &[(&str, File)]| of(registration.clone(), files);
        let plain = |files: &[(&str, File)]| decided(&of(files), &Containers::NotAsked, &[]);
        assert_eq!(plain(&[("a", File::Same), ("b", File::Same)]), does(Action::Adopt));
        assert_eq!(
            plain(&[("a", File::Same), ("b", File::Absent), ("c", File::Lost)]),
            does(Action::Create(paths(["b", "c"])))
        );
        let foreign = |name| Blocked::Foreign(path(name));
        for differs in [File::Outdated, File::WrongMode(OPEN), File::Dropped, File::Disowned, File::Edited] {
            let files = [("a", File::Absent), ("b", differs)];
            assert_eq!(plain(&files), blocked([foreign("b")]), "{differs:?}");
            // What is lost comes back in any case.
            let lost = plain(&[("a", File::Lost), ("b", differs)]);
            assert_eq!(lost.action, Some(Action::Restore(paths(["a"]))));
            let updated = decided(&of(&files), &Containers::NotAsked, &[Flag::Update]);
            assert_eq!(
                updated,
                blocked([foreign("b")]),
                "an update does not overwrite what it did not write"
            );
        }
        let linked = [("a", File::Blocked(Obstacle::Symlink)), ("b", File::Edited)];
        assert_eq!(
            decided(&of(&linked), &Containers::NotAsked, &[Flag::Overwrite]),
            blocked([Blocked::Obstructed(Some(path("a")), Obstacle::Symlink), foreign("b")])
        );
        let all = [
            ("a", File::Absent),
            ("b", File::Outdated),
            ("c", File::WrongMode(OPEN)),
            ("d", File::Dropped),
            ("e", File::Disowned),
            ("f", File::Edited),
            ("g", File::Same),
            ("h", File::Lost),
        ];
        assert_eq!(
            decided(&of(&all), &Containers::NotAsked, &[Flag::Overwrite]),
            updates([
                ("a", FileChange::Write),
                ("b", FileChange::Overwrite),
                ("c", FileChange::SetMode(OPEN)),
                ("d", FileChange::Disown),
                ("e", FileChange::Disown),
                ("f", FileChange::Overwrite),
                ("h", FileChange::Write),
            ])
        );
    }
}

#[test]
fn a_slot_of_kinfra_changes_as_a_whole_and_only_if_that_is_allowed() {
    let registered = |files: &[(&str, File)]| of(Registration::Registered(Vec::new()), files);
    let plain = |files: &[(&str, File)]| decided(&registered(files), &Containers::NotAsked, &[]);
    assert_eq!(plain(&[("a", File::Same)]), SlotPlan::default());
    assert_eq!(plain(&[("a", File::Same), ("b", File::Lost)]), does(Action::Restore(paths(["b"]))));
    for (file, why, flag, change) in [
        (File::Absent, Blocked::Absent(path("b")), Flag::Update, Some(FileChange::Write)),
        (File::Outdated, Blocked::Outdated(path("b")), Flag::Update, Some(FileChange::Replace)),
        (
            File::WrongMode(OPEN),
            Blocked::WrongMode(path("b"), OPEN),
            Flag::Update,
            Some(FileChange::SetMode(OPEN)),
        ),
        (File::Dropped, Blocked::Dropped(path("b")), Flag::Update, Some(FileChange::Remove)),
        (File::Disowned, Blocked::Disowned(path("b")), Flag::Update, Some(FileChange::Disown)),
        (File::Edited, Blocked::Edited(path("b")), Flag::Overwrite, Some(FileChange::Overwrite)),
        (
            File::Blocked(Obstacle::File),
            Blocked::Obstructed(Some(path("b")), Obstacle::File),
            Flag::Overwrite,
            None,
        ),
    ] {
        let files = [("a", File::Lost), ("b", file)];
        let expected = SlotPlan { action: Some(Action::Restore(paths(["a"]))), blocked: vec![why.clone()] };
        assert_eq!(plain(&files), expected, "{file:?}");
        let allowed = |flag| decided(&registered(&files), &Containers::NotAsked, &[flag]);
        assert_eq!(allowed(Flag::Prune), expected, "{file:?}");
        match change {
            Some(change) => {
                let expected = updates([("a", FileChange::Write), ("b", change)]);
                assert_eq!(allowed(flag), expected, "{file:?}");
                assert_eq!(allowed(Flag::Overwrite), expected, "to overwrite is to update, too");
            }
            None => assert_eq!(allowed(flag), expected, "{file:?}"),
        }
    }
    let held = Difference { claimed_by: Some("/w".to_owned()), ..registered(&[("a", File::Outdated)]) };
    let why = [Blocked::Outdated(path("a")), Blocked::Held("/w".to_owned())];
    assert_eq!(decided(&held, &Containers::NotAsked, &[Flag::Update]), blocked(why));
    let both = [Flag::Update, Flag::IncludeClaimed];
    assert_eq!(decided(&held, &Containers::NotAsked, &both), updates([("a", FileChange::Replace)]));
    let obstructed = Difference { obstacle: Some(Obstacle::Symlink), ..held };
    let why = [Blocked::Obstructed(None, Obstacle::Symlink)];
    assert_eq!(decided(&obstructed, &Containers::NotAsked, &both), blocked(why));
}

#[test]
fn containers_keep_their_ports_and_run_with_the_files_as_they_were() {
    let changed = |field: FieldChange| of(Registration::Registered(vec![field]), &[]);
    let port = field(Field::Port(crate::identifier::PortName::new("api").unwrap()));
    let profile = field(Field::Profile);
    let unknown = || InUse::Unknown("no answer".to_owned());
    let said = Blocked::ContainersUnknown("no answer".to_owned());
    let update =
        |field: &FieldChange| does(Action::Update { fields: vec![field.clone()], files: BTreeMap::new() });
    let (plain, claimed) = ([Flag::Update], [Flag::Update, Flag::IncludeClaimed]);
    for (field, in_use, allowed, why) in [
        (&port, InUse::No, &plain[..], None),
        (&port, InUse::Yes, &claimed, Some(Blocked::Containers)),
        (&port, unknown(), &claimed, Some(said.clone())),
        (&profile, InUse::No, &plain, None),
        (&profile, InUse::Yes, &plain, Some(Blocked::Running)),
        (&profile, InUse::Yes, &claimed, None),
        (&profile, unknown(), &plain, Some(said)),
        (&profile, unknown(), &claimed, None),
    ] {
        let expected = match &why {
            None => update(field),
            Some(why) => blocked([Blocked::Field(field.clone()), why.clone()]),
        };
        let decided = decided(&changed(field.clone()), &asked(in_use.clone()), allowed);
        assert_eq!(decided, expected, "{field:?} {in_use:?} {allowed:?}");
    }
}

#[test]
fn what_was_begun_is_completed_without_another_approval() {
    let begun = |unfinished, registration, files: &[(&str, File)]| Difference {
        unfinished: Some(unfinished),
        claimed_by: Some("/w".to_owned()),
        ..of(registration, files)
    };
    let ours = || Registration::Registered(Vec::new());
    for unfinished in [Unfinished::Change, Unfinished::Removal] {
        let difference = begun(unfinished, ours(), &[("a", File::Outdated)]);
        let expected = updates([("a", FileChange::Replace)]);
        assert_eq!(decided(&difference, &asked(InUse::Yes), &[]), expected, "{unfinished:?}");
        let edited = begun(unfinished, ours(), &[("a", File::Edited)]);
        assert_eq!(decided(&edited, &Containers::NotAsked, &[]).action, None, "{unfinished:?}");
    }
    // Its files are in place; the entry is not.
    assert_eq!(decided(&begun(Unfinished::Change, ours(), &[]), &Containers::NotAsked, &[]), updates([]));
    let removal = begun(Unfinished::Removal, Registration::Surplus, &[("a", File::Dropped)]);
    let removal = Difference { claimed_by: None, remnant: Some(Remnant::Anything), ..removal };
    assert_eq!(decided(&removal, &Containers::NotAsked, &[]), removes(["a"], []));
    let change = Difference { unfinished: Some(Unfinished::Change), ..removal };
    let surplus = Blocked::Surplus { held: false };
    assert_eq!(decided(&change, &Containers::NotAsked, &[]), blocked([surplus]));
}

#[test]
fn a_slot_that_the_spec_dropped_goes_but_for_what_kinfra_did_not_write() {
    let surplus = |files: &[(&str, File)]| of(Registration::Surplus, files);
    let files = [("a", File::Dropped), ("b", File::Disowned), ("c", File::Edited)];
    let linked = ("d", File::Blocked(Obstacle::Symlink));
    let others = || vec!["e".to_owned()];
    let all = [files[0], files[1], files[2], linked];
    let full = Difference { others: others(), ..surplus(&all) };
    let (plain, prune) = (&[][..], &[Flag::Prune][..]);
    let free = || Blocked::Surplus { held: false };
    assert_eq!(decided(&full, &Containers::NotAsked, plain), blocked([free()]));
    assert_eq!(decided(&full, &Containers::NotAsked, prune), removes(["a"], ["b", "c", "d", "e"]));
    let over =
        |difference: &Difference| Difference { unfinished: Some(Unfinished::Removal), ..difference.clone() };
    // Only what kinfra did not write is left of a removal that was begun.
    let leftover = Difference { others: others(), ..surplus(&[]) };
    let why = [Blocked::Leftover(others())];
    assert_eq!(decided(&over(&leftover), &Containers::NotAsked, prune), blocked(why));
    assert_eq!(decided(&over(&full), &Containers::NotAsked, plain), removes(["a"], ["b", "c", "d", "e"]));
    assert_eq!(decided(&over(&surplus(&[])), &Containers::NotAsked, plain), removes([], []));
    assert_eq!(decided(&leftover, &Containers::NotAsked, prune), removes([], ["e"]));

    let held = Difference { claimed_by: Some("/w".to_owned()), ..surplus(&[]) };
    let why = [Blocked::Surplus { held: true }, Blocked::Held("/w".to_owned())];
    assert_eq!(decided(&held, &Containers::NotAsked, &[Flag::Prune, Flag::IncludeClaimed]), blocked(why));
    let why = [free(), Blocked::Containers];
    assert_eq!(decided(&surplus(&[]), &asked(InUse::Yes), prune), blocked(why));
    let dirty = Difference { remnant: Some(Remnant::Anything), ..surplus(&[]) };
    let why = [free(), Blocked::NotClean(slot(), Remnant::Anything)];
    assert_eq!(decided(&dirty, &Containers::NotAsked, prune), blocked(why));
    let data = [Flag::Prune, Flag::Data];
    assert_eq!(decided(&dirty, &Containers::NotAsked, &data), removes([], []));
}
