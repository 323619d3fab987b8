use anstream::adapter::strip_str;

use super::*;
use crate::diff::{Field, FieldChange, Remnant};
use crate::digest::Digest;
use crate::file::{FileMode, Obstacle};
use crate::identifier::{PortName, ProfileName, WorkerKind};
use crate::port::Port;

pub(in crate::report) fn slot(id: u16) -> SlotId {
    SlotId::new(id).unwrap()
}

pub(in crate::report) fn path(name: &str) -> RelPath {
    RelPath::new(name).unwrap()
}

fn port(name: &str, number: u16) -> (PortName, Port) {
    (PortName::new(name).unwrap(), Port::new(number).unwrap())
}

pub(in crate::report) fn pool(slots: u16) -> Outline {
    let outline = |id: u16| SlotOutline {
        profile: ProfileName::new("light").unwrap(),
        workers: [(WorkerKind::new("mail").unwrap(), id)].into(),
        ports: vec![port("api", 8000 + id), port("db", 5400 + id)],
        udp: BTreeSet::new(),
        files: [(
            path("a"),
            crate::desired::FileOutline { sha256: Digest::of(b""), mode: FileMode::PRIVATE },
        )]
        .into(),
    };
    let slots = (1..=slots).map(|id| (slot(id), outline(id))).collect();
    Outline {
        name: "shop".to_owned(),
        root: "/pool".into(),
        registry: None,
        slots,
        elsewhere: BTreeMap::new(),
        on_claim: BTreeSet::new(),
    }
}

/// A plan for slots that are numbered from 1 on.
pub(in crate::report) fn plan(slots: &[(Option<Action>, &[Blocked])]) -> Plan {
    let plan = |(action, blocked): &(Option<Action>, &[Blocked])| SlotPlan {
        action: action.clone(),
        blocked: blocked.to_vec(),
    };
    let slots = (1..).zip(slots).map(|(id, each)| (slot(id), plan(each))).collect();
    Plan { import: None, slots, begun: BTreeSet::new() }
}

