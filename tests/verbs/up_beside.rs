//! What `kinfra up` does besides the start: it looks at the disks, and renews the lease.

use serde_json::{Value, json};

use crate::rig::fleet::Fleet;
use crate::support::Run;

const UP: &str = "up --no-gate";

#[test]
fn a_disk_that_is_nearly_full_stops_a_start() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "claim").exits(0);
    let pool = fleet.machine.path("~/pool").canonicalize().expect("a path").display().to_string();
    for (disk, of) in
        [(&*pool, "the pool, `~/pool`"), ("/var/lib/docker", "Docker's data, `/var/lib/docker`")]
    {
        let mut up = fleet.command("a", UP);
        let run = Run::of(up.env("KINFRA_TEST_FULL_DISK", disk)).exits(4).prints_exactly("");
        run.says(&format!("nothing is started: 0 MiB and 0 files left on the disk of {of}"))
            .says("help: make room; `docker system df` says what Docker keeps");
    }
    assert!(fleet.engine.containers().is_empty());
    assert!(!fleet.machine.read("~/pool/registry.json").contains("started_as"));
    fleet.kinfra("a", UP).exits(0);
}

#[test]
fn up_renews_the_lease() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "claim --lease 8h").exits(0);
    let registry = || -> Value {
        serde_json::from_str(&fleet.machine.read("~/pool/registry.json")).expect("a registry")
    };
    // Also when nothing is to be started.
    for _ in 0..2 {
        let mut old = registry();
        old["slots"]["1"]["lease_until"] = json!("2020-01-01T00:00:00+00:00");
        fleet.machine.write("~/pool/registry.json", format!("{old:#}\n"));
        fleet.kinfra("a", UP).exits(0);
        let until = registry()["slots"]["1"]["lease_until"].as_str().expect("a time").to_owned();
        assert!(until.as_str() > "2026", "{until}");
    }
}
