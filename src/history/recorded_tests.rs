use super::*;
use crate::history::{Author, Ended, HEADER, Version, version};
use crate::registry::Holder;
use crate::time::Time;

const FREE: &str = r#"{"version": 2, "slots": {"1": {"slot_id": 1, "infrastructure_path": "/p", "profile": "only",
    "workers": {}, "ports": {}, "claimed_by": null, "status": "stopped"}}}"#;

fn slots(list: &str) -> BTreeSet<SlotId> {
    SlotId::parse_list(list).unwrap()
}

fn party(id: u8) -> Party {
    let claim_id = (id > 0).then(|| ClaimId::from_random([id; 16]));
    Party { holder: Holder::from("/a".to_owned()), owner: None, claim_id }
}

fn claimed(id: u8) -> What {
    What::Claimed { party: party(id), lease: None, until: None, note: None }
}

fn released(id: u8) -> What {
    What::Released { party: party(id), how: Ended::ByHolder }
}

/// A change of slot 1 for each, that replaced the registry of that number.
fn changes(each: impl IntoIterator<Item = What>) -> Vec<Change> {
    let change = |(number, what): (usize, What)| Change {
        at: Time::from_unix_micros(1_000_000),
        by: Author {
            user: "me".to_owned(),
            host: "box".to_owned(),
            command: "kinfra claim".to_owned(),
            directory: Some("/a".to_owned()),
        },
        events: vec![Event { slots: slots("1"), what }],
        replaces: Some(Replaces::text(Some(&number.to_string()))),
    };
    each.into_iter().enumerate().map(change).collect()
}

fn text(changes: &[Change]) -> String {
    changes.iter().map(Change::line).collect()
}

/// What these lines tell beside a registry, which is the one of that number.
fn told(lines: &str, registry: Option<&Registry>, number: usize) -> History {
    let present = Replaces::text(Some(&number.to_string()));
    Recorded { texts: &[lines.to_owned()], registry, present: Some(&present) }.history()
}

#[test]
fn every_event_is_read_as_it_is_written() {
    let holder = Holder::from("/a".to_owned());
    let mut all = changes([
        What::Added,
        What::Changed,
        What::Removed,
        What::Claimed {
            party: Party { owner: crate::identifier::Owner::new("ci-7").ok(), ..party(1) },
            lease: crate::time::Span::parse("2h").ok(),
            until: Some(Time::from_unix_micros(7)),
            note: Some("line\nof \u{1b}[1m".to_owned()),
        },
        What::TakenOver { party: party(0) },
        What::Leased { party: party(1), lease: None, until: None },
        What::Noted { party: party(1), note: None },
        What::Moved { party: party(1), from: Holder::Unknown },
        released(1),
        What::StartBegun,
        What::Stopped { with_data: true },
        What::Reset { service: Some("db".to_owned()), with_data: false },
        What::DataKept { holder },
        What::Cleaned,
        What::NotCleaned { reason: None, quarantined: true },
        What::Repaired { from_backup: true },
    ]);
    all[15].events[0].slots.clear();
    all[1].events[0].slots = slots("1-3,7");
    all[2].replaces = None;
    for change in &all {
        let line = change.line();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert_eq!(Change::parse(&line).as_ref(), Some(change), "{line}");
    }
    assert_ne!(Replaces::text(None), Replaces::text(Some("none")));
    let end = all[0].replaces.as_ref().unwrap().end_of_line();
    assert!(all[0].line().ends_with(&end) && !all[1].line().ends_with(&end));
}

#[test]
fn a_journal_is_known_by_its_first_line() {
    assert_eq!(version(HEADER), Version::Ours);
    assert_eq!(version(&format!("{HEADER}more")), Version::Ours);
    assert_eq!(version("{\"kinfra_journal\":2,\"more\":1}\n"), Version::Newer);
    for foreign in ["", "{}", "Dear diary,\n", "{\"kinfra_journal\":0}", "{\"kinfra_journal\":1", "\0\0"] {
        assert_eq!(version(foreign), Version::Foreign, "{foreign}");
    }
}

