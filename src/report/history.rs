//! What happened to the slots of a pool, the newest last: what a person looks for is above the prompt.

use std::collections::BTreeSet;

use anyhow::Error;
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use super::document::{FORMAT_VERSION, document};
use super::table::{Cell, Shorten, Table, fitting};
use crate::fault::advice_of;
use crate::history::{Author, Change, Ended, Event, History, Party, What};
use crate::registry::Holder;
use crate::shown::{Paths, count, printable, shorten, word};
use crate::slot::SlotId;

/// The columns of the table, and where their cells are shortened.
const COLUMNS: [(&str, Shorten); 4] =
    [("When", Shorten::Never), ("Slot", Shorten::End), ("By", Shorten::End), ("What", Shorten::End)];

/// The columns that are left out where the table is too wide.
const LEFT_OUT: [&str; 1] = ["By"];

/// The most columns of a list of slots.
const LONGEST: usize = 24;

/// As a table of at most so many columns. Only another machine than this one is named.
pub fn text(history: &History, paths: Paths<'_>, host: &str, columns: Option<usize>) -> String {
    let rows: Vec<[String; 4]> =
        history.changes.iter().flat_map(|change| rows(change, paths, host)).collect();
    fitting(columns, &LEFT_OUT, |without| {
        let is_shown = |title: &str| !without.contains(&title);
        let shown = COLUMNS.into_iter().filter(|(title, _)| is_shown(title));
        let mut table = Table::new(shown.map(|(title, shorten)| (title.to_owned(), shorten)));
        for row in &rows {
            let cells = COLUMNS.into_iter().zip(row).filter(|((title, _), _)| is_shown(title));
            table.add_row(cells.map(|(_, cell)| Cell::new(cell)));
        }
        table
    })
}

fn rows(change: &Change, paths: Paths<'_>, host: &str) -> Vec<[String; 4]> {
    let Change { at, by, events, replaces: _ } = change;
    let row = |Event { slots, what }: &Event| {
        [at.to_the_minute(), some(slots), author(by, what, paths, host), sentence(what, paths)]
    };
    events.iter().map(row).collect()
}

/// The slots of an event. A long list is not told in full: every row would be as wide.
fn some(slots: &BTreeSet<SlotId>) -> String {
    let list = SlotId::list(slots);
    if slots.is_empty() {
        "-".to_owned()
    } else if list.len() <= LONGEST {
        list
    } else {
        let begun = shorten(&list, LONGEST / 2);
        let whole = begun.rsplit_once(',').map_or("", |(whole, _)| whole);
        format!("{whole},… ({})", count(slots.len(), "slot"))
    }
}

/// What happened, in words.
fn sentence(what: &What, paths: Paths<'_>) -> String {
    let named = |party: &Party| {
        let owner = party.owner.as_ref().map_or_else(String::new, |owner| format!(" ({owner})"));
        format!("{}{owner}", directory(&party.holder, paths))
    };
    let noted = |note: &Option<String>| note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
    match what {
        What::Added => "added".to_owned(),
        What::Changed => "changed".to_owned(),
        What::Removed => "removed".to_owned(),
        What::Claimed { party, lease, until: _, note } => {
            let lease = lease.map_or_else(String::new, |lease| format!(" for {lease}"));
            format!("claimed by {}{lease}{}", named(party), noted(note))
        }
        What::TakenOver { party } => format!("kept by {} after its run", named(party)),
        What::Leased { party, lease, until: _ } => match lease {
            Some(lease) => format!("leased to {} for {lease}", named(party)),
            None => format!("held by {} without a lease", named(party)),
        },
        What::Noted { party, note } => format!("noted by {}{}", named(party), noted(note)),
        What::Moved { party, from } => format!("{} moved to {}", directory(from, paths), named(party)),
        What::Released { party, how } => match how {
            Ended::ByHolder => format!("released by {}", named(party)),
            Ended::ByForce => format!("released by force from {}", named(party)),
            Ended::LeaseRanOut => format!("reaped from {}: its lease had run out", named(party)),
            Ended::WorktreeGone => format!("reaped from {}: its directory was gone", named(party)),
            Ended::Otherwise => format!("taken from {}", named(party)),
        },
        What::StartBegun => "start of the stack begun".to_owned(),
        What::Stopped { with_data: false } => "stack stopped".to_owned(),
        What::Stopped { with_data: true } => "stack stopped, its data removed".to_owned(),
        What::Reset { service, with_data } => {
            let of = service.as_ref().map_or_else(|| "stack".to_owned(), |name| format!("service {name}"));
            let data = if *with_data { ", its data removed" } else { "" };
            format!("{of} reset{data}")
        }
        What::DataKept { holder } => format!("cleaned, its data kept for {}", directory(holder, paths)),
        What::Cleaned => "cleaned".to_owned(),
        What::NotCleaned { reason, quarantined } => {
            let what = if *quarantined { "quarantined: not clean" } else { "not clean" };
            format!("{what}{}", noted(reason))
        }
        What::Repaired { from_backup: true } => "registry restored from its backup".to_owned(),
        What::Repaired { from_backup: false } => "registry rebuilt from the slots' directories".to_owned(),
    }
}

