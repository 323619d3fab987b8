//! What an engine has, with the labels that say whose each thing is; and removing it, each thing by its id,
//! never by a project's name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::docker::{Answer, ask_each, ask_of, tell};
use crate::names::{ID_LABEL, PROJECT_LABEL, ROOT_LABEL, SLOT_LABEL, WORKING_DIR_LABEL};
use crate::registry::Engine;
use crate::shown::bytes;
use crate::thing::{Kind, Labels, Thing};

/// The timeout of a question.
const QUESTION: Duration = Duration::from_secs(20);
/// The timeout of a removal. Stopping a container may take its whole grace period.
const REMOVAL: Duration = Duration::from_mins(3);
/// The timeout of the question for sizes. Docker may walk through every volume for it.
const SIZES: Duration = Duration::from_secs(10);
/// How often images are asked for anew, because one of them went away in the middle of it.
const ATTEMPTS: usize = 5;

/// The labels in the order of the fields of [`Labels`].
const LABELS: [&str; 5] = [PROJECT_LABEL, WORKING_DIR_LABEL, ID_LABEL, ROOT_LABEL, SLOT_LABEL];

/// Everything of some kinds that an engine has, sorted: containers running or not, volumes and networks
/// whatever their labels, images that were built for Compose projects.
pub fn list(engine: Option<&Engine>, kinds: &[Kind]) -> Answer<Vec<Thing>> {
    let listed: Vec<Kind> = kinds.iter().copied().filter(|kind| *kind != Kind::Image).collect();
    let questions: Vec<Vec<String>> = listed.iter().copied().map(question).collect();
    let questions: Vec<Vec<&str>> =
        questions.iter().map(|words| words.iter().map(String::as_str).collect()).collect();
    let answers = ask_each(engine, &questions, QUESTION);
    let answers =
        listed.into_iter().zip(answers).map(|(kind, answer)| answer.then(|text| things(kind, &text)));
    let and = |all: Vec<Thing>, more: Answer<Vec<Thing>>| more.map(|more| [all, more].concat());
    let all = answers.fold(Answer::Is(Vec::new()), |all, more| all.then(|all| and(all, more)));
    let has_images = kinds.contains(&Kind::Image);
    let all = all.then(|all| if has_images { and(all, images(engine)) } else { Answer::Is(all) });
    all.map(|mut all| {
        all.sort();
        all
    })
}

/// The template of a label. All labels in one text, as Docker has them, cannot be told apart: a value may
/// have a comma in it.
fn template(label: &str) -> String {
    format!("{{{{json (.Label \"{label}\")}}}}")
}

/// The question for everything of a kind, but for images.
fn question(kind: Kind) -> Vec<String> {
    let key = if kind == Kind::Volume { "{{json .Name}}" } else { "{{json .ID}}" };
    let name = if kind == Kind::Container { "{{json .Names}}" } else { "{{json .Name}}" };
    let format = format!("[{key},{name},{}]", LABELS.map(template).join(","));
    let all = (kind == Kind::Container).then_some("--all");
    let in_full = (kind != Kind::Volume).then_some("--no-trunc");
    let words = [kind.word(), "ls", "--format", &format].into_iter().chain(all).chain(in_full);
    words.map(str::to_owned).collect()
}

/// The answer to it.
fn things(kind: Kind, text: &str) -> Answer<Vec<Thing>> {
    let thing = |[key, name, project, working_dir, id, root, slot]: [String; 7]| {
        let labels = Labels { project, working_dir, id, root, slot };
        Thing { kind, key, name, labels, bytes: None }
    };
    read(text).map(|lines| lines.into_iter().map(thing).collect())
}

/// The images that were built for Compose projects, each under each of its tags or, without one, its id.
fn images(engine: Option<&Engine>) -> Answer<Vec<Thing>> {
    let mut answer = Answer::Is(Vec::new());
    for _ in 0..ATTEMPTS {
        answer = image_ids(engine).then(|ids| inspected(engine, &ids));
        if !matches!(&answer, Answer::Failed(reason) if is_of_none(reason)) {
            break;
        }
    }
    answer
}

/// The ids of the images that have Compose's label or kinfra's.
fn image_ids(engine: Option<&Engine>) -> Answer<BTreeSet<String>> {
    let with = |label: &str| {
        let filter = format!("label={label}");
        let ids = ask_of(engine, &["image", "ls", "--quiet", "--no-trunc", "--filter", &filter], QUESTION);
        ids.map(|ids| ids.lines().map(str::to_owned).collect::<BTreeSet<String>>())
    };
    with(PROJECT_LABEL).then(|mut ids| {
        with(ID_LABEL).map(|more| {
            ids.extend(more);
            ids
        })
    })
}

