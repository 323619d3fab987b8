//! `kinfra slots`

use std::time::Duration;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::{print, say};
use crate::cli::SlotsArgs;
use crate::fault::Exit;
use crate::host;
use crate::host::invocation::Invocation;
use crate::host::root::Root;
use crate::host::signals::Interrupt;
use crate::host::terminal::Screen;
use crate::identifier::PortName;
use crate::observe::worktree;
use crate::registry::Entry;
use crate::report::slots::{self, Listed};
use crate::report::{self, Paths};
use crate::slot::SlotId;
use crate::time::Time;
use crate::which::by_worktree::{claims, pool_here};

/// How often a pool that is watched is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How soon somebody who has seen enough is heard.
const HEARD: Duration = Duration::from_millis(50);

pub(crate) fn run(args: &SlotsArgs, invocation: &Invocation) -> Result<Exit> {
    let pool = pool_here(&args.pool, invocation)?;
    let ports = pool.declared.iter().flat_map(|declared| &declared.spec.ports);
    let view = View {
        root: pool.root.clone(),
        origin: &pool.origin,
        primary: ports.map(|(name, _)| name).next(),
        paths: Paths { home: invocation.home.as_deref() },
    };
    if args.watch {
        return watch(&view, args.json);
    }
    let now = host::clock::now();
    let slots = view.look(now)?;
    if args.json {
        print(&report::document(&slots::json(&slots)))?;
    } else if slots.is_empty() {
        say(&view.none())?;
    } else {
        print(&view.text(&slots, now))?;
    }
    Ok(Exit::Done)
}

/// Shows the pool until somebody has seen enough: on a terminal in place, elsewhere each time that it has changed.
fn watch(view: &View<'_>, json: bool) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let mut screen = if json { None } else { Screen::open()? };
    let mut last = None;
    while !interrupt.is_requested() {
        let now = host::clock::now();
        let slots = view.look(now)?;
        let text = if slots.is_empty() { view.none() } else { view.text(&slots, now) };
        if let Some(screen) = &mut screen {
            screen.draw(&text)?;
        } else if last.as_ref() != Some(&slots) {
            print(&match (json, &last) {
                (true, _) => format!("{}\n", slots::json(&slots)),
                (false, None) => text,
                (false, Some(_)) => format!("\n{text}"),
            })?;
        }
        last = Some(slots);
        let waited = host::clock::Stopwatch::start();
        while waited.elapsed() < EVERY && !interrupt.is_requested() {
            host::clock::pause(HEARD);
        }
    }
    Ok(Exit::Interrupted)
}

/// A pool to be looked at.
struct View<'a> {
    root: Utf8PathBuf,
    /// How the output names its spec.
    origin: &'a str,
    /// The port that it is known by, if its spec is still to be had.
    primary: Option<&'a PortName>,
    paths: Paths<'a>,
}

impl View<'_> {
    fn look(&self, now: Time) -> Result<Vec<Listed>> {
        let Some(root) = Root::open(&self.root)? else { return Ok(Vec::new()) };
        let slots = claims(&root)?.0.slots.into_iter();
        let listed = slots.map(|(slot, mut entry)| {
            // The root may have moved since the entry was written.
            entry.provisioned.infrastructure_path = self.root.join(slot.directory()).into_string();
            listed(slot, entry, now)
        });
        Ok(listed.collect())
    }

    fn text(&self, slots: &[Listed], now: Time) -> String {
        let known = slots.iter().find_map(|listed| listed.entry.provisioned.ports.keys().next());
        self.primary.or(known).map_or_else(String::new, |port| slots::text(slots, port, now, self.paths))
    }

    fn none(&self) -> String {
        let root = self.paths.show(&self.root);
        format!("No slots in {root} yet: `kinfra apply` creates those of {}\n", self.origin)
    }
}

/// A slot with what is to be seen of whoever holds it. Starts no process.
pub(crate) fn listed(slot: SlotId, entry: Entry, now: Time) -> Listed {
    let standing =
        entry.claim.as_ref().map(|claim| crate::claims::standing::standing(claim, now, worktree(claim)));
    let holder = entry.claim.as_ref().map(|claim| Utf8Path::new(&claim.claimed_by));
    let branch = holder.filter(|holder| host::fs::is_directory(holder)).and_then(host::git::branch_of);
    Listed { slot, entry, standing, branch }
}
