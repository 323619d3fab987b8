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
