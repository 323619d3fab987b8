use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::claims::queue::Ahead;
use crate::claims::standing::{Doubt, Reaping, Standing, Worktree, standing};
use crate::registry::Provisioned;
use crate::slot::Workers;

/// Slots by their profiles, `Lmh` for a light, a middle and a heavy one; held where the letter is a capital.
fn pool(slots: &str) -> Registry {
    let entry = |(number, letter): (u16, char)| {
        let profile = match letter.to_ascii_lowercase() {
            'l' => "light",
            'm' => "middle",
            'h' => "heavy",
            _ => "old",
        };
        let mut entry = Entry::new(Provisioned {
            infrastructure_path: String::new(),
            profile: ProfileName::new(profile).unwrap(),
            workers: Workers::new(),
            ports: BTreeMap::new(),
            udp: BTreeSet::new(),
            files: BTreeMap::new(),
        });
        entry.claim = letter.is_ascii_uppercase().then(|| of("/held", number));
        (SlotId::new(number).unwrap(), entry)
    };
    Registry { slots: (1..).zip(slots.chars()).map(entry).collect(), ..Registry::default() }
}

fn profiles() -> ProfileOrder {
    ProfileOrder(["light", "middle", "heavy"].map(|name| ProfileName::new(name).unwrap()).into())
}

/// A claim whose id is a number.
fn of(owner: &str, id: u16) -> Claim {
    let mut bits = [0; 16];
    bits[14..].copy_from_slice(&id.to_be_bytes());
    Claim { claim_id: Some(ClaimId::from_random(bits)), ..Claim::of(owner.to_owned().into(), None) }
}

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
fn the_smallest_that_would_do_is_chosen_and_those_before_choose_first() {
    let at_least = |profile: &str| Wanted::parse(&format!("profile {profile}"));
    let (any, third) = (Wanted::Any, Wanted::parse("slot 3"));
    let chosen = |slots: &str, wanted: &Wanted, ahead: &[&Wanted]| {
        let ahead: Vec<Wanted> = ahead.iter().map(|wanted| (*wanted).clone()).collect();
        choose(&pool(slots), wanted, &profiles(), &ahead, |_| true).map(SlotId::get)
    };
    assert_eq!(chosen("hmloL", &any, &[]), Ok(3));
    assert_eq!(chosen("hmLoL", &any, &[]), Ok(2));
    assert_eq!(chosen("HMLoL", &any, &[]), Ok(4), "what is no longer declared comes last");
    assert_eq!(chosen("hml", &at_least("middle"), &[]), Ok(2));
    assert_eq!(chosen("hMl", &at_least("middle"), &[]), Ok(1));
    assert_eq!(chosen("HMl", &at_least("middle"), &[]), Err(Denied::Full));
    assert_eq!(chosen("ohl", &at_least("old"), &[]), Ok(1), "not known to be larger or smaller than another");
    // Each takes what it would get, in their order. One that gets nothing holds up no other.
    assert_eq!(chosen("hml", &any, &[&any]), Ok(2));
    assert_eq!(chosen("hml", &any, &[&any, &any]), Ok(1));
    assert_eq!(chosen("hml", &any, &[&at_least("heavy"), &third]), Ok(2));
    assert_eq!(chosen("Hml", &any, &[&at_least("heavy"), &third]), Ok(2));
    assert_eq!(chosen("HMl", &any, &[&at_least("heavy")]), Ok(3));
    assert_eq!(chosen("HMl", &any, &[&third]), Err(Denied::Queued));
    assert_eq!(chosen("HML", &any, &[&third]), Err(Denied::Full));
    let only_second = |slot: SlotId| slot.get() == 2;
    assert_eq!(choose(&pool("lll"), &any, &profiles(), &[], only_second).map(SlotId::get), Ok(2));
}

#[test]
fn a_queue_is_read_as_far_as_it_matters_and_says_whose_turn_it_is() {
    let requests = |list: &[&str]| list.iter().map(|wanted| Wanted::parse(wanted)).collect::<Vec<_>>();
    // How far it is read, and the place of the waiter whose turn it is.
    let read = |slots: &str, wanted: &str, queue: &[&str]| {
        let queue = requests(queue).into_iter().zip(1..).map(Ok::<_, ()>);
        let is_free = |wanted: &Wanted, ahead: &[Wanted]| {
            choose(&pool(slots), wanted, &profiles(), ahead, |_| true).is_ok()
        };
        let ahead = Ahead::of(&Wanted::parse(wanted), queue, is_free).unwrap();
        (ahead.wanted.len(), ahead.next)
    };
    assert_eq!(read("LL", "any", &["any", "any"]), (0, None), "nothing is free");
    assert_eq!(read("Ll", "any", &["any", "any"]), (1, Some(1)));
    assert_eq!(read("ll", "any", &["any"]), (1, Some(1)), "one is left");
    assert_eq!(
        read("Hl", "any", &["profile heavy", "slot 2", "any"]),
        (2, Some(2)),
        "the first gets nothing"
    );
    assert_eq!(read("Hl", "slot 1", &["any"]), (0, None));
    assert_eq!(read("hl", "profile heavy", &["any", "any", "any"]), (2, Some(1)));
    let unreadable = Ahead::of(&Wanted::Any, [Err::<(Wanted, ()), _>("broken")], |_, _| true);
    assert_eq!(unreadable.unwrap_err(), "broken");
}

