use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::claims::turn::Ahead;
use crate::registry::{Claim, ClaimId, Provisioned};
use crate::slot::Workers;

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
            Application { directory: "/me".into(), wanted, profiles: &profiles(), ahead: &ahead };
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
            Application { directory: "/me".into(), wanted: &any, profiles: &profiles(), ahead: &[] };
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
        let is_free = |wanted: &Wanted, ahead: &[Wanted]| {
            let application = Application { directory: "/me".into(), wanted, profiles: &profiles(), ahead };
            Ok(choose(&pool(slots), &application, |_| Fitness::Fit).is_ok())
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
    let unreadable = Ahead::of(&Wanted::Any, [Err::<(Wanted, ()), _>("broken")], |_, _| Ok(true));
    assert_eq!(unreadable.unwrap_err(), "broken");
    let unseen = Ahead::of(&Wanted::Any, [Ok((Wanted::Any, ()))], |_, _| Err("not looked at"));
    assert_eq!(unseen.unwrap_err(), "not looked at");
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