fn rendered(plan: &Plan, change: impl FnOnce(&mut View<'_>)) -> String {
    with_diffs(plan, &BTreeMap::new(), change)
}

fn with_diffs(plan: &Plan, diffs: &BTreeMap<SlotId, String>, change: impl FnOnce(&mut View<'_>)) -> String {
    let allowed = BTreeSet::new();
    let mut view = View::new(Paths { home: None }, Aim::Pool, &allowed);
    change(&mut view);
    let pool = pool(u16::try_from(plan.slots.len()).unwrap());
    strip_str(&render(plan, &pool, view, diffs)).to_string()
}

fn update(fields: &[FieldChange], files: &[(&str, FileChange)]) -> Action {
    let files = files.iter().map(|(name, change)| (path(name), *change)).collect();
    Action::Update { fields: fields.to_vec(), files }
}

fn remove(stays: &[&str]) -> Action {
    Action::Remove { files: Vec::new(), stays: stays.iter().map(|name| (*name).to_owned()).collect() }
}

fn edited() -> Blocked {
    Blocked::Edited(path("a"))
}

fn same(_: &mut View<'_>) {}

#[test]
fn each_action_has_a_heading_and_its_details() {
    let field = |old: Option<&str>, new: Option<&str>| FieldChange {
        field: Field::Port(PortName::new("api").unwrap()),
        old: old.map(str::to_owned),
        new: new.map(str::to_owned),
    };
    let fields = [field(Some("8001"), Some("8101")), field(None, Some("1")), field(Some("1"), None)];
    let files = [
        ("a", FileChange::Write),
        ("b", FileChange::Replace),
        ("c", FileChange::Overwrite),
        ("d", FileChange::SetMode(FileMode::SHARED)),
        ("e", FileChange::Remove),
        ("f", FileChange::Disown),
    ];
    let plan = plan(&[
        (Some(Action::Create(vec![path("a")])), &[]),
        (Some(Action::Adopt), &[]),
        (Some(Action::Restore(vec![path("a"), path("b")])), &[]),
        (Some(Action::Restore(vec![path("a")])), &[edited()]),
        (Some(update(&fields, &files)), &[]),
        (Some(update(&[], &[])), &[]),
        (Some(remove(&[])), &[]),
        (Some(remove(&["x", "y"])), &[]),
        (None, &[]),
        (None, &[edited()]),
    ]);
    assert_eq!(
        rendered(&plan, same),
        "  + Would create slot 1 (light) at /pool/slot-1
      ports    API=8001, DB=5401
      workers  mail=1
  + Would adopt slot 2 (light) at /pool/slot-2
  ~ Would restore slot 3: a, b
  ~ Would restore slot 4: a; a was edited by hand (--overwrite)
  ~ Would update slot 5: ports.api 8001 → 8101, ports.api 1 is new, ports.api is no longer in slots.toml, \
a (new), b, c (overwritten, a copy is kept), d (mode was 0644), e (removed), f (left as it is, no longer kinfra's)
  ~ Would finish slot 6: what was begun is in place already
  - Would remove slot 7
  - Would remove slot 8, but not x, y, which kinfra did not write
  = Slot 9: already exists, skipping
  ! Slot 10: a was edited by hand (--overwrite)

Plan: 2 to add, 4 to change, 2 to destroy.
Blocked: 2 to change (--overwrite).
"
    );
}

#[test]
fn where_there_is_nothing_to_do_one_line_says_so() {
    let as_is = |slots: usize| plan(&vec![(None, &[][..]); slots]);
    let of = |slots, aim| rendered(&as_is(slots), |view| view.aim = aim);
    let no_slots = "No changes: the pool has no slots.\n";
    assert_eq!(of(0, Aim::Pool), no_slots);
    assert_eq!(of(2, Aim::Destroy), no_slots);
    assert_eq!(of(1, Aim::Pool), "No changes: slot 1 is as slots.toml says.\n");
    assert_eq!(of(3, Aim::Pool), "No changes: all 3 slots are as slots.toml says.\n");
    assert_eq!(of(3, Aim::Slots), "No changes: slots 1-3 are as slots.toml says.\n");
    let named = rendered(&as_is(1), |view| view.names_skipped = true);
    assert_eq!(named, "  = Slot 1: already exists, skipping\n\nNo changes: slot 1 is as slots.toml says.\n");
}

#[test]
fn slots_that_are_blocked_alike_share_a_heading_and_a_diff() {
    let blocked: [(Option<Action>, &[Blocked]); 3] =
        [(None, &[Blocked::Edited(path("a"))]), (None, &[Blocked::Edited(path("a"))]), (None, &[])];
    let plan = plan(&blocked);
    let of = |diffs: &[(u16, &str)]| {
        let diffs = diffs.iter().map(|(id, diff)| (slot(*id), (*diff).to_owned())).collect();
        with_diffs(&plan, &diffs, same)
    };
    let why = "a was edited by hand (--overwrite)";
    let end = "  = Slot 3: already exists, skipping\n\nPlan: 0 to add, 0 to change, 0 to destroy.\n\
               Blocked: 2 to change (--overwrite).\n";
    assert_eq!(of(&[]), format!("  ! Slots 1-2: {why}\n{end}"));
    assert_eq!(of(&[(1, "-x\n"), (2, "-x\n")]), format!("  ! Slots 1-2: {why}\n-x\n{end}"));
    let apart = format!("  ! Slot 1: {why}\n-x\n  ! Slot 2: {why}\n-y\n{end}");
    assert_eq!(of(&[(1, "-x\n"), (2, "-y\n")]), apart);
    let updates: [(Option<Action>, &[Blocked]); 2] =
        [(Some(update(&[], &[])), &[]), (Some(update(&[], &[])), &[])];
    let diffs = BTreeMap::from([(slot(1), "-x\n".to_owned()), (slot(2), "-x\n".to_owned())]);
    let text = with_diffs(&super::tests::plan(&updates), &diffs, same);
    assert!(
        text.contains("slot 2: what was begun is in place already\n      (the diff of slot 1)\n"),
        "{text}"
    );
}

#[test]
fn what_is_blocked_comes_first_where_that_is_asked_for() {
    let plan = plan(&[(None, &[]), (None, &[edited()])]);
    let first = |text: String| text.lines().next().unwrap().trim().chars().next();
    assert_eq!(first(rendered(&plan, same)), Some('='));
    assert_eq!(first(rendered(&plan, |view| view.is_worst_first = true)), Some('!'));
}

#[test]
fn a_first_apply_names_where_it_writes() {
    let new = || (Some(Action::Create(vec![path("a")])), &[][..]);
    let text = rendered(&plan(&[new(), new()]), same);
    assert!(text.contains("  Files of each slot in /pool: a\n\nPlan: 2 to add"), "{text}");
    let text = rendered(&plan(&[new(), (None, &[])]), same);
    assert!(!text.contains("Files of each slot"), "{text}");
    let on_claim = Outline { on_claim: [path("b"), path("c")].into(), ..pool(1) };
    let (allowed, plan) = (BTreeSet::new(), plan(&[new()]));
    let view = View::new(Paths { home: Some(Utf8Path::new("/pool")) }, Aim::Pool, &allowed);
    let text = strip_str(&render(&plan, &on_claim, view, &BTreeMap::new())).to_string();
    assert!(text.contains("  Files of each slot in ~: a; once it is claimed: b, c\n"), "{text}");
    assert!(text.contains("at ~/slot-1\n"), "{text}");
}

#[test]
fn a_long_plan_has_a_line_for_each_action() {
    let most = LONG + 1;
    let of = |slots: &[(Option<Action>, &[Blocked])], rest: Option<Action>, verbose| {
        let mut all = slots.to_vec();
        all.resize(most, (rest, &[]));
        rendered(&plan(&all), |view| view.verbose = verbose)
    };
    let blocked = [edited()];
    let text = of(
        &[
            (Some(Action::Adopt), &[]),
            (Some(update(&[], &[])), &[]),
            (Some(Action::Restore(Vec::new())), &[]),
            (Some(remove(&[])), &[]),
            (None, &blocked),
            (Some(Action::Create(Vec::new())), &[]),
        ],
        None,
        false,
    );
    assert!(
        text.starts_with(
            "  + Would adopt 1 slot (light): 1
  ~ Would update 1 slot (light): 2
  ~ Would restore 1 slot (light): 3
  - Would remove 1 slot (light): 4
  ! 1 slot (light) blocked (--overwrite): 5
  + Would create 1 slot (light): 6
  = 95 slots (light) already exist, skipping: 7-101
  Each slot by itself: -v

Plan: "
        ),
        "{text}"
    );
    let each = of(&[(None, &blocked)], None, true);
    assert!(each.contains("  = Slot 101: already exists, skipping\n"), "{each}");
    let short = rendered(&plan(&vec![(Some(Action::Adopt), &[][..]); LONG]), same);
    assert!(short.contains("Would adopt slot 100"), "{short}");
}

#[test]
fn the_totals_say_what_is_blocked_and_what_would_allow_it() {
    let outdated = [Blocked::Outdated(path("a"))];
    let surplus = [Blocked::Surplus { held: false }, Blocked::Containers];
    let linked = [Blocked::Obstructed(None, Obstacle::Symlink)];
    let plan = plan(&[(None, &outdated), (None, &surplus), (None, &linked)]);
    let text = rendered(&plan, |view| view.applied_from = Some("/old/slots.toml"));
    assert!(
        text.ends_with(
            "\nPlan: 0 to add, 0 to change, 0 to destroy.\nBlocked: 2 to change (--update), 1 to destroy.\n\
             The pool was last applied from /old/slots.toml.\nAll that was asked for is blocked.\n"
        ),
        "{text}"
    );
    let only = super::tests::plan(&[(None, &surplus)]);
    let text = rendered(&only, |view| view.applied_from = Some("/old/slots.toml"));
    assert!(text.ends_with("Blocked: 1 to destroy.\n"), "{text}");
}

#[test]
fn each_reason_is_a_sentence() {
    let reason = |blocked: Blocked| {
        plan_blocked::text(&SlotPlan { action: None, blocked: vec![blocked] }, Aim::Pool).unwrap()
    };
    let change = FieldChange { field: Field::Profile, old: Some("a".to_owned()), new: Some("b".to_owned()) };
    let taken = Blocked::PortTaken {
        name: PortName::new("api").unwrap(),
        port: Port::new(8001).unwrap(),
        holder: slot(2),
        flags: None,
        kind: Kind::Add,
    };
    let names = || vec!["x".to_owned(), "y\u{1b}".to_owned()];
    for (blocked, said) in [
        (Blocked::Foreign(path("a")), "already exists, skipping: a differs (--overwrite)"),
        (Blocked::Field(change), "profile a → b (--update)"),
        (Blocked::Outdated(path("a")), "a differs from slots.toml (--update)"),
        (Blocked::Absent(path("a")), "a is not there yet (--update)"),
        (Blocked::WrongMode(path("a"), FileMode::SHARED), "a has mode 0644 (--update)"),
        (Blocked::Dropped(path("a")), "a is no longer in slots.toml (--update)"),
        (
            Blocked::Disowned(path("a")),
            "a is no longer in slots.toml, was edited by hand and would stay (--update)",
        ),
        (Blocked::Obstructed(Some(path("a")), Obstacle::Symlink), "a is a symbolic link: move it away"),
        (Blocked::Obstructed(None, Obstacle::File), "its directory is a file: move it away"),
        (Blocked::Surplus { held: false }, "no longer in slots.toml (--prune)"),
        (
            Blocked::Leftover(names()),
            "removed, but for x, y\\u{1b}, which kinfra did not write: move it away",
        ),
        (
            Blocked::NotClean(slot(3), Remnant::DataOf("/w".to_owned())),
            "it keeps the volumes of /w: `kinfra clean 3` removes them",
        ),
        (Blocked::NotClean(slot(3), Remnant::Anything), "it is not clean: `kinfra clean 3` first"),
        (Blocked::Containers, "it has containers: `kinfra down` in its worktree first"),
        (
            Blocked::Running,
            "it has containers that run with its files: `kinfra down` in its worktree first (--include-claimed)",
        ),
        (
            Blocked::ContainersUnknown("no\u{1b}".to_owned()),
            "docker does not say whether it has containers (no\\u{1b})",
        ),
        (Blocked::Held("/w".to_owned()), "held by /w (--include-claimed)"),
        (taken, "API 8001 is still slot 2's"),
    ] {
        assert_eq!(reason(blocked), said);
    }
}

#[test]
fn files_that_differ_from_the_spec_share_a_sentence_at_the_place_of_the_first() {
    let outdated = |name| Blocked::Outdated(path(name));
    let held = || Blocked::Held("/w".to_owned());
    let text = |blocked: Vec<Blocked>, aim| plan_blocked::text(&SlotPlan { action: None, blocked }, aim);
    assert_eq!(text(Vec::new(), Aim::Pool), None);
    assert_eq!(
        text(vec![Blocked::Absent(path("z")), outdated("a"), outdated("b"), held()], Aim::Pool).as_deref(),
        Some(
            "z is not there yet, 2 files differ from slots.toml (a, b), held by /w (--update, --include-claimed)"
        )
    );
    assert_eq!(
        text(vec![outdated("a"), held()], Aim::Slots).as_deref(),
        Some("a differs from slots.toml, held by /w (--update, --include-claimed)")
    );
    let surplus = vec![Blocked::Surplus { held: true }, held()];
    assert_eq!(text(surplus, Aim::Destroy).as_deref(), Some("held by /w"));
}

#[test]
fn what_would_be_imported_comes_first() {
    let import = |outside: &[&str]| ImportState::Pending {
        path: "/old.json".into(),
        sha256: Digest::of(b""),
        slots: 2,
        claimed: 1,
        outside: outside.iter().map(|path| (*path).to_owned()).collect(),
    };
    let of = |import| rendered(&Plan { import: Some(import), ..plan(&[]) }, same);
    assert_eq!(
        of(import(&["/w"])),
        "  + Would import 2 slots, 1 of them claimed, from /old.json\n  ! no claim of `/w`, which is outside \
         this repository\nPlan: 0 to add, 0 to change, 0 to destroy.\n"
    );
    let changed = "  ! /old.json changed after it was imported: kinfra no longer reads it\n";
    assert_eq!(
        of(ImportState::Changed("/old.json".into())),
        format!("{changed}No changes: the pool has no slots.\n")
    );
}

#[test]
fn only_slots_whose_action_changed_are_told_again() {
    let shown = plan(&[(Some(Action::Adopt), &[]), (Some(Action::Adopt), &[])]);
    let now = plan(&[(Some(Action::Adopt), &[]), (None, &[edited()]), (None, &[])]);
    let allowed = BTreeSet::new();
    let view = View::new(Paths { home: None }, Aim::Pool, &allowed);
    let text = strip_str(&changed(&shown, &now, &pool(3), view)).to_string();
    assert_eq!(
        text,
        "\n  ! Slot 2: a was edited by hand (--overwrite)\n\n  = Slot 3: already exists, skipping"
    );
    assert_eq!(changed(&shown, &shown, &pool(2), view), "");
}

#[test]
fn what_is_said_around_a_plan() {
    let of = |notice: &str| vec![notice.to_owned()];
    assert_eq!(warnings([&of("a"), &of("b")]), "warning: a\nwarning: b\n");
    let said = "\nSaved the plan. To run exactly this plan: kinfra apply 'my plan'\n";
    assert_eq!(saved(Utf8Path::new("my plan")), said);
    assert!(trust(true).starts_with("Docker was not asked"));
    assert_eq!(trust(false), "");
    assert_eq!([capital(""), capital("slot 1")], ["", "Slot 1"]);
}