#[test]
fn a_request_reads_back_and_what_is_not_understood_may_stand_for_any_slot() {
    for wanted in [
        Wanted::Any,
        Wanted::AtLeast(ProfileName::new("light").unwrap()),
        Wanted::Slot(SlotId::new(7).unwrap()),
    ] {
        assert_eq!(Wanted::parse(&wanted.to_string()), wanted);
    }
    for text in ["", "slot", "slot 0", "slot x", "profile Ünknown", "any more"] {
        assert_eq!(Wanted::parse(text), Wanted::Any, "{text:?}");
    }
}

#[test]
fn a_denied_claim_changes_nothing_and_a_second_one_of_the_owner_renews() {
    let profiles = profiles();
    let ask = |registry: &mut Registry, wanted: &Wanted, claim: Claim, now: i64| {
        let directory = claim.claimed_by.directory().unwrap().to_owned();
        let application = Application { directory: &directory, wanted, profiles: &profiles, ahead: &[] };
        let granted = would_get(registry, &application, |_| true)?;
        grant(registry, granted, claim, at(now));
        Ok(granted)
    };
    let (mut registry, slot) = (pool("lL"), SlotId::new(1).unwrap());
    assert_eq!(ask(&mut registry, &Wanted::Any, leased("/me", 9, "8h", 0), 0), Ok(Grant::New(slot)));
    assert_eq!(ask(&mut registry, &Wanted::Any, of("/me", 10), 3600), Ok(Grant::Held(slot)));
    assert_eq!(registry.slots[&slot].claim, Some(leased("/me", 9, "8h", 3600)), "the same id, renewed");
    let before = registry.clone();
    for (wanted, denied) in [
        (Wanted::parse("slot 2"), Denied::HoldsAnother(slot)),
        (Wanted::parse("profile heavy"), Denied::HoldsAnother(slot)),
    ] {
        assert_eq!(ask(&mut registry, &wanted, of("/me", 11), 7200), Err(denied));
    }
    let (second, heavy) = (SlotId::new(2).unwrap(), ProfileName::new("heavy").unwrap());
    for (wanted, denied) in [
        (Wanted::Any, Denied::Full),
        (Wanted::Slot(second), Denied::Taken(second)),
        (Wanted::parse("slot 3"), Denied::NoSuchSlot(SlotId::new(3).unwrap())),
        (Wanted::AtLeast(heavy.clone()), Denied::NoSuchProfile(heavy)),
    ] {
        assert_eq!(ask(&mut registry, &wanted, of("/you", 12), 7200), Err(denied));
    }
    assert_eq!(registry, before);
}

#[test]
fn a_release_is_fenced_by_the_id() {
    let slot = SlotId::new(1).unwrap();
    let id = |number| of("", number).claim_id.unwrap();
    let freed = |owner: &str, slot: Option<SlotId>, id: Option<ClaimId>, force: bool| {
        let mut registry = pool("Ll");
        let released = release(&mut registry, owner.into(), slot, id, force);
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
        // The clock went back to before the claim was made.
        (&eight, 0, there, Standing::Held),
    ] {
        assert_eq!(standing(claim, at(now), worktree), expected, "{now} {worktree:?}");
    }
    // A renewal counts from the clock of that moment, also back.
    let mut registry = pool("L");
    let slot = SlotId::new(1).unwrap();
    for (now, length, expected) in
        [(3 * YEARS, Some(span("8h")), "8h"), (YEARS, None, "8h"), (0, Some(span("2d")), "2d")]
    {
        assert_eq!(renew(&mut registry, "/held".into(), None, length, at(now)), Ok(Some(slot)));
        let lease = registry.slots[&slot].claim.as_ref().unwrap().lease;
        assert_eq!(lease, Some(Lease::starting(at(now), span(expected))));
    }
}

#[test]
fn reaping_ends_what_was_shown_and_is_still_as_it_was() {
    let mut registry = pool("LLLL");
    let now = at(100_000);
    let lapse = |registry: &mut Registry, slot: u16, until: i64| {
        let claim =
            registry.slots.get_mut(&SlotId::new(slot).unwrap()).and_then(|entry| entry.claim.as_mut());
        claim.unwrap().lease = Some(Lease { length: span("8h"), until: at(until) });
    };
    lapse(&mut registry, 1, 5);
    lapse(&mut registry, 2, 5);
    let third = of("", 3).claim_id;
    let worktree = |claim: &Claim| {
        if claim.claim_id == third { Worktree::Gone } else { Worktree::Away(Doubt::Locked) }
    };
    let shown = Reaping::of(&registry, now, worktree);
    assert_eq!(shown.ends.keys().map(|slot| slot.get()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(shown.doubts.keys().map(|slot| slot.get()).collect::<Vec<_>>(), [4]);
    // Renewed meanwhile; and one more has run out, which was not shown.
    lapse(&mut registry, 2, 200_000);
    lapse(&mut registry, 4, 5);
    let reaping = Reaping::of(&registry, now, worktree).within(&shown).still_in(&registry, now);
    for slot in reaping.ends.keys() {
        end(&mut registry, *slot);
    }
    let held = registry.slots.iter().filter(|(_, entry)| entry.claim.is_some());
    assert_eq!(held.map(|(slot, _)| slot.get()).collect::<Vec<_>>(), [2, 4]);
}
