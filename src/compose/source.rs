//! What the text of a Compose file names: other files, variables and the project. Pure.
//!
//! It tells whether a resolved model is still right, so it names too much rather than too little.

use std::collections::BTreeSet;

use granit_parser::{Event, Parser};

use crate::dotenv::is_name;

/// What a Compose file names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// The files and directories that it takes in, as written: `include`, `extends`, `env_file`.
    pub files: BTreeSet<String>,
    /// The names of the variables in it.
    pub variables: BTreeSet<String>,
    /// The project's name as written, if the file has one.
    pub project: Option<String>,
    /// Whether it names a file in a way that its text alone does not tell: by a variable or an alias, or on
    /// another machine.
    pub is_open: bool,
}

/// Where the parser is: the key of a mapping, or a list.
enum Place {
    Mapping(Option<String>),
    List,
}

impl Source {
    /// Reads a Compose file.
    ///
    /// # Errors
    /// Why it is no YAML.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut source = Self { variables: variables(text), ..Self::default() };
        let mut places: Vec<Place> = Vec::new();
        for event in Parser::new_from_str(text) {
            let (event, _) = event.map_err(|error| error.to_string())?;
            if let Event::MappingStart(..) = event {
                places.push(Place::Mapping(None));
            } else if let Event::SequenceStart(..) = event {
                places.push(Place::List);
            } else if matches!(event, Event::MappingEnd | Event::SequenceEnd) {
                places.pop();
                end_of_value(&mut places);
            } else if let Event::Alias(_) = event {
                source.is_open |= names_a_file(&places);
                end_of_value(&mut places);
            } else if let Event::Scalar(value, ..) = event {
                if let Some(Place::Mapping(key @ None)) = places.last_mut() {
                    *key = Some(value.into_owned());
                } else {
                    source.value(&places, &value);
                    end_of_value(&mut places);
                }
            }
        }
        Ok(source)
    }

    fn value(&mut self, places: &[Place], value: &str) {
        if let [Place::Mapping(Some(key))] = places
            && key == "name"
        {
            self.project = Some(value.to_owned());
        }
        if let Some(name) = taken_over(places, value) {
            self.variables.insert(name.to_owned());
        }
        if names_a_file(places) {
            self.is_open |= value.contains('$') || may_be_remote(value);
            self.files.insert(value.to_owned());
        }
    }
}

/// The variable that a container takes over from the caller: one of an `environment` without a value.
fn taken_over<'a>(places: &'a [Place], value: &'a str) -> Option<&'a str> {
    match places {
        [.., Place::Mapping(Some(key)), Place::List] if key == "environment" => {
            (!value.contains('=')).then_some(value)
        }
        [.., Place::Mapping(Some(key)), Place::Mapping(Some(name))] if key == "environment" => {
            matches!(value, "" | "~" | "null").then_some(name)
        }
        _ => None,
    }
}

/// A value has ended: the mapping around it expects the next key.
fn end_of_value(places: &mut [Place]) {
    if let Some(Place::Mapping(key)) = places.last_mut() {
        *key = None;
    }
}

/// Whether a value at this place names a file or a directory.
fn names_a_file(places: &[Place]) -> bool {
    let mut keys = places.iter().filter_map(|place| match place {
        Place::Mapping(key) => key.as_deref(),
        Place::List => None,
    });
    let first = keys.clone().next();
    first == Some("include") || keys.any(|key| matches!(key, "env_file" | "label_file" | "extends"))
}

/// Whether Compose may fetch it: `oci://host/it`, `https://host/it.git`, `git@host:it`, `github.com/a/it`.
fn may_be_remote(value: &str) -> bool {
    value.contains(':') || value.starts_with("github.com/")
}

/// The names after each `$`. `$$` is none.
pub fn variables(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('$') {
        if let Some(escaped) = after.strip_prefix('$') {
            rest = escaped;
            continue;
        }
        rest = after.strip_prefix('{').unwrap_or(after);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, next) = rest.split_at(end);
        if is_name(name) {
            names.insert(name.to_owned());
        }
        rest = next;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_file_takes_in_is_named() {
        let text = "name: shop # the project\ninclude:\n  - a.yaml\n  - {path: [b.yaml, c.yaml], env_file: b.env}\n\
                    services:\n  web:\n    name: x\n    env_file: [.env, {path: opt.env, required: false}]\n    \
                    extends: {file: base.yaml, service: web}\n    image: web:${TAG:-${DEFAULT}}\n    command: echo $$HOME $USER\n";
        let source = Source::read(text).unwrap();
        let files: Vec<&str> = source.files.iter().map(String::as_str).collect();
        assert_eq!(
            files,
            [".env", "a.yaml", "b.env", "b.yaml", "base.yaml", "c.yaml", "false", "opt.env", "web"]
        );
        let variables: Vec<&str> = source.variables.iter().map(String::as_str).collect();
        assert_eq!(variables, ["DEFAULT", "TAG", "USER"]);
        assert_eq!(source.project.as_deref(), Some("shop"));
        assert!(!source.is_open);
    }

    #[test]
    fn a_name_that_the_text_does_not_tell_is_open() {
        for text in [
            "x-env: &env [a.env]\nservices: {web: {env_file: *env}}",
            "include: ['${DIR}/a.yaml']",
            "services: {web: {extends: {file: '${BASE}', service: x}}}",
            "include: [oci://elsewhere/shop]",
            "include: [{path: git@elsewhere:shop.git}]",
            "services: {web: {extends: {file: github.com/me/shop, service: x}}}",
        ] {
            assert!(Source::read(text).unwrap().is_open, "{text}");
        }
        assert!(!Source::read("x: &a [b]\ny: *a").unwrap().is_open);
    }

    #[test]
    fn a_variable_without_a_value_is_the_callers() {
        for text in ["environment: [A, B=1]", "environment: {A: , B: 1}", "environment:\n  A:\n  B: x"] {
            let source = Source::read(&format!("services:\n  web: {{}}\n{text}\n")).unwrap();
            assert_eq!(source.variables, BTreeSet::from(["A".to_owned()]), "{text}");
        }
    }

    #[test]
    fn what_is_no_yaml_is_an_error() {
        assert!(Source::read("a: [").is_err());
    }

    #[test]
    fn only_what_is_under_environment_is_taken_over() {
        for text in ["labels: [A]", "labels: {A: }", "x: {environment: {y: [A]}}"] {
            let source = Source::read(text).unwrap();
            assert_eq!(source.variables, BTreeSet::new(), "{text}");
        }
        let source = Source::read("environment: {A: ~, B: null, C: \"\", D: x}").unwrap();
        assert_eq!(source.variables, ["A", "B", "C"].map(str::to_owned).into());
        assert!(variables("$A ${B:-$C} $$D $1 ${} $").iter().eq(["A", "B", "C"]));
    }
}
