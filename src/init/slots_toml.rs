//! The `slots.toml` that `kinfra init` writes: of a project, or a sample.

use std::fmt::Write as _;

use super::draft_file::DraftFile;
use super::draft_pool::{DraftPool, SLOTS};
use super::escape::{quoted, template};
use super::formulas::{NewFormula, Remedies};
use crate::proof::ports::Remedy;

/// The `slots.toml` of a project's pool.
pub(super) fn slots_toml(pool: &DraftPool<'_>) -> DraftFile {
    let DraftPool { project, prefix, .. } = pool;
    let name = project.name.as_str();
    let main = project.files.first().map_or("", |file| file.path.as_str());
    let ports = ports(&pool.formulas.declared, pool.remedies);
    let (files, claim) = (files(pool), claim(pool));
    let pool_table = pool_table(name, prefix);
    let directory = quoted(&template(&project.directory, &[]));
    let text = format!(
        "\
# The {name} pool: {SLOTS} slots, each the stack of {main} on ports of its own.
# `kinfra plan` shows what is missing, `kinfra apply` creates it. `kinfra init` wrote this file; it is yours to change.
version = 1

[pool]
{pool_table}
[ports]    # host port = base + stride × slot; slot 0 is your main stack, on the base ports
{ports}
[[profiles]]    # size classes, smallest first
name = \"standard\"

[[slots]]
ids     = \"1-{SLOTS}\"
profile = \"standard\"

[files]    # file in the slot directory = template in templates/ beside this file
{files}
[claim]    # what a claim adds to the slot directory, for the code of its worktree
{claim}
[env]    # further variables of .env.sandbox; \"~/\" becomes absolute
# While no worktree holds the slot, relative paths of the Compose files start here: build contexts, bind mounts, env files.
{prefix}PROJECT_DIR = {directory}
"
    );
    DraftFile::new("slots.toml", text)
}

/// The lines of `[pool]`.
fn pool_table(name: &str, prefix: &str) -> String {
    let lines = [
        ("name", quoted(name), format!("labels and Compose project names: {name}-slot-1")),
        ("root", format!("\"~/.{name}/slots\""), "slot-1/ … and registry.json".to_owned()),
        ("env_prefix", quoted(prefix), "what the names of a slot's variables start with".to_owned()),
    ];
    aligned(
        lines.map(|(key, value, comment)| (key.to_owned(), value, format!("    # {comment}"))).into_iter(),
    )
}

/// The lines of `[files]`.
fn files(pool: &DraftPool<'_>) -> String {
    let own = [".env.sandbox", "docker-compose.yml"].into_iter().zip(["env.sandbox", "docker-compose.yml"]);
    let copies = pool.project.files.iter().map(|file| pool.slot_path(&file.path));
    from_templates(own.chain(copies.map(|path| (path, path))))
}

/// The lines of `[claim]`.
fn claim(pool: &DraftPool<'_>) -> String {
    let included = pool.has_includes().then_some((".env.worktree", "env.worktree"));
    from_templates([("docker-compose.override.yml", "override.yml")].into_iter().chain(included))
}

/// A line for each file and its template.
fn from_templates<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    aligned(files.map(|(file, template)| (quoted(file), quoted(template), String::new())))
}

/// The lines of `[ports]`.
fn ports(declared: &[NewFormula], remedies: &Remedies) -> String {
    if declared.is_empty() {
        let (formula, _) = web(remedies);
        return format!("web = {formula}    # nothing uses it yet: a pool needs at least one port\n");
    }
    aligned(declared.iter().map(|port| {
        let formula = match port.formula.stride.get() {
            1 => port.formula.base.to_string(),
            stride => format!("{{ base = {}, stride = {stride} }}", port.formula.base),
        };
        let moved = port.moved.as_ref().map(|moved| format!("; {moved}")).unwrap_or_default();
        let comment = format!("    # {}{moved}", port.origin).replace(char::is_control, " ");
        (port.name.to_string(), formula, comment)
    }))
}

/// One line for each key, value and what follows them, with the values in one column.
fn aligned(lines: impl Iterator<Item = (String, String, String)>) -> String {
    let lines: Vec<_> = lines.collect();
    let width =
        |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.chars().count()).max().unwrap_or(0);
    let key_width = width(&mut lines.iter().map(|(key, ..)| key));
    let value_width = width(&mut lines.iter().map(|(_, value, _)| value));
    lines.iter().fold(String::new(), |mut text, (key, value, rest)| {
        let line = format!("{key:key_width$} = {value:value_width$}{rest}");
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

/// The files of a commented pool of one small service.
pub(super) fn sample(name: &str, remedies: &Remedies) -> Vec<DraftFile> {
    let spec = include_str!("sample/slots.toml").replace("sample", name);
    let (formula, comment) = web(remedies);
    let web = "web = 8080                         # short for { base = 8080, stride = 1 }";
    let spec = spec.replace(web, &format!("web = {formula:28} # {comment}"));
    vec![
        DraftFile::new("templates/env.sandbox", include_str!("sample/env.sandbox")),
        DraftFile::new("templates/docker-compose.yml", include_str!("sample/docker-compose.yml")),
        DraftFile::new("slots.toml", spec),
    ]
}

/// The formula of a port that no project asked for, and its comment.
fn web(remedies: &Remedies) -> (String, String) {
    match remedies.iter().find(|(name, _)| name.as_str() == "web").map(|(_, remedy)| remedy) {
        None => ("8080".to_owned(), "short for { base = 8080, stride = 1 }".to_owned()),
        Some((Remedy::Base(base), why)) => {
            (base.to_string(), format!("short for {{ base = {base}, stride = 1 }}; {why}"))
        }
        Some((Remedy::Stride(stride), why)) => (format!("{{ base = 8080, stride = {stride} }}"), why.clone()),
    }
}
