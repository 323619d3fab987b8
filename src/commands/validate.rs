//! `kinfra validate`

use anyhow::Result;

use super::output::{print, say};
use crate::cli::ListArgs;
use crate::fault::Exit;
use crate::health::validate::{examine, read};
use crate::host::invocation::Invocation;
use crate::report;

pub(crate) fn run(args: &ListArgs, invocation: &Invocation) -> Result<Exit> {
    let choice = args.pool.choice();
    let validation = match read(&choice, invocation)? {
        Ok(declared) => {
            say(&format!("Using {}\n", declared.used()))?;
            examine(&declared, &choice, invocation)?
        }
        Err(unusable) => unusable,
    };
    let report = if args.json { report::validate::json } else { report::validate::text };
    print(&report(&validation.mistakes, &validation.findings))?;
    Ok(if validation.is_valid() { Exit::Done } else { Exit::Spec })
}
