//! `kinfra show`

use std::collections::BTreeMap;

use anyhow::Result;

use super::output::{print, say, show_as_laid_out};
use super::target;
use crate::cli::ShowArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::host::terminal::columns_of_stdout;
use crate::report::{self, Aim, Paths, View};
use crate::saved::Saved;
use crate::which::spec_file;

pub(crate) fn run(args: &ShowArgs, invocation: &Invocation) -> Result<Exit> {
    let Saved { spec, options, plan, desired, .. } = &target::read(&args.saved, invocation)?;
    say(&format!("Using {}\n", spec_file::origin(spec.as_deref(), invocation)));
    if args.json {
        print(&report::plan_json::plan(plan, desired, spec.as_deref()))?;
    } else {
        let paths = Paths { home: invocation.home.as_deref() };
        let view = View {
            columns: columns_of_stdout(),
            verbose: args.verbose,
            names_skipped: args.verbose,
            ..View::new(paths, Aim::of(options), &options.allowed)
        };
        show_as_laid_out(&report::plan::render(plan, desired, view, &BTreeMap::new()))?;
    }
    Ok(Exit::Done)
}
