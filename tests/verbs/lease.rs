//! How long a claim holds, what it records, and how it survives moves, clock jumps and lost registries.

use std::fs;
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::support::{Machine, Run, has_no_file};
use crate::verbs::claim::{REGISTRY, applied, holder, make_dirs, registry, run_in};

/// The entry of a slot.
fn entry(machine: &Machine, slot: &str) -> Value {
    registry(machine)["slots"][slot].take()
}

/// Changes the registry by hand.
fn edit(machine: &Machine, change: impl FnOnce(&mut Value)) {
    let mut registry = registry(machine);
    change(&mut registry);
    machine.write(REGISTRY, format!("{registry:#}\n"));
}

/// The id of a claim, from `claim --json`.
fn id(run: &Run) -> String {
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    document["claim_id"].as_str().expect("an id").to_owned()
}

/// Slot 1 is heavy, 2 and 3 are light.
fn sized() -> Machine {
    let machine = Machine::small();
    machine.edit_spec("name = \"only\"", "name = \"light\"\n[[profiles]]\nname = \"heavy\"");
    machine.edit_spec(
        "ids = \"1-2\"\nprofile = \"only\"",
        "ids = \"1\"\nprofile = \"heavy\"\n[[slots]]\nids = \"2-3\"\nprofile = \"light\"",
    );
    machine.kinfra("apply").exits(0);
    make_dirs(&machine, &["~/a", "~/b", "~/c"]);
    machine
}

#[test]
fn the_smallest_profile_that_suffices_comes_first_then_the_lowest_id() {
    let machine = sized();
    let claim = |directory: &str, profile: &str| run_in(&machine, directory, &format!("claim {profile}"));
    claim("~/a", "").exits(0).prints("Claimed slot 2 (light)");
    claim("~/b", "--profile light").exits(0).prints("Claimed slot 3 (light)");
    claim("~/c", "--profile light").exits(0).prints("Claimed slot 1 (heavy)");
    // A slot that is held already must match the request, too.
    claim("~/a", "--profile heavy").exits(4).says("`~/a` holds slot 2 already\nhelp: run `kinfra release`");
    claim("~/c", "--profile light").exits(0).prints("Slot 1 (heavy) is yours already");
    run_in(&machine, "~/c", "release").exits(0);
    claim("~/c", "--profile heavy").exits(0).prints("Claimed slot 1 (heavy)");
    run_in(&machine, "~/a", "release").exits(0);
    make_dirs(&machine, &["~/d"]);
    claim("~/d", "--profile heavy").exits(3).says("no slot is free").says("\n  slot 2 is free");
    claim("~/d", "--profile huge").exits(3).says("the pool has no slot of profile huge or larger");
    claim("~/d", "--profile Heavy").exits(64).says("`Heavy` is not a valid profile name");
    claim("~/d", "--profile heavy --slot 2").exits(64).says("cannot be used with");
}

#[test]
fn a_slot_whose_profile_is_no_longer_declared_comes_last() {
    let machine = sized();
    let spec = machine.read("slots.toml").replace("\"light\"", "\"tiny\"").replace("\"2-3\"", "\"4\"");
    machine.spec(&spec);
    run_in(&machine, "~/a", "claim").exits(0).prints("Claimed slot 1 (heavy)");
    run_in(&machine, "~/b", "claim --profile light").exits(0).prints("Claimed slot 2 (light)");
}

