//! What `up` and `reset` say: why the stack does not run, or where its services are reached.

use serde_json::{Value, json};

use super::document::{FORMAT_VERSION, document};
use super::stack_gate::failed;
use super::table::{Cell, lines, table};
use crate::claims::listing::Listed;
use crate::ended::{Ended, How};
use crate::fault::Exit;
use crate::registry::Elsewhere;
use crate::shown::printable;
use crate::slot::SlotId;
use crate::stack::gate::patience::Verdict;
use crate::stack::observe::stacks::Looked;
use crate::stack::up::Up;

#[cfg(test)]
#[path = "up_tests.rs"]
mod tests;

/// How many last lines of Compose are shown beside the report of the gate.
const FEW: usize = 5;

/// Why the stack does not run, if it does not. First what the gate saw, and then what Compose said.
pub fn failure(up: &Up) -> String {
    let slot = up.slot;
    let gated = up.gated.as_ref().filter(|gated| gated.verdict != Verdict::Runs);
    let most = if gated.is_some() { FEW } else { usize::MAX };
    let seen = gated.map(|gated| failed(gated, slot));
    let stale = up
        .is_stale
        .then(|| format!("error: slot {slot} is not started: what runs in it is of an earlier start\n"));
    let complaint = up
        .complaint
        .as_ref()
        .map(|ended| format!("note: Compose {}\n{}", how(&ended.how), last_lines(ended, most)));
    let verified = up.verified.as_ref().filter(|(_, ended)| ended.how != How::Well);
    let verified = verified.map(|(words, ended)| {
        let (words, how) = (printable(&words.join(" ")), how(&ended.how));
        let lines = last_lines(ended, usize::MAX);
        format!("error: the services of slot {slot} run, and the check `{words}` {how}\n{lines}")
    });
    [seen, stale, complaint, verified].into_iter().flatten().collect()
}

fn how(how: &How) -> String {
    match how {
        How::Well => "succeeded".to_owned(),
        How::Badly(code) => format!("failed: {}", printable(code)),
        How::NotInTime => "did not end in time".to_owned(),
        How::Interrupted => "was interrupted".to_owned(),
    }
}

fn last_lines(ended: &Ended, most: usize) -> String {
    let left_out = ended.last_lines.len().saturating_sub(most);
    let lines = ended.last_lines.iter().skip(left_out);
    lines.flat_map(|line| ["      ".to_owned(), printable(line), "\n".to_owned()]).collect()
}

/// That the stack runs.
pub fn done(up: &Up) -> String {
    let slot = up.slot;
    match (&up.gated, up.ran_already) {
        (None, true) => format!("The stack of slot {slot} was started before; nothing had to be started\n"),
        (None, false) => format!("The stack of slot {slot} is started; whether it runs was not looked at\n"),
        (Some(_), true) => format!("The stack of slot {slot} runs already\n"),
        (Some(_), false) => format!("The stack of slot {slot} runs\n"),
    }
}

/// Where the services are reached.
pub fn text(up: &Up) -> String {
    if up.addresses.is_empty() {
        return String::new();
    }
    let mut rows = table(["Name", "URL", "Service"]);
    for address in &up.addresses {
        rows.add_row([Cell::new(&address.name), Cell::new(address.url.shown()), Cell::new(&address.service)]);
    }
    lines(&rows)
}

/// What comes after a start. Only a person ends what follows a log.
pub fn next(is_plain: bool) -> &'static str {
    if is_plain {
        "Next: `kinfra logs` shows what it prints, `kinfra down` stops it\n"
    } else {
        "Next: `kinfra logs -f` follows it, `kinfra down` stops it\n"
    }
}

/// The start as one JSON document.
pub fn json(up: &Up) -> String {
    document(&value(up))
}

