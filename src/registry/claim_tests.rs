use super::*;

#[test]
fn a_run_ends_its_own_claim_and_that_of_its_command() {
    let id = |byte: u8| Some(ClaimId::from_random([byte; 16]));
    let of = |holder: &str, claim_id, is_of_run, in_run| Claim {
        is_of_run,
        in_run,
        claim_id,
        ..Claim::of(Holder::from(holder.to_owned()), None)
    };
    let run = of("/w", id(1), true, None);
    for (claim, is_ended) in [
        (run.clone(), true),
        (of("/w", id(1), false, None), false),
        (of("/w", id(2), true, None), false),
        (of("/w", id(2), false, id(1)), true),
        (of("/w", id(2), false, id(3)), false),
        (of("/else", id(2), false, id(1)), false),
    ] {
        assert_eq!(claim.is_ended_by(&run), is_ended, "{claim:?}");
    }
    let moved =
        |gitdir: &str| Claim { claimed_gitdir: Some(gitdir.into()), ..of("/moved", id(2), false, id(1)) };
    let run = Claim { claimed_gitdir: Some("/g".into()), ..run };
    assert!(moved("/g").is_ended_by(&run) && !moved("/h").is_ended_by(&run));
    let by_owner = Claim { claim_owner: Owner::new("ci").ok(), ..moved("/g") };
    assert!(!by_owner.is_ended_by(&run), "a directory and an owner are another holder");
}

#[test]
fn a_mark_of_another_claim_is_not_this_ones() {
    let claim = Claim {
        claim_owner: Owner::new("ci").ok(),
        is_of_run: true,
        in_run: Some(ClaimId::from_random([1; 16])),
        mark: Mark { token: Some(Token::from_random([1; 16])), ..Mark::default() },
        note: Some("n".to_owned()),
        ..Claim::of("/w".to_owned().into(), Some("t".to_owned()))
    };
    let plain = Claim { note: claim.note.clone(), ..Claim::of("/w".to_owned().into(), Some("t".to_owned())) };
    for (marked, is_own) in [(None, true), (Some("t /w"), true), (Some("u /w"), false), (Some("t /v"), false)]
    {
        let read = claim.clone().with_own_mark(marked);
        assert_eq!(read, if is_own { claim.clone() } else { plain.clone() }, "{marked:?}");
    }
}

#[test]
fn what_is_left_of_a_claim_is_taken_out_of_a_free_slot() {
    let take = |text: &str| {
        let mut entry: Map<String, Value> = serde_json::from_str(text).unwrap();
        let claim = Claim::take(&mut entry, "slots.1");
        (claim.map(|claim| claim.map(|claim| claim.claimed_by.to_string())), entry.len())
    };
    let none = Ok(None);
    assert_eq!(take(r#"{"claimed_by": null, "other": 1}"#), (none.clone(), 1));
    assert_eq!(
        take(r#"{"claimed_by": null, "note": "n", "lease": "8h", "lease_until": "2026-03-01T17:22:10Z"}"#),
        (none, 0)
    );
    assert_eq!(take(r#"{"claimed_by": "/w", "other": 1}"#), (Ok(Some("/w".to_owned())), 1));
    assert!(take(r#"{"claimed_by": null, "lease": "8h"}"#).0.is_err(), "half a lease");
}