#[test]
fn a_slot_with_a_busy_port_is_passed_over_and_holders_keep_theirs() {
    for address in ["127.0.0.1", "0.0.0.0", "::1", "::"] {
        // A machine without IPv6 skips this address.
        let Ok(listener) = TcpListener::bind((address, 0)) else { continue };
        let port = listener.local_addr().expect("an address").port();
        let machine = Machine::small().with_real_ports();
        machine.edit_spec("web = 8000", &format!("web = {}", port - 1));
        machine.edit_spec("ids = \"1-2\"", "ids = \"1\"");
        machine.kinfra("apply").exits(0);
        let busy = format!("its port {port} (WEB) is used by ");
        machine.kinfra("claim --slot 1").exits(4).says(&format!("slot 1 cannot be claimed: {busy}"));
        machine.kinfra("claim").exits(3).says("no slot is free").says(&format!("slot 1 is free, but {busy}"));
        machine.kinfra("claim --wait=0s").exits(3).says(&busy);
        machine.edit_spec("ids = \"1\"", "ids = \"1,3\"");
        machine.kinfra("apply").exits(0);
        machine
            .kinfra("claim")
            .exits(0)
            .prints("Claimed slot 3")
            .says(&format!("Passed over slot 1: {busy}"));
        machine.kinfra("release").exits(0);
        // A connection that was just closed is no listener, and a holder keeps its slot while its own stack
        // runs.
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        drop(listener.accept().expect("a connection"));
        drop((listener, client));
        machine.kinfra("claim --slot 1").exits(0);
        let _own_stack = TcpListener::bind((address, port)).expect("the port once more");
        machine.kinfra("claim").exits(0).prints("Slot 1 (only) is yours already");
    }
}

#[test]
fn a_claim_says_who_made_it_and_why() {
    let machine = applied();
    let mut command = machine.command("claim --lease 8h --json --note");
    let run = Run::of(command.arg("login: $fix #1").env("USER", "me")).exits(0);
    let claimed: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let entry = entry(&machine, "1");
    assert_eq!(entry["note"], "login: $fix #1");
    assert_eq!((&entry["lease"], &entry["claimed_user"]), (&json!("8h"), &json!("me")));
    assert_eq!(entry["claim_id"].as_str().map(str::len), Some(32));
    assert!(entry["claimed_host"].is_string() && entry["claimed_mount"].is_string(), "{entry:#}");
    for key in ["claim_id", "lease", "lease_until", "note"] {
        assert_eq!(claimed[key], entry[key], "{key}");
    }
    make_dirs(&machine, &["~/other"]);
    run_in(&machine, "~/other", "claim --slot 1").exits(4).says("/project (login: $fix #1) since 20");
    machine.kinfra("release").exits(0);
    let free = self::entry(&machine, "1");
    let keys = free.as_object().expect("an entry").keys().filter(|key| key.starts_with("claim"));
    assert_eq!(keys.collect::<Vec<_>>(), ["claimed_by", "claimed_at"]);
    assert!(free["claimed_by"].is_null() && free.get("lease").is_none() && free.get("note").is_none());
}

#[test]
fn claiming_again_renews_the_lease_and_changes_what_is_given_again() {
    let machine = applied();
    let first = id(&machine.kinfra("claim --lease 8h --note one --json").exits(0));
    let until = |machine: &Machine| entry(machine, "1")["lease_until"].as_str().expect("a time").to_owned();
    let begun = until(&machine);
    let again = machine.kinfra("claim --json").exits(0);
    assert_eq!(id(&again), first);
    assert!(until(&machine) > begun);
    assert_eq!(entry(&machine, "1")["lease"], "8h");
    machine.kinfra("claim --lease 2d --note two").exits(0).prints("lease    2d, until 20");
    let entry = entry(&machine, "1");
    assert_eq!(
        [&entry["claim_id"], &entry["lease"], &entry["note"]],
        [&json!(first), &json!("2d"), &json!("two")]
    );
    // A claim without a lease stays without one, and nothing is written.
    machine.kinfra("release").exits(0);
    machine.kinfra("claim").exits(0).never_says("lease");
    let before = machine.tree();
    machine.kinfra("claim").exits(0);
    assert_eq!(machine.tree(), before);
}

#[test]
fn an_old_tool_s_claim_gets_an_id_when_its_owner_claims_again() {
    let machine = applied();
    let project = machine.project().canonicalize().expect("a directory");
    edit(&machine, |registry| {
        registry["slots"]["2"]["claimed_by"] = json!(project);
        registry["slots"]["2"]["claimed_at"] = json!("2026-01-01T00:00:00+00:00");
    });
    let id = id(&machine.kinfra("claim --json").exits(0).prints("\"slot_id\": 2"));
    let entry = entry(&machine, "2");
    assert_eq!([&entry["claim_id"], &entry["claimed_at"]], [&json!(id), &json!("2026-01-01T00:00:00+00:00")]);
}

