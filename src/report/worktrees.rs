//! The worktrees of a repository, each with its slot and what of it is nowhere else.

use camino::Utf8Path;
use owo_colors::AnsiColors;
use serde_json::{Value, json};

use super::document::{FORMAT_VERSION, document};
use super::slots::{ago, standing_word, status};
use super::table::{Cell, Shorten, Table, fitting, number};
use super::{attention, stack_state};
use crate::checkout::listing::{Presence, Row};
use crate::claims::listing::Listed;
use crate::host::git_work::Glimpse;
use crate::shown::{Paths, count};
use crate::slot::SlotId;
use crate::stack::observe::sight::Sight;
use crate::stack::observe::stacks::Looked;
use crate::stack::up::addresses::Url;
use crate::time::Time;

/// The columns of the table, and where their cells are shortened.
const COLUMNS: [(&str, Shorten); 7] = [
    ("Branch", Shorten::Middle),
    ("Slot", Shorten::Never),
    ("Stack", Shorten::End),
    ("Address", Shorten::Never),
    ("Age", Shorten::Never),
    ("Work", Shorten::End),
    ("Path", Shorten::Middle),
];

/// The columns that are left out where the table is too wide, the first one first.
const LEFT_OUT: [&str; 3] = ["Age", "Address", "Path"];

/// What is shown: the worktrees, and the slots of the pool.
pub struct Worktrees<'a> {
    /// The worktrees, the main one first.
    pub rows: &'a [Row],
    /// The slots of the pool, with their stacks.
    pub looked: &'a Looked,
}

impl Worktrees<'_> {
    /// The slots that a worktree holds. Runs with owners may hold several.
    fn slots_of(&self, path: &Utf8Path) -> Vec<(&Listed, &Sight)> {
        let holds = |listed: &&Listed| listed.entry.claim.as_ref().is_some_and(|it| it.claimed_by.is(path));
        let sight = |slot: &SlotId| self.looked.sights.get(slot).unwrap_or(&Sight::NeverStarted);
        self.looked.slots.iter().filter(holds).map(|listed| (listed, sight(&listed.slot))).collect()
    }

    /// As a table of at most so many columns.
    pub fn text(&self, now: Time, paths: Paths<'_>, columns: Option<usize>) -> String {
        fitting(columns, &LEFT_OUT, |without| self.table(now, paths, without))
    }

    fn table(&self, now: Time, paths: Paths<'_>, without: &[&str]) -> Table {
        let is_shown = |title: &str| !without.contains(&title);
        let shown = COLUMNS.into_iter().filter(|(title, _)| is_shown(title));
        let mut table = Table::new(shown.map(|(title, shorten)| (title.to_owned(), shorten)));
        for row in self.rows {
            let slots = self.slots_of(&row.path);
            let each = slots.iter().copied().map(Some);
            let each = if slots.is_empty() { vec![None] } else { each.collect() };
            for slot in each {
                let cells = COLUMNS.into_iter().zip(self.cells(row, slot, now, paths));
                table.add_row(cells.filter(|((title, _), _)| is_shown(title)).map(|(_, cell)| cell));
            }
        }
        table
    }

    fn cells(&self, row: &Row, slot: Option<(&Listed, &Sight)>, now: Time, paths: Paths<'_>) -> [Cell; 7] {
        let dash = || "-".to_owned();
        let Row { path, branch, is_main: _, presence: _, made, work: _ } = row;
        let (work, color) = work(row);
        let stack = slot.map_or_else(
            || Cell::new("-"),
            |(listed, sight)| {
                Cell::new(status(&listed.entry, listed.standing, sight)).colored(attention::of_slot(
                    &listed.entry,
                    listed.standing,
                    sight,
                ))
            },
        );
        let url = slot.and_then(|(listed, _)| self.looked.addresses.get(&listed.slot));
        [
            Cell::new(branch.as_ref().map_or_else(|| "(none)".to_owned(), ToString::to_string)),
            number(slot.map_or_else(dash, |(listed, _)| listed.slot.to_string())),
            stack,
            Cell::new(url.map_or("-", Url::shown)),
            Cell::new(made.map_or_else(dash, |made| ago(made, now))),
            Cell::new(work).colored(color),
            Cell::new(paths.show(path)),
        ]
    }

    /// As one JSON document.
    pub fn json(&self, seen_at: Option<Time>) -> String {
        let slot = |(listed, sight): (&Listed, &Sight)| {
            let url = self.looked.addresses.get(&listed.slot);
            json!({
                "slot_id": listed.slot,
                "claim_owner": listed.entry.claim.as_ref().and_then(|claim| claim.claim_owner.as_ref()),
                "standing": listed.standing.map(standing_word),
                "stack": stack_state::json(sight),
                "url": url.map(|url| &url.plain),
                "host_url": url.and_then(|url| url.hosted.as_ref()),
            })
        };
        let row = |row: &Row| {
            let Row { path, branch, is_main, presence, made, work } = row;
            let slots: Vec<Value> = self.slots_of(path).into_iter().map(slot).collect();
            json!({
                "path": path,
                "branch": branch.as_ref().map(ToString::to_string),
                "is_main": is_main,
                "presence": presence_word(*presence),
                "made": made,
                "files": work.map(|work| work.files),
                "commits": work.map(|work| work.commits),
                "in_progress": work.and_then(|work| work.in_progress),
                "slots": slots,
            })
        };
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        let mut object = json!({ "format_version": FORMAT_VERSION, "worktrees": rows });
        if let (Value::Object(keys), Some(at)) = (&mut object, seen_at) {
            keys.insert("seen_at".to_owned(), json!(at));
        }
        document(&object)
    }
}

const fn presence_word(presence: Presence) -> &'static str {
    match presence {
        Presence::Whole => "whole",
        Presence::Gone => "gone",
        Presence::Unfinished => "unfinished",
        Presence::Leaving => "leaving",
    }
}

/// What of a worktree may be nowhere else, in words.
fn work(row: &Row) -> (String, Option<AnsiColors>) {
    let words = match (row.presence, row.work) {
        (Presence::Gone, _) => "gone".to_owned(),
        (Presence::Unfinished, _) => "not made yet".to_owned(),
        (Presence::Leaving, _) => "half removed".to_owned(),
        (Presence::Whole, None) => "unknown: git did not answer".to_owned(),
        (Presence::Whole, Some(Glimpse { files: 0, commits: 0, in_progress: None })) => {
            return ("-".to_owned(), None);
        }
        (Presence::Whole, Some(Glimpse { files, commits, in_progress })) => {
            let some = |number: usize, noun: &str| (number > 0).then(|| count(number, noun));
            let parts = [in_progress.map(str::to_owned), some(files, "file"), some(commits, "commit")];
            return (parts.into_iter().flatten().collect::<Vec<_>>().join(", "), None);
        }
    };
    (words, Some(AnsiColors::Yellow))
}
