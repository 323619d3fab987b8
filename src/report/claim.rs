//! What claim, release and renew say.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use super::clean::{self, removed};
use super::commas::Commas;
use super::slots::ago;
use crate::claims::bring::Brought;
use crate::claims::claim::Claimed;
use crate::claims::fitness::Unfit;
use crate::claims::pick::Grant;
use crate::claims::refusal::{Obstacles, held, until, why};
use crate::claims::release::Released;
use crate::file::RelPath;
use crate::identifier::Owner;
use crate::names::ENV_FILE;
use crate::registry::{Claim, Entry};
use crate::shown::{Paths, printable};
use crate::slot::SlotId;
use crate::stack::written::OfAnotherUser;
use crate::time::Time;
use crate::which::by_worktree::FoundPool;

/// That other pools say that they have a worktree's claim, too. Empty if none does.
pub fn rivals(pool: &FoundPool) -> String {
    let rivals: Vec<String> = pool.rivals().iter().map(|root| format!("`{root}`")).collect();
    if rivals.is_empty() {
        return String::new();
    }
    let (root, rivals) = (&pool.root, rivals.join(", "));
    format!(
        "note: the pool in `{root}` has the older claim of this worktree; so has {rivals}: release it there\n"
    )
}

/// The most slots that a waiter is told of.
const NAMED: usize = 5;

/// The slot that a worktree got, and where it is.
pub fn text(grant: Grant, entry: &Entry, paths: Paths<'_>) -> String {
    let (slot, profile) = (grant.slot(), &entry.provisioned.profile);
    let heading = match grant {
        Grant::New(_) => format!("Claimed slot {slot} ({profile})"),
        Grant::Held(_) => format!("Slot {slot} ({profile}) is yours already"),
    };
    let ports =
        entry.provisioned.ports.iter().map(|(name, port)| format!("{}={port}", name.as_str().to_uppercase()));
    let dir = paths.show(entry.provisioned.infrastructure_path.as_str().into());
    let claim = entry.claim.as_ref();
    let lease = claim
        .and_then(|claim| claim.lease)
        .map_or_else(String::new, |lease| format!("      lease    {}\n", until(lease)));
    format!("{heading}\n      files    {dir}\n      ports    {}\n{lease}", Commas(ports))
}

/// What comes after a claim.
pub fn next() -> &'static str {
    "Next: `kinfra up` starts its stack, `kinfra env` prints its variables\n"
}

/// The pools that did not answer, by their roots.
pub fn passed_over(silent: &[Utf8PathBuf]) -> String {
    let note =
        |root: &Utf8PathBuf| format!("note: the pool in `{root}` does not answer, and is passed over\n");
    silent.iter().map(note).collect()
}

/// Which pool a claim is for, if that may be a surprise: no `slots.toml` is here, the pool was applied from
/// another one, or a pool did not answer.
pub fn which(pool: &FoundPool, other: Option<&Utf8Path>, paths: Paths<'_>) -> String {
    let of_repository = pool.of_repository().map(|used| format!("Using {used}\n"));
    let other = other.map(|applied| {
        format!(
            "note: slots.toml here is not the one that the pool was applied from, {}\nhelp: `kinfra plan` \
             shows how the pool differs from the one here\n",
            paths.show(applied)
        )
    });
    of_repository.into_iter().chain(other).chain([passed_over(pool.silent())]).collect()
}

/// Remarks on a claim: slots that were passed over, and files that were kept or left.
pub fn remarks(claimed: &Claimed, now: Time, paths: Paths<'_>) -> String {
    let Claimed { grant, entry: _, passed_over, backups, left: changed, shown_by_git, .. } = claimed;
    let Claimed { brought, cleaned, has_data, .. } = claimed;
    let told =
        passed_over.iter().filter(|(_, unfit)| matches!(unfit, Unfit::Busy { .. } | Unfit::InUse { .. }));
    let passed_over =
        told.map(|(slot, unfit)| format!("Passed over slot {slot}: {}\n", why(*slot, Some(unfit.clone())).0));
    let backups = backups.iter().map(|path| format!("Kept what was there as {}\n", printable(path.as_str())));
    let shown = shown_by_git.iter().map(|error| format!("warning: git will show `{ENV_FILE}`: {error:#}\n"));
    let cleaned = cleaned.iter().map(|one| clean::cleaned(one, now));
    let data =
        has_data.then(|| format!("Slot {} has the volumes of this worktree's last claim\n", grant.slot()));
    let about_slots = passed_over.chain(cleaned).chain(data);
    about_slots.chain(backups).chain([left(changed)]).chain(shown).chain([files(brought, paths)]).collect()
}

