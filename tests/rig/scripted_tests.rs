//! The scripted engine itself: it answers as Docker does, and goes wrong as it is told.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::engine::{BUSYBOX, Engine};
use super::scripted::{Call, DIRECTORY, Fault, PROJECT, Scripted, When};
use crate::support::{Machine, Run, Running};

const COMPOSE: &str = "services:
  web:
    image: busybox:kinfra
    command: [sleep, '600']
    init: true
    stop_grace_period: 0s
    restart: always
    ports: ['127.0.0.1:29890:80']
    volumes: ['data:/data', '/anonymous']
  once:
    image: busybox:kinfra
    labels: {engine.does: exit 3}
    command: [sh, -c, exit 3]
  tool:
    image: busybox:kinfra
    profiles: [tools]
volumes:
  data:
    labels: {owner: me}
";
const NAME: &str = "kinfra-scripted";

fn engine() -> (TempDir, Scripted) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("compose.yaml"), COMPOSE).expect("a file");
    let engine = Scripted::new(dir.path().join("engine"));
    (dir, engine)
}

fn compose(dir: &TempDir, engine: &Scripted, words: &str) -> Run {
    let (file, project) = (dir.path().join("compose.yaml"), dir.path().display().to_string());
    let mut all = vec!["compose", "--project-name", NAME, "--project-directory", &project];
    all.extend(["--file", file.to_str().expect("UTF-8")]);
    all.extend(words.split(' '));
    engine.docker(&all)
}

#[test]
fn a_project_is_started_listed_and_removed() {
    let (dir, engine) = engine();
    compose(&dir, &engine, "up -d").exits(0).says("Container kinfra-scripted-web-1  Started");
    let states: Vec<_> = engine.containers().iter().map(|it| (it.name(), it.state().to_owned())).collect();
    let expected = [("kinfra-scripted-once-1", "exited"), ("kinfra-scripted-web-1", "running")];
    assert_eq!(states, expected.map(|(name, state)| (name.to_owned(), state.to_owned())));
    assert_eq!(engine.containers()[0].label(DIRECTORY), dir.path().display().to_string());
    let volumes = engine.volumes();
    assert_eq!(volumes.len(), 2);
    assert_eq!(volumes[0].name(), "kinfra-scripted_data");
    assert_eq!(volumes[0].used_by(), [dir.path().display().to_string()]);
    assert_eq!((volumes[0].label("owner"), volumes[1].label(PROJECT)), ("me", ""));

    let format = "{{.Names}}\t{{.State}}\t{{.Label \"com.docker.compose.service\"}}\t{{json (.Label \"a\")}}";
    let project = format!("label={PROJECT}={NAME}");
    let list = ["ps", "--all", "--filter", &project, "--format", format];
    let lines = "kinfra-scripted-web-1\trunning\tweb\t\"\"\nkinfra-scripted-once-1\texited\tonce\t\"\"\n";
    engine.docker(&list).exits(0).prints_exactly(lines);
    let format =
        "{{.State.ExitCode}}{{range .Mounts}}{{if eq .Type \"volume\"}} {{.Destination}}{{end}}{{end}}";
    let inspect = ["inspect", "--format", format, "kinfra-scripted-once-1", "kinfra-scripted-web-1"];
    engine.docker(&inspect).exits(0).prints_exactly("3\n0 /data /anonymous\n");

    let before = engine.containers();
    compose(&dir, &engine, "up -d").exits(0);
    assert_eq!(engine.containers()[1].0["id"], before[1].0["id"], "what is the same is kept");
    engine.set("containers", "kinfra-scripted-web-1", "health", &"unhealthy".into());
    let status = ["ps", "--filter", &project, "--format", "{{.Status}}"];
    engine.docker(&status).exits(0).prints("(unhealthy)");
    assert_eq!(engine.images().len(), 1, "what is not there is pulled");
    engine.crash("web").exits(0);
    assert_eq!(engine.containers()[1].0["restart_count"], 1);
    compose(&dir, &engine, "down").exits(0);
    assert_eq!(engine.made_by(NAME), ["volumes kinfra-scripted_data"]);
    assert_eq!(engine.volumes().len(), 2);
    compose(&dir, &engine, "down --volumes").exits(0);
    assert_eq!(engine.made_by(NAME), Vec::<String>::new());
}

