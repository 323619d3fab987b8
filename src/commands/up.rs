//! `kinfra up`

use anyhow::Result;

use super::failure::with_reason;
use super::live::of_compose;
use super::output::say;
use super::slot_of::{find, renewed};
use super::starting::start;
use super::take::take;
use super::up_all::up_all;
use crate::cli::UpArgs;
use crate::fault::Exit;
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::signals::Interrupt;
use crate::report::{self, Paths};
use crate::stack::up::request::Means;

pub(super) fn run(args: &UpArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let policy = LockPolicy { interrupt: Some(&interrupt), ..args.lock.policy("kinfra up") };
    let means = Means { policy, invocation, interrupt: &interrupt, umask, output: of_compose() };
    if args.all {
        return up_all(args, &means);
    }
    if find(&args.slot, invocation)?.is_none() {
        let which = (args.slot.slot, args.slot.of.holder.as_deref());
        let claimed = take(&args.slot.pool, &args.wishes, which, &policy, invocation);
        let claimed = with_reason(claimed, args.json)?;
        let paths = Paths { home: invocation.home.as_deref() };
        say(&report::claim::text(claimed.grant, &claimed.entry, paths));
    }
    let held = renewed(&args.slot, &policy, invocation)?;
    with_reason(start(held, &args.request(), args.json, &means), args.json)
}
