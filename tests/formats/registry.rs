//! Strict reading: a registry that kinfra does not fully understand stops every verb, and keeps every byte.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Duration;

use kinfra::registry::Registry;

use crate::support::{Machine, Run, Running, without_id};

const REGISTRY: &str = "~/pool/registry.json";
const BACKUP: &str = "~/pool/registry.json.bak";

/// Every verb that reads the registry.
const VERBS: [&str; 8] =
    ["plan", "apply", "slots", "slots --json", "claim", "claim --slot 2", "release", "release 1 --force"];

/// An applied pool of slots 1 and 2, the first of them claimed, with keys of others at every level.
fn claimed() -> Machine {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    let imported = r#""imported_from": {"path": "/old", "sha256": "HASH", "x_import": -1.50e-7}, "x_top": {"a": {"b": 1}}"#;
    let imported = imported.replace("HASH", &"0f".repeat(32));
    let text = machine.read(REGISTRY).replacen("\"version\": 2", &format!("\"version\": 2, {imported}"), 1);
    let text = text.replacen("\"slot_id\": 2", "\"slot_id\": 2, \"x_slot\": {\"a\": 1.0}", 1);
    machine.write(REGISTRY, Registry::parse(&text).expect("a registry").to_text().expect("its text"));
    machine
}

/// Checks that every verb refuses the registry, says where the mistake is and what repairs it, and changes
/// nothing.
#[track_caller]
fn is_refused(machine: &Machine, what: &str) {
    for verb in VERBS {
        let refused = ends(&mut machine.command(verb)).exits(5).prints_exactly("");
        let refused = refused.says("/pool/registry.json").says(what).says("; nothing was changed\n");
        refused.says("\nhelp: `kinfra doctor --repair` shows what can be restored\n");
    }
}

/// Checks the same of a registry with this text.
#[track_caller]
fn text_is_refused(machine: &Machine, text: impl AsRef<[u8]>, what: &str) {
    machine.write(REGISTRY, text);
    let before = machine.tree();
    is_refused(machine, what);
    assert_eq!(machine.tree(), before);
}

/// Runs a command that could hang.
fn ends(command: &mut Command) -> Run {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::start_within(Duration::from_secs(30), command).ends()
}

#[test]
fn an_empty_registry_is_refused() {
    let machine = claimed();
    text_is_refused(&machine, "", "is corrupt: line 1: the file is empty");
    text_is_refused(&machine, " \n\n", "is corrupt: line 1: the file is empty");
}

#[test]
fn a_truncated_registry_is_refused_wherever_it_ends() {
    let machine = claimed();
    let whole = machine.read(REGISTRY);
    let end = whole.trim_end().len();
    for length in 0..end {
        let text = whole.get(..length).expect("ASCII");
        assert!(Registry::parse(text).is_err(), "{text:?} was taken");
    }
    for length in (1..end).step_by(97).chain([end - 1]) {
        text_is_refused(&machine, &whole[..length], "is corrupt: line ");
    }
}

#[test]
fn a_text_that_is_no_json_object_is_refused_with_its_place() {
    let machine = claimed();
    let whole = machine.read(REGISTRY);
    for (text, what) in [
        ("[]".to_owned(), "is corrupt: line 1: the file is not a JSON object"),
        ("null\n".to_owned(), "is corrupt: line 1: the file is not a JSON object"),
        (whole.replacen("\"slots\": {", "\"slots\": {,", 1), "is corrupt: line 4, column 13: "),
        (whole.replacen("\"profile\"", "profile", 1), "is corrupt: line 8, column 7: "),
        (format!("{whole}{{}}"), "trailing characters"),
        (whole.replacen("\"only\"", "\"on\tly\"", 1), "is corrupt: line 8, column 2"),
        (whole.replacen("\"only\"", "\"on\\qly\"", 1), "is corrupt: line 8, column 2"),
        (whole.replacen(": 2", ": 02", 1), "is corrupt: line 2, column 1"),
    ] {
        text_is_refused(&machine, text, what);
    }
}

#[test]
fn too_deep_nesting_is_refused() {
    let machine = claimed();
    let deep = format!("{{\"x\": {}{}, \"version\": 2, \"slots\": {{}}}}", "[".repeat(200), "]".repeat(200));
    text_is_refused(&machine, deep, "is corrupt: line 1, column 133: recursion limit exceeded");
    // Far too deep must not overflow the stack.
    text_is_refused(&machine, "{\"x\":".repeat(200_000), "recursion limit exceeded");
}

