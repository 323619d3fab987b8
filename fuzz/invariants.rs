//! Properties that hold for any bytes. The fuzz targets assert them, and the tests assert them on the committed corpus.

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashSet};

use camino::Utf8Path;
use kinfra::desired::{Pool, RenderInputs, render_pool};
use kinfra::digest::Digest;
use kinfra::file::RelPath;
use kinfra::json::Corrupt;
use kinfra::registry::Registry;
use kinfra::registry::migrate;
use kinfra::spec::Spec;
use kinfra::spec::mistake::{self, Mistake, Source, SourceKind};
use kinfra::{dotenv, embedded};

/// A `slots.toml` is a spec whose ports never collide, or has mistakes. These can be shown on any terminal.
pub fn spec(bytes: &[u8], mistakes_are_shown: bool) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match Spec::parse(text) {
        Ok(spec) => {
            let mut ports = HashSet::new();
            for slot in std::iter::once(0).chain(spec.slots.keys().map(|slot| slot.get())) {
                for (name, formula) in &spec.ports {
                    let port = formula
                        .host_port(slot)
                        .unwrap_or_else(|| panic!("`{name}` of slot {slot} is no port"));
                    assert!(ports.insert(port), "`{name}` of slot {slot} is a second {port}");
                }
            }
            let has_file = !spec.files.is_empty() || spec.compose.is_some();
            assert!(!ports.is_empty() && has_file, "a slot without a port or a file");
            let names: HashSet<_> = spec.ports.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), spec.ports.len(), "two ports of one name");
            assert!(spec.publish.keys().all(|name| names.contains(name)), "a port that is none is published");
            let mut paths = HashSet::new();
            for file in spec.files.iter().chain(&spec.claim) {
                assert!(paths.insert(file.path.get_ref()), "{} is written twice", file.path.get_ref());
            }
            for profile in spec.slots.values() {
                assert!(spec.profiles.contains(profile), "profile {} is not declared", profile.name);
            }
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused without a mistake");
            assert!(mistakes.iter().all(|mistake| !mistake.message.is_empty()), "{mistakes:?}");
            if mistakes_are_shown {
                show(text, &mistakes);
            }
        }
    }
}

/// Shown text is safe to print: line breaks and colours are its only control sequences.
fn show(text: &str, mistakes: &[Mistake]) {
    let source = Source { name: "slots.toml".to_owned(), text: text.into(), kind: SourceKind::Spec };
    let shown = mistake::render(mistakes.iter().map(|mistake| (&source, mistake)));
    assert!(shown.contains("slots.toml"), "no place in {shown:?}");
    let mut styled = shown.split("\x1b[");
    let plain = styled.next().into_iter().chain(styled.map(|styled| {
        let (style, plain) = styled.split_once('m').unwrap_or_else(|| panic!("a half style in {shown:?}"));
        assert!(style.chars().all(|c| c.is_ascii_digit() || c == ';'), "{style:?} in {shown:?}");
        plain
    }));
    for plain in plain {
        assert!(!plain.contains(|c: char| c.is_control() && c != '\n'), "{plain:?} in {shown:?}");
    }
}

/// A text that is read as a registry is saved with the same content: no key lost, no number changed. Saving again gives
/// the same text. The quick reader reads what the careful one reads.
pub fn registry(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let careful = Registry::parse_carefully(text);
    assert_eq!(Registry::parse(text), careful);
    let registry = match careful {
        Ok(registry) => registry,
        Err(corrupt) => return check_reason(&corrupt),
    };
    let saved = registry.to_text().expect("what was read can be saved");
    let reread = Registry::parse(&saved).expect("what was saved can be read");
    assert_eq!(reread, registry);
    assert_eq!(reread.to_text().as_ref(), Ok(&saved));
    assert_eq!(with_defaults(Json::read(text)), with_defaults(Json::read(&saved)), "saved as {saved}");
}

