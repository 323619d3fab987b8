//! `kinfra destroy`

use anyhow::Result;

use super::output::{say, show_as_laid_out};
use super::session::Session;
use crate::cli::DestroyArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::host::terminal::columns_of_stdout;
use crate::plan::{Flag, Options};
use crate::provision::{self, Request, data};
use crate::report::{self, Aim, Paths, View};
use crate::which::{kept_in::to_plan, repository::entry_of, spec_file, trust::Trust, whose};

pub(crate) fn run(args: &DestroyArgs, invocation: &Invocation) -> Result<Exit> {
    let choice = args.pool.choice();
    let declared = spec_file::declared(&choice, invocation)?;
    let root = declared.root(&choice, invocation)?;
    let pool = provision::emptied(&declared.spec, declared.applied_from(), root.clone());
    let ledger = to_plan(&pool, entry_of(&root, invocation).as_ref(), invocation)?;
    let Some(ledger) = ledger.filter(|ledger| !matches!(provision::exists(ledger), Ok(false))) else {
        say(&format!("There is no pool in `{root}`: nothing to destroy\n"));
        return Ok(Exit::Done);
    };
    whose::check(&declared, &root, invocation)?;
    Trust::of(&root, declared.path.as_deref(), &choice, invocation).needed(&root, &declared.origin)?;
    let allowed = [Some(Flag::Prune), args.data.then_some(Flag::Data)].into_iter().flatten();
    let options = Options { allowed: allowed.collect(), ..Options::default() };
    let session = Session {
        used: &declared.used(),
        spec: declared.path.as_deref(),
        view: View {
            columns: columns_of_stdout(),
            verbose: args.verbose,
            ..View::new(Paths { home: invocation.home.as_deref() }, Aim::Destroy, &options.allowed)
        },
        json: false,
        dry_run: args.dry_run,
        approved: args.auto_approve,
        lock: args.lock.policy("kinfra destroy"),
    };
    let prepared = session.show(Request::alone(&pool, Some(ledger), options.clone()))?;
    let data = if args.data { data::planned(&prepared)? } else { Vec::new() };
    show_as_laid_out(&if args.data { report::data::planned(&data) } else { String::new() })?;
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let done = session.carry_out(&prepared, !data.is_empty())?;
    let removed = data::remove(&pool, &done, &data);
    say(&report::data::removed(&removed));
    let volumes = data::volumes_left(&pool, &done);
    let volumes = volumes.as_deref().map_err(String::as_str);
    let names = data::names_left(&pool.root)?;
    say(&report::outcome::stays(prepared.shown(), &done.outcome, prepared.desired(), volumes, &names));
    let exit = session.exit(prepared.shown(), done.outcome)?;
    let is_whole = removed.iter().all(|(_, removed)| removed.is_ok());
    Ok(if exit == Exit::Done && !is_whole { Exit::Failed } else { exit })
}
