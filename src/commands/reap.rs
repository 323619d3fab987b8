//! `kinfra reap`

use anyhow::{Result, anyhow};

use super::release::give_back;
use super::{approve, print, say};
use crate::claims::standing::Reaping;
use crate::cli::ReapArgs;
use crate::fault::{Exit, Fault};
use crate::host;
use crate::host::invocation::Invocation;
use crate::observe::worktree;
use crate::registry::Registry;
use crate::report;
use crate::which::by_worktree::{claims, pool_here};
use crate::which::spec_file::lock_policy;

pub(crate) fn run(args: &ReapArgs, invocation: &Invocation) -> Result<Exit> {
    let pool = pool_here(&args.pool, invocation)?;
    let root = pool.applied()?.ok_or_else(|| pool.missing())?;
    let shown = judge(&claims(&root)?.0);
    print(&report::reap::plan(&shown))?;
    // Whoever takes the lock puts in order what a run left that was cut short.
    if args.dry_run || (shown.ends.is_empty() && !root.is_untidy()?) {
        return end(&shown);
    }
    if !shown.ends.is_empty() {
        approve::ask("Do you want to release these slots?", args.auto_approve)?;
    }
    let locked = root.lock(&lock_policy(&args.lock, "kinfra reap"))?;
    let (mut registry, text) = claims(locked.root())?;
    // Whoever renewed, came back or released meanwhile is left alone, and nobody loses a slot that was not shown.
    let mut reaping = judge(&registry).within(&shown);
    if shown.ends.is_empty() {
        return end(&shown);
    }
    if reaping.ends.is_empty() {
        return Err(Fault::refused("the claims changed meanwhile: nothing was released, run again").into());
    }
    // One that cannot be released does not keep the others.
    let mut kept = Vec::new();
    reaping.ends.retain(|slot, (claim, _)| match give_back(&locked, *slot, claim, false) {
        Ok(()) => true,
        Err(error) => {
            kept.push(format!("{error:#}"));
            false
        }
    });
    if !reaping.ends.is_empty() {
        crate::claims::standing::reap(&mut registry, &reaping);
        locked.save_registry(text.as_deref(), &registry.to_text()?)?;
    }
    say(&report::reap::done(&reaping))?;
    if kept.is_empty() { end(&shown) } else { Err(anyhow!("{}", kept.join("\n"))) }
}

/// How a run ends that did all it could.
fn end(shown: &Reaping) -> Result<Exit> {
    if shown.has_unreadable() {
        return Err(anyhow!(
            "a directory cannot be looked at: mend that and run again, or release its slot by force"
        ));
    }
    Ok(Exit::Done)
}

/// Judges every claim by the time and by what became of its owner's directory.
fn judge(registry: &Registry) -> Reaping {
    Reaping::of(registry, host::clock::now(), worktree)
}
