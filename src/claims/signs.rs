//! Signs of use: what a claim leaves in the slot's directory for as long as it stands. A registry that was
//! put back from a backup may not know the claim. The slot is then used, whatever that registry says.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::files::HolderDir;
use super::held_by::Directory;
use crate::fault::Fault;
use crate::host::root::{LockedRoot, Root};
use crate::identifier::Owner;
use crate::names::CLAIM_FILE;
use crate::registry::{Claim, ClaimId, Entry, Holder, Mark, Registry, Token};
use crate::shown::printable;
use crate::slot::SlotId;

/// The slot of a pool that a directory has the env file of, and that shows a claim of it. A copy of the
/// directory has the file, too.
pub fn slot_shown_to(directory: &Directory, root: &Utf8Path) -> Option<SlotId> {
    let slot = HolderDir::open(&directory.path).env_slot(root)?;
    let sign = Sign::in_slot(&Root::open(root).ok()??, slot).ok()??;
    sign.is_by(directory).then_some(slot)
}

/// The claim that a slot's directory shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    id: Option<ClaimId>,
    by: Holder,
    owner: Option<Owner>,
    token: Option<Token>,
    /// The file that it is.
    file: Utf8PathBuf,
}

impl Sign {
    /// The sign in a slot's directory, if there is one.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn in_slot(root: &Root, slot: SlotId) -> Result<Option<Self>> {
        let Some(text) = root.claim_note(slot)? else { return Ok(None) };
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let (id, owner) = first.split_once(' ').map_or((first, None), |(id, owner)| (id, Some(owner)));
        let (id, owner) = (ClaimId::parse(id).ok(), owner.and_then(|owner| Owner::new(owner).ok()));
        let token = lines.next().and_then(Token::parse);
        let by = text.splitn(3, '\n').nth(2).and_then(|by| by.strip_suffix('\n')).filter(|by| !by.is_empty());
        let by = by.map_or(Holder::Unknown, |by| Holder::Directory(Utf8PathBuf::from(by)));
        let file = root.path().join(slot.directory()).join(CLAIM_FILE);
        Ok(Some(Self { id, by, owner, token, file }))
    }

    /// The sign in a slot's directory of a claim that its entry does not have.
    ///
    /// # Errors
    /// As [`Sign::in_slot`].
    pub fn unknown_to(root: &Root, slot: SlotId, entry: &Entry) -> Result<Option<Self>> {
        let known = match &entry.claim {
            // An older kinfra or another program made the claim, and no sign of it.
            Some(Claim { claim_id: None, .. }) => return Ok(None),
            Some(claim) => claim.claim_id,
            None => None,
        };
        Ok(Self::in_slot(root, slot)?
            .filter(|sign| known.is_none() || (sign.id.is_some() && sign.id != known)))
    }

    /// Whether a claim was made in this root: its slot shows it.
    ///
    /// # Errors
    /// As [`Sign::in_slot`].
    pub fn shows(root: &Root, slot: SlotId, claim: &Claim) -> Result<bool> {
        Ok(Self::in_slot(root, slot)?.is_some_and(|sign| sign.id.is_some() && sign.id == claim.claim_id))
    }

    /// The id of the claim.
    pub fn id(&self) -> Option<ClaimId> {
        self.id
    }

    /// Leaves the sign of a slot's claim, after the registry with it is saved.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn leave(locked: &LockedRoot, slot: SlotId, saved: &Registry) -> Result<()> {
        let claim = saved.slots.get(&slot).and_then(|entry| entry.claim.as_ref());
        let Some((id, claim)) = claim.and_then(|claim| Some((claim.claim_id?, claim))) else { return Ok(()) };
        let token = claim.mark.token.map_or_else(|| "-".to_owned(), |token| token.to_string());
        let owner = claim.claim_owner.as_ref().map_or_else(String::new, |owner| format!(" {owner}"));
        locked.write_claim_note(slot, &format!("{id}{owner}\n{token}\n{}\n", claim.claimed_by))
    }

    /// Removes the sign of a claim that ends, before the registry is saved. That of another claim stays.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(locked: &LockedRoot, slot: SlotId, claim: &Claim) -> Result<()> {
        let sign = Self::in_slot(locked.root(), slot)?;
        let is_of_another = sign.is_some_and(|sign| sign.id.is_some() && sign.id != claim.claim_id);
        if is_of_another { Ok(()) } else { locked.remove_claim_note(slot) }
    }

    /// Whether a directory left it.
    pub fn is_by(&self, directory: &Directory) -> bool {
        let token = directory.mark.and_then(|mark| mark.token);
        let is_at_it = self.by.is(&directory.path) && self.owner == directory.owner;
        is_at_it && (self.token.is_none() || self.token == token)
    }

    /// What the slot shows, as a sentence ends.
    pub fn shown(&self) -> String {
        match self.by.directory() {
            Some(directory) => {
                format!("a claim of `{}`, of which the registry does not know", printable(directory.as_str()))
            }
            None => format!("a claim, and `{}` does not say whose it is", self.file),
        }
    }

    /// What to do about it.
    pub fn advice(&self, slot: SlotId) -> String {
        let end = format!("`kinfra release {slot} --force` once the slot is no longer used");
        if self.by.directory().is_some() { format!("`kinfra claim` there takes it back, {end}") } else { end }
    }

    /// The claim, as far as it is known.
    pub fn claim(self) -> Claim {
        let mark = Mark { token: self.token, ..Mark::default() };
        Claim { claim_id: self.id, claim_owner: self.owner, mark, ..Claim::of(self.by, None) }
    }

    /// The error for a slot that is free by the registry, and not cleaned.
    pub fn keeps_from_cleaning(&self, slot: SlotId) -> Fault {
        Fault::refused(format!("slot {slot} was not cleaned: it shows {}", self.shown()))
            .advise(format!("`kinfra release {slot} --force` once it is no longer used"))
    }

    /// The error for a holder whose slot shows another's claim.
    pub fn fault(&self, slot: SlotId) -> Fault {
        Fault::refused(format!("slot {slot} shows {}", self.shown())).advise(format!(
            "release and claim again for another slot; `kinfra release {slot} --force` once it is no longer used"
        ))
    }
}
