use std::sync::Arc;

use super::*;
use crate::time::Span;

#[test]
fn times_are_told_by_their_largest_unit() {
    let now = Time::parse("2026-03-10T12:00:00Z").unwrap();
    for (then, told) in [
        ("2026-03-10T12:00:00Z", "just now"),
        ("2026-03-10T11:59:01Z", "just now"),
        ("2026-03-10T11:59:00Z", "1m ago"),
        ("2026-03-10T10:00:01Z", "1h ago"),
        ("2026-03-08T12:00:00Z", "2d ago"),
        // The clock was set back since then.
        ("2036-03-08T12:00:00Z", "just now"),
    ] {
        assert_eq!(ago(Time::parse(then).unwrap(), now), told, "{then}");
    }
    let length = Span::parse("8h").unwrap();
    for (until, told) in [
        ("2026-03-12T15:04:05Z", "2d3h"),
        ("2026-03-10T20:00:00Z", "8h0m"),
        ("2026-03-10T19:59:59Z", "7h59m"),
        ("2026-03-10T12:00:59Z", "59s"),
        ("2026-03-10T12:00:00.5Z", "0s"),
        ("2026-03-10T12:00:00Z", "ran out just now"),
        ("2026-03-10T09:00:00Z", "ran out 3h ago"),
    ] {
        let until = Time::parse(until).unwrap();
        assert_eq!(left(Lease { length, until }, now), told);
    }
}

const CLAIM_ID: &str = "00000000000000000000000000000001";

fn now() -> Time {
    Time::parse("2026-03-10T12:00:00Z").unwrap()
}

/// A slot with two ports and what a registry says of its claim and its stack.
fn listed(id: u16, keys: &str) -> Listed {
    let registry = format!(
        r#"{{"version": 2, "slots": {{"{id}": {{"slot_id": {id}, "infrastructure_path": "/pool/slot-{id}",
            "profile": "light", "workers": {{}}, "ports": {{"api": 800{id}, "db": 540{id}}},
            "status": "stopped", {keys}}}}}}}"#
    );
    let mut registry = crate::registry::Registry::parse(&registry).unwrap();
    let (slot, entry) = registry.slots.pop_first().unwrap();
    let standing = entry.claim.as_ref().map(|_| Standing::Held);
    Listed { slot, entry, standing, branch: None, last_used: None }
}

const FREE: &str = r#""claimed_by": null, "claimed_at": null"#;
const HELD: &str = r#""claimed_by": "/src/login", "claimed_at": "2026-03-10T10:00:00+00:00",
    "claim_id": "00000000000000000000000000000001", "note": "for the demo", "lease": "8h",
    "lease_until": "2026-03-10T13:30:00Z""#;

fn looked(slots: Vec<Listed>) -> Looked {
    Looked { slots, sights: BTreeMap::new(), elsewhere: BTreeMap::new(), addresses: BTreeMap::new() }
}

fn url(plain: &str, hosted: Option<&str>) -> crate::stack::up::addresses::Url {
    let hosted = hosted.map(str::to_owned);
    crate::stack::up::addresses::Url { plain: plain.to_owned(), hosted, is_here: true }
}

fn view(columns: Option<usize>) -> SlotsView<'static> {
    let (primary, now) = (None, now());
    SlotsView { primary, now, judged_at: now, paths: Paths { home: None }, columns, is_worst_first: false }
}

