use std::collections::BTreeMap;

use super::*;
use crate::port::Port;
use crate::registry::Claim;

/// Two slots, of which the second is held.
fn registry() -> Registry {
    Registry::parse(
        r#"{"version": 2, "id": "00000000000000000000000000000007", "slots": {
        "1": {"slot_id": 1, "infrastructure_path": "/p", "profile": "only", "workers": {}, "ports": {"web": 8001},
            "claimed_by": null, "claimed_at": null, "status": "stopped"},
        "2": {"slot_id": 2, "infrastructure_path": "/q", "profile": "only", "workers": {}, "ports": {"web": 8002},
            "claimed_by": "/w", "claimed_at": "2026-03-01T09:22:10+00:00", "status": "stopped",
            "claim_id": "00000000000000000000000000000001"}}}"#,
    )
    .unwrap()
}

fn slot(id: u16) -> SlotId {
    SlotId::new(id).unwrap()
}

/// The registry after a change.
fn changed(change: impl Fn(&mut Registry)) -> Registry {
    let mut registry = registry();
    change(&mut registry);
    registry
}

fn claim(registry: &mut Registry) {
    registry.slot_mut(slot(1)).unwrap().claim = Some(Claim::of("/other".to_owned().into(), None));
}

fn release(registry: &mut Registry) {
    registry.slot_mut(slot(2)).unwrap().claim = None;
}

fn port(registry: &mut Registry) {
    let ports = &mut registry.slot_mut(slot(1)).unwrap().provisioned.ports;
    for port in ports.values_mut() {
        *port = Port::new(9001).unwrap();
    }
}

fn files(registry: &mut Registry) {
    let provisioned = &mut registry.slot_mut(slot(1)).unwrap().provisioned;
    provisioned.files =
        BTreeMap::from([(crate::file::RelPath::new("a").unwrap(), crate::digest::Digest::of(b"a"))]);
}

fn goes(registry: &mut Registry) {
    registry.slot_mut(slot(1)).unwrap().pending = Some(Pending::Remove);
}

fn remove(registry: &mut Registry) {
    registry.slots.remove(&slot(1));
}

#[test]
fn changes_of_different_things_are_both_made() {
    type Change = fn(&mut Registry);
    let pairs: [(Change, Change); 5] =
        [(claim, release), (release, port), (files, claim), (goes, release), (remove, release)];
    for (number, (own, other)) in pairs.into_iter().enumerate() {
        let both = changed(|registry| {
            own(registry);
            other(registry);
        });
        assert_eq!(registry().rebased(&changed(own), &changed(other)), Ok(both), "pair {number}");
    }
}

#[test]
fn changes_of_one_thing_overlap() {
    type Change = fn(&mut Registry);
    let pairs: [(Change, Change); 6] =
        [(claim, remove), (port, claim), (goes, claim), (remove, claim), (port, remove), (files, port)];
    for (number, (own, other)) in pairs.into_iter().enumerate() {
        let made = registry().rebased(&changed(own), &changed(other));
        assert_eq!(made, Err(Overlap::Slot(slot(1))), "pair {number}");
    }
    let top = |number: u16| changed(|registry| drop(registry.unknown.insert("k".to_owned(), number.into())));
    assert_eq!(registry().rebased(&top(1), &top(2)), Err(Overlap::Pool));
    assert_eq!(registry().rebased(&top(1), &top(1)), Ok(top(1)));
}

#[test]
fn two_users_who_make_one_slot_share_it() {
    let before = changed(remove);
    let (own, other) = (changed(files), changed(claim));
    let both = changed(|registry| {
        files(registry);
        claim(registry);
    });
    assert_eq!(before.rebased(&own, &other), Ok(both));
    let with_port = changed(port);
    assert_eq!(before.rebased(&own, &with_port), Err(Overlap::Slot(slot(1))), "with other ports");
}

#[test]
fn a_registry_has_the_id_of_who_made_it_first() {
    let empty = Registry::default();
    let mut own = registry();
    own.id = Some(crate::registry::RegistryId::from_random([1; 16]));
    assert_eq!(empty.rebased(&own, &registry()).unwrap().id, registry().id);
    assert_eq!(empty.rebased(&own, &empty).unwrap().id, own.id);
}
