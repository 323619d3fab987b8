//! The lines of slots.toml that settle a conflict.

use std::collections::BTreeSet;
use std::fmt;

use super::conflict::{Conflict, Party};
use super::stack::Owner;
use super::thing::HostThing;
use crate::compose::resource::Resource;
use crate::shown::{printable, toml_string as quoted};

/// How to settle a conflict. Isolation comes first, then sharing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// Lines for `[compose.per_slot]`: each slot gets its own. Empty if there is no such line.
    pub per_slot: Vec<String>,
    /// The line for `[compose]` that lets the stacks use it together. `None` if it cannot be shared.
    pub shared: Option<String>,
    /// What to do without these lines.
    pub otherwise: Option<String>,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut choices = Vec::new();
        if !self.per_slot.is_empty() {
            choices.push(format!("[compose.per_slot]\n{}", self.per_slot.join("\n")));
        }
        choices.extend(self.shared.iter().map(|line| format!("[compose]\n{line}")));
        choices.extend(self.otherwise.clone());
        f.write_str(&choices.join("\nor\n"))
    }
}

/// The lines that settle several conflicts at once, for a slots.toml that shares this already.
pub fn settlement(conflicts: &[Conflict], shared: &BTreeSet<Resource>) -> String {
    let remedies: Vec<Remedy> = conflicts.iter().map(Conflict::remedy).collect();
    let own: BTreeSet<&str> =
        remedies.iter().flat_map(|remedy| &remedy.per_slot).map(String::as_str).collect();
    let resources: BTreeSet<String> = conflicts
        .iter()
        .filter_map(|conflict| Some(quoted(&conflict.thing.resource()?.to_string())))
        .collect();
    let resources = resources.into_iter().collect::<Vec<_>>().join(", ");
    let otherwise: BTreeSet<&str> =
        remedies.iter().filter_map(|remedy| remedy.otherwise.as_deref()).collect();
    let mut choices = Vec::new();
    if !own.is_empty() {
        let own: Vec<&str> = own.into_iter().collect();
        choices.push(format!("each slot has its own, in [compose.per_slot]:\n  {}", own.join("\n  ")));
    }
    if !resources.is_empty() {
        let line = if shared.is_empty() {
            format!("in [compose]:\n  shared = [{resources}]")
        } else {
            format!("in the list `shared` of [compose], besides what is there:\n  {resources}")
        };
        choices.push(format!("slots use it together, {line}"));
    }
    choices.extend(otherwise.into_iter().map(str::to_owned));
    choices.join("\nor ")
}

impl Conflict {
    /// What settles it.
    pub fn remedy(&self) -> Remedy {
        let per_slot: BTreeSet<String> =
            [&self.first, &self.second].into_iter().filter_map(|party| per_slot(party)).collect();
        let resource = self.thing.resource();
        Remedy {
            per_slot: per_slot.into_iter().collect(),
            shared: resource.map(|resource| format!("shared = [{}]", quoted(&resource.to_string()))),
            otherwise: self.otherwise(),
        }
    }

    fn otherwise(&self) -> Option<String> {
        let advice = match &self.thing {
            HostThing::Port { .. } => {
                let targets: BTreeSet<&str> = [&self.first, &self.second]
                    .iter()
                    .flat_map(|party| &party.targets)
                    .map(String::as_str)
                    .collect();
                let targets: Vec<String> =
                    targets.into_iter().map(|target| format!("`publish = {}`", quoted(target))).collect();
                format!("give another `base` in `[ports]` to the port with {}", targets.join(" or "))
            }
            HostThing::ContainerName(name) => {
                format!("remove `container_name: {}`: Compose then names the container", printable(name))
            }
            HostThing::Subnet { .. } => self.other_subnet(),
            HostThing::Address { address, .. } => {
                format!("remove the address {}: Docker then chooses a free one", printable(address))
            }
            HostThing::Namespace(name) => {
                let name = printable(name);
                format!("use a service of the same files: `service:NAME` in place of `container:{name}`")
            }
            thing @ (HostThing::Volume(_)
            | HostThing::Network(_)
            | HostThing::Mount(_)
            | HostThing::Device(_)
            | HostThing::Image(_)) => {
                return thing.resource().is_none().then(|| {
                    "change it in the Compose files: slots.toml has no line for this name".to_owned()
                });
            }
        };
        Some(advice)
    }
}

impl Conflict {
    /// What settles a common subnet: the files of the one name it, or `subnet` of the other's `[stack]` does.
    fn other_subnet(&self) -> String {
        let parties = [&self.first, &self.second];
        let mut choices = BTreeSet::new();
        for party in parties {
            if let HostThing::Subnet { subnet, .. } = &party.thing {
                choices.insert(match party.owner {
                    Owner::Slot(_) => "give the slots other addresses by `subnet` in [stack]".to_owned(),
                    Owner::Main | Owner::Other { .. } => {
                        format!("remove `subnet: {}`: Docker then chooses a free one", printable(subnet))
                    }
                });
            }
        }
        choices.into_iter().collect::<Vec<_>>().join(", or ")
    }
}

/// The line that gives a slot of this pool its own.
fn per_slot(party: &Party) -> Option<String> {
    if !matches!(party.owner, Owner::Slot(_)) || party.inside {
        return None;
    }
    let own = "own".to_owned();
    let (resource, value) = match &party.thing {
        HostThing::Volume(_) | HostThing::Network(_) => (party.thing.resource()?, own),
        HostThing::Address { network, .. } => (Resource::Network(network.clone()), own),
        HostThing::Mount(path) => {
            // A file cannot be a volume. What has an extension most likely is one.
            let file = path.file_name().filter(|_| path.extension().is_some());
            let value = file.map_or_else(|| "volume".to_owned(), |file| format!("worktree:{file}"));
            (party.thing.resource()?, value)
        }
        // A slot's overlay sets devices apart without a line, unless they are shared.
        HostThing::Device(_)
        | HostThing::Port { .. }
        | HostThing::ContainerName(_)
        | HostThing::Subnet { .. }
        | HostThing::Image(_)
        | HostThing::Namespace(_) => return None,
    };
    Some(format!("{} = {}", quoted(&resource.to_string()), quoted(&value)))
}
