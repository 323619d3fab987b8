//! The registry's text: no foreign key is lost, no ambiguous text is read, and its two readers agree.

use std::collections::BTreeMap;

use kinfra::registry::Registry;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::string::string_regex;

use super::check;

properties! {
    everything_survives_a_save: 128,
    a_key_that_stands_twice_is_refused: 128,
    both_readers_agree: 256,
}

/// JSON as it is written: strings with their quotes, numbers with their digits.
#[derive(Debug, Clone)]
enum Json {
    Scalar(String),
    /// A number with an exponent. Its sign is optional, and kinfra always writes it.
    Power(String, i32),
    List(Vec<Json>),
    Object(Keys),
}

/// The entries of an object. Keys have their quotes, too.
type Keys = Vec<(String, Json)>;

impl Json {
    fn text(text: &str) -> Self {
        Self::Scalar(quoted(text))
    }

    fn object<T>(entries: impl IntoIterator<Item = (String, T)>, value: impl Fn(T) -> Self) -> Self {
        Self::Object(entries.into_iter().map(|(key, entry)| (quoted(&key), value(entry))).collect())
    }

    /// Writes it as kinfra does, `indent` deep.
    fn pretty(&self, indent: usize) -> String {
        let (open, close, items): (_, _, Vec<String>) = match self {
            Self::Scalar(text) => return text.clone(),
            Self::Power(digits, exponent) => return format!("{digits}e{exponent:+}"),
            Self::List(items) => ("[", "]", items.iter().map(|item| item.pretty(indent + 1)).collect()),
            Self::Object(entries) => {
                let entry = |(key, value): &(String, Self)| format!("{key}: {}", value.pretty(indent + 1));
                ("{", "}", entries.iter().map(entry).collect())
            }
        };
        if items.is_empty() {
            return format!("{open}{close}");
        }
        let line = format!("\n{}", "  ".repeat(indent));
        format!("{open}{line}  {}{line}{close}", items.join(&format!(",{line}  ")))
    }

    /// Writes it without a space.
    fn compact(&self) -> String {
        match self {
            Self::Scalar(text) => text.clone(),
            Self::Power(digits, exponent) => format!("{digits}E{exponent}"),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::compact).collect::<Vec<_>>().join(","))
            }
            Self::Object(entries) => {
                let entry = |(key, value): &(String, Self)| format!("{key}:{}", value.compact());
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
            }
        }
    }

    /// Calls `change` with every object in it that is not empty.
    fn each_object(&mut self, change: &mut dyn FnMut(&mut Keys)) {
        match self {
            Self::Scalar(_) | Self::Power(..) => {}
            Self::List(items) => items.iter_mut().for_each(|item| item.each_object(change)),
            Self::Object(entries) => {
                entries.iter_mut().for_each(|(_, value)| value.each_object(change));
                if !entries.is_empty() {
                    change(entries);
                }
            }
        }
    }

    /// Changes one of the objects in it that are not empty, if there is one.
    fn change_one(&mut self, which: Index, change: impl Fn(&mut Keys)) {
        let mut objects = 0;
        self.each_object(&mut |_| objects += 1);
        if objects == 0 {
            return;
        }
        let (chosen, mut next) = (which.index(objects), 0);
        self.each_object(&mut |entries| {
            if next == chosen {
                change(entries);
            }
            next += 1;
        });
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("JSON")
}

/// A JSON string with the same meaning, written in another way.
fn escaped(quoted: &str) -> String {
    let text: String = serde_json::from_str(quoted).expect("a JSON string");
    let escapes: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{escapes}\"")
}

/// Makes a key stand twice, the second time perhaps with escapes.
fn double(entries: &mut Keys, key: Index, place: Index, escape: bool) {
    let (key, value) = entries[key.index(entries.len())].clone();
    let key = if escape { escaped(&key) } else { key };
    entries.insert(place.index(entries.len() + 1), (key, value));
}

/// Keys and values that kinfra does not know.
fn unknown() -> impl Strategy<Value = Keys> {
    let odd = select(vec!["0", "-0.0", "1e+400", "0.1000000000000000055", "18446744073709551616"]);
    // Not `-0`: serde_json reads it as the integer 0.
    let digits = || string_regex(r"-?[1-9][0-9]{0,30}(\.[0-9]{1,25})?").expect("a pattern");
    let scalar = prop_oneof![
        odd.prop_map(str::to_owned),
        digits(),
        select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        any::<String>().prop_map(|text| quoted(&text)),
    ];
    let scalar = prop_oneof![
        4 => scalar.prop_map(Json::Scalar),
        1 => (digits(), any::<i32>()).prop_map(|(digits, exponent)| Json::Power(digits, exponent)),
    ];
    let json = scalar.prop_recursive(3, 12, 4, |inner| {
        let object = btree_map(any::<String>(), inner.clone(), 0..4);
        prop_oneof![
            vec(inner, 0..4).prop_map(Json::List),
            object.prop_map(|entries| Json::object(entries, |value| value)),
        ]
    });
    let key = prop_oneof![select(vec!["remark", "Version", "slot", "x-files"]), Just("é\"\\")];
    let entries = btree_map(key, json, 0..3).prop_map(|entries| entries.into_iter().collect::<Vec<_>>());
    entries
        .prop_shuffle()
        .prop_map(|entries| entries.into_iter().map(|(key, value)| (quoted(key), value)).collect())
}

