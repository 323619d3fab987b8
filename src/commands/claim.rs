//! `kinfra claim`

use anyhow::Result;

use super::output::print;
use super::take::{Asked, take};
use crate::cli::ClaimArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::report::{self, Paths};

pub(super) fn run(args: &ClaimArgs, invocation: &Invocation) -> Result<Exit> {
    let asked = Asked {
        pool: &args.pool,
        wishes: &args.wishes,
        slot: args.slot,
        owner: args.owner.as_deref(),
        policy: args.lock.policy("kinfra claim"),
        interrupt: None,
    };
    let claimed = take(&asked, invocation)?;
    print(&if args.json {
        report::claim::json(&claimed)
    } else {
        report::claim::text(claimed.grant, &claimed.entry, Paths { home: invocation.home.as_deref() })
    })?;
    Ok(Exit::Done)
}