#[test]
fn a_text_that_is_not_utf_8_is_refused_with_its_place() {
    let machine = claimed();
    let mut bytes = machine.read(REGISTRY).into_bytes();
    bytes[30] = 0xff;
    text_is_refused(&machine, bytes, "is not text: invalid utf-8 sequence of 1 bytes from index 30");
}

#[test]
fn another_version_is_refused() {
    let machine = claimed();
    let whole = machine.read(REGISTRY);
    for (version, what) in [
        ("\"version\": 1", "is corrupt: version: 1 is not 2"),
        ("\"version\": \"2\"", "is corrupt: version: invalid type: string \"2\""),
        ("\"version\": 2.0", "is corrupt: version: "),
        ("\"version\": -2", "is corrupt: version: "),
        ("\"version\": null", "is corrupt: version: is missing"),
        ("\"versions\": 2", "is corrupt: version: is missing"),
    ] {
        text_is_refused(&machine, whole.replacen("\"version\": 2", version, 1), what);
    }
}

#[test]
fn a_newer_kinfra_s_registry_is_no_broken_one() {
    let machine = claimed();
    machine.write(REGISTRY, machine.read(REGISTRY).replacen("\"version\": 2", "\"version\": 3", 1));
    let before = machine.tree();
    let newer = "cannot be read: version: 3 is newer than this kinfra, which reads 2; nothing was changed\nhelp: upgrade kinfra\n";
    for verb in ["plan", "apply", "slots", "claim", "doctor --repair --auto-approve"] {
        machine.kinfra(verb).exits(5).says(newer).never_says("what can be restored");
    }
    assert_eq!(machine.tree(), before);
}

#[test]
fn what_the_reader_would_refuse_is_never_written() {
    let machine = claimed();
    // Small as written here. Indented, with a line for each number, it is larger than 64 MiB.
    let (open, close) = ("[".repeat(100), "]".repeat(100));
    let zeros = format!("{{\"x_other\": {open}{}0{close}, ", "0,".repeat(400_000));
    machine.write(REGISTRY, machine.read(REGISTRY).replacen('{', &zeros, 1));
    let before = machine.read(REGISTRY);
    machine.kinfra("release 1 --force").exits(1).says("would be larger than 64 MiB");
    assert!(machine.read(REGISTRY) == before);
    machine.kinfra("slots").exits(0);
}

#[test]
fn files_that_others_may_read_are_closed_by_the_next_save() {
    let machine = claimed();
    for name in ["registry.json", "registry.json.bak", ".lock"] {
        machine.set_mode(&format!("~/pool/{name}"), 0o644);
    }
    machine.kinfra("release 1 --force").exits(0);
    for name in ["registry.json", "registry.json.bak", ".lock"] {
        assert_eq!(machine.mode(&format!("~/pool/{name}")), 0o600, "{name}");
    }
}

#[test]
fn names_that_are_not_utf_8_stop_no_verb() {
    let machine = claimed();
    let name = std::ffi::OsStr::from_bytes(b"bad\xff");
    for dir in ["~/pool", "~/pool/.tmp", "~/pool/slot-1"] {
        fs::write(machine.path(dir).join(name), "theirs").expect("a file");
    }
    machine.kinfra("plan").exits(0);
    machine.kinfra("doctor").exits(0).prints("1 left in ");
    machine.kinfra("release 1 --force").exits(0);
    machine.kinfra("apply").exits(0);
    assert!(!machine.path("~/pool/.tmp").join(name).exists());
    machine.write(REGISTRY, "{");
    machine.kinfra("doctor --repair --auto-approve").exits(0);
}

#[test]
fn a_key_that_stands_twice_is_refused_at_every_level() {
    let machine = claimed();
    let whole = machine.read(REGISTRY);
    for (from, twice) in [
        ("\"version\": 2", "\"version\": 2, \"version\": 2"),
        ("\"slots\": {", "\"slots\": {}, \"slots\": {"),
        ("    \"2\": {", "    \"1\": {"),
        ("\"claimed_at\": null", "\"claimed_at\": null, \"claimed_at\": null"),
        ("\"web\": 8001", "\"web\": 8001, \"web\": 8009"),
        ("\"workers\": {}", "\"workers\": {\"a\": 1, \"a\": 1}"),
        ("\"conf.txt\": ", "\"conf.txt\": \"\", \"conf.txt\": "),
        ("\"path\": ", "\"path\": 0, \"path\": "),
        ("\"x_top\": {", "\"x_top\": {\"a\": 0, "),
        ("\"b\": 1", "\"b\": 1, \"\\u0062\": 2"),
        ("\"x_slot\": {", "\"x_slot\": {\"a\": 0, "),
    ] {
        assert!(whole.contains(from), "no {from} in {whole}");
        text_is_refused(&machine, whole.replacen(from, twice, 1), "` stands twice");
    }
}

