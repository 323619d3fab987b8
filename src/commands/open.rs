//! `kinfra open`

use std::ffi::OsStr;

use anyhow::Result;

use super::output::{print, say};
use super::say_not_recorded;
use super::slot_of::needed;
use crate::cli::OpenArgs;
use crate::fault::{Exit, Fault};
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::host::net::is_in_use;
use crate::host::program::{OPENS, become_program};
use crate::report::open;
use crate::stack::observe::examine::examine;

/// Returns only if the address was printed, or the program could not be started.
pub(super) fn run(args: &OpenArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let held = needed(&args.slot, invocation)?;
    let examined = examine(&held, &held.listed());
    let name = args.port.as_ref().or(held.pool().primary_port());
    let name = name.or(examined.urls.keys().next()).ok_or_else(|| open::none(held.slot))?;
    let url = examined.urls.get(name).ok_or_else(|| open::unknown(held.slot, name, examined.urls.keys()))?;
    if args.print {
        print(&format!("{}\n", url.shown()))?;
        return Ok(Exit::Done);
    }
    if !url.has_scheme() {
        return Err(open::no_scheme(name, url).into());
    }
    let mut ports = held.entry.provisioned.host_ports();
    let port = ports.find(|(other, _)| *other == name).map(|(_, port)| port);
    // What listens on another machine is not known here.
    if url.is_here && port.is_some_and(|port| !is_in_use(port)) {
        return Err(open::silent(held.slot, name, url).into());
    }
    say(&format!("Opening {}\n", url.shown()));
    say_not_recorded();
    let error = become_program(OsStr::new(OPENS), [OsStr::new(url.shown())], [], [], umask);
    Err(Fault::command(OsStr::new(OPENS), &error).advise(format!("open {} yourself", url.shown())).into())
}
