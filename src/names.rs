//! Names that kinfra shares with other programs: files, variables, Compose's own names. Each is spelt here
//! and nowhere else.

use camino::Utf8Path;

use crate::slot::SlotId;

/// The file that declares a pool.
pub const SPEC: &str = "slots.toml";

/// The directory of a spec's templates, beside it.
pub const TEMPLATES: &str = "templates";

/// The file with a slot's variables: in the slot's directory, and a copy in the worktree that holds the slot.
pub const ENV_FILE: &str = ".env.sandbox";

/// The Compose file that kinfra adds to the project's own, in the slot's directory.
pub const OVERLAY: &str = "kinfra-overlay.yaml";

/// The file with what the worktree's Compose files last came to, in the slot's directory.
pub const LOOK_FILE: &str = ".kinfra-look.json";

/// The file with what the last start of a slot's stack used, in the slot's directory.
pub const USES_FILE: &str = ".kinfra-uses.json";

/// The file with what the stack that runs was started from, in the slot's directory.
pub const START_FILE: &str = ".kinfra-start.json";

/// The empty file whose time says when a verb last used a slot's stack, in the slot's directory.
pub const USED_FILE: &str = ".kinfra-used";

/// The file that says which claim a slot is used under, in the slot's directory.
pub const CLAIM_FILE: &str = ".kinfra-claim";

/// The files in a slot's directory that kinfra makes for its stack, and can make again.
pub const DERIVED: [&str; 5] = [OVERLAY, LOOK_FILE, USES_FILE, START_FILE, USED_FILE];

/// Whether kinfra makes a file in a slot's directory itself and can make it again, or such a write was cut
/// short.
pub fn is_derived(name: &str) -> bool {
    let is_cut_short = |derived| {
        let rest = name.strip_prefix('.').and_then(|rest| rest.strip_prefix(derived));
        rest.is_some_and(|rest| rest.starts_with('.') && Utf8Path::new(rest).extension() == Some("tmp"))
    };
    DERIVED.into_iter().chain([CLAIM_FILE]).any(|derived| name == derived || is_cut_short(derived))
}

/// Whether kinfra keeps this name in a slot's directory for files of its own.
pub fn is_kept(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == OVERLAY || name.starts_with(".kinfra-")
}

/// The file that Compose reads variables from, beside its own file.
pub const DOTENV: &str = ".env";

/// The variable that names the owner whose claim is meant. `kinfra run --owner` sets it for its command.
pub const KINFRA_OWNER: &str = "KINFRA_OWNER";
/// The variable with the url of a registry, in place of the one that was applied.
pub const KINFRA_REGISTRY_URL: &str = "KINFRA_REGISTRY_URL";
/// The variable that names this host to the server of a registry, in place of its host name.
pub const KINFRA_HOST: &str = "KINFRA_HOST";

/// The version of this kinfra.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The variable that asks for plain output, or refuses it.
pub const KINFRA_PLAIN: &str = "KINFRA_PLAIN";

/// The variable by which the command of a `kinfra run` knows the claim of that run: its id.
pub const KINFRA_RUN: &str = "KINFRA_RUN";

/// The variable of a slot that holds its id.
pub const SLOT_ID: &str = "SLOT_ID";

/// The variable by which `kinfra env` and `kinfra exec` say which slot it is.
pub const KINFRA_SLOT: &str = "KINFRA_SLOT";

/// The variable by which `kinfra env` and `kinfra exec` say where the slot's directory is.
pub const KINFRA_SLOT_DIR: &str = "KINFRA_SLOT_DIR";

/// The variable that lists what `kinfra env` set, so that leaving the slot can take it back.
pub const KINFRA_ENV: &str = "KINFRA_ENV";

/// The variable with the values that the variables of `kinfra env` had before, as JSON, for the way out.
pub const KINFRA_ENV_BEFORE: &str = "KINFRA_ENV_BEFORE";

/// The variable with the id of another user whose pools may be used.
pub const KINFRA_TRUST_OWNER: &str = "KINFRA_TRUST_OWNER";

/// The variable of Compose that names the project.
pub const COMPOSE_PROJECT_NAME: &str = "COMPOSE_PROJECT_NAME";

