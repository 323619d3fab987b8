//! The templates of what `kinfra init` adds to a slot: its variables, the Compose file that includes the
//! project's, and what a claim adds.

use std::fmt::Write as _;

use super::draft_file::DraftFile;
use super::draft_pool::DraftPool;
use super::escape::{quoted, template};

/// The templates that a pool has besides those of the project's own files.
pub(super) fn slot_templates(pool: &DraftPool<'_>) -> Vec<DraftFile> {
    let mut files = vec![
        DraftFile::new("templates/env.sandbox", env_sandbox(pool)),
        DraftFile::new("templates/docker-compose.yml", compose(pool)),
        DraftFile::new("templates/override.yml", claim_override(pool)),
    ];
    if pool.has_includes() {
        let prefix = &pool.prefix;
        let text = format!("{prefix}WORKTREE={{{{ {} | dotenv }}}}\n", project_in("worktree", pool));
        files.push(DraftFile::new("templates/env.worktree", text));
    }
    files
}

/// The project's directory in a worktree, as an expression of templates.
fn project_in(worktree: &str, pool: &DraftPool<'_>) -> String {
    match pool.project.below.as_str() {
        "" => worktree.to_owned(),
        below => format!("({worktree} ~ {})", quoted(&format!("/{below}"))),
    }
}

/// The variables of a slot: kinfra's own, and the project's own variables for its ports.
fn env_sandbox(pool: &DraftPool<'_>) -> String {
    let mut text = include_str!("sample/env.sandbox").to_owned();
    let _ = writeln!(text, "{}SLOT_DIR={{{{ slot.dir | dotenv }}}}", pool.prefix);
    let own = pool.formulas.declared.iter().filter_map(|port| Some((port.variable.as_ref()?, &port.name)));
    let own: Vec<_> = own.collect();
    if !own.is_empty() {
        text.push_str(
            "# The variables that the project itself takes its ports from, set as you would by hand.\n",
        );
    }
    for (variable, name) in own {
        let _ = writeln!(text, "{variable}={{{{ ports.{name} }}}}");
    }
    text
}

/// The project's own files in the slot's directory, as the list of an include.
fn layers(pool: &DraftPool<'_>) -> String {
    let layers = pool.project.files.iter().take(pool.project.layers);
    let layers: String = layers.fold(String::new(), |mut list, file| {
        let path = quoted(pool.slot_path(&file.path));
        let _ = write!(list, "\n      - {path}");
        list
    });
    template(&layers, &[])
}

/// What a claim adds: the same files again, with the worktree as their directory.
fn claim_override(pool: &DraftPool<'_>) -> String {
    let prefix = &pool.prefix;
    let main = pool.project.has_env_file.then(|| format!("(env.{prefix}PROJECT_DIR ~ \"/.env\")"));
    let included = pool.has_includes().then(|| "(slot.dir ~ \"/.env.worktree\")".to_owned());
    let mut env_files = main.into_iter().chain(included).fold(String::new(), |mut list, file| {
        let _ = write!(list, "\n      - {{{{ {file} | compose }}}}");
        list
    });
    if !env_files.is_empty() {
        env_files = format!("\n    env_file:{env_files}");
    }
    format!(
        "\
# The worktree that holds slot {{{{ slot.id }}}}: its code, in place of the project's. Compose reads it beside docker-compose.yml.
# Written by `kinfra claim` from templates/override.yml, removed by `kinfra release`.
include:
  - path:{}
    project_directory: {{{{ {} | compose }}}}{env_files}
",
        layers(pool),
        project_in("worktree", pool),
    )
}

/// The slot's `docker-compose.yml`, which includes the project's.
fn compose(pool: &DraftPool<'_>) -> String {
    let prefix = &pool.prefix;
    let env_file = if pool.project.has_env_file {
        format!(
            "\
# The project's .env gives the variables in its Compose files their values here too. Settings of Compose itself, such as
# COMPOSE_PROFILES, and variables that containers take by their names alone need it before the slot's:
#
#   docker compose --env-file '{{{{ env.{prefix}PROJECT_DIR }}}}/.env' --env-file .env.sandbox up -d
#
"
        )
    } else {
        String::new()
    };
    format!(
        "\
# Slot {{{{ slot.id }}}} of the {{{{ pool.name }}}} pool: the project's own stack, on the slot's ports.
#
#   docker compose --env-file .env.sandbox up -d
#
{env_file}\
# Written by kinfra from templates/docker-compose.yml: change it there.
name: \"{{{{ pool.name }}}}-slot-{{{{ slot.id }}}}\"

include:
  - path:{}
    # Relative paths in these files start from the project, as they always did.
    project_directory: \"${{{prefix}PROJECT_DIR:?run docker compose with --env-file .env.sandbox}}\"
",
        layers(pool),
    )
}
