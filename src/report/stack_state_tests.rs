use super::*;

fn glance(service: &str, state: ServiceState, exit_code: Option<i32>, up: Option<u64>) -> Glance {
    let (service, up_for) = (service.to_owned(), up.map(Duration::from_secs));
    Glance { service, state, exit_code, is_out_of_memory: false, up_for }
}

#[test]
fn a_stack_is_told_in_a_few_words() {
    use ServiceState::{Created, Done, Failed, Healthy, Looping, Missing, Settled, Starting, Unhealthy};
    let db = glance("db", Healthy, None, Some(7200));
    let web = glance("web", Settled, None, Some(750));
    for (glances, told) in [
        (vec![], "down"),
        (vec![db.clone(), web.clone(), glance("migrate", Done, Some(0), None)], "running 2/2 · up 12m"),
        (vec![db.clone(), glance("web", Missing, None, None)], "running 1/2 · up 2h"),
        (vec![web.clone(), glance("db", Unhealthy, None, Some(9))], "unhealthy: db"),
        (vec![web.clone(), glance("worker", Looping, Some(3), None)], "looping: worker, exit 3"),
        (
            vec![web.clone(), glance("a", Failed, Some(1), None), glance("b", Failed, Some(2), None)],
            "failed: a, exit 1; b, exit 2",
        ),
        (
            vec![glance("db", Starting, None, Some(1)), glance("web", Created, None, None)],
            "starting: db; web",
        ),
        (vec![glance("web", Failed, Some(137), None)], "exited"),
    ] {
        assert_eq!(of_stack(&Sight::Seen(glances)), told);
    }
    assert_eq!(of_stack(&Sight::WasUp(vec![glance("web", Failed, Some(255), None)])), "was up");
    assert_eq!(of_stack(&Sight::WasUp(vec![])), "was up");
    assert_eq!(
        of_stack(&Sight::WasUp(vec![glance("web", Failed, Some(1), None)])),
        "failed: web, exit 1",
        "one that ended by itself"
    );
    assert_eq!(json(&Sight::WasUp(vec![]))["was_up"], true);
    let many = (0..5).map(|number| glance(&format!("s{number}"), Unhealthy, None, Some(1))).collect();
    assert_eq!(of_stack(&Sight::Seen(many)), "unhealthy: s0; s1; s2; 2 more");
    assert_eq!(of_stack(&Sight::NeverStarted), "never started");
    assert_eq!(of_stack(&Sight::Unknown("x".to_owned())), "unknown: Docker did not answer");
    assert_eq!(json(&Sight::Unknown("x".to_owned()))["reason"], "x");
}

fn entry(keys: &str) -> Entry {
    let text = format!(
        r#"{{"version": 2, "slots": {{"1": {{"slot_id": 1, "infrastructure_path": "", "profile": "light",
            "workers": {{}}, "ports": {{}}, "claimed_at": null, {keys}}}}}}}"#
    );
    let (_, entry) = crate::registry::Registry::parse(&text).unwrap().slots.pop_first().unwrap();
    std::sync::Arc::unwrap_or_clone(entry)
}

fn judged(service: &str, state: ServiceState, prospect: crate::stack::gate::state::Prospect) -> Judged {
    Judged {
        service: service.to_owned(),
        container: Some((format!("shop-{service}-1"), "id".to_owned())),
        state,
        prospect,
        exit_code: None,
        is_out_of_memory: false,
        health: String::new(),
        note: None,
    }
}

fn examined(sight: Sight, services: Vec<Judged>) -> Examined {
    Examined {
        sight,
        services,
        not_started: vec!["mail".to_owned()],
        taken: Vec::new(),
        urls: BTreeMap::new(),
        elsewhere: None,
        declared_memory: None,
    }
}

