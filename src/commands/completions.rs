//! `kinfra completions`

use anyhow::{Result, anyhow};
use clap_complete::env::Shells;

use super::complete::{NAME, VARIABLE};
use super::output::{print, say};
use crate::cli::{CompletionsArgs, CompletionsVerb, InstallArgs};
use crate::completions::{StartUp, login_shell};
use crate::fault::{Exit, Fault};
use crate::host::invocation::{Invocation, environment};
use crate::report::completions::{added, there, would_add};

/// Bash puts a candidate into the line as it is, also where it is a name with a blank or a `;`.
const QUOTED: &str = r#"_kinfra_quoted() {
    _clap_complete_kinfra "$@"
    local i
    for i in "${!COMPREPLY[@]}"; do printf -v "COMPREPLY[i]" %q "${COMPREPLY[i]}"; done
}
complete -o nospace -o bashdefault -o nosort -F _kinfra_quoted kinfra 2>/dev/null ||
    complete -o nospace -o bashdefault -F _kinfra_quoted kinfra
"#;

pub(crate) fn run(args: &CompletionsArgs, invocation: &Invocation) -> Result<Exit> {
    if let Some(CompletionsVerb::Install(args)) = &args.verb {
        return install(args, invocation);
    }
    let shell = args.shell.map(|shell| shell.to_string()).unwrap_or_default();
    let shells = Shells::builtins();
    let completer =
        shells.completer(&shell).ok_or_else(|| anyhow!("{shell} cannot be told how to complete"))?;
    let mut text = Vec::new();
    completer.write_registration(VARIABLE, NAME, NAME, NAME, &mut text)?;
    let quoted = if shell == "bash" { QUOTED } else { "" };
    print(&(String::from_utf8(text)? + quoted))?;
    Ok(Exit::Done)
}

fn install(args: &InstallArgs, invocation: &Invocation) -> Result<Exit> {
    let environment = environment();
    let named = args.shell.map(|shell| shell.to_string());
    let unknown = || {
        let what = "SHELL names no shell that kinfra can tell how to complete";
        Fault::usage(what).advise("name it, as in `kinfra completions install bash`")
    };
    let shell = named.as_deref().or_else(|| login_shell(&environment)).ok_or_else(unknown)?;
    let start_up = StartUp::of(shell, invocation.home.as_deref(), &environment)?;
    if start_up.is_there {
        say(&there(&start_up));
    } else if args.dry_run {
        say(&would_add(&start_up));
    } else {
        start_up.add()?;
        say(&added(&start_up));
    }
    Ok(Exit::Done)
}