fn plain(text: &str) -> String {
    let text = anstream::adapter::strip_str(text).to_string();
    text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

fn examined(sight: Sight) -> Examined {
    Examined {
        sight,
        services: Vec::new(),
        not_started: Vec::new(),
        taken: Vec::new(),
        urls: BTreeMap::new(),
        elsewhere: None,
        declared_memory: None,
    }
}

fn up(service: &str, seconds: u64) -> crate::stack::observe::sight::Glance {
    let (service, up_for) = (service.to_owned(), Some(Duration::from_secs(seconds)));
    let state = crate::stack::gate::state::ServiceState::Settled;
    crate::stack::observe::sight::Glance { service, state, exit_code: None, is_out_of_memory: false, up_for }
}

#[test]
fn a_table_has_the_columns_that_say_something() {
    assert_eq!(text(&looked(Vec::new()), view(None)), "", "no slot, and so no port");
    let free = plain(&text(&looked(vec![listed(1, FREE), listed(2, FREE)]), view(None)));
    assert_eq!(
        free,
        [
            " Slot  Profile  Status   API Port  Claimed By\n",
            "    1  light    stopped      8001  -\n",
            "    2  light    stopped      8002  -\n",
        ]
        .concat()
    );
    let mut held = listed(1, HELD);
    held.branch = Some("login".to_owned());
    held.last_used = Some(Time::parse("2026-03-10T11:50:00Z").unwrap());
    let both = looked(vec![held, listed(2, FREE)]);
    let shown = plain(&text(&both, view(None)));
    assert_eq!(
        shown,
        [
            " Slot  Profile  Status         API Port  Claimed By  Branch  Since   Used     Lease\n",
            "    1  light    never started      8001  login       login   2h ago  10m ago  1h30m\n",
            "    2  light    stopped            8002  -           -       -       -        -\n",
        ]
        .concat()
    );
    let db = PortName::new("db").unwrap();
    let chosen = plain(&text(&both, SlotsView { primary: Some(&db), ..view(None) }));
    assert!(chosen.contains("DB Port") && chosen.contains("5402"), "{chosen}");
    let unknown = PortName::new("web").unwrap();
    let chosen = plain(&text(&both, SlotsView { primary: Some(&unknown), ..view(None) }));
    assert!(chosen.contains("WEB Port") && !chosen.contains("8001"), "{chosen}");
}

#[test]
fn a_wide_terminal_shows_addresses_and_a_narrow_one_fewer_columns() {
    let slots = vec![listed(1, HELD), listed(2, FREE)];
    let slot = slots[0].slot;
    let addresses = BTreeMap::from([(slot, url("http://localhost:8001", None))]);
    let looked = Looked { addresses, ..looked(slots) };
    let wide = plain(&text(&looked, view(Some(120))));
    assert!(wide.contains("  API  ") && wide.contains("http://localhost:8001"), "{wide}");
    assert!(wide.contains("8002"), "without an address, the port is shown:\n{wide}");
    let narrow = plain(&text(&looked, view(Some(50))));
    assert!(narrow.contains("API Port") && narrow.contains("Lease"), "a lease ends soon:\n{narrow}");
    assert!(!narrow.contains("Profile") && !narrow.contains("Since"), "{narrow}");
    assert!(!plain(&text(&looked, view(Some(40)))).contains("Lease"));
    assert!(!plain(&text(&looked, view(None))).contains("http"), "into a pipe, all lines are as before");
}

#[test]
fn what_needs_attention_comes_first_where_that_is_asked_for() {
    let mut gone = listed(2, HELD);
    gone.standing = Some(Standing::Orphaned);
    let looked = looked(vec![listed(1, FREE), gone]);
    let first = |is_worst_first| {
        let shown = plain(&text(&looked, SlotsView { is_worst_first, ..view(None) }));
        shown.lines().nth(1).unwrap().trim_start().chars().next().unwrap()
    };
    assert_eq!((first(false), first(true)), ('1', '2'));
}

#[test]
fn a_status_is_that_of_the_claim_and_then_of_the_stack() {
    let (never, seen) = (Sight::NeverStarted, Sight::Seen(vec![up("web", 60)]));
    for (keys, standing, sight, said) in [
        (FREE, None, &never, "stopped"),
        (HELD, Some(Standing::Held), &never, "never started"),
        (HELD, Some(Standing::Held), &seen, "running 1/1 · up 1m"),
        (HELD, Some(Standing::Orphaned), &never, "orphaned"),
        (HELD, Some(Standing::Orphaned), &seen, "orphaned, running 1/1 · up 1m"),
        (HELD, Some(Standing::Missing), &never, "missing"),
        (HELD, Some(Standing::Expired), &seen, "expired, running 1/1 · up 1m"),
    ] {
        assert_eq!(status(&listed(1, keys).entry, standing, sight), said);
    }
    let mut entry = listed(1, HELD).entry;
    Arc::make_mut(&mut entry).pending = Some(crate::registry::Pending::Remove);
    assert_eq!(status(&entry, Some(Standing::Orphaned), &seen), "unfinished");
    assert_eq!([Standing::Held, Standing::Missing].map(standing_word), ["held", "missing"]);
}

#[test]
fn a_stack_was_used_by_a_verb_or_when_a_container_started() {
    let at = |text: &str| Some(Time::parse(text).unwrap());
    let with = |last_used| Listed { last_used, ..listed(1, HELD) };
    let seen = |seconds| Sight::Seen(vec![up("db", 7200), up("web", seconds)]);
    for (listed, sight, used) in [
        (with(None), seen(60), None),
        (with(at("2026-03-10T11:00:00Z")), Sight::NeverStarted, at("2026-03-10T11:00:00Z")),
        (with(at("2026-03-10T11:00:00Z")), seen(60), at("2026-03-10T11:59:00Z")),
        (with(at("2026-03-10T11:59:30Z")), seen(60), at("2026-03-10T11:59:30Z")),
    ] {
        assert_eq!(last_used(&listed, &sight, now()), used);
    }
    let claimed = |at: Option<&str>| Claim::of("/w".to_owned().into(), at.map(str::to_owned));
    assert_eq!(since(&claimed(None), now()), None);
    assert_eq!(since(&claimed(Some("yester\u{1b}day")), now()).as_deref(), Some("yester\\u{1b}day"));
}

#[test]
fn a_slot_in_json_has_the_state_of_its_holder() {
    let mut held = listed(1, HELD);
    held.branch = Some("feature/login".to_owned());
    let slot = held.slot;
    let addresses =
        BTreeMap::from([(slot, url("http://localhost:8001", Some("http://shop-1.localhost:8001")))]);
    let looked = Looked { addresses, ..looked(vec![held, listed(2, FREE)]) };
    let slots = json(&looked);
    let (held, free) = (&slots["slots"][0], &slots["slots"][1]);
    for (key, value) in [
        ("slot_id", json!(1)),
        ("worktree", json!("login")),
        ("branch", json!("feature/login")),
        ("standing", json!("held")),
        ("claim_id", json!(CLAIM_ID)),
        ("url", json!("http://localhost:8001")),
        ("host_url", json!("http://shop-1.localhost:8001")),
    ] {
        assert_eq!(held[key], value, "{key}");
    }
    assert_eq!(free["url"], Value::Null);
    assert!(free.get("standing").is_none() && free["stack"]["state"] == "never_started", "{free}");
    let line = json_line(&looked, None);
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), slots);
    assert_eq!(line.trim_end().lines().count(), 1);
}

