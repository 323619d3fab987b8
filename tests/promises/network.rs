//! kinfra itself opens no connection but to this machine, where a pool has its registry in a file: it sends
//! nothing, and looks for no newer version. Every verb runs under strace. What Docker, git and a developer's own commands do is theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::rig::fleet::Fleet;
use crate::rig::{strace, through};
use crate::support::{Machine, Run};

/// Each verb: the worktree that it runs in, its arguments, and its exit code.
const RUNS: &[(&str, &str, i32)] = &[
    ("project", "plan --out plan.json", 0),
    ("project", "show plan.json", 0),
    ("project", "apply --auto-approve", 0),
    ("project", "validate", 0),
    ("project", "init --dry-run", 4),
    ("project", "demo demo", 0),
    ("a", "claim", 0),
    ("a", "up --timeout 2s", 8),
    ("a", "up --no-gate", 0),
    ("a", "status", 0),
    ("a", "slots", 0),
    ("a", "ports", 0),
    ("a", "history", 0),
    ("a", "registry status", 4),
    ("a", "open --print", 0),
    ("a", "hook install git --dry-run", 0),
    ("a", "skill install --dry-run", 0),
    ("a", "doctor", 0),
    ("a", "env", 0),
    ("a", "exec -- /bin/true", 0),
    ("a", "logs", 0),
    ("a", "shell web -- true", 0),
    ("a", "compose ps", 0),
    ("a", "renew", 0),
    ("a", "reset --auto-approve --no-gate", 0),
    ("a", "down", 0),
    ("a", "release", 0),
    ("b", "run --no-gate -- /bin/true", 0),
    ("b", "reap --auto-approve", 0),
    ("b", "clean 1 --auto-approve", 0),
    ("b", "start c --no-gate", 0),
    ("b", "worktrees", 0),
    ("b", "done c", 0),
    ("b", "completions bash", 0),
    ("b", "man", 0),
    ("project", "destroy --auto-approve", 0),
];

/// The calls that are traced: all of the network, and those that make processes.
const TRACED: &str = "trace=%network,execve,clone,clone3,fork,vfork";

#[test]
#[ignore = "needs strace"]
fn no_verb_opens_a_connection_but_to_this_machine() {
    strace::need_strace();
    let fleet = Fleet::new(&["a", "b"]);
    let trace = fleet.machine.path("~/trace");
    let traced = format!("--output={}", trace.display());
    let mut probes = 0;
    for (worktree, arguments, code) in RUNS {
        let mut command = fleet.command(worktree, arguments);
        // The real ports are looked at, too.
        command.env_remove("KINFRA_TEST_PORTS");
        let words = ["strace", "--follow-forks", "--string-limit=256", "-e", TRACED, &traced];
        Run::of(&mut through(words, &command)).exits(*code);
        let text = String::from_utf8_lossy(&fs::read(&trace).expect("a trace")).into_owned();
        let calls = own_calls(&text);
        for call in &calls {
            assert!(stays_here(call), "kinfra {arguments}: {call}");
        }
        probes +=
            calls.iter().filter(|call| call.starts_with("connect(") || call.starts_with("bind(")).count();
    }
    // Otherwise nothing was looked at.
    assert!(probes > 10, "only {probes} probes of ports were seen");
}

#[test]
#[ignore = "needs strace"]
fn every_verb_is_tried() {
    let help = Machine::new().kinfra("--help").exits(0).stdout;
    let listed = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_once("  "));
    let verbs: BTreeSet<&str> =
        listed.map(|(verb, _)| verb).filter(|verb| verb.starts_with(char::is_alphabetic)).collect();
    let tried: BTreeSet<&str> =
        RUNS.iter().filter_map(|(_, arguments, _)| arguments.split(' ').next()).collect();
    let untried: Vec<_> =
        verbs.difference(&tried).filter(|verb| !["help", "sandbox"].contains(verb)).collect();
    assert!(verbs.len() > 20 && untried.is_empty(), "{untried:?} of {verbs:?}");
}

