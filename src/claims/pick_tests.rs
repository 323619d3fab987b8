use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::claims::turn::{Ahead, Stop};
use crate::registry::{Claim, ClaimId, Left, MOST_FAILURES, Provisioned, Remains, Started};
use crate::slot::Workers;
use crate::time::Time;

/// The directory that asks.
fn me() -> Directory {
    Directory::unseen("/me".into())
}

/// Slots by their profiles, `Lmh` for a light, a middle and a heavy one; held where the letter is a capital.
pub(in crate::claims) fn pool(slots: &str) -> Registry {
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
        (SlotId::new(number).unwrap(), Arc::new(entry))
    };
    Registry { slots: (1..).zip(slots.chars()).map(entry).collect(), ..Registry::default() }
}

pub(in crate::claims) fn profiles() -> ProfileOrder {
    ProfileOrder(["light", "middle", "heavy"].map(|name| ProfileName::new(name).unwrap()).into())
}

/// A claim whose id is a number.
pub(in crate::claims) fn of(owner: &str, id: u16) -> Claim {
    let mut bits = [0; 16];
    bits[14..].copy_from_slice(&id.to_be_bytes());
    Claim { claim_id: Some(ClaimId::from_random(bits)), ..Claim::of(owner.to_owned().into(), None) }
}

#[test]
fn the_smallest_that_would_do_is_chosen_and_those_before_choose_first() {
    let at_least = |profile: &str| Wanted::parse(&format!("profile {profile}"));
    let (any, third) = (Wanted::Any, Wanted::parse("slot 3"));
    let chosen = |slots: &str, wanted: &Wanted, ahead: &[&Wanted]| {
        let ahead: Vec<Wanted> = ahead.iter().map(|wanted| (*wanted).clone()).collect();
        let application =
            Application { directory: &me(), wanted, profiles: &profiles(), ahead: &ahead, kept: None };
        choose(&pool(slots), &application, |_| Fitness::Fit).map(SlotId::get)
    };
    assert_eq!(chosen("hmloL", &any, &[]), Ok(3));
    assert_eq!(chosen("hmLoL", &any, &[]), Ok(2));
    assert_eq!(chosen("HMLoL", &any, &[]), Ok(4), "what is no longer declared comes last");
    assert_eq!(chosen("hml", &at_least("middle"), &[]), Ok(2));
    assert_eq!(chosen("hMl", &at_least("middle"), &[]), Ok(1));
    assert_eq!(chosen("HMl", &at_least("middle"), &[]), Err(Denied::Full.into()));
    assert_eq!(chosen("ohl", &at_least("old"), &[]), Ok(1), "not known to be larger or smaller than another");
    // Each takes what it would get, in their order. One that gets nothing holds up no other.
    assert_eq!(chosen("hml", &any, &[&any]), Ok(2));
    assert_eq!(chosen("hml", &any, &[&any, &any]), Ok(1));
    assert_eq!(chosen("hml", &any, &[&at_least("heavy"), &third]), Ok(2));
    assert_eq!(chosen("Hml", &any, &[&at_least("heavy"), &third]), Ok(2));
    assert_eq!(chosen("HMl", &any, &[&at_least("heavy")]), Ok(3));
    assert_eq!(chosen("HMl", &any, &[&third]), Err(Denied::Queued.into()));
    assert_eq!(chosen("HML", &any, &[&third]), Err(Denied::Full.into()));
    let as_seen = |slots: &str, fitness: fn(u16) -> Fitness| {
        let application =
            Application { directory: &me(), wanted: &any, profiles: &profiles(), ahead: &[], kept: None };
        choose(&pool(slots), &application, |slot| fitness(slot.get())).map(SlotId::get)
    };
    let only_second = |slot| if slot == 2 { Fitness::Fit } else { Fitness::Unfit };
    assert_eq!(as_seen("lll", only_second), Ok(2));
    // What was not looked at is neither passed over nor given.
    let first_is_unfit = |slot| if slot == 1 { Fitness::Unfit } else { Fitness::Unknown };
    let second = SlotId::new(2).unwrap();
    assert_eq!(as_seen("lll", first_is_unfit), Err(NotPicked::LookAt(second)));
    assert_eq!(as_seen("lLL", |_| Fitness::Unfit), Err(Denied::Full.into()));
}

#[test]
fn a_queue_is_read_as_far_as_it_matters_and_says_whose_turn_it_is() {
    let requests = |list: &[&str]| list.iter().map(|wanted| Wanted::parse(wanted)).collect::<Vec<_>>();
    // How far it is read, and the place of the waiter whose turn it is.
    let read = |slots: &str, wanted: &str, queue: &[&str]| {
        let queue = requests(queue).into_iter().zip(1..).map(Ok::<_, ()>);
        let (registry, profiles) = (pool(slots), profiles());
        let mut left = FreeSlots::new(&registry, &profiles, |_| Fitness::Fit);
        let ahead = Ahead::of((&Wanted::parse(wanted), None), queue, &mut left).unwrap();
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
    let (registry, profiles) = (pool("l"), profiles());
    let read = |queue: Result<(Wanted, ()), &'static str>, fitness: Fitness| {
        let mut left = FreeSlots::new(&registry, &profiles, |_| fitness);
        Ahead::of((&Wanted::Any, None), [queue], &mut left)
    };
    assert!(matches!(read(Err("broken"), Fitness::Fit), Err(Stop::Failed("broken"))));
    let unseen = read(Ok((Wanted::Any, ())), Fitness::Unknown);
    assert!(matches!(unseen, Err(Stop::LookAt(slot)) if slot.get() == 1));
}

