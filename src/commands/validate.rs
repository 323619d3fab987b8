//! `kinfra validate`

use anyhow::Result;

use super::output::{print, say, show};
use crate::cli::ListArgs;
use crate::fault::Exit;
use crate::health::validate::{examine, read};
use crate::host::invocation::Invocation;
use crate::report;

pub(crate) fn run(args: &ListArgs, invocation: &Invocation) -> Result<Exit> {
    let choice = args.pool.choice();
    let validation = match read(&choice, invocation)? {
        Ok(declared) => {
            say(&format!("Using {}\n", declared.used()));
            examine(&declared, &choice, invocation)?
        }
        Err(unusable) => unusable,
    };
    if args.json {
        print(&report::validate::json(&validation.mistakes, &validation.findings))?;
    } else {
        show(&report::validate::text(&validation.mistakes, &validation.findings))?;
    }
    Ok(if validation.is_valid() { Exit::Done } else { Exit::Spec })
}
