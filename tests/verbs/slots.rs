//! `kinfra slots`: what the registry holds. It only reads.

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::process::{ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Machine, Running, has_no_file};

const REGISTRY: &str = "~/pool/registry.json";

/// An applied pool of slots 2 and 10.
fn applied() -> Machine {
    let machine = Machine::small();
    machine.edit_spec("ids = \"1-2\"", "ids = \"10,2\"");
    machine.kinfra("apply").exits(0);
    machine
}

/// Writes fields of a slot into the registry, as a claim will.
fn change_entry(machine: &Machine, slot: &str, fields: &[(&str, &str)]) {
    let mut registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    for (field, value) in fields {
        registry["slots"][slot][field] = json!(value);
    }
    machine.write(REGISTRY, format!("{registry:#}\n"));
}

#[test]
fn slots_are_listed_in_numeric_order() {
    let machine = applied();
    let before = machine.tree();
    machine.kinfra("slots").exits(0).prints_exactly(
        " Slot  Profile  Status   WEB Port  Claimed By
    2  only     stopped      8002  -
   10  only     stopped      8010  -
",
    );
    assert_eq!(machine.tree(), before);
}

#[test]
fn without_a_port_for_browsers_the_first_of_the_spec_is_listed() {
    let machine = Machine::small();
    machine.template("conf.txt", "slot {{ slot.id }}\n");
    machine.edit_spec("web = 8000", "otlp_grpc = 4317\notlp_http = 4400");
    machine.kinfra("apply").exits(0);
    machine.kinfra("sandbox slots").exits(0).prints("OTLP_GRPC Port").prints("4318").never_says("4401");
    // A port that the slots do not have yet is not shown.
    machine.edit_spec("otlp_grpc", "api");
    machine.kinfra("slots").exits(0).prints_exactly(
        " Slot  Profile  Status   API Port  Claimed By
    1  only     stopped         -  -
    2  only     stopped         -  -
",
    );
}

#[test]
fn a_claimed_slot_says_who_holds_it_on_which_branch_and_whether_it_runs() {
    let machine = applied();
    machine.write("~/tree/feature/.git/HEAD", "ref: refs/heads/fix/login\n");
    let worktree = machine.path("~/tree/feature").display().to_string();
    change_entry(&machine, "10", &[("claimed_by", &worktree), ("status", "running")]);
    let before = machine.tree();
    machine.kinfra("slots").exits(0).prints_exactly(
        " Slot  Profile  Status          WEB Port  Claimed By  Branch     Since
    2  only     stopped             8002  -           -          -
   10  only     noted: running      8010  feature     fix/login  -
",
    );
    assert_eq!(machine.tree(), before);
    // Two worktrees with one name are told apart by their paths.
    machine.write("~/other/feature/.git/HEAD", "0123456789012345678901234567890123456789\n");
    let worktree = machine.path("~/other/feature").display().to_string();
    change_entry(&machine, "2", &[("claimed_by", &worktree)]);
    machine
        .kinfra("slots")
        .exits(0)
        .prints("  ~/other/feature  -          -")
        .prints("  ~/tree/feature   fix/login  -");
}

#[test]
fn the_branch_is_that_of_the_worktree_whatever_its_claim_notes() {
    let machine = Machine::small();
    machine.repository(machine.project());
    machine.kinfra("apply").exits(0);
    let fix = machine.worktree("fix");
    machine.kinfra(&format!("claim --for {}", fix.display())).exits(0);
    let shows = |branch: &str| machine.kinfra("slots").exits(0).prints(&format!("  fix         {branch}  "));
    shows("fix   ");
    machine.git(&fix, "switch --quiet --create other");
    shows("other ");
    // Its first git directory is there still, and has its token.
    machine.remove("~/fix/.git");
    machine.git(&fix, "init --quiet --initial-branch own");
    shows("own   ");
}

