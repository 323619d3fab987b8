//! Who has a port of the machine: a stack, another container or a program.

use std::cell::OnceCell;
use std::fmt;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::whose::Whose;
use crate::host::containers::{Publisher, publishers};
use crate::host::net::listener;
use crate::identifier::PortName;
use crate::port::HostPort;
use crate::registry::Engine;
use crate::shown::{count, printable, word};
use crate::slot::SlotId;

/// The longest that Docker is waited for.
const LONGEST: Duration = Duration::from_secs(2);
/// How the names of programs begin that listen for a container. The system tells 15 bytes of a name; macOS
/// tells none.
const OF_DOCKER: [&str; 4] = ["docker-proxy", "rootlesskit", "rootlessport", "com.docker."];

/// What has a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortUser {
    /// A Compose project.
    Stack(StackUser),
    /// A container of no project, by its name.
    Container(String),
    /// A program, by the id of its process and its name.
    Program(u32, String),
    /// It is not known.
    Unknown,
}

/// A Compose project that has a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StackUser {
    /// The slot of the pool whose stack it is, if it is one's.
    pub slot: Option<SlotId>,
    /// Whether a worktree holds that slot.
    pub is_held: bool,
    /// Whether it is the stack of another pool's slot.
    pub is_of_another_pool: bool,
    /// The name of the project.
    pub project: String,
    /// Where it was started. Empty if that is not known.
    pub dir: Utf8PathBuf,
    /// How many containers of it run.
    pub containers: usize,
}

/// Finds who has ports. Docker is asked once, and only if one of them may be a container's.
pub struct PortUsers<'a> {
    engine: Option<&'a Engine>,
    whose: Option<Whose<'a>>,
    publishers: OnceCell<Vec<Publisher>>,
}

impl<'a> PortUsers<'a> {
    /// By an engine, and the slots of a pool if it has a registry.
    pub fn new(engine: Option<&'a Engine>, whose: Option<Whose<'a>>) -> Self {
        Self { engine, whose, publishers: OnceCell::new() }
    }

    /// Who has a port that is in use.
    pub fn of(&self, port: HostPort) -> PortUser {
        let by_the_system = PortUser::by_the_system(port);
        let may_be_docker = match &by_the_system {
            PortUser::Program(_, name) => OF_DOCKER.iter().any(|of_docker| name.starts_with(of_docker)),
            PortUser::Stack(_) | PortUser::Container(_) | PortUser::Unknown => true,
        };
        let container = if may_be_docker { self.container(port) } else { None };
        container.unwrap_or(by_the_system)
    }

    fn container(&self, port: HostPort) -> Option<PortUser> {
        let all =
            self.publishers.get_or_init(|| publishers(self.engine, LONGEST).needed().unwrap_or_default());
        let one = all.iter().find(|one| one.ports.contains(&port))?;
        let project = &one.labels.project;
        if project.is_empty() {
            return Some(PortUser::Container(one.name.clone()));
        }
        let slot = self.whose.as_ref().and_then(|whose| whose.owner(&one.thing()));
        Some(PortUser::Stack(StackUser {
            slot,
            is_held: slot.is_some_and(|slot| self.whose.as_ref().is_some_and(|whose| whose.is_held(slot))),
            is_of_another_pool: slot.is_none() && !one.labels.id.is_empty(),
            project: project.clone(),
            dir: one.labels.working_dir.clone().into(),
            containers: all.iter().filter(|other| other.labels.project == *project).count(),
        }))
    }
}

impl PortUser {
    /// Who has a port, as far as this machine tells without Docker.
    pub fn by_the_system(port: HostPort) -> Self {
        listener(port).map_or(Self::Unknown, |(id, name)| Self::Program(id, name))
    }

    /// Why a free slot cannot be used whose port this has.
    pub fn in_the_way(&self, slot: SlotId, name: &PortName, port: HostPort) -> String {
        match self.still_in(slot) {
            Some(still) => still,
            None => format!("its port {port} ({}) is used by {self}", name.as_str().to_uppercase()),
        }
    }

