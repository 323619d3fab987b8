//! The embedded pool runs by every verb: `docs/ktrdr.md`, command by command, on an engine of the test's own.

use std::path::Path;
use std::process::Command;

use super::provisioning::STAND_IN_FOR_UV;
use crate::docs::{blocks, steps};
use crate::rig::daemon::Daemon;
use crate::rig::engine::Engine;
use crate::support::{Machine, Run};

const PAGE: &str = include_str!("../../docs/ktrdr.md");

/// Stands in for every image of the stack: it answers on the ports of all of them.
const DOCKERFILE: &str = r#"FROM busybox:kinfra
COPY stand-in healthy /bin/
COPY healthy /bin/python
COPY healthy /bin/pg_isready
ENTRYPOINT ["/bin/stand-in"]
"#;

const STAND_IN: &str = r"#!/bin/sh
mkdir -p /srv/api/v1 /srv/-
for page in index.html health api/health api/v1/health -/healthy; do echo ok >/srv/$page; done
for port in 3000 4317 4318 5003 5005 5432 8000 9090 16686; do httpd -p $port -h /srv; done
trap 'exit 0' TERM
sleep 100000 & wait
";

/// The image that the developer builds. The stack pulls the others.
const OWN_IMAGE: &str = "ktrdr-backend:dev";

/// The images that the Compose file of the pool names, each the default of its variable.
fn images() -> Vec<&'static str> {
    let compose = include_str!("../../templates/docker-compose.yml");
    let images = compose.lines().filter_map(|line| line.trim().strip_prefix("image: \"${KTRDR_"));
    images.map(|image| image.split_once("_IMAGE:-").expect("a default").1.trim_end_matches("}\"")).collect()
}

/// A developer's machine: a clone of KTRDR, `uv` and `docker`.
fn machine(engine: &Engine) -> Machine {
    let machine = Machine::new();
    for (name, text) in [("Dockerfile", DOCKERFILE), ("stand-in", STAND_IN), ("healthy", "#!/bin/sh\n")] {
        machine.write(&format!("~/src/ktrdr/{name}"), text);
    }
    for name in ["stand-in", "healthy"] {
        machine.set_mode(&format!("~/src/ktrdr/{name}"), 0o755);
    }
    machine.write("~/src/ktrdr/ktrdr/__init__.py", "");
    machine.repository(machine.path("~/src/ktrdr"));
    machine.write("~/bin/uv", STAND_IN_FOR_UV);
    machine.set_mode("~/bin/uv", 0o755);
    let clone = machine.path("~/src/ktrdr").display().to_string();
    engine.docker(&["build", "--quiet", "--tag", "ktrdr-stand-in", &clone]).exits(0);
    for image in images().into_iter().filter(|image| *image != OWN_IMAGE) {
        engine.docker(&["tag", "ktrdr-stand-in", image]).exits(0);
    }
    machine
}

/// Runs commands in one shell. What each printed.
pub(super) fn run(machine: &Machine, engine: &Engine, commands: &[&str]) -> Vec<String> {
    let script: String = commands.iter().map(|command| format!("{command}\nprintf '\\0'\n")).collect();
    let bin = Path::new(env!("CARGO_BIN_EXE_kinfra")).parent().expect("a directory");
    let real = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{}:{real}", machine.path("~/bin").display(), bin.display());
    let mut bash: Command = machine.program("bash");
    bash.args(["-e", "-c", &format!("exec 2>&1\n{script}")]).env("PATH", path);
    let run = Run::of(engine.reach(&mut bash));
    let printed: Vec<String> = run.stdout.split_terminator('\0').map(str::to_owned).collect();
    assert_eq!((run.code, printed.len()), (Some(0), commands.len()), "{printed:#?}");
    printed
}

/// Whether a command printed what the page shows, with anything in place of `…`.
fn shows(printed: &str, shown: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (mut rest, shown) = (words(printed), words(shown));
    for (place, part) in shown.split('…').map(str::trim).enumerate() {
        let Some(at) = rest.find(part).filter(|at| place > 0 || *at == 0) else { return false };
        rest.drain(..at + part.len());
    }
    shown.ends_with('…') || rest.is_empty()
}

/// Runs the commands of a page in one shell, and fails where one prints something else than the page shows.
pub(super) fn does_what_it_shows(machine: &Machine, engine: &Engine, steps: &[(&str, &str)]) {
    let commands: Vec<&str> = steps.iter().map(|(command, _)| *command).collect();
    let printed = run(machine, engine, &commands).into_iter();
    let other = steps.iter().zip(printed).filter(|((_, shown), printed)| !shows(printed, shown));
    let other: Vec<String> = other
        .map(|((command, shown), printed)| format!("$ {command}\n{shown}\n--- printed:\n{printed}"))
        .collect();
    assert!(other.is_empty(), "{}", other.join("\n"));
}

#[test]
fn what_the_page_shows_is_compared() {
    assert!(shows("a b\n  c  d\n", "a …\nd\n") && shows("a\n", "a") && shows("a b", "a…") && shows("x", "…"));
    for shown in ["b c d", "a b c", "a … c", "… e …", ""] {
        assert!(!shows("a b\nc d\n", shown), "{shown:?}");
    }
    let names = ["timescale/timescaledb:latest-pg16", "grafana/grafana", OWN_IMAGE];
    assert!(images().len() == 5 && names.iter().all(|name| images().contains(name)), "{:?}", images());
}

#[test]
#[ignore = "needs docker"]
fn the_page_on_a_day_with_ktrdr_is_true() {
    let daemon = Daemon::start();
    let engine = daemon.engine(&["ktrdr-slot-1", "ktrdr-slot-5"]);
    let machine = machine(&engine);
    let page = blocks(PAGE, "console").concat();
    let steps = steps(&page);
    for verb in
        ["up", "down", "logs", "shell", "status", "slots", "release", "reset", "clean", "reap", "exec"]
    {
        assert!(steps.iter().any(|(step, _)| step.starts_with(&format!("kinfra {verb}"))), "no {verb}");
    }
    does_what_it_shows(&machine, &engine, &steps);
    for project in ["ktrdr-slot-1", "ktrdr-slot-5"] {
        assert_eq!(engine.made_by(project), Vec::<String>::new());
    }
}
