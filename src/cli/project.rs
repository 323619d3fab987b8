//! The verbs that slots.toml declares. Each is `start` with other defaults, so what is typed wins.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;

use clap::builder::{ArgPredicate, StyledStr};
use clap::error::{ContextKind, ContextValue, ErrorKind, Result};
use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _};

use super::checkout::StartWorktreeArgs;
use super::verb::{Cli, Verb, whole};
use crate::identifier::VerbName;
use crate::report::verbs::short_for;
use crate::spec::VerbSpec;

/// The verbs of a project.
pub type ProjectVerbs = BTreeMap<VerbName, VerbSpec>;

/// Whether the verbs of the project matter to what clap says: that there is no such verb, or which there are.
pub fn is_about_verbs(error: &clap::Error, words: &[OsString]) -> bool {
    let word = |at: usize| words.get(at).and_then(|word| word.to_str());
    let is_help = word(1) == Some("help");
    if error.kind() == ErrorKind::InvalidSubcommand {
        let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
            return false;
        };
        return word(if is_help { 2 } else { 1 }) == Some(typed);
    }
    let is_shown =
        matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    is_shown && (matches!(word(1), None | Some("-h" | "--help")) || (is_help && words.len() == 2))
}

/// Reads a command line that may have a verb of the project.
///
/// # Errors
/// What clap says of it.
pub fn parse(words: &[OsString], verbs: &ProjectVerbs) -> Result<Cli> {
    let command = with_verbs(Cli::command().mut_subcommand("start", whole::<StartWorktreeArgs>), verbs);
    // They stand in a section of their own.
    let command = verbs
        .keys()
        .fold(command, |command, name| command.mut_subcommand(name.as_str(), |verb| verb.hide(true)));
    let section = section(&command, verbs);
    let matches = command.after_help(section).try_get_matches_from(words)?;
    if let Some((name, matches)) = matches.subcommand()
        && verbs.keys().any(|verb| verb.as_str() == name)
    {
        return Ok(Cli { verb: Verb::Start(StartWorktreeArgs::from_arg_matches(matches)?) });
    }
    Cli::from_arg_matches(&matches)
}

/// A command line with the verbs of a project: copies of its `start`, which is [`whole`].
#[must_use]
pub fn with_verbs(command: Command, verbs: &ProjectVerbs) -> Command {
    let Some(start) = command.find_subcommand("start").cloned() else { return command };
    verbs.iter().fold(command, |command, (name, verb)| command.subcommand(named(start.clone(), name, verb)))
}

/// `start` with another name and other defaults.
fn named(start: Command, name: &VerbName, verb: &VerbSpec) -> Command {
    let VerbSpec { branch, from, profile, lease, is_without_stack } = verb.clone();
    let shown = branch.of("NAME").map(|branch| branch.to_string()).unwrap_or_default();
    let by_name = move |name: &str| branch.of(name);
    // Clap takes a name that stays for the rest of the run.
    let mut command = start
        .name(&*name.to_string().leak())
        .about(format!("The same as `{}`", short_for(verb)))
        .mut_arg("branch", |arg| {
            arg.value_parser(by_name).help(format!("The branch is {shown}: one that is there or a new one"))
        });
    let defaults = [
        ("from", from),
        ("profile", profile.map(|profile| profile.to_string())),
        ("lease", lease.map(|lease| lease.to_string())),
    ];
    for (argument, value) in defaults {
        command = command.mut_arg(argument, |arg| value.into_iter().fold(arg, with_default));
    }
    // A slot that is typed has the profile that it has.
    command = command
        .mut_arg("profile", |arg| arg.default_value_ifs([("slot", ArgPredicate::IsPresent, None::<&str>)]));
    if is_without_stack {
        let is_typed = ("up", ArgPredicate::Equals("true".into()), Some("false"));
        command = command.mut_arg("up", |arg| arg.help("Start the stack")).mut_arg("no_up", |arg| {
            let arg = arg.default_value("true").default_value_ifs([is_typed]);
            arg.help("Do not start the stack; this is the default")
        });
    }
    command
}

/// A flag with a default of its own, in place of the one that its help names.
fn with_default(flag: Arg, value: String) -> Arg {
    let help = flag.get_help().map(StyledStr::to_string).unwrap_or_default();
    let help = help.split(" [default").next().unwrap_or_default().to_owned();
    flag.help(help).default_value(&*value.leak())
}

/// The verbs of the project, and below them what help says without them.
fn section(command: &Command, verbs: &ProjectVerbs) -> StyledStr {
    let (header, literal) = (command.get_styles().get_header(), command.get_styles().get_literal());
    let width = verbs.keys().map(|name| name.as_str().len()).max().unwrap_or_default();
    let mut text = format!("{header}Verbs of this project:{header:#}\n");
    for (name, verb) in verbs {
        let _ = writeln!(text, "  {literal}{name:width$}{literal:#}  {}", short_for(verb));
    }
    let _ = write!(text, "\n{}", command.get_after_help().map(StyledStr::to_string).unwrap_or_default());
    StyledStr::from(text)
}