#[test]
fn an_invalid_lease_is_refused() {
    let machine = applied();
    let before = machine.tree();
    for (lease, why) in [
        ("8", "write a whole number and a unit, such as `10s`, `5m`, `8h` or `2d`"),
        ("0h", "a lease of no time has run out at once"),
        ("", "write a whole number"),
    ] {
        for verb in ["claim", "renew"] {
            Run::of(machine.command(verb).arg(format!("--lease={lease}"))).exits(64).says(why);
        }
    }
    Run::of(machine.command("claim").arg("--note="))
        .exits(64)
        .says("a value is required for '--note <TEXT>'");
    machine.kinfra("claim --wait=soon").exits(64).says("write a whole number");
    assert_eq!(machine.tree(), before);
}

#[test]
fn renew_extends_even_a_lease_that_has_run_out() {
    let machine = applied();
    machine.kinfra("renew").exits(3).says("/project` holds no slot\nhelp: `kinfra claim` takes one");
    machine.kinfra("claim").exits(0);
    let before = machine.tree();
    machine.kinfra("renew").exits(0).prints("Slot 1 is yours until it is released: its claim has no lease\n");
    assert_eq!(machine.tree(), before);
    machine.kinfra("renew --lease 5m").exits(0).prints("Slot 1 is yours for 5m, until 20");
    edit(&machine, |registry| registry["slots"]["1"]["lease_until"] = json!("2020-01-01T00:00:00+00:00"));
    make_dirs(&machine, &["~/other"]);
    // A slot whose lease has run out is not given until it is reaped.
    run_in(&machine, "~/other", "claim --slot 1").exits(4).says("slot 1 is held by ");
    machine.kinfra("renew").exits(0).prints("Slot 1 is yours for 5m, until 20");
    assert!(entry(&machine, "1")["lease_until"].as_str().expect("a time") > "2026");
    let id = entry(&machine, "1")["claim_id"].as_str().expect("an id").to_owned();
    run_in(&machine, "~/other", &format!("renew --lease 2h --claim-id {id}"))
        .exits(0)
        .prints("Slot 1 is yours for 2h");
    let late = "0123456789abcdef0123456789abcdef";
    let over = format!("the claim {late} is over, no slot is held under it; nothing was changed");
    machine.kinfra(&format!("renew --claim-id {late}")).exits(4).says(&over);
    machine
        .kinfra("renew --claim-id 12")
        .exits(64)
        .says("`12` is no claim id: a claim id has 32 hex digits, yours has 2");
}

