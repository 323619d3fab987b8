//! A claim in a registry entry: the old tool's two keys, and kinfra's own.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Not;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use super::mark::{Mark, Place, Token};
use crate::digest::Digest;
use crate::file::RelPath;
use crate::identifier::Owner;
use crate::json::{Corrupt, corrupt, file_hashes, optional};
use crate::time::{Span, Time};

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;

/// A worktree's right to a slot. Only the verbs of a worktree write it, never `apply`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who holds the slot.
    pub claimed_by: Holder,
    /// Which of several claims of that directory it is. Such a claim has no env file in the directory.
    pub claim_owner: Option<Owner>,
    /// Whether `kinfra run` made it, and ends it with its data.
    pub is_of_run: bool,
    /// The run whose command made it, after it released the run's own claim. That run ends it, too.
    pub in_run: Option<ClaimId>,
    /// The time of the claim, in ISO 8601 with an offset.
    pub claimed_at: Option<String>,
    /// Tells this claim from every other, even from a later one of the same directory.
    pub claim_id: Option<ClaimId>,
    /// Its lease. Without one it does not expire.
    pub lease: Option<Lease>,
    /// The holder's note.
    pub note: Option<String>,
    /// The host name of the machine it was made on.
    pub claimed_host: Option<String>,
    /// The user who made it.
    pub claimed_user: Option<String>,
    /// The git directory of the worktree, if it is a linked one.
    pub claimed_gitdir: Option<String>,
    /// The mount point of the holder's disk.
    pub claimed_mount: Option<String>,
    /// What the holder is known by beside its path. Empty where an older kinfra made the claim.
    pub mark: Mark,
    /// The files that it added to the slot's directory, each with its hash. A release removes the unchanged
    /// ones.
    pub files: BTreeMap<RelPath, Digest>,
}

impl Claim {
    /// A claim with only the fields that an old tool writes.
    pub fn of(claimed_by: Holder, claimed_at: Option<String>) -> Self {
        Self {
            claimed_by,
            claim_owner: None,
            is_of_run: false,
            in_run: None,
            claimed_at,
            claim_id: None,
            lease: None,
            note: None,
            claimed_host: None,
            claimed_user: None,
            claimed_gitdir: None,
            claimed_mount: None,
            mark: Mark::default(),
            files: BTreeMap::new(),
        }
    }

    /// Whether a run, whose own claim is given, ends this one, too: it is that claim, or its command's, for
    /// the same holder.
    pub fn is_ended_by(&self, run: &Self) -> bool {
        let is_its = self.is_of_run && self.claim_id == run.claim_id;
        is_its || (self.in_run.is_some() && self.in_run == run.claim_id && self.has_holder_of(run))
    }

    /// Whether another claim has the same holder, whose worktree may have been moved in between.
    fn has_holder_of(&self, other: &Self) -> bool {
        let is_same_worktree = self.claimed_gitdir.is_some() && self.claimed_gitdir == other.claimed_gitdir;
        self.claim_owner == other.claim_owner && (self.claimed_by == other.claimed_by || is_same_worktree)
    }
}

/// The holder of a slot. The registry stores it as one string, as the old tool does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// The worktree, or other directory, at this path.
    Directory(Utf8PathBuf),
    /// Unknown: a repair found signs of use in the slot.
    Unknown,
}

impl Holder {
    /// The registry's word for [`Holder::Unknown`].
    const UNKNOWN: &str = "unknown";

    /// The holder's directory, if it is known.
    pub fn directory(&self) -> Option<&Utf8Path> {
        match self {
            Self::Directory(path) => Some(path),
            Self::Unknown => None,
        }
    }

    /// Whether a directory is the holder.
    pub fn is(&self, directory: &Utf8Path) -> bool {
        self.directory().is_some_and(|own| own.as_str() == directory.as_str())
    }
}

impl From<String> for Holder {
    fn from(text: String) -> Self {
        if text == Self::UNKNOWN { Self::Unknown } else { Self::Directory(text.into()) }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory(path) => path.as_str(),
            Self::Unknown => Self::UNKNOWN,
        })
    }
}

/// The id that fences a claim: a verb with the id of an earlier claim is refused. 128 bits, as 32 hexadecimal
/// digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimId(u128);

impl ClaimId {
    /// The id of these bits, which must be random.
    pub fn from_random(bits: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bits))
    }

    /// Reads 32 hexadecimal digits.
    ///
    /// # Errors
    /// A sentence that says what an id looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let id = u128::from_str_radix(text, 16).ok().map(Self);
        id.filter(|id| id.to_string() == text).ok_or_else(|| {
            let digits = text.chars().count();
            format!(
                "`{}` is no claim id: a claim id has 32 hex digits, yours has {digits}",
                text.escape_debug()
            )
        })
    }
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for Holder {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Holder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl Serialize for ClaimId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClaimId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The lease of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its length, from each renewal on.
    pub length: Span,
    /// When it expires.
    pub until: Time,
}

