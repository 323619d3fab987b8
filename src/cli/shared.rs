//! Flags that several verbs have.
#![expect(missing_docs, reason = "clap would show the comments of flags as help")]

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueHint};

use crate::host::lock::LockPolicy;
use crate::identifier::Owner;
use crate::time::Span;
use crate::which::choice::PoolChoice;

// The flags that name a pool.
#[derive(Debug, Clone, Args)]
pub struct PoolArgs {
    /// Use this spec [default: slots.toml here or in a parent up to the repository's root, else the one that
    /// this repository applied before, else the embedded one]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "KINFRA_SPEC", hide_env_values = true)]
    pub spec: Option<Utf8PathBuf>,
    /// Use this directory as the pool's root [default: the root in the spec]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, env = "KINFRA_ROOT", hide_env_values = true)]
    pub root: Option<Utf8PathBuf>,
}

impl PoolArgs {
    /// The pool as the flags name it.
    pub fn choice(&self) -> PoolChoice {
        PoolChoice::new(self.spec.clone(), self.root.clone())
    }

    /// The same pool, named from any directory.
    #[must_use]
    pub fn from(&self, here: &Utf8Path) -> Self {
        let whole = |path: &Utf8PathBuf| if path == "" { path.clone() } else { here.join(path) };
        Self { spec: self.spec.as_ref().map(whole), root: self.root.as_ref().map(whole) }
    }

    /// The embedded pool, in the root that the flags name.
    pub fn embedded(&self) -> PoolChoice {
        PoolChoice::embedded(self.root.clone())
    }
}

// The flags that name a slot by its holder.
#[derive(Debug, Clone, Args)]
pub struct HolderArgs {
    /// The slot of this worktree instead of the one here
    #[arg(long = "for", value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub holder: Option<Utf8PathBuf>,
    /// The slot that `run --owner NAME` holds for this worktree, in place of its own
    #[arg(long, value_name = "NAME", value_parser = Owner::new)]
    pub owner: Option<Owner>,
}

// The flags that say how to take the root's lock.
#[derive(Debug, Args)]
pub struct LockArgs {
    /// Wait this long for another kinfra to finish
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub lock_timeout: Duration,
    /// Write to a root on a network file system, where locks may not hold
    #[arg(long)]
    pub unsafe_no_lock: bool,
}

impl LockArgs {
    /// The flags as a policy. Others see `command` as the holder of the lock.
    pub fn policy<'a>(&self, command: &'a str) -> LockPolicy<'a> {
        LockPolicy {
            patience: self.lock_timeout,
            flag: Some("--lock-timeout"),
            command,
            network: self.unsafe_no_lock,
            interrupt: None,
        }
    }
}

/// A duration such as `10s`, `5m`, `8h` or `2d`.
fn duration(text: &str) -> Result<Duration, String> {
    Span::parse(text).map(Span::duration)
}