/// A file is refused with a place and a reason on one line that is safe to print.
fn check_reason(corrupt: &Corrupt) {
    assert!(!corrupt.place.is_empty() && !corrupt.reason.is_empty(), "{corrupt:?}");
    assert!(!corrupt.to_string().contains(char::is_control), "{corrupt:?}");
}

/// A registry, filled with the defaults that its reader assumes.
fn with_defaults(mut registry: Json) -> Json {
    let null = Json::Bare("null".to_owned());
    let top = registry.object();
    top.retain(|key, value| key != "imported_from" || *value != null);
    for entry in top.get_mut("slots").expect("slots").object().values_mut() {
        let entry = entry.object();
        let claimed_by = entry.entry("claimed_by".to_owned()).or_insert_with(|| null.clone());
        if *claimed_by == null {
            entry.insert("claimed_at".to_owned(), null.clone());
        }
        entry.entry("claimed_at".to_owned()).or_insert_with(|| null.clone());
        if entry.get("files") == Some(&null) {
            entry.remove("files");
        }
        if let Some(files) = entry.get_mut("files").map(Json::object) {
            let plain = |path: String| RelPath::new(&path).expect("a path").to_string();
            *files = std::mem::take(files).into_iter().map(|(path, hash)| (plain(path), hash)).collect();
            if files.is_empty() {
                entry.remove("files");
            }
        }
        if entry.get("udp").is_some_and(|udp| *udp == null || *udp == Json::List(Vec::new())) {
            entry.remove("udp");
        }
        for count in entry.get_mut("workers").expect("workers").object().values_mut() {
            if *count == Json::Bare("-0".to_owned()) {
                *count = Json::Bare("0".to_owned());
            }
        }
    }
    registry
}

thread_local! {
    static POOL: LazyCell<Pool> = const { LazyCell::new(pool) };
}

/// The embedded pool, with a made-up home.
fn pool() -> Pool {
    let spec = Spec::parse(embedded::SPEC).expect("the embedded spec");
    let source =
        Source { name: "slots.toml".to_owned(), text: embedded::SPEC.into(), kind: SourceKind::Spec };
    let template = |(name, text): (&str, &str)| (RelPath::new(name).expect("a path"), Ok(text.to_owned()));
    let texts = embedded::TEMPLATES.into_iter().map(template).collect();
    let (root, home) = (Utf8Path::new("/pool"), Some(Utf8Path::new("/home")));
    let inputs = RenderInputs { spec: &spec, source: &source, templates: &texts, root, home };
    render_pool(inputs).expect("the embedded pool")
}

/// An old tool's registry becomes one of ours that can be saved. It keeps everything except ports and paths. A slot has
/// the same holder in both, and no other.
pub fn migration(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    POOL.with(|pool| check_migration(text, pool));
}

/// Each slot is held by one of the holders that the old file names for it, or by none.
fn check_holders(registry: &Registry, holders: &mut BTreeMap<String, Vec<String>>) {
    for (id, entry) in &registry.slots {
        let known = holders.remove(&id.to_string());
        let holder = entry.claim.as_ref().map(|claim| claim.claimed_by.to_string());
        assert_eq!(known.is_some(), holder.is_some(), "slot {id}");
        assert!(
            holder.as_ref().is_none_or(|holder| known.unwrap_or_default().contains(holder)),
            "slot {id}: {holder:?}"
        );
    }
}

