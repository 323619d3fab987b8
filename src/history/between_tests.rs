use super::*;
use crate::registry::{ClaimId, Holder, Lease, Left, Pending, Registry};
use crate::time::{Span, Time};

/// Slots 1 and 2, free.
fn registry() -> Registry {
    let entry = |id: u16| {
        format!(
            r#""{id}": {{"slot_id": {id}, "infrastructure_path": "/p", "profile": "only", "workers": {{}},
            "ports": {{}}, "claimed_by": null, "claimed_at": null, "status": "stopped"}}"#
        )
    };
    Registry::parse(&format!(r#"{{"version": 2, "slots": {{{}, {}}}}}"#, entry(1), entry(2))).unwrap()
}

fn slot(id: u16) -> SlotId {
    SlotId::new(id).unwrap()
}

fn at(seconds: i64) -> Time {
    Time::from_unix_micros(seconds * 1_000_000)
}

fn claim(by: &str, id: u8) -> Claim {
    let claim_id = Some(ClaimId::from_random([id; 16]));
    Claim { claim_id, ..Claim::of(by.to_owned().into(), Some(at(0).to_string())) }
}

fn party(by: &str, id: u8) -> Party {
    Party::of(&claim(by, id))
}

/// Slot 1 with a change of its entry.
fn with(change: impl FnOnce(&mut Entry)) -> Registry {
    let mut registry = registry();
    change(registry.slot_mut(slot(1)).unwrap());
    registry
}

fn held(claim: Claim) -> Registry {
    with(|entry| entry.claim = Some(claim))
}

fn started(at: &str, left: Option<Left>) -> Started {
    let (at, project) = (at.to_owned(), "shop-slot-1".to_owned());
    Started { at, project, engine: None, profiles: Vec::new(), left }
}

/// What happened to slot 1 alone.
fn happened(before: &Registry, after: &Registry) -> Vec<What> {
    let events = between(before, after, &BTreeMap::new());
    assert!(events.iter().all(|event| event.slots == BTreeSet::from([slot(1)])), "{events:?}");
    events.into_iter().map(|event| event.what).collect()
}

#[test]
fn slots_of_an_apply_are_one_event_of_each_kind() {
    let (none, all) = (Registry::default(), registry());
    let slots = |ids: &[u16]| ids.iter().map(|id| slot(*id)).collect::<BTreeSet<_>>();
    let events = |before: &Registry, after: &Registry| between(before, after, &BTreeMap::new());
    assert_eq!(events(&none, &all), [Event { slots: slots(&[1, 2]), what: What::Added }]);
    assert_eq!(events(&all, &none), [Event { slots: slots(&[1, 2]), what: What::Removed }]);
    assert_eq!(events(&all, &all.clone()), []);
    assert_eq!(events(&all, &registry()), [], "equal entries that are not shared");
    // What is announced has not happened yet.
    let announced = with(|entry| entry.pending = Some(Pending::Files(BTreeMap::new())));
    assert_eq!(events(&all, &announced), []);
    assert_eq!(events(&announced, &all), [Event { slots: slots(&[1]), what: What::Changed }]);
    // A claim ends before its slot goes.
    let ends = events(&held(claim("/a", 1)), &none);
    assert_eq!(ends.iter().map(|event| event.slots.len()).collect::<Vec<_>>(), [1, 2], "{ends:?}");
    let moved = with(|entry| "/elsewhere".clone_into(&mut entry.provisioned.infrastructure_path));
    assert_eq!(events(&all, &moved), [Event { slots: slots(&[1]), what: What::Changed }]);
    // An old tool's registry is taken over with its claims.
    let old = Claim { claim_id: None, ..claim("/a", 1) };
    let claimed = What::Claimed { party: Party::of(&old), lease: None, until: None, note: None };
    let events = events(&none, &held(old));
    assert_eq!(events[1], Event { slots: slots(&[1]), what: claimed });
}

#[test]
fn a_claim_begins_changes_and_ends() {
    let free = registry();
    let two_hours = Span::parse("2h").unwrap();
    let lease = |now| Some(Lease::starting(at(now), two_hours));
    let first = Claim { lease: lease(0), note: Some("n".to_owned()), ..claim("/a", 1) };
    let begins = What::Claimed {
        party: party("/a", 1),
        lease: Some(two_hours),
        until: Some(at(7200)),
        note: first.note.clone(),
    };
    assert_eq!(happened(&free, &held(first.clone())), [begins]);

    let altered = |second: Claim| happened(&held(first.clone()), &held(second));
    assert_eq!(altered(Claim { lease: lease(60), ..first.clone() }), [], "a renewal");
    let longer = Some(Lease::starting(at(0), Span::parse("3h").unwrap()));
    let leased = |lease: Option<Lease>| What::Leased {
        party: party("/a", 1),
        lease: lease.map(|lease| lease.length),
        until: lease.map(|lease| lease.until),
    };
    assert_eq!(altered(Claim { lease: longer, ..first.clone() }), [leased(longer)]);
    assert_eq!(altered(Claim { lease: None, ..first.clone() }), [leased(None)]);
    let noted = What::Noted { party: party("/a", 1), note: None };
    assert_eq!(altered(Claim { note: None, ..first.clone() }), [noted]);
    let moved = What::Moved { party: party("/b", 1), from: Holder::from("/a".to_owned()) };
    assert_eq!(altered(Claim { claimed_by: "/b".to_owned().into(), ..first.clone() }), [moved]);

    // The second has no width.
    for (letter, length, end) in [("x", 201, "x…"), ("\u{200b}", 201, "…"), ("é", 200, "é")] {
        let long = Claim { note: Some(letter.repeat(if end == "é" { 200 } else { 5000 })), ..first.clone() };
        let [What::Claimed { note: Some(note), .. }] = &happened(&free, &held(long))[..] else {
            panic!("no note")
        };
        assert_eq!((note.chars().count(), note.ends_with(end)), (length, true));
    }

    let of_run = held(Claim { is_of_run: true, ..claim("/a", 1) });
    assert_eq!(happened(&of_run, &held(claim("/a", 1))), [What::TakenOver { party: party("/a", 1) }]);
    let old = held(Claim { claim_id: None, ..claim("/a", 1) });
    assert_eq!(happened(&old, &held(claim("/a", 1))), [], "an old tool's claim gets an id");

    let ends = |how| What::Released { party: party("/a", 1), how };
    let next = What::Claimed { party: party("/b", 2), lease: None, until: None, note: None };
    let both = happened(&held(first.clone()), &held(claim("/b", 2)));
    assert_eq!(both, [ends(Ended::Otherwise), next], "another claim in one change");
    for how in [Ended::ByHolder, Ended::ByForce, Ended::LeaseRanOut, Ended::WorktreeGone] {
        // Of another slot, nothing is said.
        let ended = BTreeMap::from([(slot(1), how), (slot(2), Ended::ByHolder)]);
        let events = between(&held(first.clone()), &free, &ended);
        assert_eq!(events, [Event { slots: BTreeSet::from([slot(1)]), what: ends(how) }]);
    }
}

#[test]
fn a_stack_starts_and_what_it_left_goes() {
    let is = |started: Started| with(|entry| entry.started = Some(started));
    let left = |remains| Left::new(&claim("/a", 1), at(0), remains);
    let free = registry();
    assert_eq!(happened(&free, &is(started("t", None))), [What::StartBegun]);
    assert_eq!(happened(&is(started("t", None)), &is(started("u", None))), [What::StartBegun]);
    let again = Started { profiles: vec!["debug".to_owned()], ..started("t", None) };
    assert_eq!(happened(&is(started("t", None)), &is(again)), []);
    // The same worktree gets its data back.
    let kept = || is(started("t", Some(left(Remains::Data))));
    assert_eq!(happened(&kept(), &is(started("t", None))), []);
    let stack = || is(started("t", Some(left(Remains::Stack))));
    assert_eq!(happened(&free, &stack()), [], "an end of a claim that found a stack is no start");
    assert_eq!(happened(&is(started("t", None)), &stack()), []);
    let holder = Holder::from("/a".to_owned());
    assert_eq!(happened(&stack(), &kept()), [What::DataKept { holder }]);
    assert_eq!(happened(&kept(), &is(started("t", Some(left(Remains::Everything))))), [], "announced");
    assert_eq!(happened(&kept(), &free), [What::Cleaned]);
    assert_eq!(happened(&stack(), &free), [What::Cleaned]);
    let mut failing = left(Remains::Stack);
    for (minute, quarantined) in [(0, false), (10, false), (20, true)] {
        let before = is(started("t", Some(failing.clone())));
        failing = failing.failed(at(minute * 60), "busy".to_owned());
        let reason = Some("busy".to_owned());
        let after = is(started("t", Some(failing.clone())));
        assert_eq!(happened(&before, &after), [What::NotCleaned { reason, quarantined }]);
        assert_eq!(happened(&after, &after.clone()), []);
    }
}
