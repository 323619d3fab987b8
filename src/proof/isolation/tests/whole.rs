//! What is no conflict, what all slots share, and what is said about it.

use camino::Utf8Path;

use super::super::settlement;
use super::{NONE, between, bind, model, shared, slot, two};
use crate::proof::isolation::{Owner, Stack, prove, shared_by_every_slot};
use crate::slot::SlotId;

#[test]
fn what_is_the_machines_own_is_a_note() {
    let services = r#""s": {"privileged": true, "network_mode": "host", "pid": "host", "ipc": "host",
            "devices": [{"source": "/dev/dri"}], "gpus": [{"count": -1}],
            "volumes": [{"type": "bind", "source": "/var/run/docker.sock", "target": "/d", "read_only": true},
                {"type": "bind", "source": "/etc/app", "target": "/e"},
                {"type": "bind", "source": "/usr", "target": "/u", "read_only": true},
                {"type": "bind", "source": "/wt/1/etc/php.sock", "target": "/p"}]},
        "t": {"networks": {"h": null}, "volumes": [{"type": "bind", "source": "/etc/app", "target": "/e"}]}"#;
    let model = model("a", services, r#""networks": {"h": {"name": "host", "external": true}},"#);
    let stacks = [Stack { owner: slot(1), model: &model, worktree: Utf8Path::new("/wt/1") }];
    let notes: Vec<String> = prove(&stacks, &shared(&[])).notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "slot 1 (s) uses the machine's own: socket `/var/run/docker.sock`",
            "slot 1 (s, t) uses the machine's own: writable mount of `/etc/app`",
            "slot 1 (s) uses the machine's own: device `/dev/dri`",
            "slot 1 (s) uses the machine's own: graphics processors",
            "slot 1 (s) uses the machine's own: `privileged`: the rights of the machine's root",
            "slot 1 (s, t) uses the machine's own: `network_mode: host`: ports that kinfra cannot see or move",
            "slot 1 (s) uses the machine's own: `pid: host`: the machine's processes",
            "slot 1 (s) uses the machine's own: `ipc: host`: the machine's shared memory",
        ]
    );
    assert_eq!(two(&model, &model, &[]).conflicts, []);
    let dirs = ["/etc/x", "/usr/x", "/lib/x", "/sys/x", "/proc/x", "/dev/x", "/run/x", "/var/run"];
    for dir in dirs.into_iter().chain(["/tmp/.X11-unix"]) {
        assert_eq!(between(&bind(dir, ""), &bind(dir, "")), NONE, "{dir}");
    }
    assert_eq!(between(&bind("/etcetera", ""), &bind("/etcetera", "")), ["mount `/etcetera`"]);
}

/// A project with one of each that every slot would share, and with what each slot has its own of.
const SHARING: &str = r#""db": {"container_name": "db", "build": {"context": "."}, "image": "shop", "ports": [{"target": 1, "published": "1"}],
        "networks": {"default": null, "lan": {"ipv4_address": "10.0.0.5"}, "fixed": {"ipv4_address": "10.9.0.5"}},
        "volumes": [{"type": "volume", "source": "own", "target": "/o"}, {"type": "volume", "source": "ext", "target": "/e"},
            {"type": "volume", "source": "named", "target": "/n"}, {"type": "volume", "source": "disk", "target": "/var/lib/mysql"},
            {"type": "bind", "source": "/home/dev/.npm", "target": "/root/.npm"}, {"type": "bind", "source": "/main/data", "target": "/d"}]},
    "job": {"pid": "container:db", "ipc": "container:agent"}"#;
const SHARED_TOP: &str = r#""volumes": {"own": {"name": "a_own"}, "ext": {"external": true}, "named": {"name": "shop_named"},
        "disk": {"name": "a_disk", "driver_opts": {"type": "none", "o": "bind", "device": "/srv/db"}}},
    "networks": {"default": {"name": "a_default"}, "lan": {"external": true},
        "fixed": {"name": "a_fixed", "ipam": {"config": [{"subnet": "10.9.0.0/16"}]}}},"#;

#[test]
fn what_every_slot_would_share_is_found_before_there_is_a_slot() {
    let model = model("a", SHARING, SHARED_TOP);
    let things = |resources: &[&str]| -> Vec<String> {
        let found = shared_by_every_slot(&model, Utf8Path::new("/main"), &shared(resources));
        assert!(found.iter().all(|conflict| conflict.involves(&Owner::Main) && conflict.involves(&slot(1))));
        found.iter().map(|conflict| conflict.thing.to_string()).collect()
    };
    assert_eq!(
        things(&[]),
        [
            "volume `ext`",
            "volume `shop_named`",
            "network `lan`",
            "address 10.0.0.5 on network `lan`",
            "mount `/home/dev/.npm`",
            "device `/srv/db`",
            "container `agent`",
            "container `db`",
        ]
    );
    let declared =
        ["volume:ext", "volume:shop_named", "network:lan", "mount:/home/dev/.npm", "device:/srv/db"];
    assert_eq!(
        things(&declared),
        ["address 10.0.0.5 on network `lan`", "container `agent`", "container `db`"]
    );
}

