//! The texts of the files that `kinfra init` writes.

use std::fmt::Write as _;
use std::ops::Range;

use super::formulas::Declared;
use super::{NewFile, Pool, Remedies, SLOTS};
use crate::proof::ports::Remedy;

/// A text as a template that renders as itself but for the edits, which are in the order of the text.
pub(super) fn template(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut template = String::with_capacity(text.len());
    let mut at = 0;
    for (span, replacement) in edits {
        protect(text.get(at..span.start).unwrap_or_default(), &mut template);
        // With the brace of the replacement it would become one of Jinja's.
        if template.ends_with('{') {
            template.pop();
            template.push_str("{{ '{' }}");
        }
        template.push_str(replacement);
        at = span.end;
    }
    protect(text.get(at..).unwrap_or_default(), &mut template);
    template
}

/// Writes text so that Jinja takes none of it for its own.
fn protect(text: &str, template: &mut String) {
    let mut rest = text;
    while let Some(start) = ["{{", "{%", "{#"].iter().filter_map(|opening| rest.find(opening)).min() {
        let (before, from) = rest.split_at(start);
        let (opening, after) = from.split_at(2);
        template.push_str(before);
        let _ = write!(template, "{{{{ '{opening}' }}}}");
        rest = after;
    }
    template.push_str(rest);
}

/// What a pool has besides the templates of the project's own files; `slots.toml` last.
pub(super) fn files(pool: &Pool<'_>) -> Vec<NewFile> {
    let mut files = vec![
        NewFile::new("templates/env.sandbox", env(pool)),
        NewFile::new("templates/docker-compose.yml", compose(pool)),
        NewFile::new("templates/override.yml", code(pool)),
    ];
    if has_nested(pool) {
        let prefix = &pool.prefix;
        let text = format!("{prefix}WORKTREE={{{{ {} | dotenv }}}}\n", project_in("worktree", pool));
        files.push(NewFile::new("templates/env.worktree", text));
    }
    files.push(NewFile::new("slots.toml", spec(pool)));
    files
}

/// Whether the project's files include others: their directory depends on the worktree too.
fn has_nested(pool: &Pool<'_>) -> bool {
    pool.project.files.len() > pool.project.layers
}

/// The project's directory in a worktree, as an expression of templates.
fn project_in(worktree: &str, pool: &Pool<'_>) -> String {
    match pool.project.below {
        "" => worktree.to_owned(),
        below => format!("({worktree} ~ {})", quoted(&format!("/{below}"))),
    }
}

/// A commented pool of one small service.
pub(super) fn sample(name: &str, remedies: &Remedies) -> Vec<NewFile> {
    let spec = include_str!("sample/slots.toml").replace("sample", name);
    let (formula, comment) = web(remedies);
    let web = "web = 8080                         # short for { base = 8080, stride = 1 }";
    let spec = spec.replace(web, &format!("web = {formula:28} # {comment}"));
    vec![
        NewFile::new("templates/env.sandbox", include_str!("sample/env.sandbox")),
        NewFile::new("templates/docker-compose.yml", include_str!("sample/docker-compose.yml")),
        NewFile::new("slots.toml", spec),
    ]
}

/// The formula of a port that no project named, and what there is to say about it.
fn web(remedies: &Remedies) -> (String, String) {
    match remedies.iter().find(|(name, _)| name.as_str() == "web").map(|(_, remedy)| remedy) {
        None => ("8080".to_owned(), "short for { base = 8080, stride = 1 }".to_owned()),
        Some((Remedy::Base(base), why)) => {
            (base.to_string(), format!("short for {{ base = {base}, stride = 1 }}; {why}"))
        }
        Some((Remedy::Stride(stride), why)) => (format!("{{ base = 8080, stride = {stride} }}"), why.clone()),
    }
}

