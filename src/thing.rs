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
    /// Its size in bytes, if it was asked for. A list has it of images only.
    pub bytes: Option<u64>,
}

impl Thing {
    /// Whether an image has a name that is the slot's, or none at all. Another one may be in use elsewhere: a
    /// person gave it, or an image that was made from a slot's has its labels. All else has its own name.
    pub fn has_own_name(&self) -> bool {
        let is_named = self.kind == Kind::Image && !self.key.starts_with("sha256:");
        let rest = self.name.strip_prefix(&self.labels.project);
        !is_named || rest.is_some_and(|rest| rest.starts_with(['-', '_']))
    }

    /// Whether it has the name of a Compose project: by Compose's label. A volume or network without it has
    /// the name that Compose would give one of the project, and is used by Compose.
    pub fn is_under(&self, project: &str) -> bool {
        self.projects().any(|name| name == project)
    }

    /// The Compose projects whose name it may have: more than one only without Compose's label.
    pub fn projects(&self) -> impl Iterator<Item = &str> {
        let (labelled, name) = (self.labels.project.as_str(), self.name.as_str());
        let may_be_named = labelled.is_empty() && matches!(self.kind, Kind::Volume | Kind::Network);
        let ends = name.match_indices('_').filter(move |_| may_be_named);
        let named = ends.filter_map(move |(end, _)| name.get(..end));
        Some(labelled).filter(|labelled| !labelled.is_empty()).into_iter().chain(named)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(kind: Kind, key: &str, name: &str, project: &str) -> Thing {
        let labels = Labels { project: project.to_owned(), ..Labels::default() };
        Thing { kind, key: key.to_owned(), name: name.to_owned(), labels, bytes: None }
    }

    #[test]
    fn a_thing_is_under_the_project_of_its_label_or_of_its_name() {
        for (thing, projects) in [
            (thing(Kind::Container, "c", "a_b_c", "shop"), vec!["shop"]),
            (thing(Kind::Container, "c", "a_b_c", ""), vec![]),
            (thing(Kind::Image, "c", "a_b_c", ""), vec![]),
            (thing(Kind::Volume, "v", "a_b_c", "shop"), vec!["shop"]),
            (thing(Kind::Volume, "v", "a_b_c", ""), vec!["a", "a_b"]),
            (thing(Kind::Network, "n", "a_b", ""), vec!["a"]),
        ] {
            assert_eq!(thing.projects().collect::<Vec<_>>(), projects, "{thing:?}");
            for project in ["shop", "a", "a_b", "a_b_c", ""] {
                assert_eq!(thing.is_under(project), projects.contains(&project), "{thing:?} {project:?}");
            }
        }
    }

    #[test]
    fn an_image_with_another_name_is_not_the_slots_own() {
        for (kind, key, name, is_own) in [
            (Kind::Image, "shop-web:1", "shop-web:1", true),
            (Kind::Image, "shop_web", "shop_web", true),
            (Kind::Image, "shopweb", "shopweb", false),
            (Kind::Image, "web", "web", false),
            (Kind::Image, "sha256:aa", "web", true),
            (Kind::Volume, "data", "data", true),
        ] {
            assert_eq!(thing(kind, key, name, "shop").has_own_name(), is_own, "{key}");
        }
        let words = [Kind::Container, Kind::Volume, Kind::Network, Kind::Image].map(Kind::word);
        assert_eq!(words, ["container", "volume", "network", "image"]);
    }
}
