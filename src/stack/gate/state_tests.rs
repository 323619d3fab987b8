use super::ServiceState::{Created, Done, Failed, Healthy, Looping, Missing, Settled, Starting, Unhealthy};
use super::*;
use crate::host::container::{Health, Published};
use crate::port::Protocol;
use crate::stack::gate::patience::{Patience, Verdict};
use crate::time::Time;

const SETTLE: Duration = Duration::from_secs(5);

fn at(seconds: i64) -> Time {
    Time::from_unix_micros(seconds * 1_000_000)
}

/// A container of `web` that has run for a minute.
fn web() -> Seen {
    let container = Container {
        id: "id".to_owned(),
        name: "shop-slot-1-web-1".to_owned(),
        project: "shop-slot-1".to_owned(),
        service: "web".to_owned(),
        number: 1,
        is_one_off: false,
        registry: None,
        activity: Activity::Running,
        pid: 1,
        exit_code: 0,
        is_out_of_memory: false,
        error: String::new(),
        health: None,
        created: Some(at(0)),
        started: Some(at(0)),
        up_for: None,
        restarts: 0,
        restart: Restart::Never,
        ports: Vec::new(),
    };
    Seen { container, up_for: Duration::from_mins(1), listening: Vec::new() }
}

fn seen(change: impl FnOnce(&mut Seen)) -> Seen {
    let mut seen = web();
    change(&mut seen);
    seen
}

fn ended(code: i32) -> Seen {
    seen(|seen| {
        seen.container.activity = Activity::Exited;
        seen.container.exit_code = code;
    })
}

fn expected(is_to_end: bool) -> Expected {
    let part = Part { replicas: 1, is_to_end, depends_on: BTreeSet::new() };
    Expected { services: [("web".to_owned(), part)].into() }
}

#[track_caller]
fn is(seen: &Seen, state: ServiceState, prospect: Prospect) {
    of(&expected(false), seen, state, prospect);
}

#[track_caller]
fn of(expected: &Expected, seen: &Seen, state: ServiceState, prospect: Prospect) {
    let judged = judge(expected, std::slice::from_ref(seen), SETTLE);
    assert_eq!(judged.len(), 1);
    assert_eq!((judged[0].state, judged[0].prospect), (state, prospect), "{:?}", judged[0]);
}

#[test]
fn a_service_settles_when_it_stays_up_and_listens() {
    is(&web(), Settled, Prospect::Ready);
    is(&seen(|seen| seen.up_for = Duration::from_secs(4)), Starting, Prospect::OnItsWay);
    for (listening, state, prospect) in [
        (Listening::Yes, Settled, Prospect::Ready),
        (Listening::No, Starting, Prospect::OnItsWay),
        (Listening::OnLoopback, Starting, Prospect::Stuck),
        (Listening::NotChecked, Settled, Prospect::Ready),
    ] {
        is(&seen(|seen| seen.listening = vec![(80, Listening::Yes), (81, listening)]), state, prospect);
    }
    let unchecked = seen(|seen| seen.listening = vec![(53, Listening::NotChecked)]);
    let judged = judge(&expected(false), &[unchecked], SETTLE);
    assert_eq!(judged[0].note, Some(Note::ListeningNotChecked));
}

#[test]
fn a_health_check_has_the_word_but_not_before_the_service_has_stayed_up() {
    let with = |verdict, up_for| {
        seen(|seen| {
            seen.container.health = Some(Health { verdict, output: "no".to_owned() });
            seen.up_for = Duration::from_secs(up_for);
            seen.listening = vec![(80, Listening::No)];
        })
    };
    is(&with(HealthVerdict::Starting, 60), Starting, Prospect::OnItsWay);
    is(&with(HealthVerdict::Unhealthy, 60), Unhealthy, Prospect::Stuck);
    is(&with(HealthVerdict::Healthy, 60), Healthy, Prospect::Ready);
    is(&with(HealthVerdict::Healthy, 2), Healthy, Prospect::OnItsWay);
}

