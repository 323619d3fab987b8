//! The last known state of a registry on a server: a file in the root, for verbs that read while the server
//! does not answer. What a change does is not decided by it: only that a server which lost its state is not
//! used.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::database::{Database, Loaded};
use crate::fault::Fault;
use crate::host::root::{LAST_SEEN, Root, last_seen};
use crate::registry::{Claim, Registry, RegistryId};
use crate::slot::SlotId;
use crate::time::Time;

/// How old a state may be that is not noted again, though it is the same.
const FRESH: Duration = Duration::from_secs(20);

/// A registry as it was.
#[derive(Debug, Clone)]
pub(super) struct LastSeen {
    /// What it is known by. It is the first line of the file: most verbs need no more.
    pub(super) state: State,
    /// The registry's text. It is the rest of the file.
    text: String,
}

/// What a state of a registry is known by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    /// When it was seen.
    #[serde(rename = "seen_at")]
    pub(super) at: Time,
    /// The save that made it.
    generation: u64,
    token: String,
    /// The id of its registry.
    pub(super) id: Option<RegistryId>,
}

impl LastSeen {
    /// The last known state, if there is one that can be read.
    pub(super) fn below(root: &Utf8Path) -> Option<Self> {
        let mut file = last_seen(root)?;
        let text = file.split_off(file.find('\n')?);
        Some(Self { state: serde_json::from_str(&file).ok()?, text })
    }

    /// Its content, if it can be read.
    pub(super) fn registry(&self) -> Option<Arc<Registry>> {
        Registry::parse(&self.text).ok().map(Arc::new)
    }

    /// Refuses a server that knows nothing of claims which were `seen` before it was asked: its database was
    /// made anew, or an older one was put back. It would give their slots to others.
    ///
    /// # Errors
    /// [`Fault`] names the slots, and says what to do.
    pub(super) fn check(
        seen: Option<&Self>,
        root: &Root,
        database: &Database,
        loaded: Option<&Loaded>,
    ) -> Result<()> {
        let Some(seen) = seen else { return Ok(()) };
        let is_newer = |loaded: &Loaded| {
            loaded.generation >= seen.state.generation && loaded.registry.id == seen.state.id
        };
        if loaded.is_some_and(is_newer) {
            return Ok(());
        }
        let Some(registry) = seen.registry() else { return Ok(()) };
        let is_known = |slot: &SlotId, claim: &Claim| {
            let entry = loaded.and_then(|loaded| loaded.registry.slots.get(slot));
            entry.and_then(|entry| entry.claim.as_ref()).is_some_and(|now| now.claim_id == claim.claim_id)
        };
        let claims = registry.slots.iter().filter_map(|(slot, entry)| Some((slot, entry.claim.as_ref()?)));
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
        let (at, slots, url) = (seen.state.at.to_the_minute(), slots.join(", "), &database.login.url);
        let what = format!("`{url}` has lost claims of slots {slots}, which were seen there at {at}");
        let advice = format!(
            "have the database put back; if that state is gone for good, see who works in these slots, remove \
             `{}`, and run again",
            root.path().join(LAST_SEEN)
        );
        Err(Fault::refused(what).unchanged().advise(advice).into())
    }

    /// Notes the state of a registry for later, unless it is the `last` one that was noted, a moment ago. No
    /// verb fails for this.
    pub(super) fn note(root: &Root, loaded: &Loaded, last: Option<&Self>) {
        let Loaded { registry, now: at, generation, token, .. } = loaded;
        let state = State { at: *at, generation: *generation, token: token.clone(), id: registry.id };
        let is_noted = |last: &State| {
            let is_fresh = at.since(last.at) < FRESH;
            is_fresh && (last.generation, &last.token) == (*generation, token)
        };
        if last.is_some_and(|last| is_noted(&last.state)) {
            return;
        }
        let line = serde_json::to_string(&state).ok();
        if let Some((line, text)) = line.zip(registry.to_text().ok()) {
            let _ = root.note_last_seen(&format!("{line}\n{text}"));
        }
    }
}
