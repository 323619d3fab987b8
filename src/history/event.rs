//! What can happen to slots.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::identifier::Owner;
use crate::registry::{Claim, ClaimId, Holder};
use crate::slot::SlotId;
use crate::time::{Span, Time};

/// Something that happened to slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The slots.
    #[serde(with = "list")]
    pub slots: BTreeSet<SlotId>,
    /// What it was.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. A renewal that only moves the end of a lease is no event: every verb of a slot is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// `apply` created or adopted them.
    Added,
    /// `apply` changed them.
    Changed,
    /// `apply` or `destroy` removed them.
    Removed,
    /// A worktree claimed it.
    Claimed {
        /// Whose claim it is.
        #[serde(flatten)]
        party: Party,
        /// The length of its lease.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<Span>,
        /// When its lease expires.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
        /// The holder's note.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The holder's directory made the claim of a `kinfra run` its own.
    TakenOver {
        /// Whose claim it is.
        #[serde(flatten)]
        party: Party,
    },
    /// Its claim has a lease of another length.
    Leased {
        /// Whose claim it is.
        #[serde(flatten)]
        party: Party,
        /// The length. `None` if it has no lease now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<Span>,
        /// When its lease expires.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// Its claim has another note.
    Noted {
        /// Whose claim it is.
        #[serde(flatten)]
        party: Party,
        /// The note.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Its holder is at another path, where git moved the worktree.
    Moved {
        /// Whose claim it is.
        #[serde(flatten)]
        party: Party,
        /// The holder's path before.
        from: Holder,
    },
    /// Its claim ended.
    Released {
        /// Whose claim it was.
        #[serde(flatten)]
        party: Party,
        /// How it ended.
        how: Ended,
    },
    /// A start of its stack began. Whether it runs is not said.
    StartBegun,
    /// Its stack was stopped.
    Stopped {
        /// Whether its data was removed, too.
        #[serde(default)]
        with_data: bool,
    },
    /// Its stack, or one service of it, was removed to be started anew.
    Reset {
        /// The service; `None` is all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
        /// Whether data was removed, too.
        #[serde(default)]
        with_data: bool,
    },
    /// What an earlier holder left was removed, but for the data that is kept for a worktree.
    DataKept {
        /// The worktree.
        holder: Holder,
    },
    /// Everything that earlier holders left was removed.
    Cleaned,
    /// Cleaning it failed.
    NotCleaned {
        /// Why, if that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Whether it waits for a person now.
        #[serde(default)]
        quarantined: bool,
    },
    /// `doctor --repair` replaced the registry.
    Repaired {
        /// Whether the backup took its place.
        #[serde(default)]
        from_backup: bool,
    },
}

impl What {
    /// The holder that it names.
    pub fn holder(&self) -> Option<&Holder> {
        match self {
            Self::Claimed { party, .. }
            | Self::TakenOver { party }
            | Self::Leased { party, .. }
            | Self::Noted { party, .. }
            | Self::Moved { party, .. }
            | Self::Released { party, .. } => Some(&party.holder),
            Self::DataKept { holder } => Some(holder),
            Self::Added
            | Self::Changed
            | Self::Removed
            | Self::StartBegun
            | Self::Stopped { .. }
            | Self::Reset { .. }
            | Self::Cleaned
            | Self::NotCleaned { .. }
            | Self::Repaired { .. } => None,
        }
    }
}

/// Whose claim it is or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The holder.
    pub holder: Holder,
    /// Which of several claims of that directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The id of the claim. An old tool's claim has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<ClaimId>,
}

impl Party {
    /// The party of a claim.
    pub fn of(claim: &Claim) -> Self {
        let Claim { claimed_by, claim_owner, claim_id, .. } = claim;
        Self { holder: claimed_by.clone(), owner: claim_owner.clone(), claim_id: *claim_id }
    }
}

/// How a claim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Its holder released it, or a caller that had its id.
    ByHolder,
    /// Another one released it, by force.
    ByForce,
    /// It was reaped, because its lease had run out.
    LeaseRanOut,
    /// It was reaped, because its worktree was gone.
    WorktreeGone,
    /// An `apply` or a repair ended it.
    Otherwise,
}

/// The slots of an event, as a list such as `1-4,7`.
mod list {
    use std::collections::BTreeSet;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::slot::SlotId;

    pub(super) fn serialize<S: Serializer>(
        slots: &BTreeSet<SlotId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&SlotId::list(slots))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<SlotId>, D::Error> {
        let list = String::deserialize(deserializer)?;
        if list.is_empty() {
            Ok(BTreeSet::new())
        } else {
            SlotId::parse_list(&list).map_err(de::Error::custom)
        }
    }
}