/// A time so many hours from now, as the registry has it.
fn hours(hours: i64) -> String {
    let now = jiff::Timestamp::now();
    (now + jiff::SignedDuration::from_hours(hours)).strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

#[test]
fn leases_and_worktrees_that_are_over_show_and_nothing_changes() {
    let machine = applied();
    let here = machine.project().display().to_string();
    let gone = machine.project().with_file_name("gone").display().to_string();
    let lease = |until: i64| [("lease", "8h".to_owned()), ("lease_until", hours(until))];
    for (claimed_by, until, row, standing) in [
        (&here, 6, "never started      8002  project     1h ago  5h59m", "held"),
        (&here, -3, "expired      8002  project     1h ago  ran out 3h ago", "expired"),
        (&gone, 6, "orphaned      8002  gone        1h ago  5h59m", "orphaned"),
    ] {
        let [length, until] = lease(until);
        let since = ("claimed_at", hours(-1));
        let fields = [("claimed_by", claimed_by.clone()), since, length, until];
        change_entry(&machine, "2", &fields.each_ref().map(|(field, value)| (*field, value.as_str())));
        let before = machine.tree();
        machine.kinfra("slots").exits(0).prints(row);
        let document: Value =
            serde_json::from_str(&machine.kinfra("slots --json").exits(0).stdout).expect("JSON");
        assert_eq!(document["slots"][0]["standing"], standing);
        assert_eq!(machine.tree(), before);
    }
}

#[test]
fn foreign_text_cannot_steer_the_terminal() {
    let machine = applied();
    change_entry(
        &machine,
        "2",
        &[("claimed_by", "/nowhere/a\u{1b}[31m\nb"), ("claimed_host", "another"), ("status", "\u{7}")],
    );
    machine
        .kinfra("slots")
        .exits(0)
        .prints("  a\\u{1b}[31m\\u{a}b  ")
        .prints("noted: \\u{7}")
        .never_says("\u{1b}");
}

#[test]
fn slots_as_json_have_the_registry_s_own_fields() {
    let machine = applied();
    let claim =
        [("claimed_by", "/tree/feature"), ("claimed_at", "2026-01-01T00:00:00+00:00"), ("x_note", "kept")];
    change_entry(&machine, "2", &claim);
    let before = machine.tree();
    let run = machine.kinfra("slots --json").exits(0);
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    let entries = &registry["slots"];
    let mut claimed = entries["2"].clone();
    // And the state of the worktree: its parent directory is missing, too, so it may come back.
    claimed["worktree"] = json!("feature");
    claimed["branch"] = Value::Null;
    claimed["standing"] = json!("missing");
    // And what is known of the stack: there is no docker to ask.
    let (mut free, stack) =
        (entries["10"].clone(), json!({ "state": "never_started", "text": "never started" }));
    for (slot, port, entry) in [(2, 8002, &mut claimed), (10, 8010, &mut free)] {
        entry["stack"] = stack.clone();
        entry["url"] = json!(format!("http://localhost:{port}"));
        entry["host_url"] = json!(format!("http://web.slot-{slot}.localhost:{port}"));
    }
    assert_eq!(document, json!({ "format_version": "1.0", "slots": [claimed, free] }));
    assert_eq!(document["slots"][0]["claimed_by"], "/tree/feature");
    assert_eq!(document["slots"][0]["ports"], json!({ "web": 8002 }));
    assert_eq!(document["slots"][1]["claimed_by"], Value::Null);
    assert_eq!(machine.tree(), before);
}

#[test]
fn without_a_registry_it_says_how_to_make_one_and_makes_nothing() {
    let machine = Machine::small();
    let how = "No slots in ~/pool yet: `kinfra apply` creates those of ";
    machine.kinfra("slots").exits(0).prints_exactly("").says(how);
    let run = machine.kinfra("slots --json").exits(0);
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(document, json!({ "format_version": "1.0", "slots": [] }));
    assert!(machine.tree().is_empty());
    // A root without a registry is no different, and stays empty.
    machine.write("~/pool/notes.txt", "mine");
    let before = machine.tree();
    machine.kinfra("slots").exits(0).prints_exactly("").says(how);
    assert_eq!(machine.tree(), before);
    Machine::new().kinfra("slots").says("creates those of the embedded slots.toml");
}

#[test]
fn a_registry_that_cannot_be_trusted_is_refused_and_stays_as_it_is() {
    if has_no_file("a server takes no registry that cannot be read") {
        return;
    }
    let whole = applied().read(REGISTRY);
    for (text, words) in [
        (String::new(), "is corrupt: line 1: the file is empty"),
        (whole[..whole.len() / 2].to_owned(), "is corrupt: line "),
        (
            whole.replace("\"version\": 2", "\"version\": 3"),
            "cannot be read: version: 3 is newer than this kinfra",
        ),
        (whole.replace("\"slot_id\": 10", "\"slot_id\": 2"), "is corrupt: slots.10: has slot_id 2"),
        (whole.replace("\"10\": {", "\"2\": {"), "is corrupt: line "),
        (whole.replace("8010", "8002"), "is corrupt: slots.10.ports.web: 8002 is also `web` of slot 2"),
        (whole.replace("8010", "80"), "is corrupt: slots.10.ports"),
        (whole.replace("\"stopped\"", "7"), "is corrupt: slots.2.status"),
        ("[]".to_owned(), "is corrupt: "),
    ] {
        let machine = applied();
        machine.write(REGISTRY, &text);
        let before = machine.tree();
        for verb in ["slots", "slots --json", "plan", "apply"] {
            machine
                .kinfra(verb)
                .exits(5)
                .prints_exactly("")
                .says("pool/registry.json` ")
                .says(words)
                .says("nothing was changed");
        }
        assert_eq!(machine.tree(), before);
    }
}

/// A running `slots --watch`, whose output is read line by line.
struct Watch {
    child: Running,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(command: &mut Command) -> Self {
        let mut child = Running::start(command.stdout(Stdio::piped()));
        let lines = BufReader::new(child.stdout.take().expect("its stdout")).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("a line").expect("text")
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(mut self) -> Option<i32> {
        self.child.signal(rustix::process::Signal::INT);
        self.child.wait().expect("its end").code()
    }
}

#[test]
fn a_watch_in_a_pipe_prints_what_changes() {
    let machine = applied();
    let before = machine.tree();
    let mut json = Watch::start(&mut machine.command("slots --watch --json"));
    let mut table = Watch::start(&mut machine.command("slots --watch"));
    let first: Value = serde_json::from_str(&json.line()).expect("JSON");
    assert_eq!(first["slots"][0]["claimed_by"], Value::Null);
    assert!(table.line().starts_with(" Slot  Profile"));
    assert_eq!(machine.tree(), before);
    machine.kinfra("claim").exits(0);
    let second: Value = serde_json::from_str(&json.line()).expect("JSON");
    assert_eq!(second["slots"][0]["worktree"], "project");
    let rest: Vec<String> = (0..5).map(|_| table.line()).collect();
    assert_eq!(rest[2], "");
    assert!(rest[4].contains("  project     "), "{rest:?}");
    assert_eq!((json.interrupt(), table.interrupt()), (Some(130), Some(130)));
}

#[test]
fn a_watch_ends_when_nothing_reads_it_any_more() {
    let machine = applied();
    for verb in ["slots --watch", "slots --watch --json"] {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let watch = Running::start(machine.command(verb).stdout(writer).stderr(Stdio::null()));
        reader.read_exact(&mut [0]).expect("its first output");
        drop(reader);
        watch.ends().exits(0);
    }
}

#[test]
#[ignore = "needs script, of util-linux"]
fn a_watch_on_a_terminal_draws_in_place_and_puts_everything_back() {
    let machine = applied();
    let kinfra = env!("CARGO_BIN_EXE_kinfra");
    machine.install("script");
    let mut script = machine.program("script");
    script.args([
        "--quiet",
        "--return",
        "--command",
        &format!("stty rows 3; {kinfra} slots --watch"),
        "/dev/null",
    ]);
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Running::start(&mut script);
    let mut stdin = child.stdin.take().expect("its stdin");
    let mut stdout = child.stdout.take().expect("its stdout");
    let mut seen = String::new();
    let mut bytes = [0; 4096];
    let mut is_asked = false;
    while let read @ 1.. = stdout.read(&mut bytes).expect("text") {
        seen += &String::from_utf8_lossy(&bytes[..read]);
        // Once it was drawn twice, Ctrl-C.
        if !is_asked && seen.matches("\x1b[J").count() > 1 {
            stdin.write_all(b"\x03").expect("it reads");
            is_asked = true;
        }
    }
    assert_eq!(child.wait().expect("its end").code(), Some(130));
    assert!(seen.starts_with("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[K Slot "), "{seen:?}");
    // Three rows suffice for the whole text.
    assert!(seen.contains("   10  only ") && !seen.contains("more"), "{seen:?}");
    assert!(seen.ends_with("\x1b[?7h\x1b[?25h\x1b[?1049l"), "{seen:?}");
}
