//! The facts of one run, gathered once: the current directory, the user and the home directory.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;

use crate::agent::{Agent, wants_plain};
use crate::dotenv::Variables;
use crate::fault::Fault;
use crate::host;
use crate::identifier::Owner;
use crate::names::{KINFRA_OWNER, KINFRA_RUN};
use crate::raw_text;
use crate::registry::ClaimId;

/// The facts of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The directory kinfra was started in.
    pub here: Utf8PathBuf,
    /// The user's home directory: HOME, if it is set to an absolute path.
    pub home: Option<Utf8PathBuf>,
    /// Where programs keep their state on this machine: `XDG_STATE_HOME`, or `~/.local/state`.
    pub state: Option<Utf8PathBuf>,
    /// The user's name from the environment, or else the user id.
    pub user: String,
    /// The owner whose claim is meant in place of the worktree's own.
    pub owner: Option<Owner>,
    /// Whether an agent calls, or a hook on behalf of one.
    pub is_by_agent: bool,
    /// The claim of the run around this one.
    pub run: Option<ClaimId>,
}

impl Invocation {
    /// Gathers them.
    ///
    /// # Errors
    /// When the current directory is gone or its path is not UTF-8.
    #[expect(clippy::disallowed_methods, reason = "this is where the rest of kinfra gets these facts from")]
    pub fn gather() -> Result<Self> {
        let here = env::current_dir().with_context(|| {
            Fault::failed("the current directory cannot be used").advise("`cd` into one that is there")
        })?;
        let here = Utf8PathBuf::from_path_buf(here).map_err(|path| {
            Fault::usage(format!("the path of the current directory is not UTF-8: {}", path.display()))
        })?;
        let home = home();
        let state = directory("XDG_STATE_HOME").or_else(|| Some(home.as_ref()?.join(".local/state")));
        let name = |name| variable(name).filter(|name| !name.is_empty());
        let number = || format!("uid {}", host::identity::user_id());
        let user = name("USER").or_else(|| name("LOGNAME")).unwrap_or_else(number);
        let owner = name(KINFRA_OWNER).map(|name| Owner::new(&name)).transpose();
        let owner = owner.map_err(|why| Fault::usage(format!("{KINFRA_OWNER}: {why}")))?;
        let run = name(KINFRA_RUN).and_then(|id| ClaimId::parse(&id).ok());
        Ok(Self { here, home, state, user, owner, is_by_agent: agent().is_some(), run })
    }
}

/// The agent that calls, if one does.
pub fn agent() -> Option<Agent> {
    Agent::of(variable)
}

/// Whether output is to be plain.
pub fn is_plain() -> bool {
    wants_plain(variable)
}

/// The user's home directory: HOME, if it is set to an absolute path.
pub fn home() -> Option<Utf8PathBuf> {
    directory("HOME")
}

fn directory(name: &str) -> Option<Utf8PathBuf> {
    variable(name).map(Utf8PathBuf::from).filter(|directory| directory.is_absolute())
}

#[expect(clippy::disallowed_methods, reason = "this is where the rest of kinfra gets these facts from")]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// A variable of [`environment`].
#[expect(clippy::disallowed_methods, reason = "this is where the rest of kinfra gets these facts from")]
pub fn in_environment(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into())
}

/// The value of a variable for a program, from [`environment`] or from a change of it.
pub(super) fn as_value(text: &str) -> OsString {
    OsString::from_vec(raw_text::to_bytes(text))
}

/// The environment that kinfra was called with. A value that is not UTF-8 is as [`raw_text`] has it.
pub fn environment() -> Variables {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, raw_text::of_bytes(value.as_bytes())))
    };
    env::vars_os().filter_map(text).collect()
}