#[test]
fn it_goes_wrong_as_it_is_told() {
    let (dir, engine) = engine();
    compose(&dir, &engine, "up -d").exits(0);
    let volumes = || engine.docker(&["volume", "ls", "--quiet", "--filter", "label=owner"]);
    engine.forget_calls();
    engine.fails(Fault::Fail, &When::At(2));
    volumes().exits(0).prints("kinfra-scripted_data");
    volumes().exits(1).says("Error response from daemon").prints_exactly("");
    volumes().exits(0);
    engine.fails(Fault::Gone, &When::From(4));
    for _ in 0..2 {
        volumes().exits(1).says("Cannot connect to the Docker daemon");
    }
    engine.docker(&["compose", "version", "--short"]).exits(0);
    engine.fails(Fault::Junk, &When::Always);
    volumes().exits(0).never_says("kinfra-scripted");
    // A removal that is not one, or half of one.
    engine.fails(Fault::Lie, &When::Matches("rm --force"));
    let names = ["kinfra-scripted-once-1", "kinfra-scripted-web-1"];
    let remove = || engine.docker(&["rm", "--force", names[0], names[1]]);
    remove().exits(0).prints("kinfra-scripted-web-1");
    assert_eq!(engine.containers().len(), 2);
    engine.fails(Fault::Half, &When::Always);
    remove().exits(0).prints("kinfra-scripted-web-1");
    assert_eq!(engine.containers().len(), 1);
    // A question gets an old answer, or none.
    engine.fails(Fault::Lie, &When::Always);
    engine.docker(&["ps", "-aq"]).exits(0).prints_exactly("");
    engine.remember();
    engine.mend();
    engine.docker(&["rm", "--force", names[1]]).exits(0);
    engine.docker(&["ps", "-aq"]).exits(0).prints_exactly("");
    engine.fails(Fault::Lie, &When::Always);
    assert_ne!(engine.docker(&["ps", "-aq"]).exits(0).stdout, "");
}

#[test]
fn a_call_hangs_until_it_is_killed_and_others_do_not() {
    let (_dir, engine) = engine();
    engine.fails(Fault::Hang, &When::Call(Call { shape: "version".to_owned(), nth: 1 }));
    let mut shell = Command::new("sh");
    let begun = Instant::now();
    let mut hanging =
        Running::piped(engine.reach(shell.args(["-c", "exec docker version"]).env("PATH", "/bin")));
    while engine.calls().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is not called");
    }
    engine.docker(&["version"]).exits(0);
    assert!(hanging.try_wait().expect("its state").is_none(), "it has ended");
}

#[test]
fn kinfra_dies_and_no_other_parent() {
    let (_dir, engine) = engine();
    let machine = Machine::new();
    for fault in [Fault::KillBefore, Fault::KillAfter] {
        engine.fails(fault, &When::Matches("version"));
        let run = Run::of(engine.reach(&mut machine.command("doctor")));
        assert_eq!((run.code, run.stdout.as_str()), (None, ""), "{run:?}");
        // Here the parent is a test. The call dies in its place.
        assert_eq!(engine.docker(&["version"]).code, None);
    }
    engine.mend();
    engine.forget_calls();
    Run::of(engine.reach(&mut machine.command("doctor"))).exits(0).prints("Docker");
    let shapes: Vec<_> = engine.points().into_iter().map(|call| (call.shape, call.nth)).collect();
    assert!(shapes.contains(&("compose version --short".to_owned(), 1)), "{shapes:?}");
}