fn directory(holder: &Holder, paths: Paths<'_>) -> Utf8PathBuf {
    holder.directory().map_or_else(|| Utf8PathBuf::from("an unknown holder"), |path| paths.show(path))
}

/// Who did it. Where the event says the directory already, it is not said again.
fn author(by: &Author, what: &What, paths: Paths<'_>, here: &str) -> String {
    let Author { user, host, command, directory } = by;
    let at = if host == here { String::new() } else { format!("@{host}") };
    let said = what.holder().and_then(Holder::directory);
    let directory = directory.as_deref().map(Utf8Path::new);
    let other = directory.filter(|directory| said.is_none_or(|said| !directory.starts_with(said)));
    // A path with spaces is one word: it cannot pass for another column.
    let other = other.map_or_else(String::new, |other| format!(" in {}", word(paths.show(other).as_str())));
    let verb = command.strip_prefix("kinfra ").unwrap_or(command);
    format!("{user}{at}: {verb}{other}")
}

/// What is to be said before the events: what they cannot tell.
pub fn remarks(history: &History) -> String {
    let History { changes: _, earlier, unreadable, missing, not_read } = history;
    let earlier = match earlier {
        0 => String::new(),
        some => format!("Left out: {}; `--last N` says how many to show\n", count(*some, "earlier event")),
    };
    let not_read = not_read.iter().map(|why| format!("Not read: {}\n", printable(why))).collect::<Vec<_>>();
    let unreadable = match unreadable {
        0 => String::new(),
        some => format!("{} of the journal cannot be read, and left out\n", count(*some, "line")),
    };
    let missing = if missing.is_empty() {
        String::new()
    } else {
        let slots = SlotId::named(missing);
        format!("Some claims of {slots} are missing: an older kinfra made them, or their lines are lost\n")
    };
    [not_read.concat(), unreadable, missing, earlier].concat()
}

/// That nothing is known of the pool, or of a slot alone.
pub fn none(slot: Option<SlotId>) -> String {
    slot.map_or_else(
        || "Nothing is recorded of this pool yet: the history begins with the next change\n".to_owned(),
        |slot| format!("The history has nothing of slot {slot}\n"),
    )
}

/// That a change of this run is not in the history, and why.
pub fn not_recorded(why: &Error) -> String {
    let advice = advice_of(why).map_or_else(String::new, |advice| format!("; {advice}"));
    format!("Not in the history: {}{advice}\n", printable(&format!("{why:#}")))
}

