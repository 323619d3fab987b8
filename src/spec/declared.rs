//! What a `slots.toml` declares.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use toml::Spanned;

use super::invalid::Invalid;
use super::subnet::SubnetTemplate;
use super::verb::Verbs;
use crate::compose::resource::{PerSlot, Resource, Target};
use crate::file::{FileMode, RelPath, refuse_long};
use crate::identifier::{HostName, PortName};
use crate::port::PortFormula;
use crate::server::ServerUrl;
use crate::slot::{Profile, SlotId};
use crate::time::Span;

/// The declared pool.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The pool's name, used in labels and Compose project names.
    pub name: String,
    /// The directory of the pool, as written.
    pub root: DeclaredPath,
    /// The prefix of the variables that kinfra sets for a slot.
    pub env_prefix: String,
    /// An old tool's registry to take over, once.
    pub import: Option<DeclaredPath>,
    /// The port formulas in the order of the file, proven not to collide.
    pub ports: Vec<(PortName, PortFormula)>,
    /// The name of the port that a slot is known by, if the file says it.
    pub primary: Option<PortName>,
    /// The lease of what an agent claims.
    pub agent_lease: Span,
    /// The profiles in the order of the file, smallest first.
    pub profiles: Vec<Rc<Profile>>,
    /// The slots of this host, each with its profile.
    pub slots: BTreeMap<SlotId, Rc<Profile>>,
    /// The slots that other hosts have for themselves.
    pub elsewhere: BTreeMap<HostName, BTreeSet<SlotId>>,
    /// The files of a slot directory.
    pub files: Vec<FileSpec>,
    /// The files that a claim adds to the slot directory.
    pub claim: Vec<FileSpec>,
    /// The variables of `[env]`, in the order of the file.
    pub env: Vec<VariableSpec>,
    /// Which port of which service each port publishes.
    pub publish: BTreeMap<PortName, PublishSpec>,
    /// How the worktree's own Compose files are run, if the pool is one for them.
    pub compose: Option<ComposeSpec>,
    /// The server and the database of the registry. Without one, it is a file of the root. What counts is the
    /// spec that was applied.
    pub registry: Option<ServerUrl>,
    /// How stacks are started, checked and kept. What counts is the spec that was applied.
    pub stack: StackSpec,
    /// Where the worktrees of branches are made.
    pub worktree: WorktreePath,
    /// The verbs of the project.
    pub verbs: Verbs,
}

/// Where worktrees are made: a path with places for the names of the repository and the branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorktreePath(pub(super) String);

impl Default for WorktreePath {
    fn default() -> Self {
        Self("../{repo}-{branch}".to_owned())
    }
}

/// `[stack]`: how the stack of a slot is started, checked and kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StackSpec {
    /// The project's own last check of a stack: a command and its arguments. Empty if there is none.
    pub verify: Vec<String>,
    /// Services that run to their end, and not again while their inputs are the same.
    pub once: BTreeSet<String>,
    /// How long the data of a released slot is kept for its worktree. Without it, until the slot is needed.
    pub keep_data: Option<Span>,
    /// How long nothing may happen in a slot until `kinfra reap` stops its stack. Without it, for ever.
    pub idle_stop: Option<Span>,
    /// The service that `kinfra shell` enters if none is named.
    pub shell: Option<String>,
    /// The block of addresses that each slot has for its networks. Without it, Docker chooses.
    pub subnet: Option<SubnetTemplate>,
}

/// What a port publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishSpec {
    /// The service and its port in the container.
    pub target: Target,
    /// How many ports the slot has for it, one for each replica; at least 1.
    pub count: u16,
    /// The scheme of its address, such as `http` or `postgres`; without one the container's port decides.
    pub scheme: Option<String>,
}

/// `[compose]`, `[services]` and `[worktree]`: how the worktree's own Compose files are run.
#[derive(Debug, Clone, Default)]
pub struct ComposeSpec {
    /// The files, relative to the worktree; without them, those that Compose itself would find.
    pub files: Option<Vec<RelPath>>,
    /// What slots may use together.
    pub shared: BTreeSet<Resource>,
    /// What each slot has its own of, in place of a shared one.
    pub per_slot: BTreeMap<Resource, PerSlot>,
    /// Further values of services' environments, by service; each is a template.
    pub environment: BTreeMap<String, Vec<VariableSpec>>,
    /// Files that git does not bring, to be copied from the repository's main worktree.
    pub copy: Vec<RelPath>,
}

