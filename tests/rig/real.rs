//! A real engine behind the scripted one: it does the work, and what goes wrong with a call is scripted in front of it. It
//! is asked here, past the scripted one, what it has.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use super::engine::{BUSYBOX, Engine};
use super::scripted::{PROJECT, SERVICE, Thing};
use crate::support::tools;

/// The project of the container that reads in the volumes.
const READER: &str = "kinfra-fleet-reader";

/// The file that each container of a fleet writes into its volumes: its project, and the worktree that it is of.
pub(crate) const SEEN: &str = "seen";

/// The engine of this machine, with nothing of some projects in it at first, and again once it is dropped.
pub(crate) struct Real {
    engine: Engine,
    /// Its one container has all volumes in it, because a test may not be root.
    reader: Engine,
    projects: Vec<String>,
}

impl Real {
    #[track_caller]
    pub(crate) fn for_projects(projects: &[String]) -> Self {
        let names: Vec<&str> = projects.iter().map(String::as_str).collect();
        let (engine, reader) = (Engine::for_projects(&names), Engine::for_projects(&[READER]));
        let root = engine.docker(&["info", "--format", "{{.DockerRootDir}}"]).exits(0).stdout;
        let (volumes, label) =
            (format!("{}/volumes:/volumes:ro", root.trim()), format!("{PROJECT}={READER}"));
        let run = ["run", "--detach", "--init", "--label", &label, "--name", READER, "--volume", &volumes];
        reader.docker(&[&run[..], &[BUSYBOX, "sleep", "100000"]].concat()).exits(0);
        let real = Self { engine, reader, projects: projects.to_vec() };
        real.empty();
        real
    }

    /// Lets a command that finds the scripted engine reach this one through it.
    pub(crate) fn reach(&self, command: &mut Command) {
        let docker = tools::find("docker").expect("docker is there");
        self.engine.reach(command).env("ENGINE_REAL", docker);
    }

    /// Removes all that the projects made, and the volumes without a name that their containers wrote to.
    #[track_caller]
    pub(crate) fn empty(&self) {
        self.engine.remove_all().unwrap_or_else(|left| panic!("this does not go: {left}"));
        for volume in self.things("volumes").iter().filter(|volume| self.is_its(volume)) {
            self.engine.docker(&["volume", "rm", "--force", &volume.name()]).exits(0);
        }
    }

    fn is_its(&self, thing: &Thing) -> bool {
        let of = [thing.label(PROJECT), thing.0["of"].as_str().unwrap_or_default()];
        self.projects.iter().any(|project| of.contains(&project.as_str()))
    }

    /// Ends the containers of a service by ending their programs. Docker does not restart what itself killed.
    pub(crate) fn crash(&self, service: &str) {
        let all = self.things("containers").into_iter();
        for container in all.filter(|it| self.is_its(it) && it.label(SERVICE) == service) {
            // One that does not run has crashed already.
            self.engine.docker(&["exec", &container.name(), "kill", "1"]);
        }
    }

    /// What there is of a kind, with the fields of the scripted engine's.
    pub(crate) fn things(&self, kind: &str) -> Vec<Thing> {
        let list: &[&str] = match kind {
            "containers" => &["container", "ls", "--all", "--quiet"],
            "networks" => &["network", "ls", "--quiet"],
            "volumes" => &["volume", "ls", "--quiet"],
            other => panic!("no list of {other}"),
        };
        let ids = self.engine.docker(list).exits(0).stdout;
        if ids.is_empty() {
            return Vec::new();
        }
        let inspect: Vec<&str> = [list[0], "inspect"].into_iter().chain(ids.lines()).collect();
        // Other tests remove what was listed.
        let found = self.engine.docker(&inspect).stdout;
        let found: Vec<Value> = serde_json::from_str(&found).expect("JSON");
        let seen = if kind == "volumes" { self.seen() } else { BTreeMap::new() };
        found.iter().map(|thing| Thing(as_scripted(thing, &seen))).collect()
    }

    /// What the containers wrote into the volumes, by the volume's name.
    fn seen(&self) -> BTreeMap<String, Vec<String>> {
        let find = format!("cd /volumes && grep -H . */_data/{SEEN} 2>/dev/null; true");
        let lines = self.reader.docker(&["exec", READER, "sh", "-c", &find]).exits(0).stdout;
        let mut seen = BTreeMap::<String, Vec<String>>::new();
        for line in lines.lines() {
            let (path, text) = line.split_once(':').expect("a file and its line");
            let (volume, _) = path.split_once('/').expect("a volume's directory");
            seen.entry(volume.to_owned()).or_default().push(text.to_owned());
        }
        seen
    }
}

fn as_scripted(thing: &Value, seen: &BTreeMap<String, Vec<String>>) -> Value {
    let name = thing["Name"].as_str().expect("a name").trim_start_matches('/');
    let labels = thing.get("Labels").unwrap_or(&thing["Config"]["Labels"]);
    let lines = seen.get(name).into_iter().flatten();
    let (projects, worktrees): (Vec<_>, Vec<_>) =
        lines.map(|line| line.split_once(' ').expect("a project and a worktree")).unzip();
    json!({
        "name": name,
        "labels": labels,
        "state": thing["State"]["Status"],
        "of": projects.last(),
        "used_by": worktrees,
    })
}
