//! Asks for approval before something that exists is changed.

use std::io::{self, IsTerminal as _};

use anyhow::Result;

use super::output::say;
use crate::fault::Fault;

/// Asks whether to go on, unless the user approved beforehand.
///
/// # Errors
/// [`Fault`] if the answer is not `yes`, or if there is no terminal to ask on.
pub(crate) fn ask(question: &str, auto_approve: bool) -> Result<()> {
    if auto_approve {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let message = "this needs approval, and there is no terminal to ask on";
        return Err(Fault::refused(message).advise("run it on a terminal, or give --auto-approve").into());
    }
    say(&format!("\n{question}\n  Only 'yes' will be accepted: "));
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        say("\n");
    }
    if answer.trim() == "yes" {
        return Ok(());
    }
    Err(Fault::refused("not approved: nothing was changed").into())
}
