//! What a slot's stack has on an engine, and removing it: each thing by its id, never by a project's name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::docker::{Answer, ask_of};
use crate::names::{ID_LABEL, PROJECT_LABEL, ROOT_LABEL, SLOT_LABEL};
use crate::registry::Engine;
use crate::slot::SlotId;
use crate::thing::Kind;

/// The timeout of a question.
const QUESTION: Duration = Duration::from_secs(20);
/// The timeout of a removal. Stopping a container may take its whole grace period.
const REMOVAL: Duration = Duration::from_mins(3);
/// The timeout of the question for sizes. Docker may walk through every volume for it.
const SIZES: Duration = Duration::from_secs(10);

/// Something that a stack has on the engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    /// What it is.
    pub kind: Kind,
    /// What Docker knows it by: the id of a container, a network or an untagged image, the name of a volume,
    /// the tag of an image.
    pub key: String,
    /// Its name, for people.
    pub name: String,
    /// The id of the registry that it is of, if it has kinfra's labels.
    pub id: Option<String>,
    /// The root of that registry, for people.
    pub root: Option<String>,
}

/// A slot's stack on its engine.
#[derive(Debug, Clone, Copy)]
pub struct StackOn<'a> {
    /// The engine. `None` is the caller's.
    pub engine: Option<&'a Engine>,
    /// The name of its Compose project, as noted at its start.
    pub project: &'a str,
    /// The id of the registry.
    pub registry: &'a str,
    /// The slot.
    pub slot: SlotId,
}

