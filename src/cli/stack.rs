//! The flags of the verbs that run a slot's stack.
#![expect(missing_docs, reason = "clap would show the comments of flags as help")]

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::claims::{Wishes, slot_or_path};
use super::shared::{HolderArgs, LockArgs, PoolArgs};
use crate::identifier::PortName;
use crate::slot::SlotId;
use crate::stack::gate::patience::Patience;
use crate::stack::up::request::UpRequest;
use crate::time::Span;

// `kinfra up`
#[derive(Debug, Args)]
pub struct UpArgs {
    #[command(flatten)]
    pub slot: SlotArgs,
    /// Start these services and those that they need [default: all]
    #[arg(value_name = "SERVICE", value_hint = ValueHint::Other)]
    pub services: Vec<String>,
    /// Start every slot of the pool that was up and is not, one after the other
    #[arg(long, conflicts_with_all = ["slot", "holder", "owner", "services", "compose_profile"])]
    pub all: bool,
    #[command(flatten, next_help_heading = "If this worktree holds no slot")]
    pub wishes: Wishes,
    #[command(flatten, next_help_heading = "Options")]
    pub start: StartArgs,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

impl UpArgs {
    /// The flags as a request.
    pub fn request(&self) -> UpRequest {
        with_waits(self.start.request(&self.services), &self.wishes)
    }
}

/// A request that waits for memory as long as for a slot.
pub(super) fn with_waits(request: UpRequest, wishes: &Wishes) -> UpRequest {
    let longest = |wait: Option<Span>| wait.map_or(Duration::MAX, Span::duration);
    UpRequest { waits: wishes.wait.map(longest).unwrap_or_default(), ..request }
}

// The flags that say how a stack is started.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// Start the services of this profile of Compose, too; kept with the slot until others are given, or ''
    #[arg(long, value_name = "PROFILE")]
    pub compose_profile: Vec<String>,
    /// Build images first; this is the default
    #[arg(long, overrides_with = "no_build")]
    pub build: bool,
    /// Start with the images that are there
    #[arg(long)]
    pub no_build: bool,
    /// Wait at most this long until the stack runs; Compose itself has as long, or 30m where it builds
    #[arg(long, value_name = "DURATION", value_parser = Span::parse, default_value = "5m")]
    pub timeout: Span,
    /// How long a service must stay up
    #[arg(long, value_name = "DURATION", value_parser = Span::parse, default_value = "5s")]
    pub settle: Span,
    /// Do not wait until the stack runs
    #[arg(long)]
    pub no_gate: bool,
}

impl StartArgs {
    /// The flags as a request to start these services, or all if there are none.
    pub fn request(&self, services: &[String]) -> UpRequest {
        UpRequest {
            services: services.iter().cloned().collect(),
            profiles: (!self.compose_profile.is_empty()).then(|| self.compose_profile.clone()),
            builds: !self.no_build,
            patience: Patience { timeout: self.timeout.duration(), settle: self.settle.duration() },
            is_gated: !self.no_gate,
            waits: Duration::ZERO,
        }
    }
}

// `kinfra down`
#[derive(Debug, Args)]
pub struct DownArgs {
    #[command(flatten)]
    pub slot: SlotArgs,
    /// Remove its volumes, too: its data is lost
    #[arg(short = 'v', long)]
    pub volumes: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

// `kinfra logs`
#[derive(Debug, Args)]
pub struct LogsArgs {
    #[command(flatten)]
    pub slot: SlotArgs,
    /// The logs of these services [default: all]
    #[arg(value_name = "SERVICE", value_hint = ValueHint::Other)]
    pub services: Vec<String>,
    /// Go on with what is logged from now on
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// From this time on, such as `10m` or `2026-03-01T17:22:10Z`
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// So many lines from the end of each log, or `all`
    #[arg(short = 'n', long, value_name = "LINES")]
    pub tail: Option<String>,
    /// Only the services that do not run as they should
    #[arg(long, conflicts_with = "services")]
    pub failing: bool,
}

// `kinfra shell`
#[derive(Debug, Args)]
pub struct ShellArgs {
    #[command(flatten)]
    pub slot: SlotArgs,
    /// The service [default: the one that slots.toml names, or the only one that runs]
    #[arg(value_name = "SERVICE", value_hint = ValueHint::Other)]
    pub service: Option<String>,
    /// The command [default: bash, or sh where there is none]
    #[arg(value_name = "CMD", last = true)]
    pub command: Vec<OsString>,
    #[command(flatten)]
    pub lock: LockArgs,
}

// `kinfra reset`
#[derive(Debug, Args)]
pub struct ResetArgs {
    #[command(flatten)]
    pub slot: SlotArgs,
    /// The service [default: all]
    #[arg(value_name = "SERVICE", value_hint = ValueHint::Other)]
    pub service: Option<String>,
    #[command(flatten)]
    pub start: StartArgs,
    /// Do not ask for approval
    #[arg(long)]
    pub auto_approve: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

// `kinfra compose`
#[derive(Debug, Args)]
pub struct ComposeArgs {
    #[command(flatten)]
    pub slot: SlotArgs,
    #[command(flatten)]
    pub lock: LockArgs,
    /// What follows `docker compose`, such as `up -d` or `logs web`
    #[arg(
        value_name = "ARGS",
        value_hint = ValueHint::Other,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub arguments: Vec<OsString>,
}

// `kinfra open`
#[derive(Debug, Args)]
pub struct OpenArgs {
    #[command(flatten)]
    pub slot: SlotArgs,
    /// The port, by its name in slots.toml [default: the one that the slots are known by]
    #[arg(value_name = "PORT", value_parser = PortName::new, value_hint = ValueHint::Other)]
    pub port: Option<PortName>,
    /// Print the address, and open nothing
    #[arg(long)]
    pub print: bool,
}

// The flags that name a slot of a pool, by itself or by its holder.
#[derive(Debug, Args)]
pub struct SlotArgs {
    #[command(flatten)]
    pub pool: PoolArgs,
    /// The slot [default: the one that this worktree holds]
    #[arg(long, value_name = "N", value_parser = slot_or_path, conflicts_with_all = ["holder", "owner"])]
    pub slot: Option<SlotId>,
    #[command(flatten)]
    pub of: HolderArgs,
}