/// The keys of a slot's entry, as kinfra writes them.
fn entry(id: u16) -> impl Strategy<Value = Keys> {
    let name = || string_regex("[a-z][a-z0-9_]{0,6}").expect("a pattern");
    let hash = string_regex("[0-9a-f]{64}").expect("a pattern");
    let path = select(vec![".env", "a/b.toml", "conf.txt", "é"]).prop_map(str::to_owned);
    let maps = (
        btree_map(name(), any::<u16>(), 0..4),
        btree_map(name(), Just(()), 0..4),
        btree_map(path, hash, 0..4),
    );
    let texts = (any::<String>(), name(), any::<String>(), started());
    let claim_id = string_regex("[0-9a-f]{32}").expect("a pattern");
    let span = string_regex("(0|[1-9][0-9]{0,8})[smhd]").expect("a pattern");
    let time = string_regex("20[0-9]{2}-1[0-2]-2[0-8]T[01][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{6}\\+00:00");
    let ours = (
        prop::option::of(claim_id),
        prop::option::of((span, time.expect("a pattern"))),
        prop::collection::vec(prop::option::of(any::<String>()), 5),
    );
    let claim = prop::option::of((any::<String>(), prop::option::of(any::<String>()), ours));
    (maps, texts, claim).prop_map(move |((workers, ports, files), (dir, profile, status, started), claim)| {
        let number = |number: u16| Json::Scalar(number.to_string());
        // Every slot has ten ports of its own.
        let ports: Vec<(String, u16)> = ports.into_keys().zip(2000 + 10 * id..).collect();
        let (by, at, ours) = claim.map_or((None, None, None), |(by, at, ours)| (Some(by), at, Some(ours)));
        let optional =
            |text: Option<String>| text.map_or(Json::Scalar("null".to_owned()), |text| Json::text(&text));
        let mut entry = vec![
            ("slot_id", number(id)),
            ("infrastructure_path", Json::text(&dir)),
            ("profile", Json::text(&profile)),
            ("workers", Json::object(workers, number)),
            ("ports", Json::object(ports.clone(), number)),
        ];
        // Every second port is UDP.
        let udp: Vec<Json> = ports.into_iter().step_by(2).map(|(name, _)| Json::text(&name)).collect();
        if !udp.is_empty() {
            entry.push(("udp", Json::List(udp)));
        }
        entry.extend([
            ("claimed_by", optional(by)),
            ("claimed_at", optional(at)),
            ("status", Json::text(&status)),
        ]);
        if let Some((claim_id, lease, texts)) = ours {
            let (span, until) = lease.unzip();
            let names = ["note", "claimed_host", "claimed_user", "claimed_gitdir", "claimed_mount"];
            let first = [("claim_id", claim_id), ("lease", span), ("lease_until", until)];
            let all = first.into_iter().chain(names.into_iter().zip(texts));
            entry.extend(all.filter_map(|(key, text)| Some((key, Json::text(&text?)))));
        }
        entry.extend(started);
        if !files.is_empty() {
            entry.push(("files", Json::object(files, |hash| Json::text(&hash))));
        }
        entry.into_iter().map(|(key, value)| (quoted(key), value)).collect()
    })
}

/// The keys of a stack's start, as kinfra writes them; none if there was no start.
fn started() -> impl Strategy<Value = Vec<(&'static str, Json)>> {
    let text = any::<String>;
    let engine = prop::option::of("[a-z]{1,9}(://[a-z/]{0,9})?");
    let remains = select(vec!["stack", "everything", "data"]);
    let left = prop::option::of((text(), prop::option::of(text()), remains, 0..3_u8));
    prop::option::of((text(), text(), engine, any::<bool>(), left)).prop_map(|started| {
        let Some((at, project, engine, has_profiles, left)) = started else { return Vec::new() };
        let mut keys = vec![("started_at", Json::text(&at)), ("started_as", Json::text(&project))];
        keys.extend(engine.map(|engine| ("started_in", Json::text(&engine))));
        let profiles = || Json::List(vec![Json::text(&at), Json::text(&project)]);
        keys.extend(has_profiles.then(|| ("started_profiles", profiles())));
        keys.extend(left.map(|left| ("left", left_json(left))));
        keys.extend(has_profiles.then(|| ("peak_memory", Json::Scalar(u64::MAX.to_string()))));
        keys
    })
}