#[test]
fn reading_verbs_renew_nothing() {
    let machine = applied();
    machine.kinfra("claim --lease 8h").exits(0);
    let before = machine.tree();
    for verb in ["plan", "slots", "ports", "doctor", "validate", "reap --dry-run"] {
        machine.kinfra(verb);
    }
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_late_release_never_frees_the_slot_of_another_claim() {
    let machine = applied();
    make_dirs(&machine, &["~/other"]);
    let old = id(&machine.kinfra("claim --json").exits(0));
    machine.kinfra("release --force").exits(0);
    let new = id(&run_in(&machine, "~/other", "claim --json").exits(0));
    let before = machine.tree();
    let over = format!("the claim {old} is over");
    machine
        .kinfra(&format!("release --claim-id {old}"))
        .exits(4)
        .says(&over)
        .says("no slot is held under it");
    let held = machine.kinfra(&format!("release 1 --claim-id {old}")).exits(4);
    held.says(&over).says("slot 1 is held by ").says("~/other since ");
    // The same holds for a later claim of the same worktree.
    run_in(&machine, "~/other", &format!("release 1 --claim-id {old}")).exits(4).says(&over);
    machine.kinfra(&format!("release 1 --claim-id {new} --force")).exits(64).says("cannot be used with");
    assert_eq!(machine.tree(), before);
    // The right id suffices, in any directory. A second release succeeds, too.
    let elsewhere = |arguments: &str| {
        Run::of(
            machine.command(&format!("{arguments} --claim-id {new}")).current_dir(machine.path("~/other")),
        )
    };
    elsewhere("renew --lease 1h").exits(0).prints("Slot 1 is yours for 1h");
    elsewhere("release").exits(0).prints("Released slot 1, which was held by ");
    machine.kinfra(&format!("release 1 --claim-id {new}")).exits(0).prints("Slot 1 is free already");
}

#[test]
fn a_clock_that_jumps_by_years_ends_no_claim_by_itself() {
    let machine = applied();
    make_dirs(&machine, &["~/other"]);
    let jump = |until: &str| {
        edit(&machine, |registry| {
            registry["slots"]["1"]["claimed_at"] = json!(until);
            registry["slots"]["1"]["lease_until"] = json!(until);
        });
    };
    machine.kinfra("claim --lease 8h").exits(0);
    // Forward: for the present clock, the lease ran out long ago. The holder keeps the slot without a
    // message.
    jump("1990-01-01T00:00:00.000000+00:00");
    run_in(&machine, "~/other", "claim").exits(0).prints("Claimed slot 2");
    machine.kinfra("reap --dry-run").exits(0).prints("its lease of 8h ran out 1990-01-01 00:00 UTC");
    machine.kinfra("claim").exits(0).prints("Slot 1 (only) is yours already");
    machine.kinfra("reap --dry-run").exits(0).prints_exactly("Reap: 0 to release.\n");
    // Backward: the slot was claimed in the future, and the claim holds until then unless it is released or
    // renewed.
    jump("2190-01-01T00:00:00.000000+00:00");
    machine.kinfra("reap --auto-approve").exits(0).prints_exactly("Reap: 0 to release.\n");
    assert_eq!(holder(&machine, "1"), ".");
    machine.kinfra("renew").exits(0).prints("Slot 1 is yours for 8h, until 20");
    assert!(entry(&machine, "1")["lease_until"].as_str().expect("a time") < "2190");
}

#[test]
fn a_worktree_finds_its_slot_on_a_branch_without_the_spec() {
    let machine = applied();
    machine.kinfra("claim").exits(0);
    let spec = machine.read("slots.toml");
    machine.remove("slots.toml");
    machine.kinfra("claim").exits(0).prints("Slot 1 (only) is yours already");
    machine.kinfra("renew --lease 8h").exits(0).prints("Slot 1 is yours for 8h");
    machine.kinfra("slots").exits(0).prints("1  only     never started      8001  project ");
    machine.kinfra("reap").exits(0).prints("Reap: 0 to release.\n");
    // A named pool is used, even without a slot of this worktree.
    machine.write("elsewhere.toml", spec.replace("~/pool", "~/elsewhere"));
    machine
        .kinfra("release 1 --spec elsewhere.toml")
        .exits(3)
        .says("/elsewhere` yet\nhelp: `kinfra apply` creates it");
    machine.kinfra("release").exits(0).prints("Released slot 1");
    // Then only the embedded pool is left.
    machine.kinfra("release").exits(0).prints("` holds no slot\n").says("note: there is no pool of ");
}

#[test]
fn an_unreadable_pool_does_not_count_as_no_pool() {
    if has_no_file("a server takes no registry that cannot be read") {
        return;
    }
    let machine = applied();
    machine.kinfra("claim").exits(0);
    machine.remove("slots.toml");
    let (path, whole) = ("~/pool/registry.json", machine.read("~/pool/registry.json"));
    machine.write(path, &whole[..whole.len() / 2]);
    let before = machine.tree();
    for verb in ["claim", "release", "renew", "env", "exec -- true", "status", "slots", "reap"] {
        let refused = machine.kinfra(verb).exits(5).says("a pool that may have this worktree's claim");
        refused.says("/pool/registry.json` is corrupt: ");
    }
    machine.remove(path);
    machine.kinfra("status").exits(5).says("/pool/registry.json` vanished");
    machine.write(path, &whole[..whole.len() / 2]);
    machine.set_mode(path, 0o600);
    assert_eq!(machine.tree(), before);
    // With a named pool, an unreadable other pool does not matter.
    machine.kinfra("status --root ../home/other").exits(0);
    machine.write(path, whole);
    machine.kinfra("release").exits(0).prints("Released slot 1");
}

#[test]
fn a_worktree_that_moves_leaves_its_slot_behind_and_one_at_the_same_path_does_not_get_it() {
    let machine = applied();
    make_dirs(&machine, &["~/tree", "~/stays"]);
    run_in(&machine, "~/tree", "claim").exits(0);
    fs::rename(machine.path("~/tree"), machine.path("~/moved")).expect("a moved worktree");
    run_in(&machine, "~/moved", "release").exits(0).prints("`~/moved` holds no slot\n");
    run_in(&machine, "~/moved", "claim").exits(0).prints("Claimed slot 2");
    machine.kinfra("reap --dry-run").exits(0).prints("~/tree since ").prints(": its directory is gone\n");
    // A directory made again at the same path is another one. It may also be another disk, or a backup.
    make_dirs(&machine, &["~/tree"]);
    run_in(&machine, "~/tree", "claim").exits(3).says("slot 1 is held by ~/tree since ");
    run_in(&machine, "~/tree", "release 1").exits(4);
    machine.kinfra("reap --dry-run").exits(0).prints("another directory is at its path");
    run_in(&machine, "~/tree", "release 1 --force").exits(0);
    run_in(&machine, "~/tree", "claim").exits(0).prints("Claimed slot 1");
}

#[test]
fn a_branch_switched_under_a_claim_changes_nothing() {
    let machine = applied();
    machine.write(".git/HEAD", "ref: refs/heads/one\n");
    machine.kinfra("claim").exits(0);
    let before = entry(&machine, "1");
    machine.write(".git/HEAD", "ref: refs/heads/two\n");
    machine.kinfra("claim").exits(0).prints("Slot 1 (only) is yours already");
    machine.kinfra("apply").exits(0);
    assert_eq!(entry(&machine, "1"), before);
}

#[test]
fn a_pool_that_shrinks_keeps_a_claimed_slot_until_it_is_released() {
    let machine = applied();
    machine.kinfra("claim --slot 2").exits(0);
    machine.edit_spec("ids = \"1-2\"", "ids = \"1\"");
    machine
        .kinfra("apply --prune --auto-approve")
        .exits(4)
        .prints("  ! Slot 2: no longer in slots.toml, held by ");
    assert_eq!(holder(&machine, "2"), ".");
    machine.kinfra("claim").exits(0).prints("Slot 2 (only) is yours already");
    machine.kinfra("release").exits(0);
    machine
        .kinfra("apply --prune --auto-approve")
        .exits(0)
        .says("Apply complete! 0 added, 0 changed, 1 destroyed");
}

#[test]
fn a_registry_replaced_by_an_older_one_fences_the_claims_that_it_lacks() {
    let machine = applied();
    make_dirs(&machine, &["~/other"]);
    let free = machine.read(REGISTRY);
    let lost = id(&machine.kinfra("claim --json").exits(0));
    machine.write(REGISTRY, &free);
    // The lost claim is unknown, and its slot is not given to another.
    run_in(&machine, "~/other", "claim").exits(0).prints("Claimed slot 2").says("Passed over slot 1: ");
    machine.kinfra(&format!("release --claim-id {lost}")).exits(4).says(&format!("the claim {lost} is over"));
    machine.kinfra(&format!("renew --claim-id {lost}")).exits(4);
    machine.kinfra("claim").exits(0).prints("Claimed slot 1");
    // An older registry that has the claim brings it back.
    let both = machine.read(REGISTRY);
    machine.kinfra("release").exits(0);
    machine.write(REGISTRY, &both);
    machine.kinfra("claim").exits(0).prints("Slot 1 (only) is yours already");
}

#[test]
fn the_end_of_a_lease_is_told_in_the_user_s_time_zone_and_in_utc() {
    let machine = applied();
    for (zone, is_told) in [("<+09>-9", true), ("", false), ("No/Such_Place", false), ("UTC0", false)] {
        let claim = Run::of(machine.command("claim --lease 8h").env("TZ", zone)).exits(0);
        assert_eq!(claim.stdout.contains(" UTC)"), is_told, "{zone}: {}", claim.stdout);
    }
}
