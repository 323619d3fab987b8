use super::*;
use crate::registry::{Pending, Registry};
use crate::stack::gate::state::ServiceState;
use crate::stack::observe::sight::Glance;

/// The entry of a slot with these keys beside its own.
fn entry(keys: &str) -> Entry {
    let text = format!(
        r#"{{"version": 2, "slots": {{"1": {{"slot_id": 1, "infrastructure_path": "", "profile": "light",
            "workers": {{}}, "ports": {{}}, "status": "stopped", "claimed_at": null, {keys}}}}}}}"#
    );
    let (_, entry) = Registry::parse(&text).unwrap().slots.pop_first().unwrap();
    std::sync::Arc::unwrap_or_clone(entry)
}

#[test]
fn what_does_not_work_is_red_and_what_you_should_look_at_yellow() {
    use AnsiColors::{Red, Yellow};
    const HELD: &str = r#""claimed_by": "/w""#;
    const CLEAN: &str = r#""claimed_by": null"#;
    let left = |remains: &str, failures: u32| {
        format!(
            r#""claimed_by": null, "started_at": "2026-03-01T09:23:10+00:00", "started_as": "shop-slot-1",
            "left": {{"by": "/w", "at": "2026-03-01T09:23:10+00:00", "remains": "{remains}",
            "failures": {failures}}}"#
        )
    };
    let seen = |state, up: bool| {
        let up_for = up.then_some(std::time::Duration::from_secs(1));
        let (service, exit_code) = ("web".to_owned(), (!up).then_some(1));
        Sight::Seen(vec![Glance { service, state, exit_code, is_out_of_memory: false, up_for }])
    };
    let (never, unknown) = (Sight::NeverStarted, Sight::Unknown("no answer".to_owned()));
    let was_up = Sight::WasUp(Vec::new());
    for (keys, standing, sight, color) in [
        (CLEAN.to_owned(), None, &never, None),
        (HELD.to_owned(), Some(Standing::Held), &never, None),
        (HELD.to_owned(), Some(Standing::Held), &Sight::Seen(Vec::new()), None),
        (HELD.to_owned(), Some(Standing::Held), &was_up, Some(Yellow)),
        (CLEAN.to_owned(), None, &was_up, None),
        (HELD.to_owned(), Some(Standing::Orphaned), &never, Some(Yellow)),
        (HELD.to_owned(), Some(Standing::Missing), &never, Some(Yellow)),
        (HELD.to_owned(), Some(Standing::Expired), &never, Some(Yellow)),
        (HELD.to_owned(), Some(Standing::Held), &unknown, Some(Yellow)),
        (HELD.to_owned(), Some(Standing::Held), &seen(ServiceState::Settled, true), None),
        (HELD.to_owned(), Some(Standing::Held), &seen(ServiceState::Starting, true), None),
        (HELD.to_owned(), Some(Standing::Held), &seen(ServiceState::Unhealthy, true), Some(Red)),
        (HELD.to_owned(), Some(Standing::Held), &seen(ServiceState::Failed, false), Some(Red)),
        (CLEAN.to_owned(), None, &seen(ServiceState::Looping, true), Some(Red)),
        (left("data", 0), None, &never, None),
        (left("stack", 0), None, &never, Some(Yellow)),
        (left("stack", 3), None, &never, Some(Red)),
    ] {
        let entry = entry(&keys);
        assert_eq!(of_slot(&entry, standing, sight), color, "{keys} {standing:?} {sight:?}");
        let place = match color {
            Some(Red) => 0,
            Some(_) => 1,
            None => 2,
        };
        assert_eq!(rank(&entry, standing, sight), place, "{keys} {standing:?} {sight:?}");
    }
    let unfinished = Entry { pending: Some(Pending::Remove), ..entry(CLEAN) };
    assert_eq!(of_slot(&unfinished, None, &never), Some(Yellow));
    let of = [Prospect::Over, Prospect::Stuck, Prospect::OnItsWay, Prospect::Ready].map(of_service);
    assert_eq!(of, [Some(Red), Some(Red), None, None]);
}
