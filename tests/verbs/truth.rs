//! What `slots` and `status` say of stacks, with a stand-in for Docker that says what a test has it say.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, test_kill_process};
use serde_json::{Value, json};

use crate::rig::terminal::Terminal;
use crate::support::tools::set_mode;
use crate::support::{Machine, PORTS, Run, Running};

/// Says what is in files of the home, and notes each question with the engine that it is for.
const DOCKER: &str = r#"#!/bin/sh
echo "$DOCKER_HOST $1" >>"$HOME/asked"
case "$1" in
ps) if [ -e "$HOME/hangs" ]; then exec sleep 60; fi; cat "$HOME/ps" ;;
container)
    shift 4
    for id; do grep "^\[\"$id\"" "$HOME/inspect" || { echo "Error: No such container: $id" >&2; exit 1; }; done ;;
exec) cat "$HOME/net" ;;
events) echo $$ >"$HOME/events"; while ! [ -e "$HOME/happens" ]; do sleep 0.1; done; echo id; exec sleep 600 ;;
*) exit 1 ;;
esac
"#;

/// A container as `docker ps` lists it: its id, state, status and service, and whose it is.
fn row([id, state, status, service]: [&str; 4], registry: &str, slot: &str) -> String {
    let project = format!("small-slot-{slot}");
    json!([id, state, status, "2 hours ago", project, service, "False", registry, slot, ""]).to_string()
}

/// A machine whose project holds slot 1 of two, and started its stack.
struct Stand {
    machine: Machine,
    id: String,
}

impl Stand {
    fn new() -> Self {
        let machine = Machine::small();
        let docker = machine.tools().join("docker");
        fs::write(&docker, DOCKER).expect("a stand-in");
        set_mode(&docker, 0o755);
        for file in ["ps", "inspect", "net"] {
            machine.write(&format!("~/{file}"), "");
        }
        machine.kinfra("apply").exits(0);
        let registry: Value = serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
        let id = registry["id"].as_str().expect("an id").to_owned();
        Self { machine, id }
    }

    fn started() -> Self {
        let stand = Self::new();
        stand.machine.kinfra("claim").exits(0);
        stand.note("1", "unix:///one.sock");
        stand
    }

    fn registry(&self) -> Value {
        serde_json::from_str(&self.machine.read("~/pool/registry.json")).expect("JSON")
    }

    /// Notes a start of a slot's stack.
    fn note(&self, slot: &str, engine: &str) {
        let mut registry = self.registry();
        let entry = &mut registry["slots"][slot];
        entry["started_at"] = json!("2026-03-01T17:22:10.000000+00:00");
        entry["started_as"] = json!(format!("small-slot-{slot}"));
        entry["started_in"] = json!(engine);
        self.machine.write("~/pool/registry.json", format!("{registry:#}\n"));
    }

    fn lists(&self, rows: &[String]) {
        self.machine.write("~/ps", rows.join("\n"));
    }

    /// A container of slot 1.
    fn own(&self, id: &str, state: &str, status: &str, service: &str) -> String {
        row([id, state, status, service], &self.id, "1")
    }

    /// What `docker inspect` says of a container of slot 1.
    fn inspected(&self, [id, service]: [&str; 2], restarts: u32, state: &Value, bindings: &Value) -> String {
        let labels = json!({
            "com.docker.compose.project": "small-slot-1",
            "com.docker.compose.service": service,
            "kinfra.id": self.id,
        });
        let name = format!("/small-slot-1-{service}-1");
        let made = "2026-03-01T10:00:00Z";
        json!([id, name, made, restarts, state, labels, {"Name": "no"}, bindings]).to_string()
    }

    fn inspects(&self, containers: &[String]) {
        self.machine.write("~/inspect", containers.join("\n"));
    }

    /// The status of slot 1, as `slots` has it.
    fn word(&self) -> String {
        let table = self.machine.kinfra("slots").exits(0).stdout;
        let (header, line) = (table.lines().next().expect("a header"), table.lines().nth(1).expect("a slot"));
        let (at, end) =
            (header.find("Status").expect("a column"), header.find("  WEB Port").expect("the next"));
        // The states have signs of more than a byte.
        line.chars().skip(at).take(end - at).collect::<String>().trim_end().to_owned()
    }

