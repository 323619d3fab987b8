//! What a slot's stack does, in the words of `slots` and `status`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::stack_gate::colored_words;
use crate::observe::port_user::PortUser;
use crate::registry::{Condition, Entry, Left, Status};
use crate::shown::printable;
use crate::slot::SlotId;
use crate::stack::gate::state::{Judged, ServiceState};
use crate::stack::observe::examine::{Examined, Taken};
use crate::stack::observe::sight::{Glance, Sight, StackState};
use crate::stack::observe::stacks::Looked;

#[cfg(test)]
#[path = "stack_state_tests.rs"]
mod tests;

/// The most services that a line names.
const NAMED: usize = 3;

/// What a slot is for: the stack of its holder, or what an earlier one left.
pub fn of_slot(entry: &Entry, sight: &Sight) -> String {
    let is_noted = matches!(entry.status, Status::Noted(_));
    match entry.condition() {
        Condition::Held | Condition::Clean if is_noted && sight.state() == StackState::NeverStarted => {
            format!("noted: {}", printable(&entry.status.to_string()))
        }
        Condition::Clean if sight.state() == StackState::NeverStarted => entry.status.to_string(),
        Condition::Held | Condition::Clean => of_stack(sight),
        Condition::KeepsData(left) => format!("keeps data of {}", holder(left)),
        Condition::Dirty(_) => "dirty".to_owned(),
        Condition::Quarantined(left) => {
            let reason = left.reason.as_deref().unwrap_or("cleaning it failed");
            format!("quarantined: {}", printable(reason))
        }
    }
}

/// A stack in words: `running 3/3 · up 12m`.
pub fn of_stack(sight: &Sight) -> String {
    let (state, glances) = (sight.state(), sight.glances());
    match state {
        StackState::NeverStarted => "never started".to_owned(),
        StackState::Unknown => "unknown: Docker did not answer".to_owned(),
        StackState::Down | StackState::Exited if matches!(sight, Sight::WasUp(_)) => "was up".to_owned(),
        StackState::Down | StackState::Exited => state.word().to_owned(),
        StackState::Looping => named(state, glances, &[ServiceState::Looping]),
        StackState::OutOfMemory => out_of_memory(glances),
        StackState::Failed => named(state, glances, &[ServiceState::Failed]),
        StackState::Unhealthy => named(state, glances, &[ServiceState::Unhealthy]),
        StackState::Starting => named(state, glances, &[ServiceState::Starting, ServiceState::Created]),
        StackState::Running => running(glances),
    }
}

/// The services in a state, with their exit codes: `looping: worker, exit 3`.
fn named(state: StackState, glances: &[Glance], states: &[ServiceState]) -> String {
    let concerned: Vec<&Glance> = glances.iter().filter(|glance| states.contains(&glance.state)).collect();
    let names = concerned.iter().map(|Glance { service, exit_code, is_out_of_memory, .. }| {
        let exit = exit_code.map_or_else(String::new, |code| format!(", exit {code}"));
        let memory = if *is_out_of_memory { ", out of memory" } else { "" };
        format!("{}{exit}{memory}", printable(service))
    });
    format!("{}: {}", state.word(), first_of(names))
}

/// The services that were killed for their memory.
fn out_of_memory(glances: &[Glance]) -> String {
    let killed = glances.iter().filter(|glance| glance.is_killed_for_memory());
    let names: Vec<String> = killed.map(|glance| printable(&glance.service)).collect();
    format!("{}: {}", StackState::OutOfMemory.word(), first_of(names.into_iter()))
}

/// The first few names, and how many more there are.
fn first_of(mut names: impl ExactSizeIterator<Item = String>) -> String {
    let first: Vec<String> = names.by_ref().take(NAMED).collect();
    let more = if names.len() > 0 { format!("; {} more", names.len()) } else { String::new() };
    format!("{}{more}", first.join("; "))
}

/// How many of the services that should run do, and since when all of them have.
fn running(glances: &[Glance]) -> String {
    let to_run = glances.iter().filter(|glance| glance.state != ServiceState::Done);
    let up: Vec<Duration> = glances.iter().filter_map(|glance| glance.up_for).collect();
    let since = up.iter().min().map_or_else(String::new, |up| format!(" · up {}", largest_unit(*up)));
    format!("running {}/{}{since}", up.len(), to_run.count())
}

