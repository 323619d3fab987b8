//! The file of a saved plan: reading it, and writing it without destroying another file.

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::format::Saved;
use crate::fault::Fault;
use crate::host;
use crate::json::Corrupt;

/// The most that a saved plan may be, in bytes.
const LIMIT: u64 = 256 << 20;

/// The most that is read of a file to see whether it is one, in bytes.
const SMALL: u64 = 4 << 20;

/// Reads a saved plan from the file at `absolute`. Messages name the path as the user typed it.
///
/// # Errors
/// [`Fault`] if the file is missing, is no saved plan, or was saved by another version of kinfra.
pub fn read(typed: &Utf8Path, absolute: &Utf8Path) -> Result<Saved> {
    if typed.as_str().is_empty() {
        return Err(Fault::usage("the name of the plan is empty").into());
    }
    let unreadable = |error| Fault::usage(format!("plan `{typed}` cannot be read: {error}"));
    let missing = || {
        Fault::usage(format!("plan `{typed}` does not exist"))
            .advise(format!("make it with `kinfra plan --out {typed}`"))
    };
    let bytes = host::fs::read_named(absolute, LIMIT).map_err(unreadable)?.ok_or_else(missing)?;
    let corrupt = |corrupt: Corrupt| {
        let fault = Fault::unreadable(format!("plan `{typed}` cannot be read: {corrupt}"));
        if corrupt.is_newer { fault.advise("plan again, or upgrade kinfra") } else { fault }
    };
    let other = || Fault::usage(format!("`{typed}` is not a plan that `kinfra plan --out` saved"));
    Ok(parse(&bytes).map_err(corrupt)?.ok_or_else(other)?)
}

/// Whether a file is a saved plan. One that is too large for a plan of a few thousand slots is not read.
pub fn is_plan(path: &Utf8Path) -> bool {
    let bytes = host::fs::read_named(path, SMALL).ok().flatten();
    bytes.is_some_and(|bytes| matches!(parse(&bytes), Ok(Some(_))))
}

/// Writes a plan to `absolute`. An older saved plan there is replaced.
///
/// # Errors
/// [`Fault`] if the file there is something else.
pub fn write(typed: &Utf8Path, absolute: &Utf8Path, saved: &Saved) -> Result<()> {
    if typed.as_str().is_empty() {
        return Err(Fault::usage("--out needs the name of a file").into());
    }
    // `mktemp` makes an empty file.
    let is_plan = |bytes: Vec<u8>| bytes.is_empty() || !matches!(parse(&bytes), Ok(None));
    let may_replace = host::fs::read_named(absolute, LIMIT).map(|bytes| bytes.is_none_or(is_plan));
    if !may_replace.unwrap_or(false) {
        let message = format!("`{typed}` exists and is not a saved plan");
        return Err(Fault::refused(message).advise("give --out another name").into());
    }
    host::fs::replace_named(absolute, saved.to_text()?.as_bytes())
        .with_context(|| format!("could not save the plan as `{typed}`"))
}

fn parse(bytes: &[u8]) -> Result<Option<Saved>, Corrupt> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(None) };
    Saved::parse(text)
}