#[test]
fn a_slot_is_told_by_its_condition_and_its_stack() {
    let left = |by: &str, remains: &str, more: &str| {
        format!(
            r#""status": "stopped", "claimed_by": null, "started_at": "2026-03-01T09:23:10+00:00",
            "started_as": "shop-slot-1", "left": {{"by": "{by}", "at": "2026-03-01T09:23:10+00:00",
            "remains": "{remains}"{more}}}"#
        )
    };
    let plain = |status: &str, by: &str| format!(r#""status": "{status}", "claimed_by": {by}"#);
    let never = Sight::NeverStarted;
    let seen = Sight::Seen(vec![glance("web", ServiceState::Settled, None, Some(5))]);
    for (keys, sight, told) in [
        (plain("stopped", "null"), &never, "stopped"),
        (plain("stopped", "null"), &seen, "running 1/1 · up 5s"),
        (plain("stopped", r#""/w""#), &never, "never started"),
        (plain("stopped", r#""/w""#), &seen, "running 1/1 · up 5s"),
        (plain("running", r#""/w""#), &never, "noted: running"),
        (plain("running", "null"), &never, "noted: running"),
        (plain("running", "null"), &seen, "running 1/1 · up 5s"),
        (left("/src/login", "data", ""), &never, "keeps data of login"),
        (left("unknown", "data", ""), &never, "keeps data of an earlier holder"),
        (left("/src/login", "stack", ""), &never, "dirty"),
        (left("/w", "stack", r#", "failures": 3"#), &never, "quarantined: cleaning it failed"),
        (left("/w", "stack", r#", "failures": 3, "reason": "no answer""#), &never, "quarantined: no answer"),
    ] {
        assert_eq!(of_slot(&entry(&keys), sight), told, "{keys}");
    }
}

#[test]
fn a_time_is_in_its_largest_unit() {
    for (seconds, told) in [
        (59, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h"),
        (86_399, "23h"),
        (86_400, "1d"),
        (200_000, "2d"),
    ] {
        assert_eq!(largest_unit(Duration::from_secs(seconds)), told);
    }
    let killed =
        |service: &str, state| Glance { is_out_of_memory: true, ..glance(service, state, Some(137), None) };
    let both = [killed("a", ServiceState::Failed), killed("b", ServiceState::Looping)];
    assert_eq!(out_of_memory(&both), "oom: a");
    assert_eq!(
        named(StackState::Looping, &both, &[ServiceState::Looping]),
        "looping: b, exit 137, out of memory"
    );
    assert_eq!(first_of(["a", "b", "c"].map(str::to_owned).into_iter()), "a; b; c");
}

#[test]
fn remarks_name_other_engines_and_what_brings_stacks_back() {
    use crate::claims::standing::Standing;
    use crate::registry::{Elsewhere, Engine};
    let slot = |id| SlotId::new(id).unwrap();
    let listed = |id, standing| crate::claims::listing::Listed {
        slot: slot(id),
        entry: entry(r#""status": "stopped", "claimed_by": "/w""#).into(),
        standing: Some(standing),
        branch: None,
        last_used: None,
    };
    let of = |sights: &[(u16, Sight)], elsewhere: &[u16]| {
        let engines = |id: &u16| {
            let [engine, in_use] = ["far", "near"].map(Engine::parse);
            (slot(*id), Elsewhere { engine, in_use })
        };
        remarks(&Looked {
            slots: vec![listed(1, Standing::Held), listed(2, Standing::Held), listed(3, Standing::Orphaned)],
            sights: sights.iter().map(|(id, sight)| (slot(*id), sight.clone())).collect(),
            elsewhere: elsewhere.iter().map(engines).collect(),
            addresses: BTreeMap::new(),
        })
    };
    let was_up = |id| (id, Sight::WasUp(Vec::new()));
    assert_eq!(of(&[], &[]), "");
    assert_eq!(of(&[was_up(3)], &[]), "", "its worktree is gone");
    let one = "Slot 1 was up and stopped: `kinfra up --all` brings it back\n";
    assert_eq!(of(&[was_up(1), was_up(3)], &[]), one);
    let both = "Slots 1-2 were up and stopped: `kinfra up --all` brings them back\n";
    assert_eq!(of(&[was_up(1), was_up(2)], &[]), both);
    let unknown = (1, Sight::Unknown("no answer".to_owned()));
    assert_eq!(
        of(&[unknown], &[1, 2]),
        "Slot 1: no answer\nSlot 2 is in the Docker context `far` (in use is the Docker context `near`)\n"
    );
}

#[test]
fn services_that_are_not_as_they_should_be_are_told() {
    use crate::stack::gate::state::{Note, Prospect};
    let strip = |text: &str| anstream::adapter::strip_str(text).to_string();
    let unhealthy = Judged {
        health: "first\n  no \u{1b}response \n \n".to_owned(),
        ..judged("db", ServiceState::Unhealthy, Prospect::Stuck)
    };
    let noted = Judged {
        note: Some(Note::ListeningNotChecked),
        ..judged("web", ServiceState::Settled, Prospect::Ready)
    };
    let fine = judged("api", ServiceState::Healthy, Prospect::Ready);
    let examined = examined(Sight::Seen(Vec::new()), vec![unhealthy, noted, fine]);
    let told: Vec<_> = services(&examined).into_iter().map(|(name, text)| (name, strip(&text))).collect();
    let expected = [
        ("db", "unhealthy: no \\u{1b}response"),
        ("web", "settled, listening not checked"),
        ("mail", "not started"),
    ];
    assert_eq!(told, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let lines: String = expected.iter().flat_map(|(name, text)| [name, ": ", text, "\n"]).collect();
    assert_eq!(strip(&failing(&examined)), lines);
}

#[test]
fn a_stack_in_json_has_its_services() {
    use crate::port::{HostPort, Port, Protocol};
    use crate::stack::gate::state::{Note, Prospect};
    let failed = glance("web", ServiceState::Failed, Some(3), None);
    let sight = Sight::Seen(vec![failed]);
    assert_eq!(
        json(&sight),
        json!({
            "state": "failed",
            "text": "failed: web, exit 3",
            "services": [{ "service": "web", "state": "failed", "exit_code": 3, "out_of_memory": false }],
        })
    );
    assert_eq!(json(&Sight::NeverStarted), json!({ "state": "never_started", "text": "never started" }));
    let with_health = Judged {
        health: "no".to_owned(),
        note: Some(Note::Paused),
        exit_code: Some(3),
        ..judged("web", ServiceState::Failed, Prospect::Over)
    };
    let missing = Judged { container: None, ..judged("db", ServiceState::Missing, Prospect::Stuck) };
    let close = examined_json(&examined(sight, vec![with_health, missing]));
    assert_eq!(
        close["services"],
        json!([
            {
                "service": "web", "container": "shop-web-1", "state": "failed", "ready": false,
                "exit_code": 3, "out_of_memory": false, "health": "no", "note": "paused",
            },
            {
                "service": "db", "container": null, "state": "missing", "ready": false, "exit_code": null,
                "out_of_memory": false, "health": null, "note": null,
            },
        ])
    );
    assert_eq!(close["not_started"], json!(["mail"]));
    let unseen = examined_json(&examined(Sight::NeverStarted, Vec::new()));
    assert!(unseen.get("not_started").is_none(), "{unseen}");

    let by = |by| Taken {
        name: crate::identifier::PortName::new("api").unwrap(),
        port: HostPort { port: Port::new(8001).unwrap(), protocol: Protocol::Tcp },
        by,
    };
    let taken_by = [by(PortUser::Program(42, "python".to_owned())), by(PortUser::Unknown)].into();
    let examined = Examined { taken: taken_by, ..examined(Sight::NeverStarted, Vec::new()) };
    let said = "port 8001 (api) is used by python (process 42), and not by the slot's stack";
    assert_eq!(taken(&examined)[0], said);
    assert_eq!(
        taken_json(&examined),
        json!([
            {
                "name": "api", "port": "8001", "used_by": "python (process 42)", "pid": 42,
                "program": "python",
            },
            { "name": "api", "port": "8001", "used_by": "another program", "pid": null, "program": null },
        ])
    );
}