/// Commands whose exit code, messages and output must be those of Docker. `compose` is with the file above.
const COMPARED: &[&str] = &[
    "compose up -d",
    "wait kinfra-scripted-once-1",
    "ps --all --filter label=com.docker.compose.project=kinfra-scripted --format {{.Names}}|{{.State}}|{{.Image}}|{{.Ports}}",
    "ps --filter label=com.docker.compose.project=kinfra-scripted --format {{.ID}}|{{json(.Label\"com.docker.compose.service\")}}",
    "ps --all --filter label=com.docker.compose.project=kinfra-scripted --filter label=com.docker.compose.service=once -q",
    "ps --filter nope=x",
    "container ls --all --no-trunc --filter name=kinfra-scripted-web --format {{.ID}}{{.Names}}",
    "volume ls --filter label=owner=me --format {{.Name}}|{{.Label\"owner\"}}",
    "network ls --filter label=com.docker.compose.project=kinfra-scripted --format {{.Name}}|{{.ID}}",
    "inspect --format {{.Name}}|{{.State.Status}}|{{.State.ExitCode}}|{{.RestartCount}} kinfra-scripted-once-1",
    "inspect --format {{.State.Running}}|{{.State.OOMKilled}}|{{.State.Health}} kinfra-scripted-web-1",
    "inspect --format {{.HostConfig.RestartPolicy.Name}}|{{json.NetworkSettings.Ports}} kinfra-scripted-web-1",
    "inspect --format {{range.Mounts}}{{.Type}}|{{.Name}}|{{.Destination}};{{end}} kinfra-scripted-once-1",
    "volume inspect --format {{.Name}}|{{index.Labels\"owner\"}} kinfra-scripted_data",
    "inspect no-such-thing",
    "inspect --format {{.Id}} no-such-thing",
    "container inspect no-such-thing",
    "volume inspect no-such-thing",
    "network inspect no-such-thing",
    "image inspect no-such-thing",
    "wait no-such-thing",
    "rm no-such-thing",
    "rm --force no-such-thing",
    "stop no-such-thing",
    "kill no-such-thing",
    "start no-such-thing",
    "logs no-such-thing",
    "exec no-such-thing ls",
    "volume rm no-such-thing",
    "volume rm --force no-such-thing",
    "network rm no-such-thing",
    "image rm no-such-thing",
    "image rm --force no-such-thing",
    "rm kinfra-scripted-web-1",
    "volume rm kinfra-scripted_data",
    "network rm kinfra-scripted_default",
    "kill kinfra-scripted-once-1",
    "stop kinfra-scripted-once-1",
    "exec kinfra-scripted-once-1 ls",
    "stop kinfra-scripted-web-1 no-such-thing",
    "volume rm kinfra-scripted_data",
    "rm --volumes kinfra-scripted-web-1 kinfra-scripted-once-1",
    "volume ls --quiet --filter label=owner",
    "network rm kinfra-scripted_default",
    "volume rm kinfra-scripted_data",
    "compose up -d web",
    "compose --profile tools ps --all --services",
    "compose stop",
    "compose ps --services",
    "compose start",
    "compose up -d nothing",
    "compose down --volumes",
    "compose down --volumes",
    "volume create kinfra-scripted-own",
    "volume create kinfra-scripted-own",
    "volume rm kinfra-scripted-own",
    "network create kinfra-scripted-own",
    "network create kinfra-scripted-own",
    "network rm kinfra-scripted-own",
];

/// Formats are written without spaces above, so that a command is words.
fn words(command: &str, file: &Path) -> Vec<String> {
    let file = file.display().to_string();
    let spaced = |word: &str| {
        let word = word.replace("(.Label", " (.Label").replace(".Label\"", ".Label \"");
        word.replace("json.", "json .")
            .replace("range.", "range .")
            .replace("index.Labels\"", "index .Labels \"")
    };
    let mut words: Vec<String> = command.split(' ').map(spaced).collect();
    if words[0] == "compose" {
        words.splice(1..1, ["--project-name", NAME, "--file", &file].map(str::to_owned));
    }
    words
}

/// Without ids, and in order: Compose works on several things at once.
fn masked(run: &Run) -> (Option<i32>, Vec<String>, Vec<String>) {
    let lines = |text: &str| {
        let masked = |line: &str| {
            let ids = line.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() >= 12);
            ids.fold(line.trim_end().to_owned(), |line, id| line.replace(id, "ID"))
        };
        // What is going on has no fixed words.
        let is_progress = |line: &&str| line.starts_with([' ', '#']);
        let mut lines: Vec<String> = text.lines().filter(|line| !is_progress(line)).map(masked).collect();
        lines.retain(|line| !line.is_empty());
        lines.sort();
        lines
    };
    (run.code, lines(&run.stdout), lines(&run.stderr))
}

#[test]
#[ignore = "needs docker"]
fn it_answers_as_docker_does() {
    let real = Engine::for_projects(&[NAME]);
    let (dir, scripted) = engine();
    assert!(COMPOSE.contains(BUSYBOX));
    let file = dir.path().join("compose.yaml");
    let mut differ = Vec::new();
    for command in COMPARED {
        let words = words(command, &file);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (expected, found) = (masked(&real.docker(&words)), masked(&scripted.docker(&words)));
        if expected != found {
            differ.push(format!("{command}\n  docker: {expected:?}\n  scripted: {found:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
