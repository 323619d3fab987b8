//! What `up` and `reset` say: what is started, what each service does, and where it is reached.

use std::collections::BTreeMap;

use serde_json::json;

use super::document::{FORMAT_VERSION, document};
use super::stack::remarks;
use super::table::table;
use crate::host::child::{Ended, How};
use crate::shown::printable;
use crate::stack::gate::Gated;
use crate::stack::patience::Verdict;
use crate::stack::state::{Judged, ServiceState};
use crate::stack::up::Up;
use crate::stack::up_request::Progress;

/// What was shown of a start so far.
pub struct Shown {
    is_redrawn: bool,
    /// How many lines are drawn, and are to be redrawn.
    drawn: usize,
    states: BTreeMap<String, String>,
}

impl Shown {
    /// Nothing yet. On a terminal, a line per service is redrawn; elsewhere each change is a line.
    pub fn new(is_redrawn: bool) -> Self {
        Self { is_redrawn, drawn: 0, states: BTreeMap::new() }
    }

    /// What is to be shown next.
    pub fn next(&mut self, progress: &Progress<'_>) -> String {
        match progress {
            Progress::Waiting(other) => format!("Waiting for {}\n", printable(other)),
            Progress::Starting(services, notes) => {
                let services: Vec<&str> = services.iter().map(String::as_str).collect();
                let which = if services.is_empty() { "the stack".to_owned() } else { services.join(", ") };
                format!("{}Starting {which}\n", remarks(notes))
            }
            Progress::Started => String::new(),
            Progress::Looked(judged) => self.looked(judged),
            Progress::Verifying(words) => format!("Checking with `{}`\n", printable(&words.join(" "))),
        }
    }

    /// What ends it.
    pub fn end(&mut self) -> String {
        self.drawn = 0;
        String::new()
    }

    fn looked(&mut self, judged: &[Judged]) -> String {
        let lines = judged.iter().map(|judged| (name(judged), described(judged)));
        if self.is_redrawn {
            let lines: Vec<String> = lines.map(|(name, text)| format!("  {name}  {text}\x1b[K\n")).collect();
            let up = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
            self.drawn = lines.len();
            return up + &lines.concat();
        }
        let mut text = String::new();
        for (name, described) in lines {
            if self.states.get(&name) != Some(&described) {
                text.push_str(&format!("  {name}  {described}\n"));
                self.states.insert(name, described);
            }
        }
        text
    }
}

fn name(judged: &Judged) -> String {
    let name = judged.container.as_ref().map_or(&judged.service, |(name, _)| name);
    printable(name)
}

fn described(judged: &Judged) -> String {
    let note = judged.note.as_ref().map_or_else(String::new, |note| format!(": {}", printable(&note.to_string())));
    format!("{}{note}", judged.state)
}

/// Why the stack does not run, if it does not.
pub fn failure(up: &Up) -> String {
    let mut text = up.complaint.as_ref().map_or_else(String::new, complaint);
    if let Some(gated) = up.gated.as_ref().filter(|gated| gated.verdict != Verdict::Runs) {
        text.push_str(&not_running(gated));
    }
    if up.is_stale {
        text.push_str("error: what runs is of an earlier start, because Compose failed\n");
    }
    if let Some((words, ended)) = up.verified.as_ref().filter(|(_, ended)| ended.how != How::Well) {
        let words = printable(&words.join(" "));
        text.push_str(&format!("error: the check `{words}` {}\n{}", how(&ended.how), last_lines(ended)));
    }
    text
}

fn how(how: &How) -> String {
    match how {
        How::Well => "succeeded".to_owned(),
        How::Badly(code) => format!("failed: {}", printable(code)),
        How::NotInTime => "did not end in time".to_owned(),
        How::Interrupted => "was interrupted".to_owned(),
    }
}

fn complaint(ended: &Ended) -> String {
    format!("note: Compose {}\n{}", how(&ended.how), last_lines(ended))
}

fn last_lines(ended: &Ended) -> String {
    ended.last_lines.iter().map(|line| format!("      {}\n", printable(line))).collect()
}

fn not_running(gated: &Gated) -> String {
    let mut text = String::new();
    for judged in gated.services.iter().filter(|judged| !judged.is_ready()) {
        text.push_str(&format!("error: {} {}\n", name(judged), described(judged)));
    }
    text
}

/// Where the services are reached.
pub fn text(up: &Up) -> String {
    let rows = up.addresses.iter().map(|address| {
        [address.name.to_string(), address.url.clone(), printable(&address.service)].to_vec()
    });
    let _ = ServiceState::Done;
    table(&["NAME", "URL", "SERVICE"], rows)
}

/// The start as one JSON document.
pub fn json(up: &Up) -> String {
    let addresses = up.addresses.iter().map(|address| {
        json!({ "name": address.name, "url": address.url, "port": address.port, "service": address.service })
    });
    document(&json!({
        "format_version": FORMAT_VERSION,
        "slot_id": up.slot,
        "addresses": addresses.collect::<Vec<_>>(),
    }))
}
