//! What is said of the verbs of a project.

use anyhow::Error;

use crate::fault::{Exit, exit_of};
use crate::shown::word;
use crate::spec::{VerbSpec, Verbs};

/// What a verb is short for.
pub fn short_for(verb: &VerbSpec) -> String {
    let VerbSpec { branch, from, profile, lease, is_without_stack } = verb;
    let branch = branch.of("NAME").map(|branch| word(branch.as_str())).unwrap_or_default();
    let flags = [
        from.as_ref().map(|from| format!(" --from {}", word(from))),
        profile.as_ref().map(|profile| format!(" --profile {profile}")),
        lease.map(|lease| format!(" --lease {lease}")),
        is_without_stack.then(|| " --no-up".to_owned()),
    ];
    format!("kinfra start {branch}{}", flags.into_iter().flatten().collect::<String>())
}

/// The verbs that slots.toml declares and kinfra has itself.
pub fn taken(verbs: &Verbs) -> String {
    let notice = |name| {
        format!(
            "warning: slots.toml declares the verb `{name}`, and kinfra's own is meant: give it another name there\n"
        )
    };
    verbs.taken.keys().map(notice).collect()
}

/// Why the verbs of the project are not known.
pub fn not_known(error: &Error) -> String {
    let why = "the verbs of this project are not known";
    if exit_of(error) == Exit::Spec {
        return format!("warning: slots.toml has mistakes, so {why}: `kinfra validate` shows them\n");
    }
    format!("warning: {why}: {error:#}\n")
}