#[test]
fn the_status_of_a_worktree_has_all_that_is_known() {
    let view = |shows_id, is_worst_first| StatusView {
        now: now(),
        judged_at: now(),
        paths: Paths { home: Some(Utf8Path::new("/pool")) },
        local: |time| format!("at {time}"),
        shows_id,
        is_worst_first,
    };
    let mut held = listed(3, HELD);
    held.branch = Some("login".to_owned());
    held.last_used = Some(Time::parse("2026-03-10T11:50:00Z").unwrap());
    Arc::make_mut(&mut held.entry).peak_memory = Memory::parse("300m").ok();
    let api = PortName::new("api").unwrap();
    let stack = Examined {
        not_started: vec!["mail".to_owned()],
        urls: [(api, url("http://localhost:8003", None))].into(),
        declared_memory: Memory::parse("1g").ok(),
        ..examined(Sight::WasUp(Vec::new()))
    };
    let text = plain(&status_text(&held, &stack, view(true, false)));
    let expected = "Slot 3 (light) is yours
      files      ~/slot-3
      branch     login
      since      at 2026-03-10T10:00:00.000000+00:00, 2h ago
      last used  10m ago
      lease      8h, 1h30m left
      note       for the demo
      claim id   00000000000000000000000000000001
      stack      was up: `kinfra up` brings it back
      memory     1 GiB declared, earlier runs used at most 300 MiB
      mail       not started
      API        http://localhost:8003
";
    assert_eq!(text, expected);
    let worst_first = plain(&status_text(&held, &stack, view(false, true)));
    assert!(worst_first.starts_with("Slot 3 (light) is yours\n      mail       not started\n      files"));
    assert!(!worst_first.contains("claim id"), "{worst_first}");

    let entry = Arc::make_mut(&mut held.entry);
    entry.claim.as_mut().unwrap().lease.as_mut().unwrap().until = now();
    entry.claim.as_mut().unwrap().claim_owner = Owner::new("ci").ok();
    entry.peak_memory = None;
    let unknown = examined(Sight::Unknown("no answer".to_owned()));
    let text = plain(&status_text(&held, &unknown, view(false, false)));
    for line in [
        "      owner      ci\n",
        "      lease      8h, ran out just now: `kinfra renew`\n",
        "      docker     no answer\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in:\n{text}");
    }
    assert!(!text.contains("memory") && !text.contains("brings it back"), "{text}");
}

