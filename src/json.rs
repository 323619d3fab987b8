//! A strict reader for JSON that other programs write, too. It refuses a duplicate key, keeps every digit of
//! a number, and says where a mistake is.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::file::RelPath;

/// A mistake in a text, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrupt {
    /// A line and column, or a path of keys such as `slots.3.ports`.
    pub place: String,
    /// What is wrong there.
    pub reason: String,
    /// Whether a newer kinfra wrote the text. Then nothing is wrong with it.
    pub is_newer: bool,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl std::error::Error for Corrupt {}

/// Reads a JSON object.
///
/// # Errors
/// When the text is not JSON, is not an object, or has a duplicate key.
pub(crate) fn object(text: &str) -> Result<Map<String, Value>, Corrupt> {
    if text.trim().is_empty() {
        return Err(corrupt("line 1", "the file is empty"));
    }
    let Unique(document) = serde_json::from_str(text).map_err(|error| at_line(&error))?;
    let Value::Object(object) = document else {
        return Err(corrupt("line 1", "the file is not a JSON object"));
    };
    Ok(object)
}

/// Takes the value of a key out of an object. The key must be there.
pub(crate) fn required<T: DeserializeOwned>(
    object: &mut Map<String, Value>,
    path: &str,
    key: &str,
) -> Result<T, Corrupt> {
    optional(object, path, key)?.ok_or_else(|| corrupt(below(path, key), "is missing"))
}

/// Takes the value of a key out of an object. `None` if it is missing or null.
pub(crate) fn optional<T: DeserializeOwned>(
    object: &mut Map<String, Value>,
    path: &str,
    key: &str,
) -> Result<Option<T>, Corrupt> {
    match object.shift_remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            serde_json::from_value(value).map_err(|error| corrupt(below(path, key), error.to_string()))
        }
    }
}

/// Takes an object out of an object. `None` if it is missing or null. Keeps every number digit for digit,
/// which [`optional`] does not.
pub(crate) fn optional_object(
    object: &mut Map<String, Value>,
    path: &str,
    key: &str,
) -> Result<Option<Map<String, Value>>, Corrupt> {
    match object.shift_remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(corrupt(below(path, key), "is not an object")),
    }
}

/// Takes a map from files to their hashes out of an object. Empty if it is missing or null.
pub(crate) fn file_hashes(
    object: &mut Map<String, Value>,
    path: &str,
    key: &str,
) -> Result<BTreeMap<RelPath, Digest>, Corrupt> {
    let named = object.get(key).and_then(Value::as_object).map_or(0, Map::len);
    let files: BTreeMap<RelPath, Digest> = optional(object, path, key)?.unwrap_or_default();
    if files.len() < named {
        return Err(corrupt(below(path, key), "names one file twice"));
    }
    Ok(files)
}

/// The path of a key in the object at `path`.
fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

pub(crate) fn corrupt(place: impl Into<String>, reason: impl Into<String>) -> Corrupt {
    Corrupt { place: place.into(), reason: reason.into(), is_newer: false }
}

/// The mistake that `serde_json` found, with its line and column apart from the reason.
pub(crate) fn at_line(error: &serde_json::Error) -> Corrupt {
    let text = error.to_string();
    let reason = match text.rsplit_once(" at line ") {
        _ if error.is_eof() => "the text ends in the middle",
        Some((reason, _)) => reason,
        None => text.as_str(),
    };
    corrupt(format!("line {}, column {}", error.line(), error.column()), reason)
}

/// JSON without duplicate keys. `serde_json` itself keeps the last of two equal keys, so a claim could get
/// lost.
pub(crate) struct Unique(pub(crate) Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key()? {
            let Key::Name(key) = key else {
                let digits: String = entries.next_value()?;
                return digits.parse().map(Value::Number).map_err(de::Error::custom);
            };
            match object.entry(key) {
                Entry::Vacant(place) => {
                    let Unique(value) = entries.next_value()?;
                    place.insert(value);
                }
                Entry::Occupied(place) => {
                    let key = place.key().escape_debug();
                    return Err(de::Error::custom(format!("key `{key}` stands twice")));
                }
            }
        }
        Ok(Value::Object(object))
    }
}

/// The key of an object, or the mark that `serde_json` passes before the digits of a number that is not a
/// machine integer.
///
/// Asked for an option, `serde_json` passes a key as `Some` and the mark as a string. So no key in a file can
/// be mistaken for the mark.
enum Key {
    Name(String),
    Number,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_some<D: Deserializer<'de>>(self, name: D) -> Result<Key, D::Error> {
        String::deserialize(name).map(Key::Name)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Key, E> {
        Ok(Key::Number)
    }
}