    /// The questions so far.
    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.machine.path("~/asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_service_that_is_unhealthy_is_told_with_what_its_check_said() {
    let stand = Stand::started();
    let health = json!({"Status": "unhealthy", "Log": [{"Output": "no /tmp/ready yet\n"}]});
    let state = json!({"Status": "running", "Pid": 1, "StartedAt": "2026-03-01T10:00:00Z", "Health": health});
    stand.lists(&[stand.own("a", "running", "Up 2 hours (unhealthy)", "web")]);
    stand.inspects(&[stand.inspected(["a", "web"], 0, &state, &json!({}))]);
    stand.machine.kinfra("status").exits(0).prints("unhealthy: no /tmp/ready yet\n");
    // The stand-in has no Compose.
    stand.machine.kinfra("logs --failing").exits(1).says("web: unhealthy: no /tmp/ready yet\n");
}

#[test]
fn docker_is_not_asked_where_no_slot_is_held() {
    let stand = Stand::new();
    stand.machine.kinfra("slots").exits(0).prints("stopped");
    stand.machine.kinfra("slots --json").exits(0);
    stand.machine.kinfra("status").exits(0);
    assert_eq!(stand.asked(), Vec::<String>::new());
    // A holder can start containers without kinfra.
    stand.machine.kinfra("claim").exits(0);
    assert_eq!(stand.word(), "never started");
    assert_eq!(stand.asked().len(), 1);
    stand.lists(&[stand.own("a", "running", "Up 3 minutes", "web")]);
    assert_eq!(stand.word(), "running 1/1 · up 3m");
}

#[test]
fn the_list_says_what_a_stack_does() {
    let stand = Stand::started();
    let up = |id: &str, service: &str| stand.own(id, "running", "Up 12 minutes", service);
    for (rows, word) in [
        (vec![], "down"),
        (vec![up("a", "web"), up("b", "db")], "running 2/2 · up 12m"),
        (vec![up("a", "web"), stand.own("b", "running", "Up 2 hours (unhealthy)", "db")], "unhealthy: db"),
        (
            vec![up("a", "web"), stand.own("b", "running", "Up 2 minutes (health: starting)", "db")],
            "starting: db",
        ),
    ] {
        stand.lists(&rows);
        let before = stand.asked().len();
        assert_eq!(stand.word(), word);
        assert_eq!(stand.asked()[before..], ["unix:///one.sock ps"], "one question is enough: {word}");
    }
    let document: Value =
        serde_json::from_str(&stand.machine.kinfra("slots --json").exits(0).stdout).expect("JSON");
    let services = json!([
        {"service": "web", "state": "settled", "exit_code": null, "out_of_memory": false},
        {"service": "db", "state": "starting", "exit_code": null, "out_of_memory": false},
    ]);
    let stack = json!({"state": "starting", "text": "starting: db", "services": services});
    assert_eq!(document["slots"][0]["stack"], stack);
    assert_eq!(document["slots"][1]["stack"], json!({"state": "never_started", "text": "never started"}));
    assert_eq!(document["slots"][0]["status"], "stopped", "another program's word is kept");
}

#[test]
fn a_closer_look_is_taken_only_at_what_the_list_leaves_open() {
    let stand = Stand::started();
    // By its own clock, which is far behind that of this machine, the engine started it a second ago.
    let started = "2026-03-01T10:09:00Z";
    stand.lists(&[
        stand.own("a", "running", "Up 1 second", "worker"),
        stand.own("b", "exited", "Exited (0) 2 hours ago", "migrate"),
        stand.own("c", "exited", "Exited (0) 2 hours ago", "web"),
        stand.own("d", "running", "Up 2 hours", "db"),
    ]);
    let ended = json!({"Status": "exited", "ExitCode": 0});
    stand.inspects(&[
        stand.inspected(
            ["a", "worker"],
            0,
            &json!({"Status": "running", "StartedAt": started}),
            &json!(null),
        ),
        stand.inspected(["b", "migrate"], 0, &ended, &json!(null)),
        stand.inspected(["c", "web"], 0, &ended, &json!({"80/tcp": [{"HostPort": "8001"}]})),
    ]);
    // A server has ended; a migration has, too, and is done.
    assert_eq!(stand.word(), "failed: web, exit 0");
    assert_eq!(stand.asked(), ["unix:///one.sock ps", "unix:///one.sock container"]);
    stand.inspects(&[
        stand.inspected(
            ["a", "worker"],
            9,
            &json!({"Status": "running", "StartedAt": started}),
            &json!(null),
        ),
        stand.inspected(["b", "migrate"], 0, &ended, &json!(null)),
        stand.inspected(["c", "web"], 0, &ended, &json!(null)),
    ]);
    assert_eq!(stand.word(), "looping: worker");
}

#[test]
fn what_ended_is_looked_at_and_out_of_memory_is_said() {
    let stand = Stand::started();
    let up = stand.own("a", "running", "Up 12 minutes", "web");
    let db = |state: &str, status: &str| stand.own("b", state, status, "db");
    let exited =
        |code: i32, is_killed: bool| json!({"Status": "exited", "ExitCode": code, "OOMKilled": is_killed});
    let restarting = json!({"Status": "restarting", "ExitCode": 137, "OOMKilled": true});
    for (rows, state, word) in [
        (vec![&up, &db("exited", "Exited (1) 2 hours ago")], exited(1, false), "failed: db, exit 1"),
        (vec![&db("exited", "Exited (137) 2 hours ago")], exited(137, false), "exited"),
        (vec![&db("exited", "Exited (137) 2 hours ago")], exited(137, true), "oom: db"),
        (vec![&up, &db("exited", "Exited (137) 2 hours ago")], exited(137, true), "oom: db"),
        (
            vec![&up, &db("restarting", "Restarting (137) 1 second ago")],
            restarting,
            "looping: db, exit 137, out of memory",
        ),
    ] {
        stand.lists(&rows.into_iter().cloned().collect::<Vec<_>>());
        stand.inspects(&[stand.inspected(["b", "db"], 0, &state, &json!(null))]);
        assert_eq!(stand.word(), word);
    }
    // What went away between the two questions is shown as it was listed.
    stand.inspects(&[]);
    assert_eq!(stand.word(), "looping: db, exit 137");
    let document: Value =
        serde_json::from_str(&stand.machine.kinfra("slots --json").exits(0).stdout).expect("JSON");
    assert_eq!(document["slots"][0]["stack"]["state"], "looping");
}

#[test]
fn containers_of_others_do_not_count() {
    let stand = Stand::started();
    let other = "00000000000000000000000000000000";
    let failed =
        |registry: &str, slot: &str| row(["x", "exited", "Exited (1) 1 hour ago", "x"], registry, slot);
    let mut run = stand.own("r", "exited", "Exited (1) 1 hour ago", "web");
    run = run.replace("\"False\"", "\"True\"");
    // Of another registry, of another slot, and of `docker compose run`.
    let theirs = [failed(other, "1"), failed(&stand.id, "2"), run];
    stand.lists(&theirs);
    assert_eq!(stand.word(), "down");
    // Without kinfra's labels the noted project counts.
    let bare = row(["a", "running", "Up 5 minutes", "web"], "", "1");
    stand.lists(&[&theirs[..], &[bare]].concat());
    assert_eq!(stand.word(), "running 1/1 · up 5m");
    // A computed name alone does not: nothing was started in slot 2.
    stand.lists(&[row(["b", "running", "Up 5 minutes", "web"], "", "2")]);
    stand
        .machine
        .kinfra("slots")
        .exits(0)
        .prints("    2  only     stopped      8002  -           -\n")
        .never_says("running");
}

#[test]
fn a_docker_that_hangs_makes_it_unknown_in_two_seconds() {
    let stand = Stand::started();
    stand.machine.write("~/hangs", "");
    for (verb, reason) in [
        ("slots", ""),
        ("status", "/one.sock` (in use is the Docker context `default`) did not answer within 2s\n"),
    ] {
        let begun = Instant::now();
        stand.machine.kinfra(verb).exits(0).prints("unknown: Docker did not answer").prints(reason);
        assert!(begun.elapsed() < Duration::from_secs(6), "{verb} took {:?}", begun.elapsed());
    }
    let document: Value =
        serde_json::from_str(&stand.machine.kinfra("status --json").exits(0).stdout).expect("JSON");
    assert_eq!(document["stack"]["state"], "unknown");
    let reason = document["stack"]["reason"].as_str().expect("a reason");
    assert!(reason.ends_with("did not answer within 2s"), "{reason}");
    // Without any docker, what was started is not known either.
    fs::remove_file(stand.machine.tools().join("docker")).expect("a file");
    assert_eq!(stand.word(), "unknown: Docker did not answer");
}

#[test]
fn each_engine_is_asked_once() {
    let stand = Stand::started();
    let other = stand.machine.path("~/other");
    fs::create_dir_all(&other).expect("a directory");
    let mut claim = stand.machine.command("claim --slot 2");
    Run::of(claim.arg("--for").arg(&other)).exits(0);
    stand.note("2", "tcp://two:2375");
    stand.machine.kinfra("slots").exits(0);
    let mut asked = stand.asked();
    asked.sort();
    assert_eq!(asked, ["tcp://two:2375 ps", "unix:///one.sock ps"]);
}

#[test]
fn status_looks_at_what_listens_and_names_what_else_has_a_port() {
    let stand = Stand::started();
    let status = |verb: &str| Run::of(stand.machine.command(verb).env(PORTS, "8001"));
    stand.lists(&[stand.own("a", "running", "Up 2 hours", "web")]);
    let up = json!({"Status": "running", "StartedAt": "2026-03-01T10:00:00Z"});
    let web = |port: &str| stand.inspected(["a", "web"], 0, &up, &json!({"80/tcp": [{"HostPort": port}]}));
    for (listens, word, note) in [
        ("0100007F:0050", "starting: web", "port 80 listens on the container's loopback only"),
        ("0100007F:0051", "starting: web", "nothing listens on port 80 of its container"),
        ("00000000:0050", "running 1/1", ""),
    ] {
        stand.machine.write("~/net", format!(" 0: {listens} 00000000:0000 0A 0\n"));
        stand.inspects(&[web("8001")]);
        let run = status("status").exits(0).prints(word).prints(note);
        run.never_says("is used by");
    }
    stand.inspects(&[web("9999")]);
    let taken = "warning: port 8001 (web) is used by another program, and not by the slot's stack\n";
    status("status").exits(0).prints(taken);
    let document: Value = serde_json::from_str(&status("status --json").exits(0).stdout).expect("JSON");
    let port =
        json!({"name": "web", "port": "8001", "used_by": "another program", "pid": null, "program": null});
    assert_eq!(document["taken_ports"], json!([port]));
    let service = &document["stack"]["services"][0];
    assert_eq!((&service["container"], &service["ready"]), (&json!("small-slot-1-web-1"), &json!(true)));
}

#[test]
fn only_what_was_asked_for_is_missing() {
    let stand = Stand::started();
    let depends = json!({"db": {"condition": "service_started"}});
    let services = json!({"web": {"depends_on": depends}, "db": {}, "worker": {}, "a-service-with-quite-a-long-name": {}});
    let asks = |asked: &Value| {
        let uses = json!({"version": 1, "at": "2026-03-01T17:22:10Z", "project": "small-slot-1", "has_ended": false,
            "worktree": "/w", "model": {"name": "small-slot-1", "services": services}, "asked": asked});
        stand.machine.write("~/pool/slot-1/.kinfra-uses.json", uses.to_string());
        stand.machine.kinfra("status").exits(0)
    };
    stand.lists(&[stand.own("a", "running", "Up 2 hours", "web")]);
    let up = json!({"Status": "running", "StartedAt": "2026-03-01T10:00:00Z"});
    stand.inspects(&[stand.inspected(["a", "web"], 0, &up, &json!(null))]);
    let subset = asks(&json!({"only": ["web"]}));
    subset.prints("running 1/2").prints("db         missing\n").prints("worker     not started\n");
    let document: Value =
        serde_json::from_str(&stand.machine.kinfra("status --json").exits(0).stdout).expect("JSON");
    assert_eq!(document["stack"]["not_started"], json!(["a-service-with-quite-a-long-name", "worker"]));
    asks(&json!("all")).prints("running 1/4").prints("worker     missing\n").never_says("not started");
    // By a command that makes no containers.
    asks(&json!({"only": []})).prints("running 1/1").prints("db         not started\n");
}

#[test]
fn of_an_engine_on_another_machine_only_docker_is_asked() {
    let stand = Stand::started();
    let context = |address: &str| {
        let name = kinfra::digest::Digest::of(b"away");
        let meta = json!({"Name": "away", "Endpoints": {"docker": {"Host": address}}});
        stand.machine.write(&format!("~/.docker/contexts/meta/{name}/meta.json"), meta.to_string());
    };
    stand.lists(&[stand.own("a", "running", "Up 2 hours", "web")]);
    let up = json!({"Status": "running", "StartedAt": "2026-03-01T10:00:00Z"});
    let bindings = json!({"80/tcp": [{"HostPort": "9999"}]});
    stand.inspects(&[stand.inspected(["a", "web"], 0, &up, &bindings)]);
    let status = || Run::of(stand.machine.command("status").env(PORTS, "8001")).exits(0);
    for (engine, address) in [("tcp://far:2375", ""), ("away", "ssh://me@far:22")] {
        stand.note("1", engine);
        context(address);
        let run = status().prints("running 1/1").prints("WEB     http://far:8001\n");
        run.prints("web     settled, listening not checked\n").never_says("is used by");
    }
    // What the container itself says counts there, too.
    stand.machine.write("~/net", " 0: 0100007F:0050 00000000:0000 0A 0\n");
    status().prints("port 80 listens on the container's loopback only");
    context("unix:///run/other.sock");
    status().prints("WEB     http://web.slot-1.localhost:8001\n").prints("port 8001 (web) is used by");
}

#[test]
#[ignore = "needs script, of util-linux"]
fn a_watch_on_a_narrow_terminal_shows_what_stacks_do_in_place() {
    let stand = Stand::started();
    let watch = stand.machine.command("slots --watch");
    let mut terminal = Terminal::run(&stand.machine, &watch, 10, 50);
    terminal.until(|lines| lines.iter().any(|line| line.contains(" down ")));
    stand.lists(&[stand.own("a", "running", "Up 5 minutes", "web")]);
    stand.machine.write("~/happens", "");
    let lines = terminal.until(|lines| lines.iter().any(|line| line.contains(" running 1/1 · up 5m ")));
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].starts_with(" Slot  ") && lines[0].contains("  Status  "), "{lines:#?}");
    assert!(lines[0].contains("Claimed By") && !lines[0].contains("Lease"), "{lines:#?}");
    terminal.types("\u{3}");
    let (code, printed, _) = terminal.ends();
    assert_eq!(code, Some(130));
    assert!(printed.ends_with("\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l"), "{printed:?}");
}

