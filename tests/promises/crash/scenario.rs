//! The runs of kinfra that the sweeps kill and fail.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::bench::Bench;
use crate::support::SMALL;

/// The old tool's registries, as it wrote them.
const OLD_V1: &str = include_str!("../../fixtures/old-instances-v1.json");
const OLD_V2: &str = include_str!("../../fixtures/old-instances-v2.json");

/// A run of kinfra, and what it starts from.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// The arguments.
    pub(super) verb: &'static str,
    /// The directory in the project that it is started in.
    pub(super) here: &'static str,
    /// The pool's root.
    pub(super) root: &'static str,
    /// Sets up the machine.
    pub(super) set_up: fn(&Bench),
    /// Whether it changes or removes existing files. Then the registry may announce an unfinished change.
    pub(super) changes: bool,
}

const EMBEDDED: Scenario = Scenario {
    name: "",
    verb: "apply",
    here: "",
    root: "home/.ktrdr/sandboxes",
    set_up: |_| {},
    changes: false,
};

pub(super) const SCENARIOS: [Scenario; 11] = [
    Scenario { name: "apply 0→6", ..EMBEDDED },
    Scenario { name: "apply 6→6, damaged", set_up: damaged, ..EMBEDDED },
    Scenario { name: "migration", set_up: old_registry, ..EMBEDDED },
    Scenario { name: "apply 1→3, damaged", here: "below", root: "home/pool", set_up: grown, ..EMBEDDED },
    Scenario {
        name: "update and prune",
        verb: "apply --update --prune --include-claimed --auto-approve",
        root: "home/pool",
        set_up: outdated,
        changes: true,
        ..EMBEDDED
    },
    Scenario { name: "claim", verb: "claim", set_up: applied, ..EMBEDDED },
    Scenario {
        name: "claim with a lease",
        verb: "claim --profile standard --lease 8h",
        set_up: applied,
        ..EMBEDDED
    },
    Scenario { name: "renew", verb: "renew --lease 2d", set_up: claimed, ..EMBEDDED },
    Scenario { name: "env", verb: "env", set_up: claimed, ..EMBEDDED },
    Scenario { name: "release", verb: "release", set_up: claimed, ..EMBEDDED },
    Scenario { name: "reap", verb: "reap --auto-approve", set_up: deserted, ..EMBEDDED },
];

fn run(bench: &Bench, arguments: &str, here: &str) {
    crate::support::Run::of(&mut bench.kinfra(arguments, here)).exits(0);
}

/// The embedded pool, with its first slot held by another worktree.
fn applied(bench: &Bench) {
    run(bench, "apply", "");
    fs::create_dir(bench.path("~/other")).expect("a directory");
    run(bench, &format!("claim --for {}", bench.path("~/other").display()), "");
}

/// The same, and a claim of the project's.
fn claimed(bench: &Bench) {
    applied(bench);
    run(bench, "claim", "");
}

/// The same, with that other worktree's directory gone.
fn deserted(bench: &Bench) {
    claimed(bench);
    bench.remove("~/other");
}

/// The embedded pool without two files of a slot and without another's directory.
fn damaged(bench: &Bench) {
    run(bench, "apply", "");
    for path in ["slot-3/.env.sandbox", "slot-3/prometheus.yml", "slot-5"] {
        bench.remove(&format!("~/.ktrdr/sandboxes/{path}"));
    }
}

/// No pool yet, and an old registry with a slot that is claimed, and with an instance whose directory exists.
fn old_registry(bench: &Bench) {
    let read = |text: &str| -> Value {
        let text = text.replace("/home/dev", &bench.path("~").to_string_lossy());
        serde_json::from_str(&text).expect("a fixture of JSON")
    };
    let mut old = read(OLD_V2);
    let instances = read(OLD_V1)["instances"].take();
    let instance = instances["ktrdr--data-fix"]["path"].as_str().expect("the path of an instance").to_owned();
    fs::create_dir_all(instance).expect("a directory");
    old["instances"] = instances;
    bench.write("~/.ktrdr/sandbox/instances.json", &format!("{old:#}"));
}

/// A declared pool, started from below its project: one slot lost a directory, one is half there, and one is
/// new.
fn grown(bench: &Bench) {
    let spec = format!("{SMALL}\"deep/er/conf.txt\" = \"conf.txt\"\n");
    bench.write("slots.toml", &spec.replace("1-2", "1"));
    bench.write("templates/conf.txt", "slot {{ slot.id }} on {{ ports.web }}\n");
    for path in [".git", "below"] {
        fs::create_dir(bench.path(path)).expect("a directory");
    }
    run(bench, "apply", "below");
    bench.remove("~/pool/slot-1/deep");
    bench.write("~/pool/slot-2/conf.txt", "slot 2 on 8002\n");
    fs::set_permissions(bench.path("~/pool/slot-2/conf.txt"), fs::Permissions::from_mode(0o600))
        .expect("a mode");
    bench.write("slots.toml", &spec.replace("1-2", "1-3"));
}

/// A declared pool with a slot whose ports and files change, one of them new and one dropped, a surplus slot,
/// and a new one.
fn outdated(bench: &Bench) {
    bench.write("slots.toml", &format!("{SMALL}\"deep/old.txt\" = \"conf.txt\"\n"));
    bench.write("templates/conf.txt", "slot {{ slot.id }} on {{ ports.web }}\n");
    run(bench, "apply", "");
    fs::create_dir(bench.path("~/other")).expect("a directory");
    run(bench, &format!("claim --for {}", bench.path("~/other").display()), "");
    let spec = format!("{SMALL}\"new.txt\" = \"conf.txt\"\n").replace("1-2", "1,3");
    bench.write("slots.toml", &spec.replace("web = 8000", "web = 8001"));
}
