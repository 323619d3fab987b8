//! An error as people read it: what happened, then what to do next.

use anyhow::Error;
use serde_json::{Value, json};

use super::document::{FORMAT_VERSION, document};
use crate::agent::Agent;
use crate::fault::{Exit, Fault, advice_of, exit_of, reason_of};
use crate::shown::printable_lines;

/// What to do where a sandbox is in the way.
const OUTSIDE: &str = "run it outside of the sandbox, or have the user open that path to it";

/// Several errors of one run, each with its heading and its advice: the run failed.
pub fn failed_by<'a>(errors: impl Iterator<Item = &'a Error>) -> Fault {
    let texts: String = errors.map(text).collect();
    Fault { has_headings: true, ..Fault::failed(texts.trim_end()) }
}

/// A request that got no slot as one JSON document, with the reason. `None` if the error is another one.
pub fn json(error: &Error) -> Option<String> {
    let reason = reason_of(error)?;
    Some(document(&json!({
        "format_version": FORMAT_VERSION,
        "slot_id": Value::Null,
        "reason": reason.word(),
        "error": format!("{error:#}"),
        "advice": advice_of(error),
    })))
}

/// One error for several; `None` if there are none. They share an exit code, or it is that of a failure.
pub fn all_of(errors: impl Iterator<Item = Error>) -> Option<Error> {
    let errors: Vec<Error> = errors.collect();
    let exit =
        errors.iter().map(exit_of).reduce(|one, other| if one == other { one } else { Exit::Failed })?;
    Some(Fault { exit, ..failed_by(errors.iter()) }.into())
}

/// The error with its heading, and its advice in a line of its own. The words of other programs in it have
/// no colours, and no line of them begins as one of kinfra's does.
pub fn text(error: &Error) -> String {
    text_for(error, None)
}

/// The same for an agent: where its sandbox is in the way, the error says that.
pub fn text_for(error: &Error, agent: Option<Agent>) -> String {
    if let Some(what) = agent.and_then(|agent| agent.keeps_from_error(&format!("{error:#}"))) {
        return format!("error: {}\nhelp: {OUTSIDE}\n", foreign(&what));
    }
    let has_headings = error.downcast_ref::<Fault>().is_some_and(|fault| fault.has_headings);
    let heading = if has_headings { "" } else { "error: " };
    let advice = advice_of(error).map_or_else(String::new, |advice| format!("help: {}\n", foreign(advice)));
    let what = format!("{error:#}");
    let what = if has_headings { what } else { foreign(&what) };
    format!("{heading}{what}\n{advice}")
}

/// The lines of a message, all but the first one further to the right.
fn foreign(text: &str) -> String {
    let lines = printable_lines(text);
    let mut lines = lines.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| {
        let hang = if line.is_empty() || line.starts_with(' ') { "" } else { "  " };
        format!("{text}\n{hang}{line}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Reason;

    #[test]
    fn an_error_has_its_heading_and_its_advice() {
        let plain = || Error::msg("no space\nleft\n  on it\n\nhere").context("slot 3");
        let refused = || Error::from(Fault::refused("held").advise("release it\nfirst"));
        assert_eq!(text(&plain()), "error: slot 3: no space\n  left\n  on it\n\n  here\n");
        assert_eq!(text(&refused()), "error: held\nhelp: release it\n  first\n");
        let mistakes = Error::from(Fault::mistakes("error: a\nhelp: b"));
        assert_eq!(text(&mistakes), "error: a\nhelp: b\n");
        let both = failed_by([plain(), refused()].iter());
        assert!(both.has_headings && both.what.ends_with("error: held\nhelp: release it\n  first"), "{both}");
        assert!(all_of(std::iter::empty()).is_none());
        let exit = |errors: Vec<Error>| exit_of(&all_of(errors.into_iter()).unwrap());
        assert_eq!(exit(vec![refused(), refused()]), Exit::Refused);
        assert_eq!(exit(vec![refused(), plain()]), Exit::Failed);
    }

    #[test]
    fn a_request_without_a_slot_has_its_reason_in_json() {
        assert_eq!(json(&Error::msg("x")), None);
        for (reason, word) in [(Reason::Full, "full"), (Reason::Memory, "memory")] {
            let error = Error::from(Fault::no_slot("none is free").advise("wait").because(reason));
            let told: Value = serde_json::from_str(&json(&error).unwrap()).unwrap();
            let expected = json!({
                "format_version": FORMAT_VERSION, "slot_id": null, "reason": word, "error": "none is free",
                "advice": "wait",
            });
            assert_eq!(told, expected);
        }
    }
}