/// The variable of Compose that names its files.
pub const COMPOSE_FILE: &str = "COMPOSE_FILE";

/// The variable of Compose that says what separates the files.
pub const COMPOSE_PATH_SEPARATOR: &str = "COMPOSE_PATH_SEPARATOR";

/// The variable of Compose that names its env files.
pub const COMPOSE_ENV_FILES: &str = "COMPOSE_ENV_FILES";

/// Compose's variables that would lead it to other files, other services or another project.
pub const COMPOSE_VARIABLES: [&str; 6] = [
    "COMPOSE_DISABLE_ENV_FILE",
    COMPOSE_ENV_FILES,
    COMPOSE_FILE,
    COMPOSE_PATH_SEPARATOR,
    "COMPOSE_PROFILES",
    COMPOSE_PROJECT_NAME,
];

/// The names under which Compose looks for its file, in its order.
pub const COMPOSE_FILES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// The names under which Compose looks for a file that it merges over the first.
pub const OVERRIDE_FILES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// The label by which Compose marks what belongs to a project.
pub const PROJECT_LABEL: &str = "com.docker.compose.project";

/// The label by which Compose names the directory that a container was started in.
pub const WORKING_DIR_LABEL: &str = "com.docker.compose.project.working_dir";

/// The label with the service of a container, which Compose writes.
pub const SERVICE_LABEL: &str = "com.docker.compose.service";

/// The label with the number of a container in its service, which Compose writes.
pub const NUMBER_LABEL: &str = "com.docker.compose.container-number";

/// The label that marks the containers of `docker compose run`.
pub const ONE_OFF_LABEL: &str = "com.docker.compose.oneoff";

/// The label that says whose a container, volume or network is: the id of the registry.
pub const ID_LABEL: &str = "kinfra.id";

/// The label with the root of that registry, for people.
pub const ROOT_LABEL: &str = "kinfra.root";

/// The label with the id of the slot.
pub const SLOT_LABEL: &str = "kinfra.slot";

/// The variable that holds a port of a slot: `{PREFIX}{NAME}_PORT`.
pub fn port_variable(prefix: &str, name: &str) -> String {
    format!("{prefix}{}_PORT", name.to_uppercase())
}

/// The variable that holds how many workers of a kind a slot runs: `{PREFIX}{KIND}_WORKERS`.
pub fn workers_variable(prefix: &str, kind: &str) -> String {
    format!("{prefix}{}_WORKERS", kind.to_uppercase().replace('-', "_"))
}

/// The Compose project of a slot: `{pool}-slot-{id}`.
pub fn project(pool: &str, slot: SlotId) -> String {
    format!("{pool}-{}", slot.directory())
}

/// The slot whose Compose project has this name in a pool.
pub fn slot_of_project(pool: &str, project: &str) -> Option<SlotId> {
    SlotId::of_directory(project.strip_prefix(pool)?.strip_prefix('-')?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_kinfra_can_make_again_is_derived() {
        for name in [OVERLAY, START_FILE, CLAIM_FILE, "..kinfra-used.712.tmp", ".kinfra-overlay.yaml.7.tmp"] {
            assert!(is_derived(name), "{name}");
        }
        for name in
            [".env.sandbox", "data", "kinfra-overlay.yaml.7.tmp", ".kinfra-start.json.7", ".other.7.tmp"]
        {
            assert!(!is_derived(name), "{name}");
        }
    }

    #[test]
    fn what_kinfra_makes_itself_is_known_by_its_name() {
        for (name, is_it) in [
            (OVERLAY, true),
            (CLAIM_FILE, true),
            (".kinfra-overlay.yaml.a1.tmp", true),
            ("..kinfra-used.1.tmp", true),
            (".kinfra-overlay.yaml.a1", false),
            (".kinfra-overlay.yamltmp", false),
            (".kinfra-overlay.yaml-a.tmp", false),
            ("kinfra-overlay.yaml.tmp", false),
            (ENV_FILE, false),
        ] {
            assert_eq!(is_derived(name), is_it, "{name}");
        }
        for (name, is_own) in
            [("KINFRA-overlay.yaml", true), (".Kinfra-x", true), ("kinfra-x", false), (ENV_FILE, false)]
        {
            assert_eq!(is_kept(name), is_own, "{name}");
        }
    }
}