/// The value of a key that may stand once. There is none if the key is missing or its value is null.
pub(crate) struct Once<T> {
    was_read: bool,
    value: Option<T>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { was_read: false, value: None }
    }
}

impl<T> Once<T> {
    /// Reads the value of the key that was just read.
    pub(crate) fn read<'de, A: MapAccess<'de>>(&mut self, from: &mut A) -> Result<(), A::Error>
    where
        T: Deserialize<'de>,
    {
        if self.was_read {
            return Err(de::Error::custom("a key stands twice"));
        }
        *self = Self { was_read: true, value: from.next_value()? };
        Ok(())
    }

    /// The value, if there is one.
    pub(crate) fn value(self) -> Option<T> {
        self.value
    }

    /// The value, which must be there.
    pub(crate) fn required<E: de::Error>(self) -> Result<T, E> {
        self.value.ok_or_else(|| E::custom("a key is missing"))
    }
}

/// A map whose keys are read into a type. No key stands twice, not even in two spellings.
pub(crate) struct Distinct<K, V>(pub(crate) BTreeMap<K, V>);

impl<K, V> Default for Distinct<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for Distinct<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DistinctVisitor(PhantomData)).map(Self)
    }
}

struct DistinctVisitor<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Visitor<'de> for DistinctVisitor<K, V> {
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<BTreeMap<K, V>, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry()? {
            if map.insert(key, value).is_some() {
                return Err(de::Error::custom("a key stands twice"));
            }
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_refused_with_its_place() {
        for (text, said) in [
            ("", "line 1: the file is empty"),
            (" \n", "line 1: the file is empty"),
            ("[]", "line 1: the file is not a JSON object"),
            ("null", "line 1: the file is not a JSON object"),
            ("-1", "line 1: the file is not a JSON object"),
            ("{\"a\": ", "line 1, column 6: the text ends in the middle"),
            ("{\n\"a\": x}", "line 2, column 6: expected value"),
            ("{\"a\": 1, \"a\": 1}", "line 1, column 12: key `a` stands twice"),
            ("{\"a\": {\"b\": 1, \"b\": 1}}", "line 1, column 18: key `b` stands twice"),
        ] {
            assert_eq!(object(text).unwrap_err().to_string(), said, "{text:?}");
        }
        let text =
            r#"{"a":null,"b":true,"c":false,"d":-7,"e":1.50,"f":123456789012345678901234567890,"g":["x"]}"#;
        assert_eq!(serde_json::to_string(&object(text).unwrap()).unwrap(), text, "digit for digit");
    }

    #[test]
    fn a_value_is_taken_out_or_its_place_is_named() {
        let of = |text: &str| object(text).unwrap();
        let mut one = of(r#"{"a": 1, "b": null, "c": {"x": 1}}"#);
        assert_eq!(optional::<u16>(&mut one, "", "a"), Ok(Some(1)));
        assert_eq!(optional::<u16>(&mut one, "", "b"), Ok(None));
        assert_eq!(optional::<u16>(&mut one, "", "d"), Ok(None));
        assert_eq!(optional_object(&mut one, "", "c").unwrap().unwrap().len(), 1);
        assert!(one.is_empty(), "{one:?}");
        for (path, place) in [("", "a"), ("slots.3", "slots.3.a")] {
            let missing = required::<u16>(&mut of("{}"), path, "a").unwrap_err();
            assert_eq!(missing.to_string(), format!("{place}: is missing"));
            let wrong = optional::<u16>(&mut of(r#"{"a": "x"}"#), path, "a").unwrap_err();
            assert!(wrong.to_string().starts_with(&format!("{place}: invalid type: string")), "{wrong}");
            let wrong = optional_object(&mut of(r#"{"a": 1}"#), path, "a").unwrap_err();
            assert_eq!(wrong.to_string(), format!("{place}: is not an object"));
        }
        assert_eq!(optional_object(&mut of(r#"{"a": null}"#), "", "a"), Ok(None));
    }

    #[test]
    fn a_file_has_one_hash() {
        let hash = Digest::of(b"x");
        let hashes = |text: &str| file_hashes(&mut object(text).unwrap(), "slots.1", "files");
        assert_eq!(hashes("{}").map(|it| it.len()), Ok(0));
        assert_eq!(
            hashes(&format!(r#"{{"files": {{"a": "{hash}", "b": "{hash}"}}}}"#)).map(|it| it.len()),
            Ok(2)
        );
        let twice = hashes(&format!(r#"{{"files": {{"a": "{hash}", "./a": "{hash}"}}}}"#)).unwrap_err();
        assert_eq!(twice.to_string(), "slots.1.files: names one file twice");
    }
}
