//! A mistake in `slots.toml` or a template, and how it is shown at its place.

use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::invalid::Invalid;
use super::secret;
use crate::shown::{printable, printable_lines};

#[cfg(test)]
#[path = "mistake_tests.rs"]
mod tests;

/// A file that a mistake can be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The name that messages show.
    pub name: String,
    /// Its whole text. All mistakes in it share it.
    pub text: Arc<str>,
    /// Decides what messages may show of the text.
    pub kind: SourceKind,
}

/// The kind of a [`Source`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A `slots.toml`. Messages never show the values of its `[env]` and `[services]`.
    Spec,
    /// A template.
    Template,
}

impl Source {
    /// The line and column of a byte. Both count from 1, and columns count characters.
    pub fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(byte)];
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    /// The text that messages may show. It has the same length as the original, so spans stay valid.
    fn shown(&self) -> String {
        match self.kind {
            SourceKind::Spec => secret::mask(&self.text),
            SourceKind::Template => self.text.to_string(),
        }
    }
}

/// One mistake with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The bytes to underline.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// A remark beside the underline; may be empty.
    pub label: String,
    /// Other places that the mistake involves, each with its label.
    pub related: Vec<(Range<usize>, String)>,
    /// What to do next.
    pub help: Option<String>,
    /// Further background.
    pub note: Option<String>,
}

impl Mistake {
    /// A mistake with only a place and a message.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            label: String::new(),
            related: Vec::new(),
            help: None,
            note: None,
        }
    }

    /// A refused value with its place.
    pub(super) fn invalid(span: Range<usize>, invalid: impl Into<Invalid>) -> Self {
        let Invalid { message, help } = invalid.into();
        Self { help, ..Self::new(span, message) }
    }

    /// Adds a remark beside the underline.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds another place with its label.
    #[must_use]
    pub fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// Adds what to do next, if it is known.
    #[must_use]
    pub fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    /// Adds further background.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// The most mistakes that are shown. A file with more is probably not a `slots.toml` at all.
const SHOWN: usize = 50;

/// The most mistakes that are listed as JSON.
pub const LISTED: usize = 200;

/// The most text around mistakes that is shown, in bytes. Only lines that no person wrote are that long.
const MOST_TEXT: usize = 256 << 10;

/// Shows mistakes in their source, as compilers do. The text has colour codes, which the printer keeps or
/// strips.
pub fn render<'a>(mistakes: impl IntoIterator<Item = (&'a Source, &'a Mistake)>) -> String {
    let renderer = Renderer::styled();
    let mut mistakes = mistakes.into_iter();
    let mut last: Option<(&Source, String)> = None;
    let (mut shown, mut lines) = (Vec::new(), 0);
    while shown.len() < SHOWN
        && lines < MOST_TEXT
        && let Some((source, mistake)) = mistakes.next()
    {
        if last.as_ref().is_none_or(|(shown, _)| *shown != source) {
            last = Some((source, source.shown()));
        }
        let text = last.as_ref().map_or("", |(_, text)| text.as_str());
        lines += lines_around(text, &mistake.span).len();
        let Mistake { span, message, label, related, help, note } = mistake;
        let place = |kind: AnnotationKind, span: &Range<usize>, label: &str| {
            let label = (!label.is_empty()).then(|| printable(label));
            kind.span(within(span, text)).label(label)
        };
        let snippet = Snippet::source(text)
            .path(printable(&source.name))
            .annotation(place(AnnotationKind::Primary, span, label))
            .annotations(related.iter().map(|(span, label)| place(AnnotationKind::Context, span, label)));
        let mut group = Level::ERROR.primary_title(printable_lines(message)).element(snippet);
        if let Some(help) = help {
            group = group.element(Level::HELP.message(printable_lines(help)));
        }
        if let Some(note) = note {
            group = group.element(Level::NOTE.message(printable_lines(note)));
        }
        // The renderer replaces C0 control characters itself, but some terminals also obey C1.
        shown.push(renderer.render(&[group]).replace(|c| matches!(c, '\u{80}'..='\u{9f}'), "\u{fffd}"));
    }
    let more = mistakes.count();
    if more > 0 {
        shown.push(format!("… and {more} more"));
    }
    shown.join("\n\n")
}

/// The lines that a span is in.
fn lines_around<'a>(text: &'a str, span: &Range<usize>) -> &'a str {
    let Range { start, end } = within(span, text);
    let (before, after) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    text.get(start..end + after.find('\n').unwrap_or(after.len())).unwrap_or_default()
}

/// Clamps a span to the text and to character boundaries.
fn within(span: &Range<usize>, text: &str) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.min(text.len()));
    start..end.max(start)
}

/// The known name most similar to a misspelt one, if any is similar enough. Of `slot.foo` and `slot.id`, the
/// last parts have to be alike.
pub fn closest<'a>(misspelt: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let is_alike = |name: &str| {
        let [misspelt, name] = [misspelt, name].map(|name| name.rsplit('.').next().unwrap_or(name));
        !similar::get_close_matches(misspelt, &[name], 1, 0.5).is_empty()
    };
    let known: Vec<&str> = known.into_iter().filter(|name| is_alike(name)).collect();
    similar::get_close_matches(misspelt, &known, 1, 0.6).first().copied()
}

/// Help with an unknown name: "did you mean `api`?", or else `otherwise` followed by all known names.
pub fn suggestion<'a>(
    misspelt: &str,
    known: impl IntoIterator<Item = &'a str>,
    otherwise: &str,
) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    let all = || known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match closest(misspelt, known.iter().copied()) {
        Some(name) => Some(format!("did you mean `{name}`?")),
        None => (!known.is_empty()).then(|| format!("{otherwise} {}", all())),
    }
}
