use super::*;
use crate::claims::pick::tests::{of, pool};
use crate::registry::Token;

fn place(inode: u64, born: Option<i64>) -> Place {
    Place { device: 1, inode, born }
}

fn mark(token: Option<u8>, inode: Option<u64>) -> Mark {
    let token = token.map(|byte| Token::from_random([byte; 16]));
    Mark { token, place: inode.map(|inode| place(inode, None)), ..Mark::default() }
}

fn directory(path: &str, mark: Option<Mark>) -> Directory {
    Directory { mark, ..Directory::unseen(path.into()) }
}

fn slot(id: u16) -> SlotId {
    SlotId::new(id).unwrap()
}

#[test]
fn a_directory_that_is_there_is_told_by_its_mark_and_one_that_is_not_by_its_path() {
    let (here, far) = (Some("here".to_owned()), Some("far".to_owned()));
    let claim = |host: &Option<String>, mark: Mark| Claim {
        claimed_host: host.clone(),
        mark,
        ..Claim::of("/w".to_owned().into(), None)
    };
    let on = |host: &Option<String>, mark: Option<Mark>, above: Option<Place>| Directory {
        host: host.clone(),
        above,
        ..directory("/w", mark)
    };
    let with_above = |inode, born| Mark { above: Some(place(inode, born)), ..mark(None, Some(1)) };
    let (known, copied) = (mark(Some(1), Some(1)), mark(Some(1), Some(2)));
    let none = Mark::default();
    for (name, directory, claim, is_at) in [
        ("an older kinfra noted no mark", on(&here, Some(known), None), claim(&here, none), true),
        ("the same", on(&here, Some(known), None), claim(&here, known), true),
        ("another token", on(&here, Some(mark(Some(2), Some(1))), None), claim(&here, known), false),
        ("a backup that was put back", on(&here, Some(copied), None), claim(&here, known), true),
        ("a copy on another machine", on(&far, Some(copied), None), claim(&here, known), false),
        ("a machine with a new name", on(&far, Some(known), None), claim(&here, known), true),
        ("gone, on this machine", on(&here, None, None), claim(&here, known), true),
        ("gone, on another machine", on(&far, None, None), claim(&here, known), false),
        ("gone, the machine was not noted", on(&far, None, None), claim(&None, known), true),
        ("gone, wherever it was", on(&None, None, None), claim(&here, known), true),
        (
            "gone, below the same directory",
            on(&far, None, Some(place(5, Some(1)))),
            claim(&here, with_above(5, Some(1))),
            true,
        ),
        (
            "gone, below another",
            on(&here, None, Some(place(6, Some(1)))),
            claim(&here, with_above(5, Some(1))),
            false,
        ),
        (
            "gone, on a disk with a new number",
            on(&here, None, Some(Place { device: 2, ..place(5, None) })),
            claim(&here, with_above(5, None)),
            true,
        ),
        (
            "gone, on a disk of another machine",
            on(&far, None, Some(Place { device: 2, ..place(5, None) })),
            claim(&here, with_above(5, None)),
            false,
        ),
    ] {
        assert_eq!(directory.is_at(&claim), is_at, "{name}");
    }
    let mounted = Claim { claimed_mount: Some("/w".to_owned()), ..claim(&here, known) };
    assert!(!on(&here, Some(copied), None).is_at(&mounted), "a copy on a disk that is mounted there");
    let above = Claim { claimed_mount: Some("/".to_owned()), ..claim(&here, known) };
    assert!(on(&here, Some(copied), None).is_at(&above));
    assert!(!directory("/else", Some(known)).is_at(&claim(&None, known)));
}

#[test]
fn an_owner_in_a_directory_is_a_holder_of_its_own() {
    let ci = || Owner::new("ci").ok();
    let claim = |owner| Claim { claim_owner: owner, ..Claim::of("/w".to_owned().into(), None) };
    for (owner, claimed, holds) in
        [(None, None, true), (ci(), ci(), true), (ci(), None, false), (None, ci(), false)]
    {
        let directory = directory("/w", None).owned_by(owner);
        assert_eq!(directory.holds(&claim(claimed)), holds, "{directory:?}");
        assert!(directory.is_at(&claim(ci())), "of any owner");
    }
}

