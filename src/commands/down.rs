//! `kinfra down`

use anyhow::Result;

use super::output::say;
use super::slot_of::needed;
use crate::cli::DownArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::report;
use crate::stack::down::down;

pub(super) fn run(args: &DownArgs, invocation: &Invocation) -> Result<Exit> {
    let held = needed(&args.slot, invocation)?;
    let slot = held.slot;
    let removed = down(held, args.volumes, &args.lock.policy("kinfra down"))?;
    say(&format!("Slot {slot} is down\n{}", report::clean::removed(&removed)));
    Ok(Exit::Done)
}