#[test]
fn an_entry_that_is_not_as_kinfra_writes_it_is_refused_with_its_place() {
    let machine = claimed();
    let whole = machine.read(REGISTRY);
    for (from, to, what) in [
        ("\"slot_id\": 2", "\"slot_id\": 1", "slots.2: has slot_id 1: key and id must be the same slot"),
        ("    \"2\": {", "    \"02\": {", "slots.02: has slot_id 2: key and id must be the same slot"),
        (
            "    \"2\": {",
            "    \"two\\n\": {",
            "slots.two\\n: has slot_id 2: key and id must be the same slot",
        ),
        ("\"slot_id\": 2", "\"slot_id\": 70000", "slots.2.slot_id: "),
        ("\"web\": 8002", "\"web\": 8001", "slots.2.ports.web: 8001 is also `web` of slot 1"),
        ("\"web\": 8002", "\"web\": 8002, \"db\": 8002", "slots.2.ports.web: 8002 is also `db` of slot 2"),
        ("\"web\": 8002", "\"web\": 80", "slots.2.ports: port 80 is below 1024"),
        ("\"web\": 8002", "\"Web\": 8002", "slots.2.ports: `Web` is not a valid port name"),
        ("\"workers\": {}", "\"workers\": []", "slots.1.workers: invalid type: sequence"),
        ("\"status\": \"stopped\"", "\"status\": null", "slots.1.status: is missing"),
        ("\"claimed_at\": null", "\"claimed_at\": 7", "slots.2.claimed_at: invalid type: number"),
        ("\"claim_id\": \"", "\"claim_id\": \"0", "slots.1.claim_id: `0"),
        (
            "\"claimed_at\"",
            "\"lease\": \"8 h\", \"claimed_at\"",
            "slots.1.lease: write a whole number and a unit",
        ),
        ("\"claimed_at\"", "\"lease\": \"8h\", \"claimed_at\"", "slots.1: has a lease, but no lease_until"),
        (
            "\"claimed_at\"",
            "\"lease\": \"8h\", \"lease_until\": \"soon\", \"claimed_at\"",
            "slots.1.lease_until: `soon` is not a time such as `2026-",
        ),
        ("\"claimed_at\"", "\"note\": [], \"claimed_at\"", "slots.1.note: invalid type: sequence"),
        ("\"conf.txt\": \"", "\"conf.txt\": \"0", "slots.1.files: expected the 64 hexadecimal digits"),
        ("\"conf.txt\"", "\"../conf.txt\"", "slots.1.files: `../conf.txt` leaves its directory"),
        ("\"sha256\": \"0", "\"sha256\": \"", "imported_from.sha256: expected the 64 hexadecimal digits"),
        ("\"slots\": {", "\"slots\": [], \"x\": {", "slots: is not an object"),
    ] {
        assert!(whole.contains(from), "no {from} in {whole}");
        text_is_refused(&machine, whole.replacen(from, to, 1), &format!("is corrupt: {what}"));
    }
}

#[test]
fn anything_but_a_readable_file_is_refused_and_never_waited_for() {
    let fifo: fn(&Machine) = |machine| {
        Run::of(machine.program("mkfifo").arg(machine.path(REGISTRY))).exits(0);
    };
    let link: fn(&Machine) = |machine| symlink(machine.path(BACKUP), machine.path(REGISTRY)).expect("a link");
    let directory: fn(&Machine) = |machine| fs::create_dir(machine.path(REGISTRY)).expect("a directory");
    let too_large: fn(&Machine) = |machine| {
        let file = fs::File::create(machine.path(REGISTRY)).expect("a file");
        file.set_len((64 << 20) + 1).expect("a sparse file");
    };
    for (replace, what) in [
        (fifo, "` is a FIFO, socket or device"),
        (link, "` is a symbolic link"),
        (directory, "` is a directory"),
        (too_large, "`: it is larger than 64 MiB"),
    ] {
        let machine = claimed();
        machine.remove(REGISTRY);
        let before = machine.tree();
        replace(&machine);
        let kind = |machine: &Machine| {
            let meta = machine.path(REGISTRY).symlink_metadata().expect("metadata");
            (meta.file_type(), meta.len())
        };
        let made = kind(&machine);
        is_refused(&machine, what);
        assert_eq!(kind(&machine), made);
        machine.remove(REGISTRY);
        assert_eq!(machine.tree(), before);
    }
}