/// The variables of a slot: kinfra's own, and those that the project itself takes ports from.
fn env(pool: &Pool<'_>) -> String {
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
fn layers(pool: &Pool<'_>) -> String {
    let layers = pool.project.files.iter().take(pool.project.layers);
    let layers: String = layers.fold(String::new(), |mut list, file| {
        let path = quoted(pool.slot_path(&file.path));
        let _ = write!(list, "\n      - {path}");
        list
    });
    template(&layers, &[])
}

/// What a claim adds: the same files once more, with the worktree as the project.
fn code(pool: &Pool<'_>) -> String {
    let prefix = &pool.prefix;
    let main = pool.project.has_env_file.then(|| format!("(env.{prefix}PROJECT_DIR ~ \"/.env\")"));
    let nested = has_nested(pool).then(|| "(slot.dir ~ \"/.env.worktree\")".to_owned());
    let mut env_files = main.into_iter().chain(nested).fold(String::new(), |mut list, file| {
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
fn compose(pool: &Pool<'_>) -> String {
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

fn spec(pool: &Pool<'_>) -> String {
    let Pool { project, prefix, .. } = pool;
    let name = project.name;
    let main = project.files.first().map_or("", |file| file.path.as_str());
    let ports = ports(&pool.formulas.declared, pool.remedies);
    let copies = project.files.iter().map(|file| quoted(pool.slot_path(&file.path)));
    let copies: Vec<(String, String)> = copies.map(|path| (path.clone(), path)).collect();
    let own = [("\".env.sandbox\"", "\"env.sandbox\""), ("\"docker-compose.yml\"", "\"docker-compose.yml\"")];
    let own = own.map(|(file, template)| (file.to_owned(), template.to_owned()));
    let files =
        aligned(own.into_iter().chain(copies).map(|(file, template)| (file, template, String::new())));
    let mut claim = vec![("\"docker-compose.override.yml\"", "\"override.yml\"")];
    if has_nested(pool) {
        claim.push(("\".env.worktree\"", "\"env.worktree\""));
    }
    let claim =
        aligned(claim.into_iter().map(|(file, template)| (file.into(), template.into(), String::new())));
    let pool_table = aligned(
        [
            ("name", quoted(name), format!("labels and Compose project names: {name}-slot-1")),
            ("root", format!("\"~/.{name}/slots\""), "slot-1/ … and registry.json".to_owned()),
            ("env_prefix", quoted(prefix), "what the names of a slot's variables start with".to_owned()),
        ]
        .into_iter()
        .map(|(key, value, comment)| (key.to_owned(), value, format!("    # {comment}"))),
    );
    let directory = quoted(&template(project.directory, &[]));
    format!(
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
# Where relative paths of the Compose files start while nobody has claimed the slot: build contexts, bind mounts, env files.
{prefix}PROJECT_DIR = {directory}
"
    )
}

fn ports(declared: &[Declared], remedies: &Remedies) -> String {
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

/// Keys, values and what follows them, a line each, the values one below the other.
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

/// A string for TOML, and for YAML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Templates;

    #[test]
    fn a_protected_text_renders_as_itself() {
        for text in [
            "",
            "{",
            "{{",
            "{{{",
            "{{{{ x }}}}",
            "a {% raw %} b {# c #} d",
            "{%- x -%}\n  {{- y -}}\r\n",
            "}} %} #}\n\n",
            "{{ '{{' }}",
            "\u{feff}x: '{{.ID}}'\r\n",
        ] {
            let source = template(text, &[]);
            let mut templates = Templates::new();
            templates.add("text", &source).unwrap();
            assert_eq!(templates.render("text", &minijinja::Value::UNDEFINED).unwrap(), text, "{source}");
        }
    }

    #[test]
    fn a_brace_before_a_port_stays_a_brace() {
        assert_eq!(template("{80}", &[(1..3, "{{ ports.web }}".to_owned())]), "{{ '{' }}{{ ports.web }}}");
    }
}