#[test]
fn every_pair_of_stacks_is_proven() {
    let [main, first, second] = ["shop", "k-1", "k-2"].map(|name| model(name, SHARING, SHARED_TOP));
    let other = Owner::Other { pool: "x".to_owned(), slot: SlotId::new(7) };
    let stacks = [
        Stack { owner: Owner::Main, model: &main, worktree: Utf8Path::new("/main") },
        Stack { owner: slot(1), model: &first, worktree: Utf8Path::new("/wt/1") },
        Stack { owner: other.clone(), model: &second, worktree: Utf8Path::new("/wt/2") },
    ];
    let found = prove(&stacks, &shared(&[])).conflicts;
    let npm = found.iter().filter(|conflict| conflict.thing.to_string() == "mount `/home/dev/.npm`");
    let owners: Vec<(String, String)> =
        npm.map(|conflict| (conflict.first.owner.to_string(), conflict.second.owner.to_string())).collect();
    let [main, one, seven] = ["the main stack", "slot 1", "slot 7 of pool `x`"].map(str::to_owned);
    assert_eq!(owners, [(main.clone(), one.clone()), (main, seven.clone()), (one, seven)]);
    assert!(found[0].involves(&slot(1)) && !found[0].involves(&other));
}

/// What is said of the conflict about a thing: the risk and what settles it.
fn said(services: &str, rest: &str, thing: &str) -> (String, String) {
    let found =
        two(&model("a", services, rest), &model("b", services, &rest.replace("\"a_", "\"b_")), &[]).conflicts;
    let conflict = found.iter().find(|conflict| conflict.thing.to_string() == thing).expect(thing);
    (conflict.to_string(), conflict.remedy().to_string())
}

#[test]
fn each_conflict_says_what_it_risks_and_what_settles_it() {
    let pg = |source: &str| {
        format!(
            r#""db": {{"volumes": [{{"type": "bind", "source": "{source}", "target": "/var/lib/postgresql/data"}}]}}"#
        )
    };
    assert_eq!(
        said(&pg("/srv/pg"), "", "mount `/srv/pg`"),
        (
            "mount `/srv/pg`: the main stack (db) and slot 1 (db) both use it: \
             two databases on one data directory destroy it"
                .to_owned(),
            "[compose.per_slot]\n\"mount:/srv/pg\" = \"volume\"\nor\n[compose]\nshared = [\"mount:/srv/pg\"]"
                .to_owned(),
        )
    );
    let remedy = |thing: &str| said(SHARING, SHARED_TOP, thing).1;
    assert!(remedy("volume `ext`").starts_with("[compose.per_slot]\n\"volume:ext\" = \"own\"\nor\n"));
    assert!(remedy("volume `ext`").ends_with("[compose]\nshared = [\"volume:ext\"]"));
    assert_eq!(remedy("device `/srv/db`"), "[compose]\nshared = [\"device:/srv/db\"]");
    assert!(remedy("network `lan`").starts_with("[compose.per_slot]\n\"network:lan\" = \"own\"\nor\n"));
    assert!(
        remedy("address 10.0.0.5 on network `lan`")
            .starts_with("[compose.per_slot]\n\"network:lan\" = \"own\"\nor\nremove the")
    );
    assert_eq!(remedy("image `shop:latest`"), "[compose]\nshared = [\"image:shop:latest\"]");
    assert_eq!(
        remedy("port 1/tcp"),
        "give another `base` in `[ports]` to the port with `publish = \"db:1\"`"
    );
    assert!(remedy("container name `db`").contains("`container_name: db`"));
    assert!(remedy("container `agent`").contains("`service:NAME`"));
    assert!(remedy("subnet 10.9.0.0/16 of network `a_fixed`").contains("`subnet: 10.9.0.0/16`"));
    let risk = |thing: &str| said(SHARING, SHARED_TOP, thing).0;
    assert!(risk("network `lan`").contains("slots answer to each other's service names there"));
    assert!(risk("device `/srv/db`").contains("two databases"));
    assert!(risk("volume `ext`").contains("removes the other's data"));
}

