//! The flags of `hook`.
#![expect(missing_docs, reason = "clap would show the comments of flags as help")]

use std::ffi::OsString;

use camino::Utf8PathBuf;
use clap::builder::PossibleValue;
use clap::error::ErrorKind;
use clap::{Args, Subcommand, ValueEnum, ValueHint};

use crate::hooks::event::Event;
use crate::hooks::tool::Tool;

// `kinfra hook`
#[derive(Debug, Args)]
pub struct HookArgs {
    #[command(subcommand)]
    pub verb: HookVerb,
}

// What to do with hooks.
#[derive(Debug, Subcommand)]
pub enum HookVerb {
    /// Add kinfra's hooks to the files of a tool, and keep all else in them
    Install(HookFileArgs),
    /// Take kinfra's hooks out of the files of a tool
    Uninstall(HookFileArgs),
    /// Do what an event asks for: the hooks of a tool call this
    Run(HookRunArgs),
}

// `kinfra hook install` and `kinfra hook uninstall`
#[derive(Debug, Args)]
pub struct HookFileArgs {
    /// The tool
    #[arg(value_name = "TOOL", value_enum)]
    pub tool: Tool,
    /// Show what would change, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask for approval
    #[arg(long)]
    pub auto_approve: bool,
}

// `kinfra skill`
#[derive(Debug, Args)]
pub struct SkillArgs {
    #[command(subcommand)]
    pub verb: SkillVerb,
}

// What to do with the skill.
#[derive(Debug, Subcommand)]
pub enum SkillVerb {
    /// Write SKILL.md, or show how the one that is there differs, and ask
    Install(SkillFileArgs),
}

// `kinfra skill install`
#[derive(Debug, Args)]
pub struct SkillFileArgs {
    /// Write it into this directory [default: .claude/skills/kinfra of this repository]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub path: Option<Utf8PathBuf>,
    /// Show what would change, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask for approval
    #[arg(long)]
    pub auto_approve: bool,
}

// `kinfra hook run`
#[derive(Debug, Args)]
pub struct HookRunArgs {
    /// The event
    #[arg(value_name = "EVENT", value_enum)]
    pub event: Event,
    /// What git gives its hook; other tools write JSON to stdin
    #[arg(value_name = "ARGUMENT", value_hint = ValueHint::Other, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

impl ValueEnum for Tool {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

impl ValueEnum for Event {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::PostCheckout,
            Self::WorktreeCreate,
            Self::WorktreeRemove,
            Self::SessionStart,
            Self::SessionEnd,
            Self::Setup,
            Self::Archive,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::PostCheckout => "post-checkout",
            Self::WorktreeCreate => "worktree-create",
            Self::WorktreeRemove => "worktree-remove",
            Self::SessionStart => "session-start",
            Self::SessionEnd => "session-end",
            Self::Setup => "setup",
            Self::Archive => "archive",
        }))
    }
}

/// The event of `hook run` that this kinfra does not know. One of a newer kinfra may call it.
pub fn unknown_event(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let words: Vec<&str> = arguments.iter().skip(1).filter_map(|word| word.to_str()).collect();
    match words.as_slice() {
        ["hook", "run", event, ..] if error.kind() == ErrorKind::InvalidValue && !event.starts_with('-') => {
            Some(event.escape_debug().to_string())
        }
        _ => None,
    }
}