fn inspected(engine: Option<&Engine>, ids: &BTreeSet<String>) -> Answer<Vec<Thing>> {
    type Line = (String, Option<Vec<String>>, u64, Option<BTreeMap<String, String>>);
    if ids.is_empty() {
        return Answer::Is(Vec::new());
    }
    let format = "[{{json .Id}},{{json .RepoTags}},{{json .Size}},{{json .Config.Labels}}]";
    let arguments = ["image", "inspect", "--format", format].into_iter();
    let arguments: Vec<&str> = arguments.chain(ids.iter().map(String::as_str)).collect();
    let things = |(id, tags, bytes, labels): Line| {
        let all = labels.unwrap_or_default();
        let [project, working_dir, registry, root, slot] =
            LABELS.map(|label| all.get(label).cloned().unwrap_or_default());
        let labels = Labels { project, working_dir, id: registry, root, slot };
        let keys = tags.filter(|tags| !tags.is_empty()).unwrap_or_else(|| vec![id]);
        keys.into_iter().map(move |key| {
            let (name, labels) = (key.clone(), labels.clone());
            Thing { kind: Kind::Image, key, name, labels, bytes: Some(bytes) }
        })
    };
    let lines = ask_of(engine, &arguments, QUESTION).then(|text| read(&text));
    lines.map(|lines: Vec<Line>| lines.into_iter().flat_map(things).collect())
}

/// What only containers lead to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behind {
    /// Their volumes that have no name of their own, and so no label. They go with their container.
    pub unnamed: BTreeSet<String>,
    /// The process of each that runs, by its id, on the machine of the engine.
    pub processes: BTreeMap<String, u32>,
}

/// What is behind containers.
pub fn behind(engine: Option<&Engine>, containers: &[Thing]) -> Answer<Behind> {
    if containers.is_empty() {
        return Answer::Is(Behind::default());
    }
    let format = "[{{json .Id}},{{json .State.Pid}},{{json .Mounts}}]";
    let keys = containers.iter().map(|container| container.key.as_str());
    let arguments: Vec<&str> = ["container", "inspect", "--format", format].into_iter().chain(keys).collect();
    match (ask_of(engine, &arguments, QUESTION), containers) {
        // One of them went meanwhile: the others are asked for one by one.
        (Answer::Failed(reason), [_]) if is_of_none(&reason) => Answer::Is(Behind::default()),
        (Answer::Failed(reason), _) if is_of_none(&reason) => {
            let one = |container| behind(engine, std::slice::from_ref(container));
            let and = |all: Behind, more: Behind| Behind {
                unnamed: all.unnamed.into_iter().chain(more.unnamed).collect(),
                processes: all.processes.into_iter().chain(more.processes).collect(),
            };
            containers.iter().fold(Answer::Is(Behind::default()), |all, container| {
                all.then(|all| one(container).map(|more| and(all, more)))
            })
        }
        (answer, _) => answer.then(|text| read(&text).map(Behind::of)),
    }
}

impl Behind {
    fn of(containers: Vec<(String, Option<u32>, Option<Vec<Mount>>)>) -> Self {
        let is_anonymous =
            |name: &String| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut behind = Self::default();
        for (id, process, mounts) in containers {
            let volumes = mounts.unwrap_or_default().into_iter().filter(|mount| mount.kind == "volume");
            behind.unnamed.extend(volumes.filter_map(|volume| volume.name).filter(is_anonymous));
            behind.processes.extend(process.filter(|process| *process != 0).map(|process| (id, process)));
        }
        behind
    }
}

/// What a container mounts.
#[derive(Deserialize)]
struct Mount {
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(rename = "Name")]
    name: Option<String>,
}

/// Whether Docker says that something is not there.
fn is_of_none(reason: &str) -> bool {
    reason.to_lowercase().contains("no such")
}

/// Which of these volumes there are.
pub fn volumes_there(engine: Option<&Engine>, names: &BTreeSet<String>) -> Answer<Vec<Thing>> {
    if names.is_empty() {
        return Answer::Is(Vec::new());
    }
    list(engine, &[Kind::Volume])
        .map(|volumes| volumes.into_iter().filter(|volume| names.contains(&volume.key)).collect())
}

