use super::*;

const REGISTRY: &str = r#"{"version": 2, "id": "00000000000000000000000000000001", "slots": {
    "1": {"slot_id": 1, "infrastructure_path": "/pool/slot-1", "profile": "light", "workers": {},
        "ports": {}, "claimed_by": "/src/login", "claimed_at": "2026-03-01T09:22:10+00:00",
        "status": "stopped", "started_at": "2026-03-01T09:23:10+00:00", "started_as": "shop-slot-1"},
    "2": {"slot_id": 2, "infrastructure_path": "/pool/slot-2", "profile": "light", "workers": {},
        "ports": {}, "claimed_by": null, "claimed_at": null, "status": "stopped"}}}"#;
const OURS: &str = "00000000000000000000000000000001";
const OTHER: &str = "00000000000000000000000000000002";

fn slot(id: u16) -> SlotId {
    SlotId::new(id).unwrap()
}

fn owner(kind: Kind, name: &str, [project, id, root, slot]: [&str; 4]) -> Option<(Owner, Tie)> {
    let [project, id, root, slot] = [project, id, root, slot].map(str::to_owned);
    let labels = Labels { project, working_dir: String::new(), id, root, slot };
    let thing = Thing { kind, key: name.to_owned(), name: name.to_owned(), labels, bytes: None };
    let engine = Engine::parse("default");
    let pools = [
        ("/pool", PoolState::Gone),
        ("/gone", PoolState::Gone),
        ("/there", PoolState::There("/there".into())),
        ("/far", PoolState::Unknown("far".to_owned())),
    ];
    let key = |root: &str| (engine.clone(), root.to_owned(), OTHER.to_owned());
    let pools = pools.into_iter().map(|(root, state)| (key(root), state)).collect();
    let registry = Registry::parse(REGISTRY).unwrap();
    let root = Utf8Path::new("/pool");
    let started = Projects::started(&registry);
    Facts { root, pool: "shop", registry: Some(&registry), started, pools: &pools }.owner(&engine, &thing)
}

#[test]
fn labels_say_whose_something_is() {
    let owned = |labels: [&str; 4]| owner(Kind::Container, "c", labels).unwrap();
    for (id, root, number, expected) in [
        (OURS, "/pool", "1", Owner::Held(slot(1))),
        (OURS, "/pool", "2", Owner::Free(slot(2))),
        (OURS, "/pool", "9", Owner::SlotGone(slot(9))),
        // The pool was moved.
        (OURS, "/before", "2", Owner::Free(slot(2))),
        (OTHER, "/gone", "1", Owner::PoolGone("/gone".into(), slot(1))),
        (OTHER, "/there", "1", Owner::Another("/there".into())),
        (OTHER, "/far", "1", Owner::Unknown("/far".into(), "far".to_owned())),
        (OTHER, "/new", "1", Owner::Unknown("/new".into(), "it was not looked for".to_owned())),
        // A pool that was in this root before; but not under a slot that is held now.
        (OTHER, "/pool", "2", Owner::PoolGone("/pool".into(), slot(2))),
        (OTHER, "/pool", "1", Owner::Held(slot(1))),
        (OURS, "/pool", "x", Owner::Unknown("/pool".into(), "its labels name no slot".to_owned())),
    ] {
        let project = format!("any-slot-{number}");
        assert_eq!(owned([&project, id, root, number]), (expected, Tie::Labels), "{id} {root} {number}");
    }
    let of_held = owned(["shop-slot-1", OTHER, "/gone", "4"]);
    assert_eq!(of_held.0, Owner::Held(slot(1)), "under the name of a held slot's project");
}

#[test]
fn what_has_no_label_is_named_by_its_project_and_an_image_by_its_name() {
    let plain = |kind, name, project| owner(kind, name, [project, "", "", ""]);
    let of = |owner| Some((owner, Tie::ProjectOnly));
    assert_eq!(plain(Kind::Container, "c", "shop-slot-2"), of(Owner::Free(slot(2))));
    assert_eq!(plain(Kind::Volume, "shop-slot-7_data", ""), of(Owner::SlotGone(slot(7))));
    assert_eq!(plain(Kind::Container, "c", "shop"), None, "the main stack's");
    assert_eq!(plain(Kind::Volume, "data", ""), None);
    for (name, tie) in [
        ("shop-slot-2-web:latest", Tie::Labels),
        ("sha256:aa", Tie::Labels),
        ("web:mine", Tie::NamedByAPerson),
    ] {
        let image = owner(Kind::Image, name, ["shop-slot-2", OURS, "/pool", "2"]);
        assert_eq!(image, Some((Owner::Free(slot(2)), tie)), "{name}");
    }
}