#[test]
fn a_slot_is_looked_at_for_a_waiter_not_for_each_that_waits_before_it() {
    let (registry, profiles) = (pool(&"l".repeat(1000)), profiles());
    let asked = Cell::new(0);
    let fitness = |_| {
        asked.set(asked.get() + 1);
        Fitness::Fit
    };
    let queue = (0..999).map(|waiter| Ok::<_, ()>((Wanted::Any, waiter)));
    let mut left = FreeSlots::new(&registry, &profiles, fitness);
    let ahead = Ahead::of((&Wanted::Any, None), queue, &mut left).unwrap();
    assert_eq!((ahead.wanted.len(), ahead.next), (999, Some(0)));
    assert!(asked.get() <= 2 * 1000, "{} looks for 1,000 requests", asked.get());
    asked.set(0);
    let wanted = Wanted::Any;
    let application = Application {
        directory: &me(),
        wanted: &wanted,
        profiles: &profiles,
        ahead: &ahead.wanted,
        kept: None,
    };
    assert_eq!(choose(&registry, &application, fitness).map(SlotId::get), Ok(1000));
    assert!(asked.get() <= 2 * 1000, "{} looks for 1,000 requests", asked.get());
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
fn clean_slots_are_given_first_and_what_keeps_data_last() {
    let at = Time::parse("2026-03-01T17:22:10Z").unwrap();
    let left = |remains: Remains, failures: u32| Left {
        failures,
        ..Left::new(&Claim::of("/other".to_owned().into(), None), at, remains)
    };
    let with = |slots: &[Option<Left>]| {
        let mut registry = pool(&"l".repeat(slots.len()));
        for ((_, entry), left) in registry.slots.iter_mut().zip(slots) {
            Arc::make_mut(entry).started = left.clone().map(|left| Started {
                at: left.at.clone(),
                project: "shop-slot-1".to_owned(),
                engine: None,
                profiles: Vec::new(),
                left: Some(left),
            });
        }
        registry
    };
    let (data, dirty) = (Some(left(Remains::Data, 0)), Some(left(Remains::Stack, MOST_FAILURES - 1)));
    let quarantined = Some(left(Remains::Stack, MOST_FAILURES));
    let registry = with(&[data.clone(), dirty.clone(), None, data.clone()]);
    let fit = |_| Fitness::Fit;
    let chosen = |ahead: &[Wanted], kept: Option<u16>| {
        let kept = kept.and_then(SlotId::new);
        let (wanted, profiles) = (&Wanted::Any, &profiles());
        let application = Application { directory: &me(), wanted, profiles, ahead, kept };
        choose(&registry, &application, fit).map(SlotId::get)
    };
    assert_eq!(chosen(&[], None), Ok(3), "the clean one");
    assert_eq!(chosen(&[Wanted::Any], None), Ok(2), "the one without data");
    assert_eq!(chosen(&[Wanted::Any, Wanted::Any], None), Ok(1));
    assert_eq!(chosen(&[], Some(4)), Ok(4), "its own data comes first");
    assert_eq!(chosen(&[Wanted::Slot(SlotId::new(4).unwrap())], Some(4)), Ok(3), "a waiter ahead took it");
    let may_come = |slots: &[Option<Left>]| may_come(&with(slots), &Wanted::Any, &profiles());
    assert!(may_come(&[quarantined.clone(), dirty]) && may_come(&[data]));
    assert!(!may_come(&[quarantined.clone(), quarantined]), "a waiter would wait for ever");
}

#[test]
fn a_profile_suffices_if_it_is_known_to_be_as_large() {
    let name = |name: &str| ProfileName::new(name).unwrap();
    for (offered, wanted, suffices) in [
        ("light", "light", true),
        ("heavy", "light", true),
        ("light", "heavy", false),
        ("old", "old", true),
        ("old", "light", false),
        ("heavy", "old", false),
        ("old", "other", false),
    ] {
        assert_eq!(profiles().suffices(&name(offered), &name(wanted)), suffices, "{offered} for {wanted}");
    }
}

#[test]
fn a_slot_may_come_free_unless_it_waits_for_a_person_or_the_runs_around_hold_it() {
    let registry = pool("Lh");
    let light = Wanted::parse("profile light");
    assert!(may_come(&registry, &Wanted::Any, &profiles()) && may_come(&registry, &light, &profiles()));
    assert!(!may_come(&registry, &Wanted::parse("profile other"), &profiles()));
    let id = |number| of("", number).claim_id.unwrap();
    // Slot 1 is of run 1, and slot 2 of run 2, which began within it.
    let around = |second: Option<ClaimId>, run: ClaimId, wanted: &str| {
        let mut registry = pool("LH");
        registry.slot_mut(SlotId::new(2).unwrap()).unwrap().claim.as_mut().unwrap().in_run = second;
        are_all_around(&registry, &Wanted::parse(wanted), &profiles(), run)
    };
    assert!(around(Some(id(1)), id(2), "any"));
    assert!(!around(None, id(2), "any"), "slot 1 may come free");
    assert!(around(None, id(2), "slot 2") && !around(None, id(2), "slot 1"));
    assert!(!around(Some(id(1)), id(9), "any"), "a run that is over");
    assert!(around(Some(id(2)), id(2), "slot 2"), "one that is around itself");
}
