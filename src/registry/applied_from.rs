//! Which pool a root was applied as, and what declared it. Pure.

use std::fmt;

use camino::Utf8Path;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::json::{Corrupt, optional, required};

/// The pool that a root was last applied as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppliedFrom {
    /// Its name.
    pub pool: String,
    /// The git directory of the repository that declares it. All worktrees share it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Its `slots.toml`: from the top of its worktree, or absolute outside of git. The embedded one has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<String>,
    /// Keys of others.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl AppliedFrom {
    /// A pool that kinfra carries, or whose origin is not known.
    pub fn embedded(pool: &str) -> Self {
        Self { pool: pool.to_owned(), repository: None, spec: None, unknown: Map::new() }
    }

    /// Reads it.
    ///
    /// # Errors
    /// The first difference from what kinfra writes.
    pub(super) fn take(mut object: Map<String, Value>) -> Result<Self, Corrupt> {
        let place = "applied_from";
        let pool = required(&mut object, place, "pool")?;
        let repository = optional(&mut object, place, "repository")?;
        let spec = optional(&mut object, place, "spec")?;
        Ok(Self { pool, repository, spec, unknown: object })
    }

    /// A key of others that has the name of one that kinfra writes.
    pub(super) fn key_that_stands_twice(&self) -> Option<&String> {
        self.unknown.keys().find(|key| ["pool", "repository", "spec"].contains(&key.as_str()))
    }

    /// Whether another one is the same pool. Its name says so: the repository may have moved, or be a new
    /// clone. What declared it says so, too: the pool may have a new name.
    pub fn is_pool_of(&self, other: &Self) -> bool {
        let Self { pool, repository, spec, unknown: _ } = self;
        *pool == other.pool || (repository, spec) == (&other.repository, &other.spec)
    }

    /// Refuses another pool for the root that was applied as this one.
    ///
    /// # Errors
    /// [`Fault`] names both, and says how to take the pool over.
    pub fn check_pool(&self, wanted: &Self, root: &Utf8Path) -> Result<(), Fault> {
        if self.is_pool_of(wanted) {
            return Ok(());
        }
        let (name, other) = (wanted.pool.escape_debug(), self.pool.escape_debug());
        let what =
            format!("`{root}` is the root of the pool `{other}`, applied from {self}, and not of `{name}`");
        Err(Fault::refused(what).advise(format!(
            "give `{name}` another `root`. To take the pool over, call it `{other}` in slots.toml, apply, and rename \
             it then"
        )))
    }

    /// The same with the keys of others that were there.
    #[must_use]
    pub fn with_keys_of(self, before: Option<&Self>) -> Self {
        Self { unknown: before.map_or_else(Map::new, |before| before.unknown.clone()), ..self }
    }
}

impl fmt::Display for AppliedFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(spec) = &self.spec else { return f.write_str("the embedded slots.toml") };
        let git = self.repository.as_deref().map(Utf8Path::new);
        let top = git.map(|git| git.parent().filter(|_| git.file_name() == Some(".git")).unwrap_or(git));
        let path = top.map_or_else(|| spec.into(), |top| top.join(spec));
        write!(f, "`{}`", path.as_str().escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pool: &str, repository: Option<&str>, spec: Option<&str>) -> AppliedFrom {
        let [repository, spec] = [repository, spec].map(|text| text.map(str::to_owned));
        AppliedFrom { repository, spec, ..AppliedFrom::embedded(pool) }
    }

    #[test]
    fn a_pool_is_known_by_its_name_or_by_what_declares_it() {
        let was = from("shop", Some("/src/shop/.git"), Some("slots.toml"));
        for (now, is_same) in [
            (from("shop", Some("/elsewhere/.git"), Some("slots.toml")), true),
            (from("shop", None, None), true),
            (from("store", Some("/src/shop/.git"), Some("slots.toml")), true),
            (from("store", Some("/src/shop/.git"), Some("api/slots.toml")), false),
            (from("store", Some("/elsewhere/.git"), Some("slots.toml")), false),
            (from("store", None, None), false),
        ] {
            assert_eq!(was.is_pool_of(&now), is_same, "{now:?}");
        }
    }

    #[test]
    fn it_is_named_by_the_path_of_its_spec() {
        let shown = |repository, spec| from("shop", repository, spec).to_string();
        assert_eq!(shown(Some("/src/shop/.git"), Some("api/slots.toml")), "`/src/shop/api/slots.toml`");
        assert_eq!(shown(Some("/srv/shop.git"), Some("slots.toml")), "`/srv/shop.git/slots.toml`");
        assert_eq!(shown(None, Some("/src/shop/slots.toml")), "`/src/shop/slots.toml`");
        assert_eq!(shown(None, None), "the embedded slots.toml");
    }

    #[test]
    fn a_key_of_kinfra_stands_once() {
        let with = |key: &str| {
            let unknown = Map::from_iter([(key.to_owned(), Value::Null)]);
            AppliedFrom { unknown, ..AppliedFrom::embedded("shop") }
        };
        for key in ["pool", "repository", "spec"] {
            assert_eq!(with(key).key_that_stands_twice().map(String::as_str), Some(key));
        }
        assert_eq!(with("other").key_that_stands_twice(), None);
    }
}