/// The network calls of kinfra's own processes: those that run no other program.
fn own_calls(trace: &str) -> Vec<String> {
    let lines =
        || trace.lines().filter_map(|line| line.split_once(' ')).map(|(pid, call)| (pid, call.trim_start()));
    // A process that runs nothing yet is what its parent is.
    let parents: BTreeMap<&str, &str> = lines()
        .filter(|(_, call)| ["clone", "fork", "vfork"].iter().any(|name| call.contains(name)))
        .filter_map(|(pid, call)| Some((call.rsplit_once(" = ")?.1.split(' ').next()?, pid)))
        .collect();
    let mut programs: BTreeMap<&str, bool> = BTreeMap::new();
    let mut own = Vec::new();
    let mut begun = BTreeMap::new();
    for (pid, call) in lines() {
        // Where another process comes in between, a call has two lines.
        if call.starts_with("execve(") && call.ends_with("<unfinished ...>") {
            begun.insert(pid, call);
        }
        let call = match begun.get(pid) {
            Some(start) if call.starts_with("<... execve resumed>") && call.ends_with(" = 0") => {
                &format!("{start} = 0")
            }
            Some(_) | None => call,
        };
        if let Some(rest) = call.strip_prefix("execve(\"") {
            if call.ends_with(" = 0") {
                programs.insert(pid, rest.split('"').next().is_some_and(|path| path.ends_with("/kinfra")));
            }
            continue;
        }
        let mut process = pid;
        while let (None, Some(parent)) = (programs.get(process), parents.get(process)) {
            process = parent;
        }
        let is_kinfra = programs.get(process).copied().unwrap_or(true);
        let is_network =
            ["connect(", "bind(", "listen(", "sendto(", "sendmsg("].iter().any(|name| call.starts_with(name));
        if is_kinfra && is_network {
            own.push(call.to_owned());
        }
    }
    own
}

/// Whether a call reaches this machine alone. A port that is bound and not listened on is only looked at.
fn stays_here(call: &str) -> bool {
    let is_loopback =
        ["inet_addr(\"127.", "AF_INET6, \"::1\"", "\"::1\", &sin6_addr"].iter().any(|it| call.contains(it));
    let is_of_internet = call.contains("AF_INET");
    match call.split('(').next() {
        Some("bind") => is_of_internet,
        Some("connect") => is_of_internet && is_loopback,
        // What is sent goes where the socket was connected to.
        Some("sendto" | "sendmsg") => !call.contains("sa_family"),
        _ => false,
    }
}

#[test]
fn what_leaves_the_machine_is_told_from_what_stays() {
    for (call, stays) in [
        (
            "connect(3, {sa_family=AF_INET, sin_port=htons(8001), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0",
            true,
        ),
        (
            "connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr(\"10.0.0.1\")}, 16) = 0",
            false,
        ),
        ("connect(3, {sa_family=AF_UNIX, sun_path=\"/run/nscd/socket\"}, 110) = -1 ENOENT", false),
        ("bind(3, {sa_family=AF_INET, sin_port=htons(8001), sin_addr=inet_addr(\"0.0.0.0\")}, 16) = 0", true),
        ("listen(3, 128) = 0", false),
        ("sendto(3, \"x\", 1, 0, {sa_family=AF_INET, sin_port=htons(53)}, 16) = 1", false),
    ] {
        assert_eq!(stays_here(call), stays, "{call}");
    }
    // Of a program that kinfra starts, nothing counts: nor of its children.
    let trace = "1 execve(\"/t/kinfra\", []) = 0\n1 clone(x) = 2\n2 execve(\"/bin/docker\", []) = 0\n2 clone3(x) = 3\n\
                 3 connect(docker's\n1 clone(x) = 4\n4 connect(kinfra's\n1 connect(its own\n";
    assert_eq!(own_calls(trace), ["connect(kinfra's", "connect(its own"]);
}
