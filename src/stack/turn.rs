//! Taking the lock of a slot's stack: of the verbs that start, stop or clean it, one runs at a time. Commands
//! of Compose run beside each other, and beside none of these verbs.

use std::time::Duration;

use anyhow::Result;

use super::take_over::take_over;
use crate::claims::held::Held;
use crate::claims::refusal::holds_none;
use crate::fault::{Exit, Fault, exit_of};
use crate::host::lock::{Hold, LockPolicy};
use crate::host::root::StackLock;
use crate::host::signature::HeldBy;

/// The stack of a slot, for one process at a time.
pub struct Turn {
    /// The slot as it is now.
    pub held: Held,
    /// The lock. It ends with the turn.
    pub lock: StackLock,
}

/// Waits until no other process starts, stops or cleans the stack, and no Compose makes something of it.
///
/// # Errors
/// [`Fault`] when another one does for longer than the `patience`, or the claim ended meanwhile.
pub fn take_turn(held: Held, patience: Duration, policy: &LockPolicy<'_>) -> Result<Turn> {
    begin(held, Hold::Alone, &LockPolicy { patience, ..*policy })
}

/// [`take_turn`] for a command of Compose, which others of Compose may run beside.
///
/// # Errors
/// As [`take_turn`].
pub fn join_turn(held: Held, policy: &LockPolicy<'_>) -> Result<Turn> {
    begin(held, Hold::Together, policy)
}

fn begin(held: Held, hold: Hold, policy: &LockPolicy<'_>) -> Result<Turn> {
    let lock = held.pool().ledger().lock_stack(&held.seen().root, held.slot, hold, policy);
    turn(held, lock)
}

fn turn(held: Held, lock: Result<StackLock>) -> Result<Turn> {
    let lock =
        lock.map_err(|error| if exit_of(&error) == Exit::Locked { in_use(&held).into() } else { error })?;
    let worktree = held.worktree().to_owned();
    let held = held.again()?.ok_or_else(|| holds_none(&worktree))?;
    Ok(Turn { held, lock })
}

/// [`take_turn`] to end the stack: a Compose in another terminal ends, too, because its containers are
/// stopped. Another kinfra is waited for.
///
/// # Errors
/// As [`take_turn`].
pub fn take_last_turn(held: Held, policy: &LockPolicy<'_>) -> Result<Turn> {
    let on = held.stack_on();
    let is_compose = || other(&held).is_some_and(|other| !other.is_kinfra);
    let lock = take_over((&held.pool().ledger(), &held.seen().root), &on, policy, || {
        Ok(is_compose() && held.is_still_held()?)
    });
    turn(held, lock)
}

/// The error for a stack that another process has.
fn in_use(held: &Held) -> Fault {
    let by = other(held).map_or_else(|| "another process".to_owned(), |other| other.process);
    Fault::locked(format!("the stack of slot {} is in the hands of {by}", held.slot))
        .advise("run it again when that is done; `kinfra down` ends a Compose in another terminal")
}

/// The process that starts, stops or cleans the stack now.
pub fn other(held: &Held) -> Option<HeldBy> {
    held.seen().root.holder_of_stack(held.slot).ok().flatten()
}
