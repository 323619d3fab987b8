//! Tables for people, as wide as the terminal allows.

use std::borrow::Cow;
use std::fmt::Display;
use std::iter::{once, repeat_n};

use owo_colors::{AnsiColors, OwoColorize as _};

use crate::shown::{made_printable, shorten, shorten_middle, width};

/// A cell of a table. No word in it steers a terminal, and its width is that of what is shown.
pub(super) struct Cell {
    text: String,
    is_number: bool,
    color: Option<AnsiColors>,
}

impl Cell {
    pub(super) fn new(value: impl Display) -> Self {
        Self { text: made_printable(value.to_string()), is_number: false, color: None }
    }

    /// In this colour, if there is one.
    pub(super) fn colored(self, color: Option<AnsiColors>) -> Self {
        Self { color, ..self }
    }
}

/// Where a column is shortened that is too wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shorten {
    Never,
    Middle,
    End,
}

/// A header, and rows below it.
pub(super) struct Table {
    header: Vec<(String, Shorten)>,
    rows: Vec<Vec<Cell>>,
}

/// A table whose columns are never shortened.
pub(super) fn table<T: Into<String>>(header: impl IntoIterator<Item = T>) -> Table {
    Table::new(header.into_iter().map(|title| (title.into(), Shorten::Never)))
}

/// A number in a cell, at its right.
pub(super) fn number(value: impl Display) -> Cell {
    Cell { is_number: true, ..Cell::new(value) }
}

/// The table in full.
pub(super) fn lines(table: &Table) -> String {
    table.lines(&table.widths())
}

/// As long as this, a name that is shortened can still be told.
pub(super) const READABLE: usize = 16;

/// A table in so many columns of a terminal, or in full where they are not limited. `of` makes it without
/// some of its columns. Where it is too wide, names are shortened first; then the columns `left_out` go, the
/// first one first.
pub(super) fn fitting(columns: Option<usize>, left_out: &[&str], of: impl Fn(&[&str]) -> Table) -> String {
    let Some(columns) = columns else { return lines(&of(&[])) };
    let fewer = (0..=left_out.len()).filter_map(|count| left_out.get(..count));
    let narrow = fewer.map(|without| of(without).within(columns, READABLE));
    let narrowest = || of(left_out);
    narrow.flatten().next().or_else(|| narrowest().within(columns, 1)).unwrap_or_else(|| lines(&narrowest()))
}

impl Table {
    pub(super) fn new(header: impl IntoIterator<Item = (String, Shorten)>) -> Self {
        Self { header: header.into_iter().collect(), rows: Vec::new() }
    }

    pub(super) fn add_row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table in so many columns of a terminal. A name that is shortened keeps `least` of them, and a
    /// sentence, which says less in them, half as many again. `None` if that is too wide still.
    pub(super) fn within(&self, columns: usize, least: usize) -> Option<String> {
        let mut widths = self.widths();
        // Each column has a space before and after it; the last one ends the line.
        while widths.iter().map(|width| width + 2).sum::<usize>() > columns + 1 {
            let may_shrink = widths.iter_mut().zip(&self.header);
            let may_shrink = may_shrink.filter(|(width, (title, shorten))| {
                let least = if *shorten == Shorten::End { least + least / 2 } else { least };
                *shorten != Shorten::Never && **width > least.max(crate::shown::width(title))
            });
            let (widest, _) = may_shrink.max_by_key(|(width, _)| **width)?;
            *widest -= 1;
        }
        Some(self.lines(&widths))
    }

    fn widths(&self) -> Vec<usize> {
        let of_column = |(index, (title, _)): (usize, &(String, Shorten))| {
            let cells = self.rows.iter().filter_map(|row| row.get(index));
            cells.map(|cell| width(&cell.text)).max().unwrap_or_default().max(width(title))
        };
        self.header.iter().enumerate().map(of_column).collect()
    }

    fn lines(&self, widths: &[usize]) -> String {
        let titles: Vec<Cell> = self.header.iter().map(|(title, _)| Cell::new(title)).collect();
        let mut lines = String::new();
        for cells in once(&titles).chain(&self.rows) {
            let begin = lines.len();
            for ((cell, width), (_, at)) in cells.iter().zip(widths).zip(&self.header) {
                pad(&mut lines, cell, *width, *at);
            }
            lines.truncate(begin + lines[begin..].trim_end().len());
            lines.push('\n');
        }
        lines
    }
}

/// Adds a cell in its column to a line, with a space at each side.
fn pad(line: &mut String, cell: &Cell, columns: usize, at: Shorten) {
    let text: Cow<'_, str> = match at {
        Shorten::Never => (&cell.text).into(),
        Shorten::Middle => shorten_middle(&cell.text, columns).into(),
        Shorten::End => shorten(&cell.text, columns).into(),
    };
    let space = repeat_n(' ', columns.saturating_sub(width(&text)));
    let text = colored(&text, cell.color);
    line.push(' ');
    if cell.is_number {
        line.extend(space);
        line.push_str(&text);
    } else {
        line.push_str(&text);
        line.extend(space);
    }
    line.push(' ');
}

/// A text in this colour, if there is one.
pub(super) fn colored(text: &str, color: Option<AnsiColors>) -> String {
    color.map_or_else(|| text.to_owned(), |color| text.color(color).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_column_that_may_be_shortened_is() {
        let header = [("SLOT", Shorten::Never), ("HOLDER", Shorten::Middle), ("NOTE", Shorten::End)];
        let mut table = Table::new(header.map(|(title, at)| (title.to_owned(), at)));
        table.add_row(["1", "abcdefghijklmnopqrst", "short"].map(Cell::new));
        let full = " SLOT  HOLDER                NOTE\n 1     abcdefghijklmnopqrst  short\n";
        assert_eq!(lines(&table), full);
        // The last column needs no space behind it.
        for columns in [200, 34] {
            assert_eq!(table.within(columns, 6).as_deref(), Some(full), "{columns}");
        }
        for columns in [33, 25, 20] {
            let narrow = table.within(columns, 6).unwrap();
            assert!(narrow.lines().all(|line| width(line) <= columns), "{columns}: {narrow}");
            assert!(narrow.contains('…') && narrow.contains("short"), "{narrow}");
        }
        assert_eq!(table.within(19, 6), None, "a name keeps six columns");
        let mut sentences = Table::new([("NOTE".to_owned(), Shorten::End)]);
        sentences.add_row([Cell::new("of an evening in May")]);
        assert_eq!(sentences.within(10, 6).as_deref(), Some(" NOTE\n of an ev…\n"));
        assert_eq!(sentences.within(9, 6), None, "a sentence keeps nine columns");
    }
}
