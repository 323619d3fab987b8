use super::*;
use crate::claims::pick::tests::{of, pool, profiles};
use crate::claims::pick::{Application, Denied, Fitness, NotPicked, Wanted, would_get};
use crate::claims::standing::{Doubt, Reaping, Standing, Worktree, standing};
use crate::identifier::ProfileName;

fn at(seconds: i64) -> Time {
    Time::from_unix_micros(seconds * 1_000_000)
}

fn span(text: &str) -> Span {
    Span::parse(text).unwrap()
}

fn leased(owner: &str, id: u16, length: &str, now: i64) -> Claim {
    Claim { lease: Some(Lease::starting(at(now), span(length))), ..of(owner, id) }
}

#[test]
fn a_denied_claim_changes_nothing_and_a_second_one_of_the_owner_renews() {
    let profiles = profiles();
    let ask = |registry: &mut Registry, wanted: &Wanted, claim: Claim, length: Option<&str>, now: i64| {
        let directory = Directory::unseen(claim.claimed_by.directory().unwrap());
        let application =
            Application { directory: &directory, wanted, profiles: &profiles, ahead: &[], kept: None };
        let granted = would_get(registry, &application, |_| Fitness::Fit)?;
        grant(registry, granted, claim, length.map(span), at(now));
        Ok::<_, NotPicked>(granted)
    };
    let (mut registry, slot) = (pool("lL"), SlotId::new(1).unwrap());
    assert_eq!(ask(&mut registry, &Wanted::Any, of("/me", 9), Some("8h"), 0), Ok(Grant::New(slot)));
    assert_eq!(ask(&mut registry, &Wanted::Any, of("/me", 10), None, 3600), Ok(Grant::Held(slot)));
    let first = Claim { claimed_at: Some(at(0).to_string()), ..leased("/me", 9, "8h", 3600) };
    assert_eq!(registry.slots[&slot].claim, Some(first), "the same id, renewed");
    let before = registry.clone();
    for (wanted, denied) in [
        (Wanted::parse("slot 2"), Denied::HoldsAnother(slot)),
        (Wanted::parse("profile heavy"), Denied::HoldsAnother(slot)),
    ] {
        assert_eq!(ask(&mut registry, &wanted, of("/me", 11), None, 7200), Err(denied.into()));
    }
    let (second, heavy) = (SlotId::new(2).unwrap(), ProfileName::new("heavy").unwrap());
    for (wanted, denied) in [
        (Wanted::Any, Denied::Full),
        (Wanted::Slot(second), Denied::Taken(second)),
        (Wanted::parse("slot 3"), Denied::NoSuchSlot(SlotId::new(3).unwrap())),
        (Wanted::AtLeast(heavy.clone()), Denied::NoSuchProfile(heavy)),
    ] {
        assert_eq!(ask(&mut registry, &wanted, of("/you", 12), None, 7200), Err(denied.into()));
    }
    assert_eq!(registry, before);
}

#[test]
fn a_release_is_fenced_by_the_id() {
    let slot = SlotId::new(1).unwrap();
    let id = |number| of("", number).claim_id.unwrap();
    let freed = |owner: &str, slot: Option<SlotId>, id: Option<ClaimId>, force: bool| {
        let mut registry = pool("Ll");
        let released = release(&mut registry, &Directory::unseen(owner.into()), slot, id, force);
        let is_free = registry.slots[&SlotId::new(1).unwrap()].claim.is_none();
        released.map(|released| (released.is_some(), is_free))
    };
    assert_eq!(freed("/held", None, None, false), Ok((true, true)));
    assert_eq!(freed("/held", Some(slot), Some(id(1)), false), Ok((true, true)));
    assert_eq!(freed("/else", None, Some(id(1)), false), Ok((true, true)));
    assert_eq!(freed("/else", Some(slot), None, true), Ok((true, true)));
    assert_eq!(freed("/else", None, None, false), Ok((false, false)));
    assert_eq!(freed("/else", SlotId::new(2), Some(id(1)), false), Ok((false, false)));
    assert_eq!(freed("/else", Some(slot), None, false), Err(NotYours::HeldBy(slot)));
    assert_eq!(freed("/held", Some(slot), Some(id(2)), false), Err(NotYours::Over(id(2), Some(slot))));
    assert_eq!(freed("/held", None, Some(id(2)), false), Err(NotYours::Over(id(2), None)));
    assert_eq!(
        freed("/held", SlotId::new(3), None, true),
        Err(NotYours::NoSuchSlot(SlotId::new(3).unwrap()))
    );
}