/// As one JSON document.
pub fn json(history: &History, root: &Utf8Path) -> String {
    let History { changes, earlier: _, unreadable, missing, not_read } = history;
    let event = |change: &Change, Event { slots, what }: &Event| {
        let mut event = json!({ "at": change.at, "slots": slots, "by": change.by });
        if let (Value::Object(event), Ok(Value::Object(what))) = (&mut event, serde_json::to_value(what)) {
            event.extend(what);
        }
        event
    };
    let events = changes.iter().flat_map(|change| change.events.iter().map(move |it| event(change, it)));
    document(&json!({
        "format_version": FORMAT_VERSION,
        "root": root,
        "events": events.collect::<Vec<_>>(),
        "missing_slots": missing,
        "unreadable_lines": unreadable,
        "not_read": not_read,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(keys: &str) -> What {
        let text = format!(r#"{{"slots": "3", "holder": "/src/login", {keys}}}"#);
        serde_json::from_str::<Event>(&text).unwrap_or_else(|error| panic!("{error}: {text}")).what
    }

    #[test]
    fn each_event_is_a_sentence() {
        let paths = Paths { home: Some(Utf8Path::new("/src")) };
        for (keys, said) in [
            (r#""event": "added""#, "added"),
            (r#""event": "changed""#, "changed"),
            (r#""event": "removed""#, "removed"),
            (r#""event": "claimed""#, "claimed by ~/login"),
            (
                r#""event": "claimed", "owner": "ci", "lease": "8h", "note": "demo""#,
                "claimed by ~/login (ci) for 8h: demo",
            ),
            (r#""event": "taken_over""#, "kept by ~/login after its run"),
            (r#""event": "leased", "lease": "8h""#, "leased to ~/login for 8h"),
            (r#""event": "leased""#, "held by ~/login without a lease"),
            (r#""event": "noted", "note": "demo""#, "noted by ~/login: demo"),
            (r#""event": "moved", "from": "/src/old""#, "~/old moved to ~/login"),
            (r#""event": "released", "how": "by_holder""#, "released by ~/login"),
            (r#""event": "released", "how": "by_force""#, "released by force from ~/login"),
            (r#""event": "released", "how": "lease_ran_out""#, "reaped from ~/login: its lease had run out"),
            (r#""event": "released", "how": "worktree_gone""#, "reaped from ~/login: its directory was gone"),
            (r#""event": "start_begun""#, "start of the stack begun"),
            (r#""event": "stopped""#, "stack stopped"),
            (r#""event": "stopped", "with_data": true"#, "stack stopped, its data removed"),
            (r#""event": "reset""#, "stack reset"),
            (
                r#""event": "reset", "service": "web", "with_data": true"#,
                "service web reset, its data removed",
            ),
            (r#""event": "data_kept""#, "cleaned, its data kept for ~/login"),
            (r#""event": "cleaned""#, "cleaned"),
            (r#""event": "not_cleaned", "reason": "busy""#, "not clean: busy"),
            (r#""event": "not_cleaned", "quarantined": true"#, "quarantined: not clean"),
            (r#""event": "repaired", "from_backup": true"#, "registry restored from its backup"),
            (r#""event": "repaired""#, "registry rebuilt from the slots' directories"),
        ] {
            assert_eq!(sentence(&event(keys), paths), said);
        }
    }

    #[test]
    fn who_did_it_is_named_with_what_the_event_does_not_say() {
        let paths = Paths { home: None };
        let by = |host: &str, directory: Option<&str>| Author {
            user: "me".to_owned(),
            host: host.to_owned(),
            command: "kinfra claim".to_owned(),
            directory: directory.map(str::to_owned),
        };
        let (claimed, added) = (event(r#""event": "claimed""#), event(r#""event": "added""#));
        for (by, what, said) in [
            (by("here", None), &added, "me: claim"),
            (by("far", None), &added, "me@far: claim"),
            (by("here", Some("/src/my shop")), &added, "me: claim in '/src/my shop'"),
            (by("here", Some("/src/login/api")), &claimed, "me: claim"),
            (by("here", Some("/src/shop")), &claimed, "me: claim in /src/shop"),
        ] {
            assert_eq!(author(&by, what, paths, "here"), said);
        }
    }

    #[test]
    fn a_long_list_of_slots_is_told_in_part() {
        let of = |list: &str| {
            some(&if list.is_empty() { BTreeSet::new() } else { SlotId::parse_list(list).unwrap() })
        };
        assert_eq!(of(""), "-");
        assert_eq!(of("1,3,5,7,9,11,13,15,17"), "1,3,5,7,9,11,13,15,17");
        assert_eq!(of("1,3,5,7,9,11,13,15,17,119"), "1,3,5,7,9,… (10 slots)");
        let slot = SlotId::new(3);
        assert_eq!(none(slot), "The history has nothing of slot 3\n");
        assert!(none(None).starts_with("Nothing is recorded of this pool yet"));
        let error = Error::from(crate::fault::Fault::failed("no space").advise("free some"));
        assert_eq!(not_recorded(&error), "Not in the history: no space; free some\n");
        let history = History {
            earlier: 1,
            unreadable: 2,
            missing: SlotId::parse_list("1-2").unwrap(),
            not_read: Some("journal.1".to_owned()).into_iter().collect(),
            ..History::default()
        };
        assert_eq!(
            remarks(&history),
            "Not read: journal.1\n2 lines of the journal cannot be read, and left out\nSome claims of slots 1-2 are missing: an \
             older kinfra made them, or their lines are lost\nLeft out: 1 earlier event; `--last N` says how many to show\n"
        );
        assert_eq!(remarks(&History::default()), "");
    }
}