/// Slots 1 and 2, held by these claims.
fn held(claims: [Option<Claim>; 2]) -> Registry {
    let mut registry = pool("ll");
    for (id, claim) in (1..).zip(claims) {
        registry.slot_mut(slot(id)).unwrap().claim = claim;
    }
    registry
}

#[test]
fn a_slot_is_found_by_what_its_holder_is_known_by() {
    let marked = |inode| Claim { mark: mark(None, Some(inode)), ..of("/w", 1) };
    let registry = held([Some(of("/v", 1)), Some(Claim { claim_id: of("", 2).claim_id, ..marked(1) })]);
    let own = directory("/w", Some(mark(None, Some(1))));
    let another = directory("/w", Some(mark(None, Some(9))));
    assert_eq!((held_by(&registry, &own), held_by(&registry, &another)), (Some(slot(2)), None));
    assert_eq!(held_at_its_path(&registry, &own), None);
    assert_eq!(held_at_its_path(&registry, &another), Some(slot(2)));
    assert_eq!(held_at_its_path(&registry, &directory("/u", None)), None);
    // The path alone of a directory that is there is something that any registry can name.
    let by_path = |mark| directory("/v", mark);
    assert_eq!(held_by_mark(&registry, &by_path(None)), Some(slot(1)));
    assert_eq!(held_by_mark(&registry, &by_path(Some(mark(None, Some(1))))), None);
    assert_eq!(held_by(&registry, &by_path(Some(mark(None, Some(1))))), Some(slot(1)));
    assert_eq!(held_by_mark(&registry, &own), Some(slot(2)));
    assert_eq!(held_by_mark(&registry, &another), None);
    let id = |number| of("", number).claim_id.unwrap();
    assert_eq!([1, 2, 3].map(|number| with_id(&registry, id(number))), [Some(slot(1)), Some(slot(2)), None]);
}

#[test]
fn a_run_is_known_by_its_claim() {
    let id = |number| of("", number).claim_id;
    let run = |number| Claim { is_of_run: true, ..of("/w", number) };
    let directory = Directory::unseen("/w".into());
    for (claim, run, is_within) in [
        (Some(run(1)), id(1), true),
        (Some(run(1)), id(2), false),
        (Some(run(1)), None, false),
        (Some(of("/w", 1)), id(1), false),
        (Some(Claim { claim_id: None, ..run(1) }), None, false),
        (None, id(1), false),
    ] {
        assert_eq!(super::is_within(&held([claim.clone(), None]), &directory, run), is_within, "{claim:?}");
    }
    let of_command = Claim { in_run: id(1), ..of("/w", 2) };
    assert_eq!(of_run(&held([None, Some(run(1))]), &run(1)), Some(slot(2)));
    assert_eq!(of_run(&held([None, Some(of_command.clone())]), &run(1)), Some(slot(2)));
    assert_eq!(
        of_run(&held([Some(of_command), Some(run(1))]), &run(1)),
        Some(slot(2)),
        "its own comes first"
    );
    assert_eq!(of_run(&held([Some(of("/w", 2)), None]), &run(1)), None);
}

#[test]
fn a_start_that_was_killed_left_a_claim_without_a_history() {
    let lost = Directory::unseen("/w".into());
    let plain = || Claim { mark: mark(None, Some(1)), ..of("/w", 1) };
    let begun = |claim: Claim, is_started: bool| {
        let mut registry = held([Some(claim), None]);
        registry.slot_mut(slot(1)).unwrap().started = is_started.then(|| crate::registry::Started {
            at: String::new(),
            project: "shop-slot-1".to_owned(),
            engine: None,
            profiles: Vec::new(),
            left: None,
        });
        begun_at(&registry, &lost)
    };
    assert_eq!(begun(plain(), false), Some(mark(None, Some(1))));
    assert_eq!(begun(plain(), true), None, "it had a stack");
    assert_eq!(
        begun(Claim { claimed_gitdir: Some("/g".to_owned()), ..plain() }, false),
        None,
        "it was git's"
    );
    assert_eq!(begun(Claim { mark: mark(Some(1), Some(1)), ..plain() }, false), None, "it has a token");
    assert_eq!(begun(of("/else", 1), false), None);
}
