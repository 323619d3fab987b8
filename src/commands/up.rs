//! `kinfra up`

use anyhow::Result;

use super::output::say;
use super::slot_of::{find, renewed};
use super::starting::{Starting, start};
use super::take::{Asked, take};
use crate::cli::UpArgs;
use crate::fault::Exit;
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::host::signals::Interrupt;
use crate::report::{self, Paths};

pub(super) fn run(args: &UpArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let (policy, interrupt) = (args.lock.policy("kinfra up"), Interrupt::listen()?);
    if find(&args.pool, &args.slot, invocation)?.is_none() {
        let asked = Asked {
            pool: &args.pool,
            wishes: &args.wishes,
            slot: args.slot.slot,
            owner: args.slot.holder.as_deref(),
            policy,
            interrupt: Some(&interrupt),
        };
        let claimed = take(&asked, invocation)?;
        let paths = Paths { home: invocation.home.as_deref() };
        say(&report::claim::text(claimed.grant, &claimed.entry, paths))?;
    }
    let held = renewed(&args.pool, &args.slot, &policy, invocation)?;
    let starting = Starting {
        start: &args.start,
        services: &args.services,
        json: args.json,
        policy,
        interrupt: &interrupt,
        umask,
    };
    start(held, &starting, invocation)
}