#[test]
fn what_ended_well_is_done_unless_it_is_there_to_stay() {
    is(&ended(0), Done, Prospect::Ready);
    is(&ended(1), Failed, Prospect::Over);
    let with = |change: fn(&mut Container)| {
        let mut seen = ended(0);
        change(&mut seen.container);
        seen
    };
    let web = Published { target: 80, protocol: Protocol::Tcp, host_ip: String::new(), host: Some(8080) };
    is(&with(|container| container.restart = Restart::OnFailure), Done, Prospect::Ready);
    is(&with(|container| container.restart = Restart::Always), Failed, Prospect::Stuck);
    let mut server = ended(0);
    server.container.ports = vec![web];
    is(&server, Failed, Prospect::Over);
    // Another service waits for its end.
    of(&expected(true), &server, Done, Prospect::Ready);
    of(&expected(true), &self::web(), Starting, Prospect::OnItsWay);
    of(&expected(true), &ended(3), Failed, Prospect::Over);
}

#[test]
fn a_crash_loop_is_seen_also_while_it_is_up() {
    is(&seen(|seen| seen.container.activity = Activity::Restarting), Looping, Prospect::Stuck);
    // It lasted for four seconds on average.
    let looping = |up_for| {
        seen(|seen| {
            seen.container.restarts = 5;
            seen.container.started = Some(at(20));
            seen.up_for = Duration::from_secs(up_for);
        })
    };
    is(&looping(1), Looping, Prospect::Stuck);
    is(&looping(7), Looping, Prospect::Stuck);
    is(&looping(9), Settled, Prospect::Ready);
    let healthy = seen(|seen| {
        seen.container.health = Some(Health { verdict: HealthVerdict::Healthy, output: String::new() });
        seen.container.restarts = 1;
        seen.container.started = Some(at(3));
        seen.up_for = Duration::from_secs(5);
    });
    is(&healthy, Looping, Prospect::Stuck);
    let judged = judge(&expected(false), &[looping(1), ended(1)], SETTLE);
    assert_eq!((judged[0].note.as_ref(), judged[1].note.as_ref()), (Some(&Note::Restarted(5)), None));
    assert_eq!((judged[0].exit_code, judged[1].exit_code), (None, Some(1)));
    // A day of life before a restart does not ask for two more.
    let old = seen(|seen| {
        seen.container.restarts = 1;
        seen.container.started = Some(at(86_400));
    });
    is(&old, Settled, Prospect::Ready);
}

#[test]
fn what_never_started_is_told_apart_from_what_could_not_start() {
    let created = seen(|seen| seen.container.activity = Activity::Created);
    is(&created, Created, Prospect::Stuck);
    let refused = seen(|seen| {
        seen.container.activity = Activity::Created;
        seen.container.exit_code = 128;
        seen.container.error = "port is already allocated".to_owned();
    });
    is(&refused, Failed, Prospect::Over);
    let judged = judge(&expected(false), &[refused], SETTLE);
    assert_eq!(judged[0].note, Some(Note::NotStarted("port is already allocated".to_owned())));
    is(&seen(|seen| seen.container.activity = Activity::Paused), Starting, Prospect::Stuck);
    is(&seen(|seen| seen.container.activity = Activity::Dead), Failed, Prospect::Over);
}

#[test]
fn replicas_that_are_not_there_are_missing_and_runs_do_not_count() {
    let mut expected = expected(false);
    expected.services.get_mut("web").unwrap().replicas = 3;
    let second = seen(|seen| seen.container.number = 2);
    let run = seen(|seen| seen.container.is_one_off = true);
    let states: Vec<_> =
        judge(&expected, &[second, run, web()], SETTLE).iter().map(|judged| judged.state).collect();
    assert_eq!(states, [Settled, Settled, Missing]);
    expected.services.get_mut("web").unwrap().replicas = 0;
    assert_eq!(judge(&expected, &[], SETTLE), []);
}