#[test]
fn what_a_slot_has_in_its_own_worktree_needs_no_line() {
    let [main, first] =
        ["/wt", "/wt/1/data"].map(|dir| model("a", &format!(r#""s": {{{}}}"#, bind(dir, "")), ""));
    let remedy = two(&main, &first, &[]).conflicts[0].remedy();
    assert_eq!(remedy.to_string(), "[compose]\nshared = [\"mount:/wt/1/data\"]");
}

#[test]
fn the_lines_for_slots_toml_can_be_read() {
    let quoting = r#""s": {"volumes": [{"type": "bind", "source": "/srv/a \"b\\c", "target": "/t"}, {"type": "bind", "source": "/srv/app.ini", "target": "/i"}]}"#;
    for (thing, key, value) in [
        (r#"mount `/srv/a "b\c`"#, r#"mount:/srv/a "b\c"#, "volume"),
        ("mount `/srv/app.ini`", "mount:/srv/app.ini", "worktree:app.ini"),
    ] {
        let (_, remedy) = said(quoting, "", thing);
        let (per_slot, shared) = remedy.split_once("\nor\n").unwrap();
        let table: toml::Table = toml::from_str(per_slot).unwrap();
        assert_eq!(table["compose"]["per_slot"][key].as_str(), Some(value));
        let table: toml::Table = toml::from_str(shared).unwrap();
        assert_eq!(table["compose"]["shared"][0].as_str(), Some(key));
    }
    // slots.toml has no line for a name that steers a terminal, nor for a directory of a server.
    let odd = r#""s": {"volumes": [{"type": "bind", "source": "/srv/\u001b", "target": "/t"}]}"#;
    let (said, remedy) = said(odd, "", "mount `/srv/\\u{1b}`");
    assert!(!said.contains('\u{1b}') && remedy.starts_with("change it in the Compose files"));
}

#[test]
fn several_conflicts_are_settled_by_lines_that_can_be_pasted() {
    let mounts = |name: &str| {
        let volume = |path: &str| format!(r#"{{"type": "bind", "source": "{path}", "target": "/x"}}"#);
        let volumes = format!("[{}, {}]", volume("/srv/b"), volume("/srv/a"));
        model(name, &format!(r#""s": {{"volumes": {volumes}}}"#), "")
    };
    let found = two(&mounts("a"), &mounts("b"), &[]).conflicts;
    let own = "each slot has its own, in [compose.per_slot]:\n  \"mount:/srv/a\" = \"volume\"\n  \"mount:/srv/b\" = \"volume\"";
    let lines = "\"mount:/srv/a\", \"mount:/srv/b\"";
    assert_eq!(
        settlement(&found, &shared(&[])),
        format!("{own}\nor slots use it together, in [compose]:\n  shared = [{lines}]")
    );
    let besides = settlement(&found, &shared(&["volume:v"]));
    assert!(
        besides.ends_with(&format!("in the list `shared` of [compose], besides what is there:\n  {lines}")),
        "{besides}"
    );
}

#[test]
fn what_three_stacks_share_is_a_conflict_of_each_two() {
    let model = model("a", r#""s": {"container_name": "db"}"#, "");
    let stacks = [1, 2, 3].map(|id| Stack { owner: slot(id), model: &model, worktree: Utf8Path::new("/wt") });
    let found = prove(&stacks, &shared(&[])).conflicts;
    let pairs: Vec<_> = found.iter().map(|it| (it.first.owner.clone(), it.second.owner.clone())).collect();
    assert_eq!(pairs, [(slot(1), slot(2)), (slot(1), slot(3)), (slot(2), slot(3))]);
}

#[test]
fn two_stacks_of_one_worktree_must_not_run_two_databases_on_one_directory() {
    let of = |source: &str, target: &str| {
        let mount = format!(r#"{{"type": "bind", "source": "{source}", "target": "{target}"}}"#);
        model("a", &format!(r#""s": {{"volumes": [{mount}]}}"#), "")
    };
    let conflicts = |one: &str, other: &str, targets: [&str; 2]| {
        let models = [of("/wt/data", targets[0]), of("/wt/data", targets[1])];
        let stacks = [(slot(1), one, &models[0]), (slot(2), other, &models[1])];
        let stacks =
            stacks.map(|(owner, worktree, model)| Stack { owner, model, worktree: Utf8Path::new(worktree) });
        prove(&stacks, &shared(&[])).conflicts.len()
    };
    let (data, code) = ("/var/lib/postgresql/data", "/code");
    for (one, other, targets, found) in [
        ("/wt", "/wt", [data, data], 1),
        ("/wt", "/wt/.", [data, code], 1),
        ("/wt", "/wt", [code, data], 1),
        ("/wt", "/wt", [code, code], 0),
        ("/wt", "/else", [code, code], 1),
        ("/wt", "/", [data, data], 0),
    ] {
        assert_eq!(conflicts(one, other, targets), found, "{one} {other} {targets:?}");
    }
}

#[test]
fn ports_of_two_addresses_are_two() {
    let of = |ip: &str| super::port("80", &format!(r#", "host_ip": "{ip}""#));
    for (one, other, is_one) in [
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.2", false),
        ("0.0.0.0", "127.0.0.2", true),
        ("127.0.0.1", "", true),
    ] {
        assert_eq!(!between(&of(one), &of(other)).is_empty(), is_one, "{one} {other}");
    }
}
