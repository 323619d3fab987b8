//! `kinfra reset`

use anyhow::Result;

use super::approve;
use super::live::of_compose;
use super::output::say;
use super::slot_of::renewed;
use super::starting::start;
use crate::cli::ResetArgs;
use crate::fault::Exit;
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::host::signals::Interrupt;
use crate::report;
use crate::stack::reset::Reset;
use crate::stack::up::request::Means;

pub(super) fn run(args: &ResetArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let policy = args.lock.policy("kinfra reset");
    let held = renewed(&args.slot, &policy, invocation)?;
    let reset = Reset::plan(held, args.service.as_deref(), &policy)?;
    if !reset.containers.is_empty() || !reset.volumes.is_empty() {
        say(&report::reset::plan(&reset));
        approve::ask(&report::reset::question(&reset), args.auto_approve || reset.volumes.is_empty())?;
    }
    let interrupt = Interrupt::listen()?;
    let services: Vec<String> = reset.services.iter().cloned().collect();
    let held = reset.remove(&policy)?;
    let means = Means { policy, invocation, interrupt: &interrupt, umask, output: of_compose() };
    start(held, &args.start.request(&services), args.json, &means)
}
