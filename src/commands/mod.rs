//! The verbs, one file each: wiring only.

use std::io::{self, Write as _};

use anyhow::Result;

use crate::cli::{SandboxVerb, Verb};
use crate::fault::Exit;
use crate::host;
use crate::host::invocation::Invocation;

mod apply;
mod approve;
mod candidates;
pub(crate) mod claim;
mod complete;
mod completions;
mod destroy;
mod doctor;
mod env;
mod exec;
mod init;
mod man;
mod plan;
mod ports;
mod reap;
pub(crate) mod release;
mod renew;
mod saved;
mod slots;
mod status;
mod validate;

pub use complete::answer;

/// Runs a verb.
pub fn run(verb: Verb, invocation: &Invocation) -> Result<Exit> {
    host::signals::survive_file_size_limit()?;
    let umask = host::fs::set_umask();
    match verb {
        Verb::Plan(args) => plan::run(&args, invocation),
        Verb::Apply(args) | Verb::Sandbox(SandboxVerb::Provision(args)) => apply::run(&args, invocation),
        Verb::Show(args) => saved::show(&args, invocation),
        Verb::Destroy(args) => destroy::run(&args, invocation),
        Verb::Claim(args) => claim::run(&args, invocation),
        Verb::Release(args) => release::run(&args, invocation),
        Verb::Status(args) => status::run(&args, invocation),
        Verb::Env(args) => env::run(&args, invocation),
        Verb::Exec(args) => exec::run(&args, umask, invocation),
        Verb::Renew(args) => renew::run(&args, invocation),
        Verb::Reap(args) => reap::run(&args, invocation),
        Verb::Init(args) => init::run(&args, invocation),
        Verb::Doctor(args) => doctor::run(&args, invocation),
        Verb::Slots(args) | Verb::Sandbox(SandboxVerb::Slots(args)) => slots::run(&args, invocation),
        Verb::Validate(args) => validate::run(&args, invocation),
        Verb::Ports(args) => ports::run(&args, invocation),
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(args) => man::run(&args),
        Verb::ExitCodes => {
            print(&format!("{}\n", crate::cli::EXIT_CODES)).map(|()| Exit::Done).map_err(Into::into)
        }
    }
}

/// Prints data, which goes to stdout.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    unless_closed(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints what is said about the data, which goes to stderr.
pub(crate) fn say(text: &str) -> io::Result<()> {
    unless_closed(anstream::stderr().lock().write_all(text.as_bytes()))
}

/// Nobody listens any more, which is no reason to leave the work undone.
fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}
