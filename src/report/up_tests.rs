use std::collections::BTreeMap;

use super::*;
use crate::stack::gate::Gated;

fn up() -> Up {
    Up {
        slot: SlotId::new(3).unwrap(),
        ran_already: false,
        complaint: None,
        is_stale: false,
        gated: None,
        verified: None,
        addresses: Vec::new(),
    }
}

fn gated(verdict: Verdict) -> Gated {
    Gated { services: Vec::new(), verdict, last_lines: BTreeMap::new() }
}

fn ended(how: How) -> Ended {
    Ended { how, last_lines: (1..=7).map(|line| format!("line {line}\u{1b}")).collect() }
}

#[test]
fn a_start_says_what_was_looked_at() {
    for (gated, ran_already, said, verdict) in [
        (None, true, "was started before", "not_checked"),
        (None, false, "whether it runs was not looked at", "not_checked"),
        (Some(gated(Verdict::Runs)), true, "runs already", "runs"),
        (Some(gated(Verdict::Runs)), false, "slot 3 runs\n", "runs"),
        (Some(gated(Verdict::NotInTime)), false, "slot 3 runs\n", "not_in_time"),
    ] {
        let up = Up { ran_already, gated, ..up() };
        assert!(done(&up).contains(said), "{said}: {}", done(&up));
        assert_eq!(value(&up)["verdict"], verdict);
    }
    for (how, verified) in [(How::Well, true), (How::NotInTime, false)] {
        let up = Up { verified: Some((Vec::new(), ended(how))), ..up() };
        assert_eq!(value(&up)["verified"], verified);
    }
}

#[test]
fn a_failure_is_the_gate_s_then_compose_s_then_the_check_s() {
    assert_eq!(failure(&up()), "");
    assert_eq!(failure(&Up { gated: Some(gated(Verdict::Runs)), ..up() }), "");
    let complaint = Some(ended(How::Badly("exit code 3".to_owned())));
    let alone = failure(&Up { complaint: complaint.clone(), is_stale: true, ..up() });
    assert!(alone.starts_with("error: slot 3 is not started: "), "{alone}");
    assert!(alone.contains("note: Compose failed: exit code 3\n      line 1\\u{1b}\n"), "{alone}");
    // Beside what the gate saw, the last lines are enough.
    let beside = failure(&Up { complaint, gated: Some(gated(Verdict::DoesNotRun)), ..up() });
    assert!(beside.starts_with("error: the stack of slot 3 ") && beside.contains("line 3"), "{beside}");
    assert!(!beside.contains("line 2"), "{beside}");
    for (how, said) in [
        (How::Well, ""),
        (How::NotInTime, "the check `make test` did not end in time\n      line 1"),
        (How::Interrupted, "the check `make test` was interrupted\n      line 1"),
    ] {
        let verified = Some((vec!["make".to_owned(), "test".to_owned()], ended(how)));
        let failure = failure(&Up { verified, ..up() });
        assert!(failure.contains(said) && failure.is_empty() == said.is_empty(), "{failure}");
    }
}

fn listed(id: u16, by: &str) -> Listed {
    let text = format!(
        r#"{{"version": 2, "slots": {{"{id}": {{"slot_id": {id}, "infrastructure_path": "",
            "profile": "light", "workers": {{}}, "ports": {{}}, "claimed_at": null, "status": "stopped",
            "claimed_by": {by}}}}}}}"#
    );
    let mut registry = crate::registry::Registry::parse(&text).unwrap();
    let (slot, entry) = registry.slots.pop_first().unwrap();
    Listed { slot, entry, standing: None, branch: None, last_used: None }
}