/// A duration in its largest unit.
fn largest_unit(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The worktree whose data a slot keeps.
fn holder(left: &Left) -> String {
    let directory = left.by.directory();
    directory.and_then(camino::Utf8Path::file_name).map_or_else(|| "an earlier holder".to_owned(), printable)
}

/// What the table has no room for: the engines of stacks that are not on the one in use, and what brings
/// stacks back.
pub fn remarks(looked: &Looked) -> String {
    let unknown: BTreeMap<SlotId, &str> = looked.unknown().collect();
    let elsewhere = looked.elsewhere.iter().map(|(slot, elsewhere)| match unknown.get(slot) {
        Some(why) => format!("Slot {slot}: {}\n", printable(why)),
        None => format!("Slot {slot} is in {elsewhere}\n"),
    });
    elsewhere.chain([were_up(looked)]).collect()
}

/// The slots whose stacks were up and are not, and what starts them.
fn were_up(looked: &Looked) -> String {
    let slots: BTreeSet<SlotId> = looked.were_up().map(|listed| listed.slot).collect();
    let (noun, verb, them) = if slots.len() == 1 { ("Slot", "was", "it") } else { ("Slots", "were", "them") };
    let list = SlotId::list(&slots);
    let line = || format!("{noun} {list} {verb} up and stopped: `kinfra up --all` brings {them} back\n");
    if slots.is_empty() { String::new() } else { line() }
}

/// A stack as JSON.
pub fn json(sight: &Sight) -> Value {
    with_services(sight, sight.glances().iter().map(glance_json).collect())
}

/// A stack that was looked at closely, as JSON.
pub fn examined_json(examined: &Examined) -> Value {
    let mut stack = with_services(&examined.sight, examined.services.iter().map(judged_json).collect());
    if let (true, Value::Object(stack)) = (examined.sight.is_seen(), &mut stack) {
        stack.insert("not_started".to_owned(), json!(examined.not_started));
    }
    stack
}

fn with_services(sight: &Sight, services: Vec<Value>) -> Value {
    let mut object = Map::from_iter([
        ("state".to_owned(), json!(sight.state().word())),
        ("text".to_owned(), json!(of_stack(sight))),
    ]);
    match sight {
        Sight::NeverStarted => {}
        Sight::Unknown(reason) => drop(object.insert("reason".to_owned(), json!(reason))),
        Sight::Seen(_) | Sight::WasUp(_) => {
            drop(object.insert("services".to_owned(), Value::Array(services)));
        }
    }
    if matches!(sight, Sight::WasUp(_)) {
        object.insert("was_up".to_owned(), json!(true));
    }
    Value::Object(object)
}

fn glance_json(glance: &Glance) -> Value {
    let Glance { service, state, exit_code, is_out_of_memory, up_for: _ } = glance;
    json!({
        "service": service,
        "state": state.to_string(),
        "exit_code": exit_code,
        "out_of_memory": is_out_of_memory,
    })
}

/// A service as JSON.
pub fn judged_json(judged: &Judged) -> Value {
    let Judged { service, container, state, prospect: _, exit_code, is_out_of_memory, health, note } = judged;
    json!({
        "service": service,
        "container": container.as_ref().map(|(name, _)| name),
        "state": state.to_string(),
        "ready": judged.is_ready(),
        "exit_code": exit_code,
        "out_of_memory": is_out_of_memory,
        "health": Some(health).filter(|health| !health.is_empty()),
        "note": note.as_ref().map(ToString::to_string),
    })
}

/// What the services come to that do not run as they should, for the head of their logs.
pub fn failing(examined: &Examined) -> String {
    let line = |(service, state)| [service, ": ".to_owned(), state, "\n".to_owned()];
    services(examined).into_iter().flat_map(line).collect()
}

/// The services that are not as they should be, those with a note, and those that were not started, each in
/// a line.
pub fn services(examined: &Examined) -> Vec<(String, String)> {
    let told = examined.services.iter().filter(|judged| !judged.is_ready() || judged.note.is_some());
    let told = told.map(|judged| {
        // What a health check printed last says more than that it failed.
        let health = judged.health.lines().rev().find(|line| !line.trim().is_empty());
        let health = health.map(|line| format!(": {}", printable(line.trim()))).unwrap_or_default();
        (printable(&judged.service), colored_words(judged) + &health)
    });
    let not_started = examined.not_started.iter();
    told.chain(not_started.map(|service| (printable(service), "not started".to_owned()))).collect()
}

/// The ports that something else uses, each in a sentence.
pub fn taken(examined: &Examined) -> Vec<String> {
    let sentence = |Taken { name, port, by }: &Taken| {
        format!("port {port} ({name}) is used by {by}, and not by the slot's stack")
    };
    examined.taken.iter().map(sentence).collect()
}

/// The ports that something else uses, as JSON.
pub fn taken_json(examined: &Examined) -> Value {
    let port = |Taken { name, port, by }: &Taken| {
        let program = if let PortUser::Program(pid, program) = by { Some((pid, program)) } else { None };
        json!({
            "name": name.to_string(),
            "port": port.to_string(),
            "used_by": by.to_string(),
            "pid": program.map(|(pid, _)| pid),
            "program": program.map(|(_, program)| program),
        })
    };
    examined.taken.iter().map(port).collect::<Vec<_>>().into()
}