/// What a stack left behind, as kinfra writes it; with a key of others in it, too.
fn left_json((by, gitdir, remains, failures): (String, Option<String>, &str, u8)) -> Json {
    let mut keys = vec![("by", Json::text(&by))];
    keys.extend(gitdir.map(|gitdir| ("gitdir", Json::text(&gitdir))));
    keys.extend([("at", Json::text(&by)), ("remains", Json::text(remains))]);
    if failures > 0 {
        keys.push(("failures", Json::Scalar(failures.to_string())));
        keys.push(("reason", Json::text(remains)));
    }
    keys.push(("of others", Json::Scalar("1.0".to_owned())));
    Json::Object(keys.into_iter().map(|(key, value)| (quoted(key), value)).collect())
}

/// A registry in its parts: the keys that kinfra knows, and those it does not.
#[derive(Debug, Clone)]
struct Document {
    slots: BTreeMap<u16, (Keys, Keys)>,
    unknown: Keys,
}

fn document() -> impl Strategy<Value = Document> {
    let slots = btree_set(1..=12_u16, 0..=3).prop_flat_map(|ids| {
        let slots: Vec<_> = ids.into_iter().map(|id| (Just(id), (entry(id), unknown()))).collect();
        slots.prop_map(|slots| slots.into_iter().collect())
    });
    (slots, unknown()).prop_map(|(slots, unknown)| Document { slots, unknown })
}

impl Document {
    /// As kinfra writes it: its own keys first, and slots in numeric order; or the other way round.
    fn json(&self, as_written: bool) -> Json {
        let joined = |known: &Keys, unknown: &Keys| {
            let (first, then) = if as_written { (known, unknown) } else { (unknown, known) };
            Json::Object(first.iter().chain(then).cloned().collect())
        };
        let mut slots: Vec<_> = self
            .slots
            .iter()
            .map(|(id, (known, unknown))| (quoted(&id.to_string()), joined(known, unknown)))
            .collect();
        if !as_written {
            slots.reverse();
        }
        let known = vec![
            (quoted("version"), Json::Scalar("2".to_owned())),
            (quoted("id"), Json::text(&"0f".repeat(16))),
            (quoted("slots"), Json::Object(slots)),
        ];
        joined(&known, &self.unknown)
    }
}

fn everything_survives_a_save(cases: u32) {
    check(cases, document(), |document| {
        let registry = Registry::parse(&document.json(false).compact())?;
        let text = registry.to_text()?;
        prop_assert_eq!(&text, &(document.json(true).pretty(0) + "\n"));
        prop_assert!(Registry::parse_quickly(&text).is_some(), "read with care: {text}");
        let again = Registry::parse(&text)?;
        prop_assert_eq!(again.to_text()?, text);
        prop_assert_eq!(again, registry);
        Ok(())
    });
}

fn a_key_that_stands_twice_is_refused(cases: u32) {
    let choices = (any::<[Index; 3]>(), any::<bool>());
    check(cases, (document(), choices), |(document, ([object, key, place], escape))| {
        let mut document = document.json(true);
        document.change_one(object, |entries| double(entries, key, place, escape));
        let refusal = Registry::parse(&document.compact()).err().map(|corrupt| corrupt.reason);
        prop_assert!(refusal.as_ref().is_some_and(|reason| reason.contains("stands twice")), "{refusal:?}");
        Ok(())
    });
}

/// A change after which a text may no longer be a registry.
#[derive(Debug, Clone)]
enum Harm {
    /// A key of an object stands twice.
    Double(Index, Index, Index, bool),
    /// An object gets a key.
    Insert(Index, Index, String, String),
    /// A key of an object gets another value.
    Replace(Index, Index, String),
    /// A key of an object gets another name.
    Rename(Index, Index, String),
    /// A key of an object goes.
    Remove(Index, Index),
    /// Some characters of the text become others.
    Splice(Index, usize, String),
}

