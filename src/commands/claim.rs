//! `kinfra claim`

use anyhow::Result;

use super::failure::{after, with_reason};
use super::output::{hint, print, show_as_laid_out};
use super::take::take;
use crate::cli::ClaimArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::report::{self, Paths};

pub(super) fn run(args: &ClaimArgs, invocation: &Invocation) -> Result<Exit> {
    let (policy, which) = (args.lock.policy("kinfra claim"), (args.slot, args.owner.as_deref()));
    let claimed = take(&args.pool, &args.wishes, which, &policy, invocation);
    let claimed = with_reason(claimed, args.json)?;
    let printed = if args.json {
        print(&report::claim::json(&claimed))
    } else {
        let paths = Paths { home: invocation.home.as_deref() };
        show_as_laid_out(&report::claim::text(claimed.grant, &claimed.entry, paths))
    };
    after(format!("claimed slot {}", claimed.grant.slot()), printed)?;
    hint(if args.json { "" } else { report::claim::next() });
    Ok(Exit::Done)
}
