use super::super::entry::Registry;

const WHOLE: &str = r#"{
  "version": 2,
  "slots": {
    "1": {
      "slot_id": 1,
      "infrastructure_path": "/pool/slot-1",
      "profile": "light",
      "workers": {"mail": 1},
      "ports": {"api": 8001, "dns": 5301, "web": 8081},
      "udp": ["api", "dns"],
      "claimed_by": "/w",
      "claimed_at": null,
      "status": "stopped",
      "lease": "8h",
      "lease_until": "2026-03-01T17:22:10+00:00",
      "claim_id": "00000000000000000000000000000001",
      "started_at": "2026-03-01T09:22:10+00:00",
      "started_as": "shop-slot-1",
      "started_in": "default",
      "left": {"by": "/v", "at": "2026-03-01T09:22:10+00:00", "remains": "data"},
      "pending": "remove",
      "other": 1.0
    }
  },
  "another": true
}"#;

/// How a changed registry is read: quickly, or with care, or not at all.
fn read(from: &str, to: &str) -> &'static str {
    assert!(WHOLE.contains(from), "{from:?} is not in it");
    let text = WHOLE.replacen(from, to, 1);
    let (quick, careful) = (Registry::parse_quickly(&text), Registry::parse_carefully(&text).ok());
    match (&quick, &careful) {
        (Some(_), _) => {
            assert_eq!(quick, careful, "what is taken quickly is right: {text}");
            "quickly"
        }
        (None, Some(_)) => "with care",
        (None, None) => "not at all",
    }
}

#[test]
fn what_is_read_quickly_is_right_in_every_way() {
    for (from, to, how) in [
        ("", "", "quickly"),
        ("\"another\": true", "\"another\": null", "quickly"),
        ("\"other\": 1.0", "\"other\": {\"a\": 1}", "quickly"),
        // A key that stands twice.
        ("\"another\": true", "\"another\": true, \"another\": true", "not at all"),
        ("\"another\": true", "\"slots\": {}", "not at all"),
        ("\"other\": 1.0", "\"other\": 1.0, \"other\": 1.0", "not at all"),
        ("\"other\": 1.0", "\"status\": \"stopped\"", "not at all"),
        ("\"other\": 1.0", "\"other\": {\"a\": 1, \"a\": 1}", "not at all"),
        ("{\"mail\": 1}", "{\"mail\": 1, \"mail\": 1}", "not at all"),
        ("    \"1\": {", "    \"1\": {}, \"1\": {", "not at all"),
        // Another slot under the key.
        ("    \"1\": {", "    \"2\": {", "not at all"),
        ("    \"1\": {", "    \"01\": {", "not at all"),
        ("\"slot_id\": 1,", "\"slot_id\": 0,", "not at all"),
        ("\"slot_id\": 1,", "", "not at all"),
        // The names of UDP ports are in their order.
        ("[\"api\", \"dns\"]", "[\"dns\", \"api\"]", "not at all"),
        ("[\"api\", \"dns\"]", "[\"api\", \"api\"]", "not at all"),
        ("[\"api\", \"dns\"]", "[\"dns\"]", "quickly"),
        ("[\"api\", \"dns\"]", "[\"api\", \"dns\", \"web\"]", "quickly"),
        ("      \"udp\": [\"api\", \"dns\"],\n", "", "quickly"),
        // A start has a time and a project.
        ("      \"started_at\": \"2026-03-01T09:22:10+00:00\",\n", "", "not at all"),
        ("      \"started_as\": \"shop-slot-1\",\n", "", "not at all"),
        ("\"default\"", "null", "quickly"),
        ("      \"status\": \"stopped\",\n", "", "not at all"),
        ("      \"ports\": {\"api\": 8001, \"dns\": 5301, \"web\": 8081},\n", "", "not at all"),
        ("\"profile\": \"light\"", "\"profile\": null", "not at all"),
        // A lease has a length and an end.
        ("      \"lease\": \"8h\",\n", "", "not at all"),
        ("      \"lease_until\": \"2026-03-01T17:22:10+00:00\",\n", "", "not at all"),
        ("\"claimed_by\": \"/w\"", "\"claimed_by\": null", "quickly"),
        ("\"pending\": \"remove\"", "\"pending\": \"x\"", "not at all"),
        ("\"remains\": \"data\"", "\"remains\": \"x\"", "not at all"),
        ("\"version\": 2", "\"version\": 1", "not at all"),
        ("  \"version\": 2,\n", "", "not at all"),
    ] {
        assert_eq!(read(from, to), how, "{from:?} → {to:?}");
    }
    let text = |text: &str| Registry::parse_quickly(text).is_some();
    assert!(text(r#"{"version": 2, "slots": {}}"#) && !text(r#"{"version": 2}"#));
    assert!(!text(r#"{"version": 2, "slots": {}} x"#), "something comes after it");
}

#[test]
fn a_slot_without_a_start_has_nothing_of_one() {
    let started = "\"started_at\": \"2026-03-01T09:22:10+00:00\",\n      \"started_as\": \"shop-slot-1\",\n      \
                   \"started_in\": \"default\",\n      \"left\": {\"by\": \"/v\", \"at\": \
                   \"2026-03-01T09:22:10+00:00\", \"remains\": \"data\"},\n";
    for (rest, how) in [
        ("", "quickly"),
        ("\"started_in\": \"default\",", "not at all"),
        ("\"started_profiles\": [\"debug\"],", "not at all"),
        ("\"started_profiles\": [],", "quickly"),
        (
            "\"left\": {\"by\": \"/v\", \"at\": \"2026-03-01T09:22:10+00:00\", \"remains\": \"data\"},",
            "not at all",
        ),
    ] {
        assert_eq!(read(started, rest), how, "{rest}");
    }
}
