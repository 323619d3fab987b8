//! Finds, without Docker, what would give two slots one port: the Compose files as text.
//!
//! The old tool's slots collided this way: an unset variable had the same default in each slot.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use super::{Numbers, Pool, Slot, pools};

#[test]
fn every_port_and_variable_of_a_compose_file_is_a_slots_own_or_has_a_default() {
    for pool in pools() {
        for slot in &pool.slots {
            let complaints = complaints(&slot.read("docker-compose.yml"), &pool, slot);
            assert!(complaints.is_empty(), "{} slot {}: {complaints:#?}", pool.name, slot.id);
        }
    }
}

#[test]
fn mistakes_in_a_compose_file_are_found() {
    let pool = Pool::embedded();
    let slot = pool.slots.first().expect("a slot");
    let right = slot.read("docker-compose.yml");
    let db = "ports: [\"127.0.0.1:${KTRDR_DB_PORT:-5432}:5432\"]";
    for (from, to, complaint) in [
        (
            db,
            "ports: [\"${KTRDR_DB_PORT:-5432}:5432\"]",
            "`${KTRDR_DB_PORT:-5432}:5432` does not bind 127.0.0.1",
        ),
        (db, "ports: [\"0.0.0.0:${KTRDR_DB_PORT:-5432}:5432\"]", "does not bind 127.0.0.1"),
        (db, "ports: [\"127.0.0.1:5432:5432\"]", "has no variable that .env.sandbox sets to a port"),
        (
            db,
            "ports: [\"127.0.0.1:${DB_PORT:-5432}:5432\"]",
            "has no variable that .env.sandbox sets to a port",
        ),
        (db, "ports:\n      - target: 5432", "`target: 5432` does not bind 127.0.0.1"),
        (db, "ports: &db\n      - 5432:5432", "`5432:5432` does not bind 127.0.0.1"),
        (db, "expose: [5432]", "KTRDR_DB_PORT publishes no port"),
        (
            "KTRDR_OTLP_HTTP_PORT:-4318",
            "KTRDR_OTLP_HTTP_PORT:-4317",
            "has not the main stack's port as its default",
        ),
        ("${KTRDR_DB_PORT:-5432}", "${KTRDR_DB_PORT}", "KTRDR_DB_PORT has no default"),
        ("${KTRDR_DB_NAME:-ktrdr}", "${KTRDR_DB_NAME}", "KTRDR_DB_NAME has no default"),
        ("${KTRDR_DB_NAME:-ktrdr}", "$KTRDR_DB_NAME", "KTRDR_DB_NAME has no default"),
        ("${KTRDR_DB_NAME:-ktrdr}", "${KTRDR_DB_NAME:?set it}", "KTRDR_DB_NAME has no default"),
        ("${KTRDR_DB_NAME:-ktrdr}", "${KTRDR_DB_NAME:-${DB_NAME}}", "DB_NAME has no default"),
        ("${SLOT_ID:?", "${SLOT:?", "SLOT has no default"),
        ("  grafana:\n", "  grafana:\n    container_name: ktrdr-grafana\n", "container_name"),
        ("  grafana:\n", "  grafana:\n    network_mode: host\n", "network_mode"),
        ("prometheus.yml:ro", "prometheus.yml", "`./prometheus.yml` is not mounted read-only"),
        ("./prometheus.yml", "./grafana.yml", "`./grafana.yml` is not in the slot"),
        ("./prometheus.yml", "./.env.sandbox", "`./.env.sandbox` is not readable to other users"),
    ] {
        assert!(right.contains(from), "the Compose file has no {from:?}");
        let complaints = complaints(&right.replace(from, to), &pool, slot);
        let found = complaints.iter().any(|found| found.contains(complaint));
        assert!(found, "{from:?} → {to:?}: {complaints:#?}");
    }
}

#[test]
fn prometheus_can_read_its_configuration_and_not_change_it() {
    let pool = Pool::embedded();
    for slot in &pool.slots {
        let compose = slot.read("docker-compose.yml");
        let mounts: Vec<_> = mounts(&compose).collect();
        assert_eq!(mounts, ["./prometheus.yml:/etc/prometheus/prometheus.yml:ro"]);
        assert_eq!(slot.mode("prometheus.yml"), Some(0o644));
    }
}