#[test]
fn a_long_name_moves_its_own_line_only() {
    let view = StatusView {
        now: now(),
        judged_at: now(),
        paths: Paths { home: None },
        local: |time| time.to_string(),
        shows_id: false,
        is_worst_first: false,
    };
    let with = |name: String| {
        let stack = Examined { not_started: vec![name], ..examined(Sight::NeverStarted) };
        plain(&status_text(&listed(1, FREE), &stack, view))
    };
    let longest = "a".repeat(LONGEST_NAME);
    let text = with(longest.clone());
    assert!(text.contains(&format!("      files{}  /pool/slot-1\n", " ".repeat(LONGEST_NAME - 5))), "{text}");
    let text = with(longest + "b");
    assert!(text.contains("      files  /pool/slot-1\n"), "{text}");
}

#[test]
fn a_worktree_without_a_slot_is_told_how_to_get_one() {
    let owner = Owner::new("ci").unwrap();
    let none = |owner| status_none(Utf8Path::new("/src/login"), owner, Paths { home: None });
    assert_eq!(none(None), "/src/login holds no slot: `kinfra claim` takes one\n");
    assert_eq!(none(Some(&owner)), "/src/login holds no slot for ci\n");
    let said = super::none(Utf8Path::new("/pool"), "slots.toml", Paths { home: None });
    assert_eq!(said, "No slots in /pool yet: `kinfra apply` creates those of slots.toml\n");
    let json: Value = serde_json::from_str(&status_json(None, None)).unwrap();
    assert_eq!(json, json!({ "format_version": FORMAT_VERSION, "slot_id": null }));
    let api = PortName::new("api").unwrap();
    let urls = [(api, url("http://localhost:8001", Some("http://a.localhost:8001")))].into();
    let stack =
        Examined { urls, declared_memory: Memory::parse("1g").ok(), ..examined(Sight::Seen(Vec::new())) };
    let json: Value = serde_json::from_str(&status_json(Some(&(listed(1, HELD), stack)), None)).unwrap();
    assert_eq!(json["urls"], json!({ "api": "http://localhost:8001" }));
    assert_eq!(json["host_urls"], json!({ "api": "http://a.localhost:8001" }));
    assert_eq!((&json["slot_id"], &json["stack"]["state"]), (&json!(1), &json!("down")));
    assert_eq!((&json["taken_ports"], &json["stack"]["not_started"]), (&json!([]), &json!([])));
    assert_eq!(json["declared_memory"], json!(Memory::parse("1g").unwrap()));
}
