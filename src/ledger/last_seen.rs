//! The last known state of a registry on a server: a file in the root, for verbs that read while the server
//! does not answer. No change is decided by it.

use std::sync::Arc;
use std::time::Duration;

use camino::Utf8Path;
use serde_json::{Value, json};

use crate::host::root::{Root, last_seen};
use crate::json::object;
use crate::registry::Registry;
use crate::server::ServerUrl;
use crate::time::Time;

/// The key of the time, the last one in the file.
const SEEN_AT: &str = "seen_at";

/// How old a state may be that is not noted again, though it is the same.
const FRESH: Duration = Duration::from_secs(20);

/// A registry as it was.
#[derive(Debug, Clone)]
pub(super) struct LastSeen {
    /// Its content.
    pub(super) registry: Arc<Registry>,
    /// When that was.
    pub(super) at: Time,
}

impl LastSeen {
    /// The last known state, if there is one that can be read.
    pub(super) fn below(root: &Utf8Path) -> Option<Self> {
        let mut seen = object(&last_seen(root)?).ok()?;
        let at = Time::parse(seen.shift_remove(SEEN_AT)?.as_str()?).ok()?;
        let registry = Registry::parse(&seen.shift_remove("registry")?.to_string()).ok()?;
        Some(Self { registry: Arc::new(registry), at })
    }

    /// Notes it for later. A state that was noted a moment ago is not noted again. No verb fails for this.
    pub(super) fn note(root: &Root, url: &ServerUrl, registry: &Registry, now: Time) {
        let Ok(text) = registry.to_text() else { return };
        let Ok(registry) = serde_json::from_str::<Value>(&text) else { return };
        let Value::Object(mut seen) = json!({ "server": url.to_string(), "registry": registry }) else {
            return;
        };
        let old = last_seen(root.path()).and_then(|text| object(&text).ok());
        if let Some(mut old) = old
            && let Some(at) = old.shift_remove(SEEN_AT)
            && at.as_str().and_then(|at| Time::parse(at).ok()).is_some_and(|at| now.since(at) < FRESH)
            && old == seen
        {
            return;
        }
        seen.insert(SEEN_AT.to_owned(), json!(now.to_string()));
        let _ = root.note_last_seen(&Value::Object(seen).to_string());
    }
}
