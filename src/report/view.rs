//! How a plan and its outcome are shown: for what purpose, how long, with which paths.

use std::collections::BTreeSet;

use crate::plan::{Flag, Options};
use crate::server::ServerUrl;
use crate::shown::Paths;

/// The purpose of a plan. The wording depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Bring the whole pool to what slots.toml says.
    Pool,
    /// Bring the named slots there.
    Slots,
    /// Remove the pool.
    Destroy,
}

impl Aim {
    /// The purpose of a plan with these options.
    pub fn of(options: &Options) -> Self {
        if options.is_selective() { Self::Slots } else { Self::Pool }
    }
}

/// How a plan and its outcome are shown.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// How paths are shown.
    pub paths: Paths<'a>,
    /// How wide a line of a plan may be, if that is limited.
    pub columns: Option<usize>,
    /// Whether each slot of a long plan is shown.
    pub verbose: bool,
    /// Whether slots that are as they should be are named even where nothing changes at all.
    pub names_skipped: bool,
    /// The purpose of the plan.
    pub aim: Aim,
    /// What the pool was last applied from, if that is not what declares it now.
    pub applied_from: Option<&'a str>,
    /// The server that the pool was applied with, if slots.toml names another url now.
    pub replaced: Option<&'a ServerUrl>,
    /// What the plan may do beyond creating, adopting and restoring.
    pub allowed: &'a BTreeSet<Flag>,
    /// Whether the slots of which something is blocked come first.
    pub is_worst_first: bool,
}

impl<'a> View<'a> {
    /// What is shown everywhere: no line is broken, and what is as it should be is left out.
    pub fn new(paths: Paths<'a>, aim: Aim, allowed: &'a BTreeSet<Flag>) -> Self {
        let (verbose, names_skipped, is_worst_first) = (false, false, false);
        Self {
            paths,
            columns: None,
            verbose,
            names_skipped,
            aim,
            applied_from: None,
            replaced: None,
            allowed,
            is_worst_first,
        }
    }
}
