//! The registry's text: no foreign key is lost, and no ambiguous text is read.

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
    let texts = (any::<String>(), name(), any::<String>());
    let claim_id = string_regex("[0-9a-f]{32}").expect("a pattern");
    let span = string_regex("(0|[1-9][0-9]{0,8})[smhd]").expect("a pattern");
    let time = string_regex("20[0-9]{2}-1[0-2]-2[0-8]T[01][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{6}\\+00:00");
    let ours = (
        prop::option::of(claim_id),
        prop::option::of((span, time.expect("a pattern"))),
        prop::collection::vec(prop::option::of(any::<String>()), 5),
    );
    let claim = prop::option::of((any::<String>(), prop::option::of(any::<String>()), ours));
    (maps, texts, claim).prop_map(move |((workers, ports, files), (dir, profile, status), claim)| {
        let number = |number: u16| Json::Scalar(number.to_string());
        // Every slot has ten ports of its own.
        let ports = ports.into_keys().zip(2000 + 10 * id..);
        let (by, at, ours) = claim.map_or((None, None, None), |(by, at, ours)| (Some(by), at, Some(ours)));
        let optional =
            |text: Option<String>| text.map_or(Json::Scalar("null".to_owned()), |text| Json::text(&text));
        let mut entry = vec![
            ("slot_id", number(id)),
            ("infrastructure_path", Json::text(&dir)),
            ("profile", Json::text(&profile)),
            ("workers", Json::object(workers, number)),
            ("ports", Json::object(ports, number)),
            ("claimed_by", optional(by)),
            ("claimed_at", optional(at)),
            ("status", Json::text(&status)),
        ];
        if let Some((claim_id, lease, texts)) = ours {
            let (span, until) = lease.unzip();
            let names = ["note", "claimed_host", "claimed_user", "claimed_gitdir", "claimed_mount"];
            let first = [("claim_id", claim_id), ("lease", span), ("lease_until", until)];
            let all = first.into_iter().chain(names.into_iter().zip(texts));
            entry.extend(all.filter_map(|(key, text)| Some((key, Json::text(&text?)))));
        }
        if !files.is_empty() {
            entry.push(("files", Json::object(files, |hash| Json::text(&hash))));
        }
        entry.into_iter().map(|(key, value)| (quoted(key), value)).collect()
    })
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
        let known =
            vec![(quoted("version"), Json::Scalar("2".to_owned())), (quoted("slots"), Json::Object(slots))];
        joined(&known, &self.unknown)
    }
}

fn everything_survives_a_save(cases: u32) {
    check(cases, document(), |document| {
        let registry = Registry::parse(&document.json(false).compact())?;
        let text = registry.to_text()?;
        prop_assert_eq!(&text, &(document.json(true).pretty(0) + "\n"));
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
        let mut objects = 0;
        document.each_object(&mut |_| objects += 1);
        let (chosen, mut next) = (object.index(objects), 0);
        document.each_object(&mut |entries| {
            if next == chosen {
                let (key, value) = entries[key.index(entries.len())].clone();
                let key = if escape { escaped(&key) } else { key };
                entries.insert(place.index(entries.len() + 1), (key, value));
            }
            next += 1;
        });
        let refusal = Registry::parse(&document.compact()).err().map(|corrupt| corrupt.reason);
        prop_assert!(refusal.as_ref().is_some_and(|reason| reason.contains("stands twice")), "{refusal:?}");
        Ok(())
    });
}