impl StackOn<'_> {
    /// What there is of the stack: under its project's name or its labels, whatever made it.
    pub fn things(&self) -> Answer<Vec<Thing>> {
        let listed = self.listed(Kind::Container).then(|mut things| {
            self.listed(Kind::Network).then(|networks| {
                things.extend(networks);
                self.listed(Kind::Volume).then(|volumes| {
                    things.extend(volumes);
                    self.images().map(|images| {
                        things.extend(images);
                        things
                    })
                })
            })
        });
        listed.map(|mut things| {
            things.sort();
            things.dedup();
            things
        })
    }

    fn listed(&self, kind: Kind) -> Answer<Vec<Thing>> {
        let (key, name) = match kind {
            Kind::Container => ("{{json .ID}}", "{{json .Names}}"),
            Kind::Network => ("{{json .ID}}", "{{json .Name}}"),
            Kind::Volume | Kind::Image => ("{{json .Name}}", "{{json .Name}}"),
        };
        let label = |label: &str| format!("{{{{json (.Label \"{label}\")}}}}");
        let labels = [PROJECT_LABEL, ID_LABEL, ROOT_LABEL, SLOT_LABEL].map(label).join(",");
        let format = format!("[{key},{name},{labels}]");
        let mut arguments = vec![kind.word(), "ls", "--format", &format];
        arguments.extend((kind == Kind::Container).then_some("--all"));
        arguments.extend((kind != Kind::Volume).then_some("--no-trunc"));
        let slot = self.slot.to_string();
        let thing = |line: &str| {
            let [key, name, project, id, root, its_slot] = serde_json::from_str::<[String; 6]>(line)?;
            let is_labelled = id == self.registry && its_slot == slot;
            let text = |text: String| Some(text).filter(|text| !text.is_empty());
            let is_its = project == self.project || is_labelled;
            Ok(is_its.then(|| Thing { kind, key, name, id: text(id), root: text(root) }))
        };
        each_line(ask_of(self.engine, &arguments, QUESTION), thing)
    }

    /// The images that were built for the slot: by their labels, and of those with a tag the ones whose tag
    /// has the project's name. An image that a person made from one of them has the labels, too.
    fn images(&self) -> Answer<Vec<Thing>> {
        let id = format!("label={ID_LABEL}={}", self.registry);
        let slot = format!("label={SLOT_LABEL}={}", self.slot);
        let format = "[{{json .ID}},{{json .Repository}},{{json .Tag}}]";
        let arguments = ["image", "ls", "--no-trunc", "--filter", &id, "--filter", &slot, "--format", format];
        let own = format!("{}-", self.project);
        let thing = |line: &str| {
            let [id, repository, tag] = serde_json::from_str::<[String; 3]>(line)?;
            let is_untagged = repository == "<none>" || tag == "<none>";
            let key = if is_untagged { id } else { format!("{repository}:{tag}") };
            let (name, id) = (key.clone(), Some(self.registry.to_owned()));
            let is_its = is_untagged || repository.starts_with(&own);
            Ok(is_its.then_some(Thing { kind: Kind::Image, key, name, id, root: None }))
        };
        each_line(ask_of(self.engine, &arguments, QUESTION), thing)
    }

    /// The volumes of containers that have no name of their own, and so no label. They go with their
    /// container.
    pub fn anonymous_volumes(&self, containers: &[Thing]) -> Answer<BTreeSet<String>> {
        if containers.is_empty() {
            return Answer::Is(BTreeSet::new());
        }
        let format = "{{range .Mounts}}{{if eq .Type \"volume\"}}{{json .Name}}\n{{end}}{{end}}";
        let keys = containers.iter().map(|container| container.key.as_str());
        let arguments: Vec<&str> =
            ["container", "inspect", "--format", format].into_iter().chain(keys).collect();
        let is_anonymous =
            |name: &String| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let names = |lines: String| {
            lines.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(is_anonymous).collect()
        };
        match ask_of(self.engine, &arguments, QUESTION) {
            // One of them went meanwhile.
            Answer::Failed(reason) if reason.contains("No such") => Answer::Is(BTreeSet::new()),
            answer @ (Answer::Is(_) | Answer::NoCommand | Answer::NoDaemon | Answer::Failed(_)) => {
                answer.map(names)
            }
        }
    }

    /// Which of these volumes there are.
    pub fn volumes_there(&self, names: &BTreeSet<String>) -> Answer<Vec<Thing>> {
        if names.is_empty() {
            return Answer::Is(Vec::new());
        }
        let there = |lines: String| {
            let there = lines.lines().filter(|name| names.contains(*name)).map(str::to_owned);
            there
                .map(|name| Thing { kind: Kind::Volume, key: name.clone(), name, id: None, root: None })
                .collect()
        };
        ask_of(self.engine, &["volume", "ls", "--quiet"], QUESTION).map(there)
    }

    /// Stops containers, each within its grace period.
    pub fn stop(&self, containers: &[Thing]) -> Answer<()> {
        self.each(&["container", "stop"], containers)
    }

    /// Removes things of one kind: containers with their anonymous volumes, running or not.
    pub fn remove(&self, kind: Kind, things: &[Thing]) -> Answer<()> {
        let command: &[&str] = match kind {
            Kind::Container => &["container", "rm", "--force", "--volumes"],
            Kind::Network => &["network", "rm"],
            Kind::Image => &["image", "rm"],
            Kind::Volume => &["volume", "rm"],
        };
        self.each(command, things)
    }

    fn each(&self, command: &[&str], things: &[Thing]) -> Answer<()> {
        if things.is_empty() {
            return Answer::Is(());
        }
        let keys = things.iter().map(|thing| thing.key.as_str());
        let arguments: Vec<&str> = command.iter().copied().chain(keys).collect();
        ask_of(self.engine, &arguments, REMOVAL).map(drop)
    }

    /// The containers that use a volume or a network, by name.
    pub fn users_of(&self, thing: &Thing) -> Answer<Vec<String>> {
        let filter = format!("{}={}", thing.kind.word(), thing.key);
        let arguments = ["container", "ls", "--all", "--filter", &filter, "--format", "{{.Names}}"];
        ask_of(self.engine, &arguments, QUESTION).map(|lines| lines.lines().map(str::to_owned).collect())
    }

    /// The sizes of volumes in Docker's words, such as `48.2MB`. Empty if Docker does not say so in time.
    pub fn sizes(&self) -> BTreeMap<String, String> {
        let answer =
            ask_of(self.engine, &["system", "df", "--verbose", "--format", "{{json .Volumes}}"], SIZES);
        let Answer::Is(json) = answer else { return BTreeMap::new() };
        let volumes: Vec<Value> = serde_json::from_str(&json).unwrap_or_default();
        let text = |volume: &Value, key: &str| volume.get(key).and_then(Value::as_str).map(str::to_owned);
        let sizes = volumes.iter().filter_map(|volume| text(volume, "Name").zip(text(volume, "Size")));
        sizes.filter(|(_, size)| size != "N/A").collect()
    }
}

/// What the lines of an answer say. A line that is not understood could be a thing that is there, so then the
/// answer is none.
fn each_line(
    answer: Answer<String>,
    read: impl Fn(&str) -> serde_json::Result<Option<Thing>>,
) -> Answer<Vec<Thing>> {
    answer.then(|lines| match lines.lines().map(read).collect::<Result<Vec<_>, _>>() {
        Ok(things) => Answer::Is(things.into_iter().flatten().collect()),
        Err(error) => Answer::Failed(format!("docker printed what kinfra does not understand: {error}")),
    })
}