#[test]
fn a_registry_that_vanished_is_not_an_empty_one() {
    let machine = claimed();
    machine.remove(REGISTRY);
    let before = machine.tree();
    is_refused(&machine, "registry.json` vanished, but `");
    assert_eq!(machine.tree(), before);
}

#[test]
fn the_first_save_leaves_a_backup_already() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    assert_eq!(machine.read(REGISTRY), machine.read(BACKUP));
    machine.remove(REGISTRY);
    is_refused(&machine, "registry.json` vanished, but `");
}

#[test]
fn keys_of_others_survive_claim_release_and_apply_digit_for_digit() {
    let machine = claimed();
    let unknown = [
        "\"x_top\": 0.1000000000000000055511151231257827",
        "\"x_import\": -1.50e-7",
        "\"x_slot\": 18446744073709551616000000000000000001",
        "\"x_nested\": 100000000000000000000000.10",
        "\"renewed\": \"of a newer kinfra\"",
    ];
    let text = machine.read(REGISTRY);
    let text =
        text.replacen("\"slot_id\": 1,", &format!("\"slot_id\": 1, {}, {},", unknown[2], unknown[4]), 1);
    let nested = format!("\"version\": 2, \"x_list\": [{{{}}}], {},", unknown[3], unknown[0]);
    let text = text.replacen("\"version\": 2,", &nested, 1).replacen("\"x_top\": {", "\"x_other\": {", 1);
    machine.write(REGISTRY, text);

    let check = |machine: &Machine| {
        let text = machine.read(REGISTRY);
        for key in unknown {
            assert_eq!(text.matches(key).count(), 1, "{key} in {text}");
        }
        text
    };
    machine.kinfra("release").exits(0);
    let free = check(&machine);
    machine.kinfra("claim").exits(0);
    check(&machine);
    machine.kinfra("release").exits(0);
    assert_eq!(check(&machine), free);
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-3\"");
    machine.kinfra("apply").exits(0).says("Created slot 3");
    check(&machine);
}

#[test]
fn leftover_keys_of_a_claim_hold_no_slot_and_go_with_the_next_save() {
    let machine = claimed();
    let text = machine.read(REGISTRY);
    let claimed_by = text.lines().find(|line| line.contains("\"claimed_by\": \"")).expect("a claim");
    machine.write(REGISTRY, text.replace(claimed_by, "      \"claimed_by\": null,"));
    machine.kinfra("slots").exits(0).never_says("/project");
    machine.kinfra("claim --slot 2").exits(0);
    let registry: serde_json::Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    assert_eq!(registry["slots"]["1"]["claim_id"], serde_json::Value::Null, "{registry:#}");
    assert_eq!(registry["slots"]["2"]["claim_id"].as_str().map(str::len), Some(32), "{registry:#}");
}

#[test]
fn the_first_save_gives_a_registry_its_id_and_no_later_one_changes_it() {
    let id = |machine: &Machine| Registry::parse(&machine.read(REGISTRY)).expect("a registry").id;
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    let first = id(&machine).expect("an id");
    machine.kinfra("claim").exits(0);
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-3\"");
    machine.kinfra("apply").exits(0).says("Created slot 3");
    machine.write(REGISTRY, "{");
    machine.kinfra("doctor --repair --auto-approve").exits(0);
    machine.kinfra("release").exits(0);
    assert_eq!(id(&machine), Some(first));
    let other = Machine::small();
    other.kinfra("apply").exits(0);
    assert_ne!(id(&other), Some(first));

    // An older kinfra wrote none.
    machine.write(REGISTRY, without_id(&machine.read(REGISTRY)));
    machine.kinfra("slots").exits(0);
    assert_eq!(id(&machine), None);
    machine.kinfra("claim").exits(0);
    assert!(id(&machine).is_some_and(|id| id != first));
}