#[test]
fn a_watch_asks_again_when_something_happens_and_leaves_nothing_running() {
    let stand = Stand::started();
    let mut command: Command = stand.machine.command("slots --watch --json");
    let mut watch = Running::start(command.stdout(Stdio::piped()));
    let mut lines = BufReader::new(watch.stdout.take().expect("its stdout")).lines();
    let mut state = || {
        let line = lines.next().expect("a line").expect("text");
        let document: Value = serde_json::from_str(&line).expect("JSON");
        document["slots"][0]["stack"]["state"].as_str().expect("a state").to_owned()
    };
    assert_eq!(state(), "down");
    stand.lists(&[stand.own("a", "running", "Up 5 minutes", "web")]);
    let begun = Instant::now();
    stand.machine.write("~/happens", "");
    assert_eq!(state(), "running");
    assert!(begun.elapsed() < Duration::from_secs(8), "it did not wait for its turn: {:?}", begun.elapsed());
    watch.signal(Signal::INT);
    assert_eq!(watch.wait().expect("its end").code(), Some(130));
    let pid = stand.machine.read("~/events").trim().parse().expect("an id");
    let pid = Pid::from_raw(pid).expect("an id");
    let begun = Instant::now();
    while test_kill_process(pid).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10), "`docker events` still runs");
        thread::sleep(Duration::from_millis(50));
    }
}