    /// That a stack runs in a free slot, if it is that.
    pub fn still_in(&self, slot: SlotId) -> Option<String> {
        let Self::Stack(stack) = self else { return None };
        let of = stack.of();
        (stack.slot == Some(slot))
            .then(|| format!("the stack{of} still runs there ({})", count(stack.containers, "container")))
    }

    /// What to do about it. `name` is the port's in slots.toml.
    pub fn advice(&self, name: &PortName) -> String {
        match self {
            Self::Stack(StackUser { slot: Some(slot), is_held: true, .. }) => {
                format!("stop it with `kinfra down --slot {slot}`")
            }
            Self::Stack(StackUser { is_of_another_pool: true, dir, .. }) if dir.is_absolute() => {
                format!("stop it with `kinfra down --for {}`", word(dir.as_str()))
            }
            Self::Stack(StackUser { project, .. }) => {
                format!("stop it with `docker compose --project-name {} down`", word(project))
            }
            Self::Container(name) => format!("stop it with `docker stop {}`", word(name)),
            Self::Program(..) => format!("stop {self}, or move the base of `{name}` in slots.toml"),
            Self::Unknown => format!("stop that program, or move the base of `{name}` in slots.toml"),
        }
    }
}

impl StackUser {
    /// The directory that it was started in, by its name.
    fn of(&self) -> String {
        self.dir.file_name().map_or_else(String::new, |name| format!(" of {}", printable(name)))
    }
}

impl fmt::Display for PortUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stack(stack) => {
                let containers = count(stack.containers, "container");
                if let Some(slot) = stack.slot {
                    write!(f, "the stack of slot {slot} ({containers})")
                } else {
                    let project = printable(&stack.project);
                    write!(f, "the Compose project `{project}`{} ({containers})", stack.of())
                }
            }
            Self::Container(name) => write!(f, "container `{}`", printable(name)),
            Self::Program(id, name) => write!(f, "{} (process {id})", printable(name)),
            Self::Unknown => f.write_str("another program"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{Port, Protocol};

    #[test]
    fn who_has_a_port_is_named_with_the_command_that_frees_it() {
        let (web, slot) = (PortName::new("web").unwrap(), |id| SlotId::new(id).unwrap());
        let port = HostPort { port: Port::new(8003).unwrap(), protocol: Protocol::Tcp };
        let stack = |slot: Option<SlotId>, is_held| {
            let (project, dir) = ("shop-slot-3".to_owned(), "/src/shop-search".into());
            let is_of_another_pool = is_held && slot.is_none();
            PortUser::Stack(StackUser { slot, is_held, is_of_another_pool, project, dir, containers: 3 })
        };
        for (user, way, advice) in [
            (
                stack(Some(slot(3)), false),
                "the stack of shop-search still runs there (3 containers)",
                "stop it with `docker compose --project-name shop-slot-3 down`",
            ),
            (
                stack(Some(slot(2)), true),
                "its port 8003 (WEB) is used by the stack of slot 2 (3 containers)",
                "stop it with `kinfra down --slot 2`",
            ),
            (
                stack(None, false),
                "its port 8003 (WEB) is used by the Compose project `shop-slot-3` of shop-search (3 containers)",
                "stop it with `docker compose --project-name shop-slot-3 down`",
            ),
            (
                stack(None, true),
                "its port 8003 (WEB) is used by the Compose project `shop-slot-3` of shop-search (3 containers)",
                "stop it with `kinfra down --for /src/shop-search`",
            ),
            (
                PortUser::Container("db".to_owned()),
                "its port 8003 (WEB) is used by container `db`",
                "stop it with `docker stop db`",
            ),
            (
                PortUser::Program(13996, "python3".to_owned()),
                "its port 8003 (WEB) is used by python3 (process 13996)",
                "stop python3 (process 13996), or move the base of `web` in slots.toml",
            ),
            (
                PortUser::Unknown,
                "its port 8003 (WEB) is used by another program",
                "stop that program, or move the base of `web` in slots.toml",
            ),
        ] {
            assert_eq!(user.in_the_way(slot(3), &web, port), way);
            assert_eq!(user.advice(&web), advice);
        }
    }
}