/// The mistakes in a Compose file in a slot's directory.
fn complaints(compose: &str, pool: &Pool, slot: &Slot) -> Vec<String> {
    let compose = without_comments(compose);
    let env = without_comments(&slot.read(".env.sandbox"));
    let set: BTreeSet<&str> =
        env.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    let in_env =
        |(name, base): (&String, &u64)| (format!("{}{}_PORT", pool.env_prefix, name.to_uppercase()), *base);
    let base_ports: Numbers = pool.main.iter().map(in_env).collect();
    let published = published(&compose);
    let mut complaints = Vec::new();

    for key in ["container_name:", "network_mode:"].into_iter().filter(|key| compose.contains(key)) {
        complaints.push(format!("{key} can be used by one slot only"));
    }
    for Variable { name, operator, .. } in variables(&compose) {
        let defined =
            matches!(operator, ":-" | "-") || (matches!(operator, ":?" | "?") && set.contains(name));
        if !defined {
            complaints.push(format!("{name} has no default"));
        }
    }
    for entry in &published {
        complaints.extend(complaint_about_port(entry, &set, &base_ports));
    }
    let used: BTreeSet<_> =
        published.iter().flat_map(|entry| variables(entry)).map(|used| used.name).collect();
    for name in base_ports.keys().filter(|name| !used.contains(name.as_str())) {
        complaints.push(format!("{name} publishes no port"));
    }
    complaints.extend(mounts(&compose).filter_map(|mount| complaint_about_mount(mount, slot)));
    complaints
}

fn complaint_about_port(entry: &str, set: &BTreeSet<&str>, base_ports: &Numbers) -> Option<String> {
    let Some(ports) = entry.strip_prefix("127.0.0.1:") else {
        return Some(format!("`{entry}` does not bind 127.0.0.1"));
    };
    let base = |used: &Variable<'_>| base_ports.get(used.name).filter(|_| set.contains(used.name)).copied();
    match &variables(ports)[..] {
        [used] if base(used).is_some_and(|base| used.word == base.to_string()) => None,
        [used] if base(used).is_some() => {
            Some(format!("`{entry}` has not the main stack's port as its default"))
        }
        _ => Some(format!("`{entry}` has no variable that .env.sandbox sets to a port")),
    }
}

fn complaint_about_mount(mount: &str, slot: &Slot) -> Option<String> {
    let file = mount.split(':').next().unwrap_or(mount);
    match slot.mode(file) {
        None => Some(format!("`{file}` is not in the slot")),
        Some(mode) if mode & 0o004 == 0 => Some(format!("`{file}` is not readable to other users")),
        Some(_) => (!mount.ends_with(":ro")).then(|| format!("`{file}` is not mounted read-only")),
    }
}

/// `${NAME:-word}`; `$NAME` has neither operator nor word.
struct Variable<'a> {
    name: &'a str,
    operator: &'a str,
    word: &'a str,
}

/// Every variable that Compose would replace, those in defaults of others included.
fn variables(text: &str) -> Vec<Variable<'_>> {
    let mut variables = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('$') {
        if let Some(escaped) = after.strip_prefix('$') {
            rest = escaped;
            continue;
        }
        let (name, after_name) =
            split_where(after.trim_start_matches('{'), |c| c != '_' && !c.is_alphanumeric());
        let (operator, after_operator) = split_where(after_name, |c| !":-?+".contains(c));
        let word = after_operator.split('}').next().unwrap_or_default();
        let used = Variable { name, operator, word };
        variables.push(if after.starts_with('{') {
            used
        } else {
            Variable { operator: "", word: "", ..used }
        });
        rest = after_name;
    }
    variables
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// The entries of every `ports:`, written as `ports: [a, b]` or as a list below.
fn published(compose: &str) -> Vec<&str> {
    let mut entries = Vec::new();
    let mut lines = compose.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let Some(inline) = line.strip_prefix("ports:") else {
            continue;
        };
        let inline = inline.trim();
        match inline.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
            Some(list) => entries.extend(list.split(',')),
            None => entries.extend(Some(inline).filter(|inline| !inline.is_empty())),
        }
        while let Some(item) = lines.next_if(|line| line.starts_with('-')) {
            entries.push(item.trim_start_matches('-'));
        }
    }
    entries.into_iter().map(|entry| entry.trim_matches([' ', '"', '\''])).collect()
}

/// The mounts of files in the slot's directory.
fn mounts(compose: &str) -> impl Iterator<Item = &str> {
    compose.split([' ', '\n', '"', '\'', '[', ']', ',']).filter(|word| word.starts_with("./"))
}

fn without_comments(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.trim_start().starts_with('#')).collect()
}

impl Slot {
    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.join(file)).expect("a file of the slot")
    }

    fn mode(&self, file: &str) -> Option<u32> {
        let metadata = self.dir.join(file).metadata().ok()?;
        Some(metadata.permissions().mode() & 0o777)
    }
}