#[test]
fn what_became_of_all_slots_that_were_up_is_told() {
    assert_eq!(all(&[]), "No slot was up that is not\n");
    let (login, unknown, free) = (listed(1, r#""/src/login""#), listed(2, r#""unknown""#), listed(3, "null"));
    let exits = [
        (&login, Exit::Done),
        (&unknown, Exit::DoesNotRun),
        (&free, Exit::NotInTime),
        (&login, Exit::Docker),
    ];
    assert_eq!(
        all(&exits),
        "Slot 1 (login) is up\nSlot 2 does not run\nSlot 3 is not ready in time\nSlot 1 (login) was not started\n"
    );
    let json: Value = serde_json::from_str(&all_json(&exits)).unwrap();
    let slots = [(1, 0), (2, 7), (3, 8), (1, 9)];
    let slots = slots.map(|(slot, exit)| json!({ "slot_id": slot, "exit_code": exit }));
    assert_eq!(json, json!({ "format_version": FORMAT_VERSION, "slots": slots }));
}

#[test]
fn addresses_are_a_table_and_a_list_in_json() {
    use crate::identifier::PortName;
    use crate::port::Port;
    use crate::stack::up::addresses::{Address, Url};
    let address = Address {
        name: PortName::new("web").unwrap(),
        service: "front".to_owned(),
        port: Port::new(8083).unwrap(),
        url: Url {
            plain: "http://localhost:8083".to_owned(),
            hosted: Some("http://a.localhost:8083".to_owned()),
            is_here: true,
        },
    };
    assert_eq!(text(&up()), "");
    let up = Up { addresses: vec![address], is_stale: true, ..up() };
    let shown = text(&up);
    assert!(shown.contains(" web   http://a.localhost:8083  front\n"), "{shown}");
    let json: Value = serde_json::from_str(&json(&up)).unwrap();
    assert_eq!(
        json,
        json!({
            "format_version": FORMAT_VERSION,
            "slot_id": 3,
            "verdict": "not_checked",
            "ran_already": false,
            "is_of_an_earlier_start": true,
            "verified": null,
            "services": [],
            "addresses": [{
                "name": "web", "url": "http://localhost:8083", "host_url": "http://a.localhost:8083",
                "port": 8083, "service": "front",
            }],
        })
    );
}

#[test]
fn what_goes_on_is_told_in_a_line() {
    use crate::registry::Engine;
    let slot = SlotId::new(3).unwrap();
    let names = ["web".to_owned(), "d\u{1b}b".to_owned()];
    let [engine, in_use] = ["far", "near"].map(Engine::parse);
    let sights = [(slot, crate::stack::observe::sight::Sight::Unknown("no answer".to_owned()))].into();
    let (elsewheres, addresses) = (BTreeMap::new(), BTreeMap::new());
    let looked = Looked { slots: Vec::new(), sights, elsewhere: elsewheres, addresses };
    for (said, expected) in [
        (waiting("`kinfra down`"), "Waiting: the stack is held by `kinfra down`\n"),
        (waiting_for_memory("2GiB"), "Waiting for 2GiB\n"),
        (
            elsewhere(slot, &Elsewhere { engine, in_use }),
            "note: slot 3 is in the Docker context `far` (in use is the Docker context `near`), where its stack \
             was started\n",
        ),
        (
            removing(slot, names.iter()),
            "Removing web, d\\u{1b}b of slot 3: its stack does not have that any more\n",
        ),
        (starting(slot, names.iter()), "Starting web, d\\u{1b}b of slot 3\n"),
        (starting(slot, [].iter()), "Starting the stack of slot 3\n"),
        (stack_note(None), ""),
        (stack_note(Some("x")), "note: x\n"),
        (verifying(&["make".to_owned(), "test".to_owned()]), "Checking with `make test`\n"),
        (unknown(&looked), "error: slot 3 is left as it is: no answer\n"),
        (next(true).to_owned(), "Next: `kinfra logs` shows what it prints, `kinfra down` stops it\n"),
    ] {
        assert_eq!(said, expected);
    }
    assert!(next(false).contains("`kinfra logs -f`"));
    let said = [How::Well, How::Badly("exit code 3".to_owned())].map(|it| how(&it));
    assert_eq!(said, ["succeeded", "failed: exit code 3"]);
    let lines = ended(How::Well);
    assert_eq!(last_lines(&lines, 2), "      line 6\\u{1b}\n      line 7\\u{1b}\n");
    assert_eq!(last_lines(&lines, 9).lines().count(), 7);
}