#[test]
fn a_model_says_what_is_expected() {
    let model = Model::parse(
        r#"{"name": "x", "services": {
            "migrate": {}, "db": {"scale": 2}, "seed": {}, "tool": {},
            "web": {"depends_on": {"db": {"condition": "service_healthy", "required": true},
                "migrate": {"condition": "service_completed_successfully"}}}}}"#,
    )
    .unwrap();
    let expected = Expected::of(&model, &["seed".to_owned()].into());
    let ends: Vec<&str> =
        expected.services.iter().filter(|(_, part)| part.is_to_end).map(|(name, _)| name.as_str()).collect();
    assert_eq!((ends, expected.services["db"].replicas), (vec!["migrate", "seed"], 2));
    let only = expected.clone().only(&["web".to_owned()].into());
    assert_eq!(only.services.keys().collect::<Vec<_>>(), ["db", "migrate", "web"]);
    assert_eq!(expected.clone().only(&BTreeSet::new()), expected);
}

#[test]
fn the_gate_decides_when_it_can_and_at_the_end() {
    let patience = Patience { timeout: Duration::from_mins(5), settle: SETTLE };
    let verdict = |seen: Seen, stuck, waited| {
        let judged = judge(&expected(false), &[seen], SETTLE);
        patience.verdict(&judged, Duration::from_secs(stuck), Duration::from_secs(waited))
    };
    let young = || seen(|seen| seen.up_for = Duration::ZERO);
    let looping = || seen(|seen| seen.container.activity = Activity::Restarting);
    let unhealthy = || {
        let health = Health { verdict: HealthVerdict::Unhealthy, output: String::new() };
        seen(|seen| seen.container.health = Some(health))
    };
    let created = || seen(|seen| seen.container.activity = Activity::Created);
    for (seen, stuck, waited, decided) in [
        (web(), 0, 0, Some(Verdict::Runs)),
        (web(), 0, 900, Some(Verdict::Runs)),
        (young(), 0, 1, None),
        (young(), 0, 300, Some(Verdict::NotInTime)),
        (ended(1), 0, 0, Some(Verdict::DoesNotRun)),
        (looping(), 9, 9, None),
        (looping(), 10, 10, Some(Verdict::DoesNotRun)),
        (looping(), 0, 300, Some(Verdict::DoesNotRun)),
        (unhealthy(), 29, 29, None),
        (unhealthy(), 30, 30, Some(Verdict::DoesNotRun)),
        (created(), 9, 300, Some(Verdict::NotInTime)),
        (created(), 10, 10, Some(Verdict::DoesNotRun)),
    ] {
        let shown = format!("{seen:?} {stuck} {waited}");
        assert_eq!(verdict(seen, stuck, waited), decided, "{shown}");
    }
}

#[test]
fn how_a_process_ended_is_told_where_it_has_ended() {
    let with = |activity, exit_code, error: &str| {
        seen(|seen| {
            (seen.container.activity, seen.container.exit_code) = (activity, exit_code);
            seen.container.error = error.to_owned();
            seen.container.health = Some(Health { verdict: HealthVerdict::None, output: "no".to_owned() });
        })
    };
    let started = |error: &str| Some(Note::NotStarted(error.to_owned()));
    for (seen, exit_code, health, note) in [
        (with(Activity::Running, 3, ""), None, "", None),
        (with(Activity::Restarting, 3, ""), Some(3), "no", None),
        (with(Activity::Exited, 3, ""), Some(3), "no", None),
        (with(Activity::Exited, 3, "gone"), Some(3), "no", started("gone")),
        (with(Activity::Dead, 3, ""), Some(3), "no", None),
        (with(Activity::Created, 0, ""), None, "no", None),
        (with(Activity::Created, 128, ""), Some(128), "no", None),
        (with(Activity::Created, 0, "in use"), Some(0), "no", started("in use")),
    ] {
        let judged = &judge(&expected(false), &[seen], SETTLE)[0];
        assert_eq!((judged.exit_code, judged.health.as_str()), (exit_code, health), "{judged:?}");
        assert_eq!(judged.note, note, "{judged:?}");
    }
    let notes =
        [false, true].map(|is_to_end| judge(&expected(is_to_end), &[ended(0)], SETTLE)[0].note.clone());
    assert_eq!(notes, [Some(Note::Ended), None]);
}