impl ComposeSpec {
    /// The same with the home directory in place of `~/`.
    #[must_use]
    pub fn in_home(self, home: &Utf8Path) -> Self {
        let Self { files, shared, per_slot, environment, copy } = self;
        let shared = shared.into_iter().map(|resource| resource.in_home(home)).collect();
        let per_slot = per_slot.into_iter().map(|(resource, own)| (resource.in_home(home), own)).collect();
        Self { files, shared, per_slot, environment, copy }
    }

    /// The same, where each path also counts as what `real` makes of it: a link as what it leads to.
    #[must_use]
    pub fn with_real_paths(mut self, real: impl Fn(&Utf8Path) -> Utf8PathBuf) -> Self {
        let real = |resource: &Resource| match resource {
            Resource::Mount(path) => Resource::Mount(real(path)),
            Resource::Device(path) => Resource::Device(real(path)),
            Resource::Volume(_) | Resource::Network(_) | Resource::Image(_) => resource.clone(),
        };
        let shared: Vec<Resource> = self.shared.iter().map(&real).collect();
        let per_slot: Vec<_> = self.per_slot.iter().map(|(key, own)| (real(key), own.clone())).collect();
        self.shared.extend(shared);
        for (resource, own) in per_slot {
            self.per_slot.entry(resource).or_insert(own);
        }
        self
    }
}

/// A file of a slot directory and its template.
#[derive(Debug, Clone)]
pub struct FileSpec {
    /// Its path, relative to the slot directory.
    pub path: Spanned<RelPath>,
    /// Its template, relative to `templates/`.
    pub template: Spanned<RelPath>,
    /// Its permissions.
    pub mode: FileMode,
}

/// A variable from `[env]`.
#[derive(Debug, Clone)]
pub struct VariableSpec {
    /// Its name.
    pub name: Spanned<String>,
    /// Its value, a template.
    pub value: Spanned<String>,
    /// Whether its value must never be shown.
    pub sensitive: bool,
}

/// A path as the spec writes it: absolute or `~/…`, without `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredPath(String);

impl DeclaredPath {
    /// Refuses a path whose meaning depends on the current directory, and one with nothing below `~/` or `/`.
    pub(super) fn new(path: &str) -> Result<Self, Invalid> {
        refuse_long(path)?;
        let shown = path.escape_debug();
        let below = path.strip_prefix("~/").or_else(|| path.strip_prefix('/'));
        let Some(below) = below else {
            return Err(format!("`{shown}` must be absolute or start with `~/`").into());
        };
        if path.chars().any(char::is_control) {
            return Err(format!("`{shown}` has a control character").into());
        }
        let named = |component: &Utf8Component<'_>| {
            matches!(component, Utf8Component::Normal(_) | Utf8Component::ParentDir)
        };
        let mut components = Utf8Path::new(below).components().filter(named).peekable();
        if components.peek().is_none() {
            let whole = if path.starts_with('~') { "your home directory" } else { "the whole file system" };
            return Err(Invalid::new(format!("`{shown}` is {whole}"), "name a directory below it"));
        }
        if components.any(|component| component == Utf8Component::ParentDir) {
            return Err(format!("`{shown}` must not contain `..`").into());
        }
        Ok(Self(path.to_owned()))
    }

    /// The absolute path. `None` if the path starts with `~/` and `home` is `None`.
    pub fn resolve(&self, home: Option<&Utf8Path>) -> Option<Utf8PathBuf> {
        match self.0.strip_prefix("~/") {
            Some(below) => home.map(|home| home.join(below.trim_start_matches('/'))),
            None => Some(Utf8PathBuf::from(&self.0)),
        }
    }

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_spec_is_absolute_or_below_the_home_directory() {
        let home = Utf8Path::new("/home/me");
        for (path, with_home, without) in [
            ("/srv/pool", Some("/srv/pool"), Some("/srv/pool")),
            ("~/pool", Some("/home/me/pool"), None),
            ("~//pool", Some("/home/me/pool"), None),
        ] {
            let declared = DeclaredPath::new(path).map_err(|_| path).unwrap();
            assert_eq!(declared.resolve(Some(home)).as_deref().map(Utf8Path::as_str), with_home);
            assert_eq!(declared.resolve(None).as_deref().map(Utf8Path::as_str), without);
        }
        for path in ["pool", "~", "~/", "/", "/./", "~/a/../b", "/a\n", "~me/pool"] {
            assert!(DeclaredPath::new(path).is_err(), "{path:?}");
        }
    }
}
