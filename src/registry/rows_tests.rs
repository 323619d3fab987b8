use super::*;

/// A registry with a held, a started and a free slot, and keys of others everywhere.
const TEXT: &str = r#"{"version": 2, "id": "00000000000000000000000000000007", "theirs": 1.50,
    "applied_from": {"pool": "shop", "other": 1.0}, "slots": {
    "1": {"slot_id": 1, "infrastructure_path": "/p", "profile": "only", "workers": {}, "ports": {"web": 8001}, "pending": "remove",
        "claimed_by": "/w", "claimed_at": "2026-03-01T09:22:10+00:00", "status": "stopped", "claim_newer": [1.0],
        "claim_id": "00000000000000000000000000000001", "lease": "8h", "lease_until": "2026-03-01T17:22:10+00:00",
        "note": "n", "started_at": "2026-03-01T09:22:10+00:00", "started_as": "shop-slot-1", "their": {"key": 2.0}},
    "2": {"slot_id": 2, "infrastructure_path": "/r/slot-2", "profile": "only", "workers": {}, "ports": {"web": 8002},
        "claimed_by": null, "claimed_at": null, "status": "stopped", "claim_newer": 5}}}"#;

fn registry() -> Registry {
    Registry::parse(TEXT).unwrap()
}

fn place() -> OwnPlace {
    OwnPlace { host: "box".to_owned(), root: "/r".into() }
}

fn slot(id: u16) -> SlotId {
    SlotId::new(id).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("{value}") };
    object
}

#[test]
fn rows_have_all_of_a_registry() {
    let registry = registry();
    let own = RootRow::of(object(registry.of_root())).unwrap();
    let mut slots = BTreeMap::new();
    for (id, entry) in &registry.slots {
        let row = SlotRow::of(*id, entry);
        let read = row.clone().entry(*id, &own, Utf8Path::new("/r")).unwrap();
        assert_eq!(read, **entry, "{row:?}");
        slots.insert(*id, Arc::new(read));
    }
    assert_eq!(
        Registry::of_rows(object(registry.top()), slots, &own, Some("00000000000000000000000000000007"))
            .unwrap(),
        registry
    );
}

#[test]
fn each_key_is_in_its_part() {
    let registry = registry();
    let row = SlotRow::of(slot(1), &registry.slots[&slot(1)]);
    let keys = |part: &Map<String, Value>| part.keys().cloned().collect::<Vec<_>>().join(" ");
    let claim = "claimed_by claimed_at claim_id lease lease_until note claim_newer";
    assert_eq!(keys(row.claim.as_ref().unwrap()), claim);
    assert_eq!(keys(row.stack.as_ref().unwrap()), "started_at started_as");
    let content = "slot_id profile workers ports status their";
    assert_eq!(keys(&row.content), content);
    let free = SlotRow::of(slot(2), &registry.slots[&slot(2)]);
    assert_eq!((free.claim, free.stack), (None, None));
    assert!(free.content.contains_key("claim_newer") && !free.content.contains_key("claimed_by"));
}

#[test]
fn only_what_changed_is_saved() {
    let before = registry();
    let seen = BTreeMap::from([(slot(1), 7), (slot(2), 9)]);
    let changes = |after: &Registry| before.changes_to(after, &place(), &seen).unwrap();
    assert_eq!(changes(&before.clone()), None);

    let mut released = before.clone();
    released.slot_mut(slot(1)).unwrap().claim = None;
    // What an older kinfra does not know of a claim stays with the slot.
    let change = changes(&released).unwrap();
    assert_eq!(change["slots"][0]["claim"], Value::Null);
    assert_eq!((&change["slots"][0]["seen"], &change["slots"][0]["host"]), (&json!(7), &json!("box")));
    assert!(change.get("pool").is_none() && change["slots"][0].get("stack").is_none(), "{change}");
    assert_eq!(change["slots"].as_array().unwrap().len(), 1);

    let mut removed = before.clone();
    removed.slots.remove(&slot(1));
    let change = changes(&removed).unwrap();
    for part in ["content", "claim", "stack"] {
        assert_eq!(change["slots"][0].get(part), Some(&Value::Null), "{change}");
    }

    let mut added = before.clone();
    let entry = Entry { claim: None, started: None, ..Entry::clone(&before.slots[&slot(2)]) };
    added.slots.insert(slot(3), Arc::new(Entry { provisioned: with_port(&entry, 8003), ..entry }));
    let change = changes(&added).unwrap();
    assert_eq!((&change["slots"][0]["slot"], &change["slots"][0]["seen"]), (&json!(3), &Value::Null));

    let mut other = before.clone();
    other.id = None;
    let change = changes(&other).unwrap();
    assert_eq!((&change["id"]["id"], &change["id"]["host"]), (&Value::Null, &json!("box")), "{change}");
    assert!(change.get("pool").is_none() && change.get("root").is_none(), "{change}");

    let mut other = before.clone();
    other.unknown.insert("more".to_owned(), json!(1));
    let change = changes(&other).unwrap();
    assert_eq!((&change["pool"]["more"], &change["slots"]), (&json!(1), &json!([])));
}

#[test]
fn a_root_has_its_own_files_of_a_slot() {
    let before = registry();
    let row = SlotRow::of(slot(1), &before.slots[&slot(1)]);
    let elsewhere = row.entry(slot(1), &RootRow::default(), Utf8Path::new("/other")).unwrap();
    assert_eq!(elsewhere.provisioned.infrastructure_path, "/other/slot-1");
    assert!(elsewhere.provisioned.files.is_empty() && elsewhere.pending.is_none());
    assert_eq!(elsewhere.claim, before.slots[&slot(1)].claim);
    let mut applied = before.clone();
    applied.slot_mut(slot(1)).unwrap().pending = None;
    let change = before.changes_to(&applied, &place(), &BTreeMap::new()).unwrap().unwrap();
    assert_eq!((&change["root"]["host"], &change["root"]["root"]), (&json!("box"), &json!("/r")));
    assert!(change.get("pool").is_none() && change["slots"][0].get("content").is_none(), "{change}");
}

#[test]
fn what_no_reader_accepts_is_not_saved() {
    let before = registry();
    let mut after = before.clone();
    let twice = with_port(&after.slots[&slot(1)], 8002);
    after.slot_mut(slot(1)).unwrap().provisioned = twice;
    assert!(before.changes_to(&after, &place(), &BTreeMap::new()).is_err(), "a port that two slots have");
    let mut after = before.clone();
    after.unknown.insert("slots".to_owned(), json!(1));
    assert!(before.changes_to(&after, &place(), &BTreeMap::new()).is_err(), "a key of kinfra's own");
    let mut row = SlotRow::of(slot(1), &before.slots[&slot(1)]);
    row.content.insert("note".to_owned(), json!("again"));
    assert!(row.entry(slot(1), &RootRow::default(), Utf8Path::new("/r")).is_err(), "a key in two parts");
}

fn with_port(entry: &Entry, port: u16) -> super::super::entry::Provisioned {
    let mut provisioned = entry.provisioned.clone();
    provisioned.ports.values_mut().for_each(|own| *own = crate::port::Port::new(port).unwrap());
    provisioned
}