fn harm() -> impl Strategy<Value = Harm> {
    let keys = [
        ["slot_id", "infrastructure_path", "profile", "workers", "ports"],
        ["claimed_by", "claimed_at", "claim_id", "lease", "lease_until"],
        ["note", "claimed_host", "claimed_gitdir", "claimed_mount", "claim_files"],
        ["files", "pending", "status", "version", "slots"],
        ["imported_from", "path", "sha256", "claim", "./conf.txt"],
        ["conf.txt", "1", "01", "remove", "$serde_json::private::Number"],
        ["id", "udp", "started_at", "started_as", "web"],
        ["started_in", "started_profiles", "left", "peak_memory", "failures"],
        ["claimed_token", "claimed_place", "claimed_above", "claimed_repository", "claim_marked"],
    ];
    let hash = "0f".repeat(32);
    let values = [
        r#""remove" {"remove":null} {"files":{}} {"files":{"a":"HASH","./a":"HASH"}} {"a":"HASH","./a":"HASH"}"#,
        r#"{"path":"/old","sha256":"HASH","x":1.0} {"path":"/old"} {"a":"HASH"} {"web":2345} {"web":80}"#,
        r#"{"a":1,"a":2} {"a":{"b":1,"b":1}} {} [] [[]] null true "" "x" "/w" "HASH" 8000 2 3 1.0"#,
        r#"0 -0 1 -1 1e2 65535 65536 18446744073709551616 "8h" "2026-03-01T17:22:10+00:00" "stopped" "\u0031""#,
        r#""00000000000000000000000000000001" "unknown" "\ud800" {"$serde_json::private::Number":"1"}"#,
        r#"["web"] ["a","b"] ["b","a"] ["a","a"] "shop-slot-1" "data""#,
        r#"{"by":"/w","at":"","remains":"data"} {"by":"/w","at":"","remains":"x"} {"by":"/w","at":""}"#,
    ];
    let values = values.map(|line| line.replace("HASH", &hash));
    let values: Vec<_> = values.iter().flat_map(|line| line.split(' ').map(str::to_owned)).collect();
    let pieces = r#"" , : { } [ ] 0 1 9 - . e \ a null {} \u0000 // \t"#;
    let pieces: Vec<_> =
        pieces.split(' ').map(str::to_owned).chain([String::new(), " ".to_owned()]).collect();
    let (at, key, value) =
        (any::<Index>, || select(keys.concat()).prop_map(quoted), || select(values.clone()));
    prop_oneof![
        (at(), at(), at(), any::<bool>())
            .prop_map(|(object, key, place, escape)| Harm::Double(object, key, place, escape)),
        (at(), at(), key(), value())
            .prop_map(|(object, at, key, value)| Harm::Insert(object, at, key, value)),
        (at(), at(), value()).prop_map(|(object, at, value)| Harm::Replace(object, at, value)),
        (at(), at(), key()).prop_map(|(object, at, key)| Harm::Rename(object, at, key)),
        (at(), at()).prop_map(|(object, at)| Harm::Remove(object, at)),
        (at(), 0..3_usize, select(pieces)).prop_map(|(at, length, piece)| Harm::Splice(at, length, piece)),
    ]
}

impl Harm {
    /// Does it to a document, unless it is for texts.
    fn to_document(&self, document: &mut Json) {
        let (Self::Double(object, ..)
        | Self::Insert(object, ..)
        | Self::Replace(object, ..)
        | Self::Rename(object, ..)
        | Self::Remove(object, _)) = self
        else {
            return;
        };
        document.change_one(*object, |entries| match self {
            Self::Double(_, key, place, escape) => double(entries, *key, *place, *escape),
            Self::Insert(_, at, key, value) => {
                entries.insert(at.index(entries.len() + 1), (key.clone(), Json::Scalar(value.clone())));
            }
            Self::Replace(_, at, value) => at.get_mut(entries).1 = Json::Scalar(value.clone()),
            Self::Rename(_, at, key) => at.get_mut(entries).0.clone_from(key),
            Self::Remove(_, at) => drop(entries.remove(at.index(entries.len()))),
            Self::Splice(..) => {}
        });
    }

    /// Does it to a text, if it is for texts.
    fn to_text(&self, text: &mut String) {
        let Self::Splice(at, length, piece) = self else { return };
        let characters: Vec<char> = text.chars().collect();
        let (before, after) = characters.split_at(at.index(characters.len() + 1));
        let after = after.iter().skip(*length);
        *text = before.iter().copied().chain(piece.chars()).chain(after.copied()).collect();
    }
}

/// What the quick reader takes, the careful one takes, too, and both read the same.
fn both_readers_agree(cases: u32) {
    let texts = (document(), any::<[bool; 2]>(), vec(harm(), 0..4));
    check(cases, texts, |(document, [as_written, pretty], harms)| {
        let mut document = document.json(as_written);
        harms.iter().for_each(|harm| harm.to_document(&mut document));
        let mut text = if pretty { document.pretty(0) } else { document.compact() };
        harms.iter().for_each(|harm| harm.to_text(&mut text));
        let (quick, careful) = (Registry::parse_quickly(&text), Registry::parse_carefully(&text));
        prop_assert!(quick.is_some() || !harms.is_empty(), "read with care: {text}");
        prop_assert_eq!(&Registry::parse(&text), &careful);
        if let Some(quick) = quick {
            let careful = careful?;
            // The order of unknown keys shows only in the text.
            prop_assert_eq!(quick.to_text()?, careful.to_text()?);
            prop_assert_eq!(quick, careful);
        }
        Ok(())
    });
}
