//! Taking the lock of a slot's stack: of the verbs that start, stop or clean it, one runs at a time.

use std::time::Duration;

use anyhow::Result;

use crate::claims::held::Held;
use crate::claims::refusal::holds_none;
use crate::fault::{Exit, Fault, exit_of};
use crate::host::lock::LockPolicy;
use crate::host::root::StackLock;

/// The stack of a slot, for one process at a time.
pub struct Turn {
    /// The slot as it is now.
    pub held: Held,
    _lock: StackLock,
}

/// Waits until no other process starts, stops or cleans the stack.
///
/// # Errors
/// [`Fault`] when another one does for longer than the `patience`, or the claim ended meanwhile.
pub fn take_turn(held: Held, patience: Duration, policy: &LockPolicy<'_>) -> Result<Turn> {
    let policy = LockPolicy { patience, ..*policy };
    let lock = held.seen().root.lock_stack(held.slot, &policy).map_err(|error| {
        if exit_of(&error) != Exit::Locked {
            return error;
        }
        let other = other(&held).unwrap_or_else(|| "another process".to_owned());
        let fault = Fault::locked(format!("the stack of slot {} is in the hands of {other}", held.slot));
        fault.advise("run it again when that is done").into()
    })?;
    let worktree = held.worktree().to_owned();
    let held = held.again()?.ok_or_else(|| holds_none(&worktree))?;
    Ok(Turn { held, _lock: lock })
}

/// The process that starts, stops or cleans the stack now, in words.
pub fn other(held: &Held) -> Option<String> {
    held.seen().root.holder_of_stack(held.slot).ok().flatten()
}