/// The start as a JSON object.
pub(super) fn value(up: &Up) -> Value {
    let gated = up.gated.as_ref();
    let verdict = match gated.map(|gated| gated.verdict) {
        None => "not_checked",
        Some(Verdict::Runs) => "runs",
        Some(Verdict::DoesNotRun) => "does_not_run",
        Some(Verdict::NotInTime) => "not_in_time",
    };
    let services = gated.map(|gated| gated.services.as_slice()).unwrap_or_default().iter().map(|judged| {
        json!({
            "service": judged.service,
            "container": judged.container.as_ref().map(|(name, _)| name),
            "state": judged.state.to_string(),
            "exit_code": judged.exit_code,
            "note": judged.note.as_ref().map(ToString::to_string),
        })
    });
    let addresses = up.addresses.iter().map(|address| {
        json!({
            "name": address.name,
            "url": address.url.plain,
            "host_url": address.url.hosted,
            "port": address.port,
            "service": address.service,
        })
    });
    let verified = up.verified.as_ref().map_or(Value::Null, |(_, ended)| json!(ended.how == How::Well));
    json!({
        "format_version": FORMAT_VERSION,
        "slot_id": up.slot,
        "verdict": verdict,
        "ran_already": up.ran_already,
        "is_of_an_earlier_start": up.is_stale,
        "verified": verified,
        "services": services.collect::<Vec<_>>(),
        "addresses": addresses.collect::<Vec<_>>(),
    })
}

/// The slots of which Docker did not say whether they were up.
pub fn unknown(looked: &Looked) -> String {
    let line = |(slot, why)| format!("error: slot {slot} is left as it is: {}\n", printable(why));
    looked.unknown().map(line).collect()
}

/// What became of the slots that were up, a line each.
pub fn all(exits: &[(&Listed, Exit)]) -> String {
    if exits.is_empty() {
        return "No slot was up that is not\n".to_owned();
    }
    let line = |(listed, exit): &(&Listed, Exit)| {
        let holder = listed.entry.claim.as_ref().and_then(|claim| claim.claimed_by.directory()?.file_name());
        let holder = holder.map_or_else(String::new, |name| format!(" ({})", printable(name)));
        let said = match exit {
            Exit::Done => "is up",
            Exit::DoesNotRun => "does not run",
            Exit::NotInTime => "is not ready in time",
            Exit::Failed
            | Exit::Differences
            | Exit::NoSlot
            | Exit::Refused
            | Exit::Unreadable
            | Exit::Locked
            | Exit::Docker
            | Exit::Usage
            | Exit::Spec
            | Exit::Unprinted
            | Exit::NotExecutable
            | Exit::NoCommand
            | Exit::Interrupted
            | Exit::Command(_) => "was not started",
        };
        format!("Slot {}{holder} {said}\n", listed.slot)
    };
    exits.iter().map(line).collect()
}

/// The same as one JSON document.
pub fn all_json(exits: &[(&Listed, Exit)]) -> String {
    let slot = |(listed, exit): &(&Listed, Exit)| json!({ "slot_id": listed.slot, "exit_code": exit.code() });
    let slots: Vec<Value> = exits.iter().map(slot).collect();
    document(&json!({ "format_version": FORMAT_VERSION, "slots": slots }))
}

/// That another process has the stack.
pub fn waiting(other: &str) -> String {
    format!("Waiting: the stack is held by {}\n", printable(other))
}

/// That the start waits for memory.
pub fn waiting_for_memory(why: &str) -> String {
    format!("Waiting for {why}\n")
}

/// That the stack is on an engine that is not the one in use.
pub fn elsewhere(slot: SlotId, elsewhere: &Elsewhere) -> String {
    format!("note: slot {slot} is in {elsewhere}, where its stack was started\n")
}

/// What is removed, because the stack does not have it any more.
pub fn removing<'a>(slot: SlotId, services: impl Iterator<Item = &'a String>) -> String {
    let services: Vec<String> = services.map(|service| printable(service)).collect();
    let services = services.join(", ");
    format!("Removing {services} of slot {slot}: its stack does not have that any more\n")
}

/// What is started: these services, or all.
pub fn starting<'a>(slot: SlotId, services: impl Iterator<Item = &'a String>) -> String {
    let services: Vec<String> = services.map(|service| printable(service)).collect();
    let what = if services.is_empty() { "the stack".to_owned() } else { services.join(", ") };
    format!("Starting {what} of slot {slot}\n")
}

/// What is to be said of the `[stack]` in force.
pub fn stack_note(note: Option<&str>) -> String {
    note.map(|note| format!("note: {note}\n")).unwrap_or_default()
}

/// That the project's own check runs.
pub fn verifying(words: &[String]) -> String {
    format!("Checking with `{}`\n", printable(&words.join(" ")))
}