fn check_migration(text: &str, pool: &Pool) {
    const SOURCE: &str = "/old/instances.json";
    let is_directory = |path: &str| path.starts_with('/');
    let registry = match migrate::import(text, SOURCE, pool, is_directory, |_| true) {
        Ok((registry, _)) => registry,
        Err(corrupt) => return check_reason(&corrupt),
    };
    let saved = registry.to_text().expect("what was imported can be saved");
    assert_eq!(Registry::parse(&saved).as_ref(), Ok(&registry));
    let from = registry.imported_from.as_ref().expect("where it is from");
    assert_eq!((from.path.as_str(), from.sha256), (SOURCE, Digest::of(text.as_bytes())));

    let (mut old, mut new) = (Json::read(text), Json::read(&saved));
    let (old, new) = (old.object(), new.object());
    let mut imported_from = new.remove("imported_from").expect("where it is from");
    let earlier = imported_from.object().remove("imported_from");
    assert_eq!(old.remove("imported_from"), earlier, "where it was from itself");
    let mut new_slots = new.remove("slots").expect("slots");
    let mut old_slots = old.remove("slots").unwrap_or(Json::Object(BTreeMap::new()));
    old.remove("version");
    new.remove("version");
    assert_eq!(old, new);

    let new_slots = new_slots.object();
    let mut holders = BTreeMap::new();
    if let Json::Object(instances) =
        old.entry("instances".to_owned()).or_insert(Json::Object(BTreeMap::new()))
    {
        for instance in instances.values_mut().map(Json::object) {
            let slot = instance.get("slot").and_then(Json::bare).filter(|slot| new_slots.contains_key(*slot));
            let path = instance.get("path").and_then(Json::text).filter(|path| is_directory(path));
            if let Some((slot, path)) = slot.zip(path) {
                holders.entry(slot.to_owned()).or_insert_with(Vec::new).push(path.to_owned());
            }
        }
    }
    if let Json::Object(old_slots) = &mut old_slots {
        for (id, old) in old_slots.iter_mut() {
            let (old, new) = (old.object(), new_slots.get_mut(id).expect("the slot").object());
            if let Some(holder) = old.get("claimed_by").and_then(Json::text) {
                assert_eq!(
                    new.get("claimed_at").and_then(Json::text),
                    old.get("claimed_at").and_then(Json::text)
                );
                holders.insert(id.clone(), vec![holder.to_owned()]);
            }
            if old.get("status").is_some_and(|status| status.text().is_some()) {
                assert_eq!(new.get("status"), old.get("status"));
            }
            new.retain(|key, _| !OURS.contains(&key.as_str()));
            old.retain(|key, _| !OURS.contains(&key.as_str()));
            assert_eq!(new, old, "slot {id}");
        }
    }
    check_holders(&registry, &mut holders);
    for (id, entry) in &registry.slots {
        let ports = pool.slots.get(id).map(|slot| slot.provisioned().ports).unwrap_or_default();
        assert_eq!(entry.provisioned.ports, ports, "slot {id}");
    }
    assert!(holders.is_empty(), "lost {holders:?}");
}

/// The keys of an entry that the import decides about.
const OURS: [&str; 10] = [
    "slot_id",
    "infrastructure_path",
    "profile",
    "workers",
    "ports",
    "udp",
    "claimed_by",
    "claimed_at",
    "status",
    "files",
];

/// A value is written on one line from which Compose and kinfra read it back, or it is refused for a control character.
/// An env file is read, or it is refused for one of its lines.
pub fn values(bytes: &[u8]) {
    let Ok(value) = str::from_utf8(bytes) else { return };
    let cannot = value.contains(|c: char| c.is_ascii_control() && !"\n\r\t".contains(c));
    match dotenv::quote(value) {
        Ok(written) => {
            assert!(!cannot, "{value:?} was written as {written:?}");
            assert!(!written.contains(|c: char| c.is_ascii_control()), "{written:?} of {value:?}");
            assert_eq!(read_back(&written).as_deref(), Some(value), "{written:?}");
            let variables = dotenv::read(&format!("VALUE={written}"));
            let read = variables.as_ref().ok().and_then(|variables| variables.get("VALUE"));
            assert_eq!(read.map(String::as_str), Some(value), "{written:?}");
        }
        Err(reason) => assert!(cannot && !reason.is_empty(), "{value:?} was refused: {reason:?}"),
    }
    if let Err(mistake) = dotenv::read(value) {
        assert!((1..=value.lines().count()).contains(&mistake.line), "{mistake} in {value:?}");
    }
}

