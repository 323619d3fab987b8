use super::*;
use crate::slot::SlotId;

#[test]
fn an_unknown_key_never_stands_twice() {
    let text = r#"{"version": 2, "id": "00000000000000000000000000000007", "applied_from":
        {"pool": "shop", "repository": "/src/.git", "spec": "slots.toml", "other": 1.0}, "slots": {"1": {"slot_id": 1, "infrastructure_path": "/p", "profile": "only",
        "workers": {}, "ports": {"dns": 5301}, "udp": ["dns"], "claimed_by": "/w", "claimed_at": null, "status": "stopped", "claim_owner": "ci-7", "claim_of_run": true, "claim_in_run": "00000000000000000000000000000002", "claim_id":
        "00000000000000000000000000000001", "lease": "8h", "lease_until": "2026-03-01T17:22:10+00:00", "note": "n",
        "claimed_host": "h", "claimed_user": "u", "claimed_gitdir": "/g", "claimed_mount": "/",
        "claimed_token": "00000000000000000000000000000009", "claimed_place": "1:2:3",
        "claimed_above": "1:1", "claimed_repository": "1:4", "claim_marked": "- /w",
        "claim_files": {"a": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        "started_at": "2026-03-01T09:22:10+00:00", "started_as": "shop-slot-1", "started_in": "default", "started_profiles": ["debug"],
        "left": {"by": "/v", "token": "00000000000000000000000000000009", "place": "1:2", "above": "1:1", "repository": "1:4", "at": "2026-03-01T09:22:10+00:00", "remains": "data", "failures": 1, "failed_at": "2026-03-01T09:25:10+00:00", "reason": "busy", "volumes": ["f00d"], "other": 1.0}, "peak_memory": 3221225472,
        "files": {"b": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}, "pending": "remove"}},
        "imported_from": {"path": "/o", "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}"#;
    let registry = Registry::parse(text).unwrap();
    assert_eq!(Registry::parse_quickly(text).as_ref(), Some(&registry));
    assert_eq!(Registry::parse_carefully(text).as_ref(), Ok(&registry));
    let written: Map<String, Value> = serde_json::from_str(&registry.to_text().unwrap()).unwrap();
    assert_eq!(written.keys().collect::<Vec<_>>(), DOCUMENT_KEYS);
    let entry = written["slots"]["1"].as_object().unwrap();
    assert_eq!(entry.keys().collect::<Vec<_>>(), ENTRY_KEYS, "every key that kinfra writes is listed");
    for key in ENTRY_KEYS {
        let mut broken = registry.clone();
        let slot = broken.slot_mut(SlotId::new(1).unwrap()).unwrap();
        slot.unknown.insert(key.to_owned(), Value::Null);
        assert!(broken.check_unknown_keys().is_err(), "{key}");
    }
    for key in DOCUMENT_KEYS {
        let mut broken = registry.clone();
        broken.unknown.insert(key.to_owned(), Value::Null);
        assert!(broken.check_unknown_keys().is_err(), "{key}");
    }
}

#[test]
fn only_a_version_above_this_one_is_newer() {
    for (version, is_newer) in [(0, false), (VERSION - 1, false), (VERSION + 1, true), (VERSION + 9, true)] {
        let error = Registry::parse(&format!(r#"{{"version": {version}, "slots": {{}}}}"#)).unwrap_err();
        assert_eq!(error.is_newer, is_newer, "{version}: {error}");
    }
}

#[test]
fn tcp_and_udp_ports_of_one_number_are_two() {
    let entry = |id: u16, udp: &str| {
        format!(
            r#""{id}": {{"slot_id": {id}, "infrastructure_path": "/p", "profile": "only", "workers": {{}},
            "ports": {{"a": 5301, "b": 530{}}}, "claimed_by": null, "status": "stopped"{udp}}}"#,
            id + 1
        )
    };
    let text = |first: &str, second: &str| {
        format!(r#"{{"version": 2, "slots": {{{}, {}}}}}"#, entry(1, first), entry(2, second))
    };
    let udp = r#", "udp": ["a"]"#;
    let registry = Registry::parse(&text("", udp)).unwrap();
    let written = registry.to_text().unwrap();
    assert_eq!(written.matches("udp").count(), 1, "{written}");
    assert_eq!(Registry::parse(&written).unwrap(), registry);
    for (first, second) in [("", ""), (udp, udp)] {
        let error = Registry::parse(&text(first, second)).unwrap_err();
        assert!(error.to_string().contains("slots.2.ports.a: 5301"), "{error}");
    }
    let error = Registry::parse(&text("", r#", "udp": ["b", "a"]"#)).unwrap_err();
    assert!(error.to_string().contains("slots.2.udp: is not a sorted list"), "{error}");
}