/// Stops containers, each within its grace period.
pub fn stop(engine: Option<&Engine>, containers: &[Thing]) -> Answer<()> {
    each(engine, &["container", "stop"], containers)
}

/// Removes things of one kind: containers with their anonymous volumes, running or not. An image goes with
/// its last name. A volume, network or image that is in use stays.
pub fn remove(engine: Option<&Engine>, kind: Kind, things: &[Thing]) -> Answer<()> {
    let command: &[&str] = match kind {
        Kind::Container => &["container", "rm", "--force", "--volumes"],
        Kind::Network => &["network", "rm"],
        Kind::Image => &["image", "rm"],
        Kind::Volume => &["volume", "rm"],
    };
    each(engine, command, things)
}

fn each(engine: Option<&Engine>, command: &[&str], things: &[Thing]) -> Answer<()> {
    if things.is_empty() {
        return Answer::Is(());
    }
    let keys = things.iter().map(|thing| thing.key.as_str());
    let arguments: Vec<&str> = command.iter().copied().chain(keys).collect();
    tell(engine, &arguments, REMOVAL).map(drop)
}

/// The containers that use a volume or a network, by name.
pub fn users_of(engine: Option<&Engine>, thing: &Thing) -> Answer<Vec<String>> {
    let filter = format!("{}={}", thing.kind.word(), thing.key);
    let arguments = ["container", "ls", "--all", "--filter", &filter, "--format", "{{.Names}}"];
    ask_of(engine, &arguments, QUESTION).map(|lines| lines.lines().map(str::to_owned).collect())
}

/// The sizes of volumes in Docker's words, such as `48.2MB`. Empty if Docker does not say so in time.
pub fn volume_sizes(engine: Option<&Engine>) -> BTreeMap<String, String> {
    let answer = ask_of(engine, &["system", "df", "--verbose", "--format", "{{json .Volumes}}"], SIZES);
    let Answer::Is(json) = answer else { return BTreeMap::new() };
    let volumes: Vec<Value> = serde_json::from_str(&json).unwrap_or_default();
    let text = |volume: &Value, key: &str| volume.get(key).and_then(Value::as_str).map(str::to_owned);
    let sizes = volumes.iter().filter_map(|volume| text(volume, "Name").zip(text(volume, "Size")));
    sizes.filter(|(_, size)| size.starts_with(|c: char| c.is_ascii_digit())).collect()
}

/// The same things, each with its size as far as Docker says it in time: of a container what it wrote, of an
/// image what no other image shares.
pub fn with_sizes(engine: Option<&Engine>, things: Vec<Thing>) -> Vec<Thing> {
    let answer = ask_of(engine, &["system", "df", "--verbose", "--format", "{{json .}}"], SIZES);
    let Answer::Is(json) = answer else { return things };
    let all: Value = serde_json::from_str(&json).unwrap_or_default();
    let rows = |key: &str| all.get(key).and_then(Value::as_array).into_iter().flatten();
    let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut sizes: BTreeMap<(Kind, String), String> = BTreeMap::new();
    sizes.extend(rows("Volumes").map(|row| ((Kind::Volume, text(row, "Name")), text(row, "Size"))));
    sizes.extend(rows("Containers").map(|row| ((Kind::Container, text(row, "ID")), text(row, "Size"))));
    for row in rows("Images") {
        let names = [text(row, "ID"), format!("{}:{}", text(row, "Repository"), text(row, "Tag"))];
        sizes.extend(names.map(|name| ((Kind::Image, name), text(row, "UniqueSize"))));
    }
    let size_of = |thing: &Thing| {
        // `0B (virtual 2MB)` is of a container.
        let size = sizes.get(&(thing.kind, thing.key.clone()))?;
        bytes(size.split(' ').next()?)
    };
    let sized = things.into_iter().map(|thing| Thing { bytes: size_of(&thing).or(thing.bytes), ..thing });
    sized.collect()
}

/// The answer to a question whose template is JSON, one document a line. A line that is not understood could
/// be a thing that is there, so then there is no answer.
fn read<T: DeserializeOwned>(text: &str) -> Answer<Vec<T>> {
    let lines: Result<Vec<T>, _> = text.lines().map(serde_json::from_str).collect();
    let not_understood = |error| format!("docker printed what kinfra does not understand: {error}");
    lines.map_or_else(|error| Answer::Failed(not_understood(error)), Answer::Is)
}
