//! Agents that call kinfra, and how they are known: by variables that they set for the commands they run.

use crate::names::KINFRA_PLAIN;
use crate::time::Span;

/// The lease of what an agent claims, unless slots.toml names another.
pub const LEASE: Span = Span::hours(8);

/// The variables, and which agent sets each. `docs/agents.md` says where that is written.
pub const VARIABLES: [(&str, Agent); 8] = [
    ("CLAUDECODE", Agent("Claude Code")),
    ("CODEX_SANDBOX", Agent("Codex")),
    ("CODEX_SANDBOX_NETWORK_DISABLED", Agent("Codex")),
    ("CODEX_CI", Agent("Codex")),
    ("CURSOR_AGENT", Agent("Cursor")),
    ("GEMINI_CLI", Agent("Gemini CLI")),
    ("OPENCODE", Agent("OpenCode")),
    ("AI_AGENT", Agent("the agent")),
];

/// How the system says that something is not allowed: by who asks, by its mode, by a disk that is read-only.
const NOT_ALLOWED: [&str; 3] = ["(os error 1)", "(os error 13)", "(os error 30)"];

/// The one of these that a mode gives, too.
const CLOSED: &str = "(os error 13)";

/// An agent, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agent(&'static str);

impl Agent {
    /// The agent that set one of these variables. Empty ones, `0` and `false` say that there is none.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let is_set = |name: &str| variable(name).is_some_and(|value| says_yes(&value));
        VARIABLES.into_iter().find(|(name, _)| is_set(name)).map(|(_, agent)| agent)
    }

    /// That its sandbox is in the way of something.
    pub fn keeps_from(self, what: &str) -> String {
        format!("the sandbox of {} keeps kinfra from {what}", self.0)
    }

    /// What an error comes to that ends in the system's word for what is not allowed. `None` for any other
    /// error.
    pub fn keeps_from_error(self, error: &str) -> Option<String> {
        let cause =
            error.rsplit(": ").next().filter(|cause| NOT_ALLOWED.iter().any(|end| cause.ends_with(end)))?;
        let done = error.strip_suffix(cause)?.trim_end_matches(": ");
        // A file of another user is closed without a sandbox, too.
        let kept = if cause.ends_with(CLOSED) {
            format!("the sandbox of {} or the permissions there keep kinfra from it", self.0)
        } else {
            self.keeps_from("it")
        };
        Some(if done.is_empty() { kept } else { format!("{done}: {kept}") })
    }
}

/// Whether output is to be plain: for an agent, unless `KINFRA_PLAIN` says otherwise.
pub fn wants_plain(variable: impl Fn(&str) -> Option<String>) -> bool {
    match variable(KINFRA_PLAIN).filter(|value| !value.is_empty()) {
        Some(value) => says_yes(&value),
        None => Agent::of(variable).is_some(),
    }
}

fn says_yes(value: &str) -> bool {
    !matches!(value, "" | "0" | "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &'static str, value: &'static str) -> impl Fn(&str) -> Option<String> {
        move |asked| (asked == name).then(|| value.to_owned())
    }

    #[test]
    fn an_agent_is_known_by_each_of_its_variables() {
        for (name, agent) in VARIABLES {
            assert_eq!(Agent::of(one(name, "1")), Some(agent), "{name}");
            assert!(wants_plain(one(name, "seatbelt")), "{name}");
            for value in ["", "0", "false"] {
                assert_eq!(Agent::of(one(name, value)), None, "{name}={value}");
                assert!(!wants_plain(one(name, value)), "{name}={value}");
            }
        }
        assert_eq!(Agent::of(one("TERM", "dumb")), None);
    }

    #[test]
    fn plain_output_can_be_asked_for_and_refused() {
        assert!(wants_plain(one(KINFRA_PLAIN, "1")));
        assert!(!wants_plain(one(KINFRA_PLAIN, "")));
        assert_eq!(Agent::of(one(KINFRA_PLAIN, "1")), None);
        let both = |name: &str| match name {
            KINFRA_PLAIN => Some("0".to_owned()),
            "CLAUDECODE" => Some("1".to_owned()),
            _ => None,
        };
        assert!(!wants_plain(both));
    }

    #[test]
    fn what_is_not_allowed_is_the_sandbox_s() {
        let agent = Agent("Codex");
        let said = agent.keeps_from_error("could not open `/a: b`: Operation not permitted (os error 1)");
        assert_eq!(said.unwrap(), "could not open `/a: b`: the sandbox of Codex keeps kinfra from it");
        let said = agent.keeps_from_error("could not open `/a`: Permission denied (os error 13)").unwrap();
        assert_eq!(
            said,
            "could not open `/a`: the sandbox of Codex or the permissions there keep kinfra from it"
        );
        let said = agent.keeps_from_error("Read-only file system (os error 30)");
        assert_eq!(said.unwrap(), "the sandbox of Codex keeps kinfra from it");
        for other in ["", "held by another", "No such file or directory (os error 2)", "x (os error 113)"] {
            assert_eq!(agent.keeps_from_error(other), None, "{other}");
        }
    }
}