#[test]
fn what_cannot_be_read_is_counted_and_the_rest_is_told() {
    let all = changes([claimed(1), released(1)]);
    let (first, second) = (all[0].line(), all[1].line());
    let torn = &second[..second.len() / 2];
    let free = Registry::parse(FREE).unwrap();
    let history = told(&format!("{first}{torn}\n{second}\n"), Some(&free), 9);
    assert_eq!((history.changes, history.unreadable, history.missing), (all, 1, BTreeSet::new()));
    let history = told(&format!("{first}\0\0{torn}"), None, 9);
    assert_eq!((history.changes.len(), history.unreadable), (1, 1));
}

#[test]
fn a_change_that_is_not_saved_is_not_told() {
    let all = changes([claimed(1), released(1)]);
    assert_eq!(
        told(&text(&all), None, 1).changes,
        all[..1],
        "the second replaces the registry that is there"
    );
    assert_eq!(told(&text(&all), None, 0).changes, all, "the first one was saved: there is a second");
    let texts = [text(&all)];
    let done = Recorded { texts: &texts, registry: None, present: None }.history();
    assert_eq!(done.changes, all, "none is being saved");
    let also = Change { replaces: None, ..all[1].clone() };
    assert_eq!(told(&text(&[all[0].clone(), also]), None, 1).changes.len(), 2);
}

#[test]
fn a_slot_whose_claims_do_not_fit_is_named() {
    let free = Registry::parse(FREE).unwrap();
    let held = |id: u8| {
        let mut registry = free.clone();
        let claim = Claim { claim_id: party(id).claim_id, ..Claim::of(party(id).holder, None) };
        registry.slot_mut(*slots("1").first().unwrap()).unwrap().claim = Some(claim);
        registry
    };
    for (whats, registry, is_whole, case) in [
        (vec![], held(1), true, "nothing is recorded"),
        (vec![What::Added, claimed(1), released(1)], free.clone(), true, "all is there"),
        (vec![released(1), claimed(2)], held(2), true, "the beginning was put aside"),
        (vec![claimed(0), released(1)], free.clone(), true, "an old tool's claim got its id"),
        (vec![claimed(1), What::StartBegun], held(1), true, "it is held"),
        (vec![claimed(1), claimed(2)], held(2), false, "an end is missing"),
        (vec![claimed(1), released(2)], free.clone(), false, "an end and a beginning are missing"),
        (vec![What::Added, released(1)], free.clone(), false, "a beginning is missing"),
        (vec![claimed(1)], free.clone(), false, "the last end is missing"),
        (vec![claimed(1)], held(2), false, "the last two are missing"),
        (vec![released(1)], held(2), false, "the last beginning is missing"),
        (vec![claimed(1), What::Repaired { from_backup: false }], free.clone(), true, "a repair ends all"),
    ] {
        let lines = text(&changes(whats));
        let missing = if is_whole { BTreeSet::new() } else { slots("1") };
        assert_eq!(told(&lines, Some(&registry), 99).missing, missing, "{case}");
    }
    let lines = text(&changes([claimed(1)]));
    assert_eq!(told(&lines, None, 99).missing, BTreeSet::new(), "the registry was saved meanwhile");
}

#[test]
fn a_part_of_the_history_has_what_was_asked_for() {
    let mut all = changes([What::Added, claimed(1), What::Repaired { from_backup: true }, claimed(2)]);
    let event = |list: &str, what: What| Event { slots: slots(list), what };
    all[0].events = vec![event("1-2", What::Added), event("2", claimed(3))];
    all[2].events[0].slots.clear();
    let whole = History { changes: all.clone(), missing: slots("1-2"), ..History::default() };
    let of_two = whole.clone().of_slot(*slots("2").first().unwrap());
    assert_eq!(of_two.changes, [all[0].clone(), all[2].clone()]);
    assert_eq!(of_two.missing, slots("2"));
    for (count, left, first) in [(1, 1, &all[3].events), (3, 3, &all[1].events), (9, 4, &all[0].events)] {
        let last = whole.clone().last(count);
        assert_eq!((last.changes.len(), &last.changes[0].events), (left, first), "{count}");
        assert_eq!(last.earlier, 5_usize.saturating_sub(count));
    }
    let four = whole.last(4);
    assert_eq!(four.changes[0].events, all[0].events[1..], "a part of a change");
}
