//! The last known state of a registry on a server: a file in the root, for verbs that read while the server
//! does not answer. What a change does is not decided by it: only that a server which lost its state is not
//! used.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use camino::Utf8Path;
use serde_json::{Value, json};

use super::database::{Database, Loaded};
use crate::fault::Fault;
use crate::host::root::{LAST_SEEN, Root, last_seen};
use crate::json::object;
use crate::registry::{Claim, Registry};
use crate::server::ServerUrl;
use crate::slot::SlotId;
use crate::time::Time;

/// The key of the time, the last one in the file.
const SEEN_AT: &str = "seen_at";
/// The key of the number of the save that made the state.
const GENERATION: &str = "generation";

/// How old a state may be that is not noted again, though it is the same.
const FRESH: Duration = Duration::from_secs(20);

/// A registry as it was.
#[derive(Debug, Clone)]
pub(super) struct LastSeen {
    /// Its content.
    pub(super) registry: Arc<Registry>,
    /// When that was.
    pub(super) at: Time,
    generation: u64,
}

impl LastSeen {
    /// The last known state, if there is one that can be read.
    pub(super) fn below(root: &Utf8Path) -> Option<Self> {
        let mut seen = object(&last_seen(root)?).ok()?;
        let at = Time::parse(seen.shift_remove(SEEN_AT)?.as_str()?).ok()?;
        let registry = Registry::parse(&seen.shift_remove("registry")?.to_string()).ok()?;
        let generation = seen.get(GENERATION).and_then(Value::as_u64).unwrap_or_default();
        Some(Self { registry: Arc::new(registry), at, generation })
    }

    /// Refuses a server that knows nothing of claims which were `seen` before it was asked: its database was
    /// made anew, or an older one was put back. It would give their slots to others.
    ///
    /// # Errors
    /// [`Fault`] names the slots, and says what to do.
    pub(super) fn check(
        seen: Option<Self>,
        root: &Root,
        database: &Database,
        loaded: Option<&Loaded>,
    ) -> Result<()> {
        let Some(seen) = seen else { return Ok(()) };
        let is_newer =
            |loaded: &&Loaded| loaded.generation >= seen.generation && loaded.registry.id == seen.registry.id;
        if loaded.as_ref().is_some_and(is_newer) {
            return Ok(());
        }
        let is_known = |slot: &SlotId, claim: &Claim| {
            let entry = loaded.and_then(|loaded| loaded.registry.slots.get(slot));
            entry.and_then(|entry| entry.claim.as_ref()).is_some_and(|now| now.claim_id == claim.claim_id)
        };
        let claims =
            seen.registry.slots.iter().filter_map(|(slot, entry)| Some((slot, entry.claim.as_ref()?)));
        let mut lost: Vec<(&SlotId, &Claim)> =
            claims.filter(|(slot, claim)| !is_known(slot, claim)).collect();
        if lost.is_empty() {
            return Ok(());
        }
        if loaded.is_some() {
            // Those that another user took along into a file are not lost.
            let ended = database.ended()?;
            lost.retain(|(_, claim)| !claim.claim_id.is_some_and(|id| ended.contains(&id)));
        }
        if lost.is_empty() {
            return Ok(());
        }
        let slots: Vec<String> = lost.iter().map(|(slot, _)| slot.to_string()).collect();
        let (at, slots, url) = (seen.at.to_the_minute(), slots.join(", "), &database.login.url);
        let what = format!("`{url}` has lost claims of slots {slots}, which were seen there at {at}");
        let advice = format!(
            "have the database put back; if that state is gone for good, see who works in these slots, remove \
             `{}`, and run again",
            root.path().join(LAST_SEEN)
        );
        Err(Fault::refused(what).unchanged().advise(advice).into())
    }

    /// Notes it for later. A state that was noted a moment ago is not noted again. No verb fails for this.
    pub(super) fn note(root: &Root, url: &ServerUrl, loaded: &Loaded) {
        let Loaded { now, generation, .. } = *loaded;
        let Ok(text) = loaded.registry.to_text() else { return };
        let Ok(registry) = serde_json::from_str::<Value>(&text) else { return };
        let seen = json!({ "server": url.to_string(), GENERATION: generation, "registry": registry });
        let Value::Object(mut seen) = seen else { return };
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