impl Lease {
    /// A lease that begins now.
    pub fn starting(now: Time, length: Span) -> Self {
        Self { length, until: now.after(length) }
    }
}

/// The keys of a claim that the old tool does not have. Written only if they have a value.
#[derive(Serialize)]
pub(super) struct OwnKeys<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    claim_owner: Option<&'a Owner>,
    #[serde(skip_serializing_if = "Not::not")]
    claim_of_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim_in_run: Option<ClaimId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim_id: Option<ClaimId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_gitdir: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_mount: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_token: Option<Token>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_above: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_repository: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim_marked: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    claim_files: &'a BTreeMap<RelPath, Digest>,
}

impl Claim {
    /// The keys in the registry: holder, time, and kinfra's own.
    pub(super) fn keys(&self) -> (&Holder, Option<&str>, OwnKeys<'_>) {
        let Self {
            claimed_by,
            claim_owner,
            is_of_run,
            in_run,
            claimed_at,
            claim_id,
            lease,
            note,
            claimed_host,
            claimed_user,
            claimed_gitdir,
            claimed_mount,
            mark: mark @ Mark { token, place, above, repository },
            files,
        } = self;
        let own = OwnKeys {
            claim_owner: claim_owner.as_ref(),
            claim_of_run: *is_of_run,
            claim_in_run: *in_run,
            claim_id: *claim_id,
            lease: lease.map(|lease| lease.length),
            lease_until: lease.map(|lease| lease.until),
            note: note.as_deref(),
            claimed_host: claimed_host.as_deref(),
            claimed_user: claimed_user.as_deref(),
            claimed_gitdir: claimed_gitdir.as_deref(),
            claimed_mount: claimed_mount.as_deref(),
            claimed_token: *token,
            claimed_place: *place,
            claimed_above: *above,
            claimed_repository: *repository,
            claim_marked: (*mark != Mark::default()).then(|| self.marked_as()),
            claim_files: files,
        };
        (claimed_by, claimed_at.as_deref(), own)
    }

    /// Takes the claim's keys out of an entry. Without `claimed_by` the slot is free. An old tool that frees
    /// a slot leaves kinfra's keys behind, and the next save drops them.
    pub(crate) fn take(entry: &mut Map<String, Value>, path: &str) -> Result<Option<Self>, Corrupt> {
        let claimed_by: Option<String> = optional(entry, path, "claimed_by")?;
        let claimed_at = optional(entry, path, "claimed_at")?;
        let may_be_ours =
            |key: &String| ["claim", "lease", "note"].iter().any(|start| key.starts_with(start));
        if claimed_by.is_none() && !entry.keys().any(may_be_ours) {
            return Ok(None);
        }
        let marked: Option<String> = optional(entry, path, "claim_marked")?;
        let claim = Self {
            claimed_by: claimed_by.clone().unwrap_or_default().into(),
            claim_owner: optional(entry, path, "claim_owner")?,
            is_of_run: optional(entry, path, "claim_of_run")?.unwrap_or_default(),
            in_run: optional(entry, path, "claim_in_run")?,
            claimed_at,
            claim_id: optional(entry, path, "claim_id")?,
            lease: match (optional(entry, path, "lease")?, optional(entry, path, "lease_until")?) {
                (Some(length), Some(until)) => Some(Lease { length, until }),
                (None, None) => None,
                (Some(_), None) => return Err(corrupt(path, "has a lease, but no lease_until")),
                (None, Some(_)) => return Err(corrupt(path, "has a lease_until, but no lease")),
            },
            note: optional(entry, path, "note")?,
            claimed_host: optional(entry, path, "claimed_host")?,
            claimed_user: optional(entry, path, "claimed_user")?,
            claimed_gitdir: optional(entry, path, "claimed_gitdir")?,
            claimed_mount: optional(entry, path, "claimed_mount")?,
            mark: Mark {
                token: optional(entry, path, "claimed_token")?,
                place: optional(entry, path, "claimed_place")?,
                above: optional(entry, path, "claimed_above")?,
                repository: optional(entry, path, "claimed_repository")?,
            },
            files: file_hashes(entry, path, "claim_files")?,
        };
        Ok(claimed_by.map(|_| claim.with_own_mark(marked.as_deref())))
    }

    /// Which claim a mark is of, in the registry.
    fn marked_as(&self) -> String {
        format!("{} {}", self.claimed_at.as_deref().unwrap_or("-"), self.claimed_by)
    }

    /// The same without the mark and the owner of another claim. An older kinfra does not know them, so it
    /// leaves those of an earlier claim behind.
    pub(super) fn with_own_mark(self, marked: Option<&str>) -> Self {
        let is_own = marked.is_none_or(|marked| marked == self.marked_as());
        if is_own {
            self
        } else {
            Self { mark: Mark::default(), claim_owner: None, is_of_run: false, in_run: None, ..self }
        }
    }
}