#[test]
fn a_claim_stands_by_its_lease_and_its_directory_however_the_clock_jumps() {
    const YEARS: i64 = 10 * 365 * 24 * 3600;
    let (there, gone, away) = (Worktree::There, Worktree::Gone, Worktree::Away(Doubt::Unmounted));
    let (forever, eight) = (of("/me", 1), leased("/me", 1, "8h", 2 * YEARS));
    for (claim, now, worktree, expected) in [
        (&forever, 9 * YEARS, there, Standing::Held),
        (&forever, 0, away, Standing::Held),
        (&forever, 0, gone, Standing::Orphaned),
        (&eight, 2 * YEARS + 8 * 3600 - 1, there, Standing::Held),
        (&eight, 2 * YEARS + 8 * 3600, there, Standing::Expired),
        (&eight, 3 * YEARS, away, Standing::Expired),
        (&eight, 3 * YEARS, gone, Standing::Orphaned),
        // The clock was set back to before the claim.
        (&eight, 0, there, Standing::Held),
    ] {
        assert_eq!(standing(claim, at(now), worktree), expected, "{now} {worktree:?}");
    }
    // A renewal counts from the present clock, even if that is earlier.
    let mut registry = pool("L");
    let slot = SlotId::new(1).unwrap();
    for (now, length, expected) in
        [(3 * YEARS, Some(span("8h")), "8h"), (YEARS, None, "8h"), (0, Some(span("2d")), "2d")]
    {
        assert_eq!(to_renew(&registry, &Directory::unseen("/held".into()), None), Ok(Some(slot)));
        renew(&mut registry, slot, length, None, at(now));
        let lease = registry.slots[&slot].claim.as_ref().unwrap().lease;
        assert_eq!(lease, Some(Lease::starting(at(now), span(expected))));
    }
}