fn tied(kind: Kind, key: &str, tie: Tie, bytes: Option<u64>) -> Tied {
    let labels = Labels::default();
    let thing = Thing { kind, key: key.to_owned(), name: key.to_owned(), labels, bytes };
    Tied { engine: Engine::parse("default"), thing, tie }
}

#[test]
fn what_there_is_is_counted_by_kind_with_its_size() {
    let of = |kind, key: &str, bytes| tied(kind, key, Tie::Labels, bytes);
    let group = |things: Vec<Tied>| Group { things, ..Group::default() };
    for (things, said) in [
        (vec![], "nothing"),
        (vec![of(Kind::Container, "c", None)], "1 container"),
        (
            vec![of(Kind::Container, "c", Some(1500)), of(Kind::Container, "d", Some(500))],
            "2 containers (2kB)",
        ),
        // Of one it is not known.
        (vec![of(Kind::Container, "c", Some(1500)), of(Kind::Container, "d", None)], "2 containers"),
        (vec![of(Kind::Network, "n", None), of(Kind::Network, "m", None)], "2 networks"),
        (
            vec![of(Kind::Image, "web:1", Some(9)), of(Kind::Image, "sha256:aa", Some(3))],
            "1 image (9B), 1 untagged image (3B)",
        ),
        (vec![of(Kind::Volume, "v", Some(1)), of(Kind::Volume, "w", None)], "volume v (1B), volume w"),
        (
            vec![of(Kind::Volume, "v", None), of(Kind::Network, "n", None), of(Kind::Container, "c", None)],
            "1 container, 1 network, volume v",
        ),
    ] {
        let group = group(things);
        assert_eq!(group.all(), said);
        assert_eq!(group.labelled(), said);
    }
    let mixed = group(vec![
        of(Kind::Container, "c", None),
        tied(Kind::Volume, "v", Tie::ProjectOnly, None),
        tied(Kind::Image, "i", Tie::NamedByAPerson, None),
    ]);
    assert_eq!(mixed.labelled(), "1 container");
    assert_eq!(mixed.all(), "1 container, 1 image, volume v");
}

#[test]
fn data_is_kept_where_only_volumes_are_left_and_were_to_stay() {
    let at = crate::time::Time::parse("2026-03-01T17:22:10Z").unwrap();
    let claim = crate::registry::Claim::of("/src/login".to_owned().into(), None);
    let left = |remains| Some(Left::new(&claim, at, remains));
    let (volume, network) = (Kind::Volume, Kind::Network);
    for (left, kinds, is_kept) in [
        (left(Remains::Data), &[volume, volume][..], true),
        (left(Remains::Data), &[], true),
        (left(Remains::Data), &[volume, network], false),
        (left(Remains::Stack), &[volume], false),
        (None, &[volume], false),
    ] {
        let things = kinds.iter().map(|kind| tied(*kind, "x", Tie::Labels, None)).collect();
        let group = Group { left, things, ..Group::default() };
        assert_eq!(group.is_kept_data(), is_kept, "{group:?}");
    }
}

#[test]
fn what_has_labels_and_no_holder_may_be_removed() {
    let owners = [
        (Owner::Free(slot(2)), true),
        (Owner::SlotGone(slot(9)), true),
        (Owner::PoolGone("/gone".into(), slot(1)), true),
        (Owner::Held(slot(1)), false),
        (Owner::Another("/there".into()), false),
        (Owner::Unknown("/far".into(), "far".to_owned()), false),
    ];
    for (owner, has_no_holder) in owners {
        assert_eq!(owner.has_no_holder(), has_no_holder, "{owner}");
        let ties = [Tie::Labels, Tie::ProjectOnly, Tie::NamedByAPerson];
        let things = ties.map(|tie| tied(Kind::Volume, "v", tie, None)).into();
        let groups = BTreeMap::from([(owner.clone(), Group { things, ..Group::default() })]);
        let leftovers = Leftovers { groups, silent: BTreeMap::new() };
        let removable = leftovers.removable().map(|(_, tied)| tied.tie).collect::<Vec<_>>();
        let named = leftovers.named().map(|(_, tied)| tied.tie).collect::<Vec<_>>();
        let (removes, names): (&[Tie], &[Tie]) =
            if has_no_holder { (&ties[..1], &ties[1..]) } else { (&[], &[]) };
        assert_eq!((removable.as_slice(), named.as_slice()), (removes, names), "{owner}");
        assert_eq!(leftovers.is_clean(), !has_no_holder, "{owner}");
        let not_clean = leftovers.not_clean().map(SlotId::get).collect::<Vec<_>>();
        assert_eq!(not_clean, if matches!(owner, Owner::Free(_)) { vec![2] } else { vec![] }, "{owner}");
    }
    // A slot that is not clean is there, too, if nothing of it was found.
    let empty =
        Leftovers { groups: [(Owner::Free(slot(2)), Group::default())].into(), ..Leftovers::default() };
    assert!(!empty.is_clean());
    assert!(Leftovers::default().is_clean());
}

