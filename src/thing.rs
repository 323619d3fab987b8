//! What a Docker engine keeps.

/// What something that the engine keeps is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A container, running or not.
    Container,
    /// A volume.
    Volume,
    /// A network.
    Network,
    /// An image.
    Image,
}

impl Kind {
    /// The word for it, which is also Docker's command.
    pub fn word(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Volume => "volume",
            Self::Network => "network",
            Self::Image => "image",
        }
    }
}

/// Something that the engine keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    /// What it is.
    pub kind: Kind,
    /// What Docker knows it by: the id of a container, a network or an untagged image, the name of a volume,
    /// the tag of an image.
    pub key: String,
    /// Its name, for people.
    pub name: String,
    /// Whose it is.
    pub labels: Labels,
    /// Its size in bytes. Known of images only.
    pub bytes: Option<u64>,
}

impl Thing {
    /// Whether it has the name of a Compose project: by Compose's label. A volume or network without it has
    /// the name that Compose would give one of the project, and is used by Compose.
    pub fn is_under(&self, project: &str) -> bool {
        match (self.labels.project.as_str(), self.kind) {
            ("", Kind::Volume | Kind::Network) => {
                self.name.strip_prefix(project).is_some_and(|rest| rest.starts_with('_'))
            }
            ("", Kind::Container | Kind::Image) => false,
            (labelled, _) => labelled == project,
        }
    }
}

/// The labels that say whose something is. A label that is not there is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Labels {
    /// The Compose project.
    pub project: String,
    /// The directory that Compose was started in. Only containers have it.
    pub working_dir: String,
    /// The id of the registry whose slot made it.
    pub id: String,
    /// The root of that registry, for people.
    pub root: String,
    /// The id of that slot.
    pub slot: String,
}
