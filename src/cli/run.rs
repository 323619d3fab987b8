//! The flags of `kinfra run`.
#![expect(missing_docs, reason = "clap would show the comments of flags as help")]

use std::time::Duration;

use clap::Args;

use super::claims::{CommandArgs, Wishes, slot_id};
use super::shared::{LockArgs, PoolArgs};
use super::stack::StartArgs;
use crate::fault::Fault;
use crate::host::invocation::Invocation;
use crate::identifier::Owner;
use crate::slot::SlotId;
use crate::stack::up::request::UpRequest;
use crate::time::Span;
use crate::which::choice::PoolChoice;

/// The lease of a run, unless another is given.
const LEASE: &str = "1h";

// `kinfra run`
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Remove first what an earlier run or claim kept in the slot: volumes and containers
    #[arg(long)]
    pub fresh: bool,
    /// Hold the slot under this name, too: several runs in one directory have a slot each
    #[arg(long, value_name = "NAME", value_parser = Owner::new)]
    pub owner: Option<Owner>,
    /// Do not start the stack
    #[arg(long)]
    pub no_up: bool,
    /// Claim this slot
    #[arg(long, value_name = "N", value_parser = slot_id)]
    pub slot: Option<SlotId>,
    #[command(flatten, next_help_heading = "The claim, whose lease is 1h here and is renewed")]
    pub wishes: Wishes,
    #[command(flatten, next_help_heading = "The start of the stack")]
    pub start: StartArgs,
    #[command(flatten, next_help_heading = "Options")]
    pub lock: LockArgs,
    #[command(flatten)]
    pub command: CommandArgs,
}

impl RunArgs {
    /// How the slot is claimed: with a lease in any case, so that a run that is killed frees it.
    pub fn wishes(&self) -> Wishes {
        let lease = self.wishes.lease.or_else(|| Span::parse(LEASE).ok());
        Wishes { lease, ..self.wishes.clone() }
    }

    /// Refuses a time that stands alone after `--wait`: it would be the command.
    ///
    /// # Errors
    /// [`Fault`] says how to write it.
    pub fn check(&self) -> Result<(), Fault> {
        let time = self.command.words.first().and_then(|word| Span::parse(word.to_str()?).ok());
        let time = time.filter(|_| self.wishes.wait == Some(None));
        time.map_or(Ok(()), |time| {
            let what = format!("`{time}` is taken for the command: the time of `--wait` comes after a `=`");
            Err(Fault::usage(what).advise(format!("write `--wait={time}`")))
        })
    }

    /// How the stack is started.
    pub fn request(&self) -> UpRequest {
        let longest = |wait: Option<Span>| wait.map_or(Duration::MAX, Span::duration);
        let waits = self.wishes.wait.map(longest).unwrap_or_default();
        UpRequest { waits, ..self.start.request(&[]) }
    }

    /// The pool as the flags name it.
    pub fn choice(&self) -> PoolChoice {
        if self.wishes.embedded { self.pool.embedded() } else { self.pool.choice() }
    }

    /// The run for its owner.
    pub fn owned(&self, invocation: &Invocation) -> Invocation {
        let owner = self.owner.clone().or_else(|| invocation.owner.clone());
        Invocation { owner, ..invocation.clone() }
    }
}