/// Reads a value as Compose v2 does. `None` if Compose would read more lines, drop a part, or expand a variable.
fn read_back(written: &str) -> Option<String> {
    let quote = written.chars().next().filter(|first| matches!(first, '\'' | '"'));
    let Some(quote) = quote else {
        let is_plain = !written.contains(|c: char| c.is_whitespace() || "$#'\"\\`".contains(c));
        return is_plain.then(|| written.to_owned());
    };
    let inner = written.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut value = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            ('\'', '\'') | ('"', '"' | '$') => return None,
            // In both kinds of quotes, Compose skips the character after a backslash.
            ('\'', '\\') => match chars.next()? {
                '\'' | '\\' => return None,
                next => value.extend(['\\', next]),
            },
            ('"', '\\') => value.push(match chars.next()? {
                next @ ('\\' | '"' | '$') => next,
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                _ => return None,
            }),
            (_, c) => value.push(c),
        }
    }
    Some(value)
}

/// JSON as another program reads it, with numbers as text. The input must be valid JSON.
#[derive(Debug, Clone, PartialEq)]
enum Json {
    /// A number, `true`, `false` or `null`.
    Bare(String),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    fn read(text: &str) -> Self {
        let mut rest = text;
        let value = value(&mut rest);
        assert_eq!(rest.trim(), "", "more than JSON");
        value
    }

    fn object(&mut self) -> &mut BTreeMap<String, Json> {
        match self {
            Self::Object(entries) => entries,
            Self::Bare(_) | Self::Text(_) | Self::List(_) => panic!("{self:?} is not an object"),
        }
    }

    fn bare(&self) -> Option<&str> {
        if let Self::Bare(text) = self { Some(text) } else { None }
    }

    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

fn value(rest: &mut &str) -> Json {
    *rest = rest.trim_start();
    if taken(rest, '"') {
        Json::Text(string(rest))
    } else if taken(rest, '[') {
        let mut items = Vec::new();
        while !taken(rest, ']') {
            items.push(value(rest));
            taken(rest, ',');
        }
        Json::List(items)
    } else if taken(rest, '{') {
        let mut entries = BTreeMap::new();
        while !taken(rest, '}') {
            assert!(taken(rest, '"'), "no key in {rest:?}");
            let key = string(rest);
            assert!(taken(rest, ':'), "no colon in {rest:?}");
            let twice = entries.insert(key, value(rest));
            assert_eq!(twice, None, "a key stands twice before {rest:?}");
            taken(rest, ',');
        }
        Json::Object(entries)
    } else {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).unwrap_or(rest.len());
        let (bare, after) = rest.split_at(end);
        assert!(!bare.is_empty(), "no value in {rest:?}");
        *rest = after;
        Json::Bare(number(bare))
    }
}

/// kinfra saves every exponent with a sign.
fn number(bare: &str) -> String {
    let parts = bare.starts_with(|c: char| !c.is_alphabetic()).then(|| bare.split_once(['e', 'E'])).flatten();
    let signed = |exponent: &str| exponent.starts_with(['+', '-']);
    match parts {
        Some((digits, exponent)) if signed(exponent) => format!("{digits}e{exponent}"),
        Some((digits, exponent)) => format!("{digits}e+{exponent}"),
        None => bare.to_owned(),
    }
}

fn taken(rest: &mut &str, wanted: char) -> bool {
    let after = rest.trim_start().strip_prefix(wanted);
    after.map(|after| *rest = after).is_some()
}

fn string(rest: &mut &str) -> String {
    let mut units: Vec<u16> = Vec::new();
    let mut chars = rest.chars();
    loop {
        let mut next = || chars.next().expect("a closed string");
        let c = match next() {
            '"' => break,
            '\\' => match next() {
                'b' => '\x08',
                'f' => '\x0c',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let digits: String = (0..4).map(|_| next()).collect();
                    units.push(u16::from_str_radix(&digits, 16).expect("four hexadecimal digits"));
                    continue;
                }
                c => c,
            },
            c => c,
        };
        units.extend(c.encode_utf16(&mut [0; 2]).iter());
    }
    *rest = chars.as_str();
    String::from_utf16(&units).expect("whole characters")
}