/// The files that git does not bring: what was copied, and what is missing.
fn files(brought: &Brought, paths: Paths<'_>) -> String {
    let Brought { from, copied, not_copied, lacking, to_list } = brought;
    let from = paths.show(from);
    let name = |path: &RelPath| printable(path.as_str());
    let done =
        (!copied.is_empty()).then(|| format!("Copied {} from {from}\n", Commas(copied.iter().map(name))));
    let failed = not_copied
        .iter()
        .map(|(path, why)| format!("note: {} was not copied: {}\n", name(path), printable(why)));
    let lacks = (!lacking.is_empty()).then(|| {
        // A string of JSON is one of TOML.
        let list = to_list.iter().map(|path| json!(path));
        let verb = if lacking.len() == 1 { "is" } else { "are" };
        format!(
            "note: {} {verb} missing here, and {verb} in {from}\nhelp: to have a claim copy what git does not \
             bring, write in slots.toml:\n      [worktree]\n      copy = [{}]\n",
            Commas(lacking.iter().map(name)),
            Commas(list)
        )
    });
    done.into_iter().chain(failed).chain(lacks).collect()
}

/// The slot's entry, under the registry's own field names, and the files that git does not bring.
pub fn json(claimed: &Claimed) -> String {
    let Claimed { grant, entry, brought, .. } = claimed;
    let mut document = json!({ "format_version": super::document::FORMAT_VERSION });
    if let (Value::Object(document), Value::Object(entry)) = (&mut document, entry.to_json(grant.slot())) {
        document.extend(entry);
        let missing: Vec<&RelPath> = brought.missing().collect();
        for (key, files) in [("copied", json!(brought.copied)), ("missing", json!(missing))] {
            if files.as_array().is_some_and(|files| !files.is_empty()) {
                document.insert(key.to_owned(), files);
            }
        }
    }
    super::document::document(&document)
}

/// The place of a waiter.
pub fn waiting(ahead: usize) -> String {
    match ahead {
        0 => "Waiting for a slot: you are next".to_owned(),
        ahead => format!("Waiting for a slot: {ahead} ahead of you"),
    }
}

/// What a waiter waits for, as sentences: who holds which slots, and why free ones cannot be given.
pub fn obstacles(Obstacles { held, blocked, now }: &Obstacles) -> String {
    let held = held.iter().map(|(slot, by, since)| {
        let name = by.directory().and_then(Utf8Path::file_name).unwrap_or("an unknown worktree");
        let since = since.map_or_else(String::new, |since| format!(" ({})", ago(since, *now)));
        format!("{slot} by {}{since}", printable(name))
    });
    let blocked = blocked.iter().map(|(slot, why)| format!("{slot} ({why})"));
    let parts = [("Held", list(held)), ("Free but blocked", list(blocked))];
    let told = parts.into_iter().filter(|(_, list)| !list.is_empty());
    told.map(|(what, list)| format!("{what}: {list}.")).collect::<Vec<_>>().join(" ")
}

/// The first of several, and how many more there are.
fn list(all: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = all.collect();
    let more = all.len().saturating_sub(NAMED);
    all.truncate(NAMED);
    let more = if more == 0 { String::new() } else { format!(", and {more} more") };
    all.join(", ") + &more
}

/// The files of a claim that stay because they were changed.
fn left(paths: &[Utf8PathBuf]) -> String {
    let line = |path: &Utf8PathBuf| format!("Left {}, which was changed since\n", printable(path.as_str()));
    paths.iter().map(line).collect()
}

/// Remarks on a release.
pub fn release_remarks(released: &Released) -> String {
    let Released { claim, left: changed, stuck, of_another_user, of_another, no_pool, .. } = released;
    let slot = claim.as_ref().map_or_else(String::new, |(slot, _)| slot.to_string());
    let stuck = stuck.iter().map(|error| format!("warning: files of slot {slot}'s claim stay: {error:#}\n"));
    let no_pool = no_pool.iter().map(|fault| match &fault.advice {
        Some(advice) => format!("note: {fault}: {advice}\n"),
        None => format!("note: {fault}\n"),
    });
    let others = of_another_user.iter().map(written);
    let another = of_another.iter().map(|slot| {
        let what = format!("another directory, which has or had this path, holds slot {slot}");
        format!("note: {what}\nhelp: `kinfra release {slot} --force` once it is no longer used\n")
    });
    no_pool.chain(another).chain([left(changed)]).chain(stuck).chain(others).collect()
}

/// What containers wrote into a worktree as another user, and what to do.
pub(super) fn written(others: &OfAnotherUser) -> String {
    format!("note: {}\nhelp: {}\n", others.told(), others.advice())
}

/// The slot that was released, named or of the worktree, or that there was none.
pub fn released(
    released: &Released,
    asked: Option<SlotId>,
    (worktree, owner): (&Utf8Path, Option<&Owner>),
) -> String {
    match (&released.claim, asked) {
        (Some((slot, claim)), _) => {
            let stack = released.stack.as_ref().map(|cleaned| removed(&cleaned.removed));
            format!("Released slot {slot}, which was {}\n{}", held(claim), stack.unwrap_or_default())
        }
        (None, Some(slot)) => format!("Slot {slot} is free already\n"),
        (None, None) => {
            let owner = owner.map_or_else(String::new, |owner| format!(" for {owner}"));
            format!("`{}` holds no slot{owner}\n", printable(worktree.as_str()))
        }
    }
}

/// The end of a claim's lease.
pub fn renewed(slot: SlotId, claim: &Claim) -> String {
    match claim.lease {
        Some(lease) => {
            format!("Slot {slot} is yours for {}\n", until(lease))
        }
        None => format!("Slot {slot} is yours until it is released: its claim has no lease\n"),
    }
}