#[test]
fn reaping_ends_what_was_shown_and_is_still_as_it_was() {
    let mut registry = pool("LLLL");
    let now = at(100_000);
    let lapse = |registry: &mut Registry, slot: u16, until: i64| {
        let claim = registry.slot_mut(SlotId::new(slot).unwrap()).and_then(|entry| entry.claim.as_mut());
        claim.unwrap().lease = Some(Lease { length: span("8h"), until: at(until) });
    };
    lapse(&mut registry, 1, 5);
    lapse(&mut registry, 2, 5);
    let third = of("", 3).claim_id;
    let worktree = |claim: &Claim| {
        if claim.claim_id == third { Worktree::Gone } else { Worktree::Away(Doubt::Locked) }
    };
    let shown = Reaping::of(&registry, now, None, worktree);
    assert_eq!(shown.ends.keys().map(|slot| slot.get()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(shown.doubts.keys().map(|slot| slot.get()).collect::<Vec<_>>(), [4]);
    // One claim was renewed meanwhile, and another ran out that was not shown.
    lapse(&mut registry, 2, 200_000);
    lapse(&mut registry, 4, 5);
    let reaping = Reaping::of(&registry, now, None, worktree).within(&shown).still_in(&registry, now);
    for slot in reaping.ends.keys() {
        end(&mut registry, *slot);
    }
    let held = registry.slots.iter().filter(|(_, entry)| entry.claim.is_some());
    assert_eq!(held.map(|(slot, _)| slot.get()).collect::<Vec<_>>(), [2, 4]);
}

fn only(registry: &Registry) -> Claim {
    registry.slots.values().next().and_then(|entry| entry.claim.clone()).unwrap()
}

#[test]
fn a_holder_that_claims_again_has_what_is_new_of_it() {
    use crate::registry::Token;
    let slot = SlotId::new(1).unwrap();
    let token = |byte: u8| Some(Token::from_random([byte; 16]));
    let id = |number| of("", number).claim_id;
    let held = Claim {
        note: Some("old".to_owned()),
        mark: Mark { token: token(1), ..Mark::default() },
        ..of("/w", 1)
    };
    let again = |held: Claim, claim: Claim, length: Option<&str>| {
        let mut registry = pool("L");
        registry.slot_mut(slot).unwrap().claim = Some(held);
        let begins = begins(&registry, Grant::Held(slot), &claim);
        grant(&mut registry, Grant::Held(slot), claim, length.map(span), at(100));
        (only(&registry), begins)
    };
    let new = Claim {
        claimed_host: Some("h".to_owned()),
        claimed_user: Some("u".to_owned()),
        claimed_gitdir: Some("/g".to_owned()),
        claimed_mount: Some("/m".to_owned()),
        ..of("/w", 2)
    };
    let (renewed, begins) = again(held.clone(), new.clone(), None);
    assert_eq!(renewed, Claim { claim_id: id(1), note: held.note.clone(), mark: held.mark, ..new.clone() });
    assert!(!begins);
    let marked =
        Claim { note: Some("new".to_owned()), mark: Mark { token: token(2), ..Mark::default() }, ..new };
    let (renewed, _) = again(held.clone(), marked.clone(), Some("1h"));
    assert_eq!((renewed.note.as_deref(), renewed.mark), (Some("new"), marked.mark));
    assert_eq!(renewed.lease, Some(Lease::starting(at(100), span("1h"))));
    let (renewed, _) = again(Claim { claim_id: None, ..held }, marked, None);
    assert_eq!(renewed.claim_id, id(2), "an old tool's claim gets an id");
}

#[test]
fn what_a_run_has_is_kept_once_its_directory_claims_it() {
    let slot = SlotId::new(1).unwrap();
    let id = |number| of("", number).claim_id;
    let run = || Claim { is_of_run: true, ..leased("/w", 1, "8h", 0) };
    let again = |held: Claim, claim: Claim| {
        let mut registry = pool("L");
        registry.slot_mut(slot).unwrap().claim = Some(held);
        let begins = begins(&registry, Grant::Held(slot), &claim);
        grant(&mut registry, Grant::Held(slot), claim, None, at(100));
        let claim = only(&registry);
        (claim.is_of_run, claim.in_run, claim.lease.is_some(), begins)
    };
    let plain = || of("/w", 2);
    let in_run = |number| Claim { in_run: id(number), ..leased("/w", 2, "8h", 0) };
    // Whether it is a run's, the run around it, whether it has a lease, and whether a claim begins.
    assert_eq!(again(run(), plain()), (false, None, false, true));
    assert_eq!(again(run(), run()), (true, None, true, false));
    assert_eq!(again(plain(), run()), (false, None, false, false));
    assert_eq!(again(in_run(7), in_run(7)), (false, id(7), true, false));
    assert_eq!(again(in_run(7), in_run(8)), (false, None, true, false));
    assert_eq!(again(in_run(7), plain()), (false, None, true, false));
    assert!(begins(&pool("l"), Grant::New(slot), &plain()));
}

#[test]
fn what_is_left_of_a_run_or_of_an_owner_is_all_to_go() {
    use crate::identifier::Owner;
    let slot = SlotId::new(1).unwrap();
    let left = |claim: &Claim, is_started: bool| {
        let mut registry = pool("l");
        let started = crate::registry::Started {
            at: String::new(),
            project: "shop-slot-1".to_owned(),
            engine: None,
            profiles: Vec::new(),
            left: None,
        };
        registry.slot_mut(slot).unwrap().started = is_started.then_some(started);
        leave(&mut registry, slot, claim, Remains::Stack, at(5));
        let started = registry.slots[&slot].started.clone();
        started.and_then(|started| started.left).map(|left| (left.remains, left.at))
    };
    let when = at(5).to_string();
    let run = Claim { is_of_run: true, ..of("/w", 1) };
    let owned = Claim { claim_owner: Owner::new("ci").ok(), ..of("/w", 1) };
    assert_eq!(left(&of("/w", 1), true), Some((Remains::Stack, when.clone())));
    assert_eq!(left(&run, true), Some((Remains::Everything, when.clone())));
    assert_eq!(left(&owned, true), Some((Remains::Everything, when)));
    assert_eq!(left(&of("/w", 1), false), None, "nothing was started");
    // A new claim of the slot takes over what is left.
    let mut registry = pool("l");
    registry.slot_mut(slot).unwrap().started = None;
    grant(&mut registry, Grant::New(slot), of("/w", 1), None, at(7));
    assert_eq!(only(&registry).claimed_at, Some(at(7).to_string()));
}

#[test]
fn a_lease_is_renewed_when_a_third_of_it_is_over() {
    for (length, millis) in [("3h", 3_600_000), ("1s", 333), ("0s", 100)] {
        let every = renewed_every(Lease::starting(at(0), span(length)));
        assert_eq!(every.as_millis(), millis, "{length}");
    }
}