#[test]
fn an_owner_is_told_in_words() {
    for (owner, words) in [
        (Owner::Held(slot(1)), "slot 1"),
        (Owner::Free(slot(2)), "slot 2"),
        (Owner::SlotGone(slot(9)), "slot 9, which the pool does not have any more"),
        (Owner::PoolGone("/gone".into(), slot(1)), "slot 1 of a pool that is gone, in `/gone`"),
        (Owner::Another("/there".into()), "the pool in `/there`"),
        (Owner::Unknown("/far".into(), "far".to_owned()), "a pool in `/far`: far"),
    ] {
        assert_eq!(owner.to_string(), words);
    }
}

#[test]
fn engines_that_did_not_answer_are_named() {
    assert!(Leftovers::default().unanswered().is_none());
    let silent = [(Engine::parse("a"), "no".to_owned()), (Engine::parse("b"), "gone".to_owned())].into();
    let fault = Leftovers { silent, ..Leftovers::default() }.unanswered().unwrap();
    assert_eq!(fault.to_string(), "Docker does not say what is left behind on `a` (no), `b` (gone)");
}

#[test]
fn things_are_sorted_by_their_owners_and_dirty_slots_are_there_without_any() {
    let registry = r#"{"version": 2, "id": "00000000000000000000000000000001", "slots": {
        "1": {"slot_id": 1, "infrastructure_path": "", "profile": "light", "workers": {}, "ports": {},
            "claimed_by": "/src/login", "claimed_at": null, "status": "stopped"},
        "2": {"slot_id": 2, "infrastructure_path": "", "profile": "light", "workers": {}, "ports": {},
            "claimed_by": null, "claimed_at": null, "status": "stopped"},
        "3": {"slot_id": 3, "infrastructure_path": "", "profile": "light", "workers": {}, "ports": {},
            "claimed_by": null, "claimed_at": null, "status": "stopped",
            "started_at": "2026-03-01T09:23:10+00:00", "started_as": "shop-slot-3"}}}"#;
    let registry = Registry::parse(registry).unwrap();
    let thing = |key: &str, id: &str, slot: &str| {
        let [project, id, root, slot] =
            [format!("shop-slot-{slot}"), id.to_owned(), "/pool".to_owned(), slot.to_owned()];
        let labels = Labels { project, working_dir: String::new(), id, root, slot };
        Thing { kind: Kind::Container, key: key.to_owned(), name: key.to_owned(), labels, bytes: None }
    };
    let foreign = Thing { labels: Labels::default(), ..thing("d", "", "1") };
    let engine = Engine::parse("default");
    let there = vec![thing("a", OURS, "1"), thing("b", OURS, "1"), thing("c", OURS, "2"), foreign];
    let there = BTreeMap::from([(engine, there)]);
    let (root, pools, started) = (Utf8Path::new("/pool"), BTreeMap::new(), Projects::started(&registry));
    let facts = Facts { root, pool: "shop", registry: Some(&registry), started, pools: &pools };
    let sorted = Leftovers::sort(&there, &facts);
    let keys = |group: &Group| group.things.iter().map(|tied| tied.thing.key.clone()).collect::<Vec<_>>();
    let groups: Vec<_> = sorted.groups.iter().map(|(owner, group)| (owner.clone(), keys(group))).collect();
    let named = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        groups,
        [
            (Owner::Held(slot(1)), named(&["a", "b"])),
            (Owner::Free(slot(2)), named(&["c"])),
            (Owner::Free(slot(3)), vec![]),
        ]
    );
    let holder = sorted.groups[&Owner::Held(slot(1))].holder.as_ref().map(ToString::to_string);
    assert_eq!(holder.as_deref(), Some("/src/login"));
}
