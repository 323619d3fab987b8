//! What the engine has of Compose projects, with the labels that say whose each is.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::docker::{Answer, ask};
use crate::names::{ID_LABEL, PROJECT_LABEL, ROOT_LABEL, SLOT_LABEL, WORKING_DIR_LABEL};

/// The labels that say whose something is. A label that is not there is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Labels {
    /// The Compose project.
    pub project: String,
    /// The directory that Compose was started in. Only containers have it.
    pub working_dir: String,
    /// The id of the registry whose slot made it.
    pub id: String,
    /// The root of that registry.
    pub root: String,
    /// The id of that slot.
    pub slot: String,
}

/// The labels in the order of the fields.
const LABELS: [&str; 5] = [PROJECT_LABEL, WORKING_DIR_LABEL, ID_LABEL, ROOT_LABEL, SLOT_LABEL];

/// A volume of a Compose project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub labels: Labels,
}

/// An image that was built for a Compose project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// Its names, each with its tag.
    pub tags: Vec<String>,
    /// Its size in bytes.
    pub size: u64,
    /// Whose it is.
    pub labels: Labels,
}

/// The containers of all Compose projects, running or not. One question.
pub fn containers() -> Answer<Vec<Labels>> {
    let filter = format!("label={PROJECT_LABEL}");
    ask(&["ps", "--all", "--filter", &filter, "--format", &format!("[{}]", labels().join(","))])
        .then(|text| lines(&text))
}

/// The volumes of all Compose projects.
pub fn volumes() -> Answer<Vec<Volume>> {
    let filter = format!("label={PROJECT_LABEL}");
    let format = format!("[{{{{json .Name}}}},[{}]]", labels().join(","));
    let listed = ask(&["volume", "ls", "--filter", &filter, "--format", &format]);
    listed.then(|text| lines(&text)).map(|volumes: Vec<(String, Labels)>| {
        volumes.into_iter().map(|(name, labels)| Volume { name, labels }).collect()
    })
}

/// The images that were built for Compose projects.
pub fn images() -> Answer<Vec<Image>> {
    /// An image as `docker image inspect` shows it.
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Inspected {
        id: String,
        #[serde(default)]
        repo_tags: Option<Vec<String>>,
        #[serde(default)]
        size: u64,
        config: Option<Config>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        labels: Option<BTreeMap<String, String>>,
    }
    let image = |Inspected { id, repo_tags, size, config }: Inspected| {
        let all = config.and_then(|config| config.labels).unwrap_or_default();
        let [project, working_dir, registry, root, slot] =
            LABELS.map(|label| all.get(label).cloned().unwrap_or_default());
        let labels = Labels { project, working_dir, id: registry, root, slot };
        Image { id, tags: repo_tags.unwrap_or_default(), size, labels }
    };
    let filter = format!("label={PROJECT_LABEL}");
    ask(&["image", "ls", "--quiet", "--no-trunc", "--filter", &filter]).then(|ids| {
        let mut ids: Vec<&str> = ids.lines().collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Answer::Is(Vec::new());
        }
        let inspected = ask(&[&["image", "inspect"], ids.as_slice()].concat()).then(|text| parsed(&text));
        inspected.map(|images: Vec<Inspected>| images.into_iter().map(image).collect())
    })
}

/// The size of each volume, as Docker words it. Docker adds them up anew, which may take it too long.
pub fn volume_sizes() -> Answer<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Sized {
        name: String,
        size: String,
    }
    let sizes = |volumes: Vec<Sized>| {
        let known =
            volumes.into_iter().filter(|volume| volume.size.starts_with(|c: char| c.is_ascii_digit()));
        known.map(|Sized { name, size }| (name, size)).collect()
    };
    ask(&["system", "df", "--verbose", "--format", "{{json .Volumes}}"]).then(|text| parsed(&text)).map(sizes)
}

/// Removes a volume. One that is in use stays.
pub fn remove_volume(name: &str) -> Answer<()> {
    ask(&["volume", "rm", name]).map(drop)
}

/// Takes these names from an image or, by its id, removes one without a name. With its last name an image
/// goes. One that is in use stays.
pub fn remove_image(names: &[String]) -> Answer<()> {
    let names = names.iter().map(String::as_str);
    ask(&["image", "rm"].into_iter().chain(names).collect::<Vec<&str>>()).map(drop)
}

/// The template of each label. All labels in one text, as Docker has them, cannot be told apart: a value may
/// have a comma in it.
fn labels() -> [String; 5] {
    LABELS.map(|label| format!("{{{{json (.Label \"{label}\")}}}}"))
}

/// The answer to a question whose template is JSON, one document a line.
fn lines<T: DeserializeOwned>(text: &str) -> Answer<Vec<T>> {
    let parsed: Result<Vec<T>, _> = text.lines().map(serde_json::from_str).collect();
    parsed.map_or_else(|error| not_understood(&error), Answer::Is)
}

fn parsed<T: DeserializeOwned>(text: &str) -> Answer<T> {
    serde_json::from_str(text).map_or_else(|error| not_understood(&error), Answer::Is)
}

/// What cannot be read is not nothing.
fn not_understood<T>(error: &serde_json::Error) -> Answer<T> {
    Answer::Failed(format!("its answer is not understood: {error}"))
}
