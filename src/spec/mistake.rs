//! A mistake in a file that people write, shown where it is made.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A text file that people write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// How messages name it.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// What kind of file it is.
    pub kind: SourceKind,
}

/// What kind of file a [`Source`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A `slots.toml`. The values of its `[env]` are never shown.
    Spec,
    /// A template.
    Template,
}

impl Source {
    /// The line and column of a byte, both counted from 1; columns in characters.
    pub fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(byte)];
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    /// What messages may show of it: as long as the text, byte for byte.
    fn shown(&self) -> String {
        match self.kind {
            SourceKind::Spec => super::secret::mask(&self.text),
            SourceKind::Template => self.text.clone(),
        }
    }
}

/// One mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Bytes of the source that are underlined.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What stands beside the underline; may be empty.
    pub label: String,
    /// Other places that belong to it, each with its label.
    pub related: Vec<(Range<usize>, String)>,
    /// What to do about it.
    pub help: Option<String>,
    /// What else to know.
    pub note: Option<String>,
}

impl Mistake {
    /// A mistake with nothing but its place and message.
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

    /// Adds what stands beside the underline.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// Adds what to do, if anything is known.
    #[must_use]
    pub fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    /// Adds what else to know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// How many mistakes are shown: a file with more is not what it is meant to be.
const SHOWN: usize = 50;

/// Shows mistakes in their source, as compilers do, with colour codes for the printer to keep or strip.
pub fn render<'a>(mistakes: impl IntoIterator<Item = (&'a Source, &'a Mistake)>) -> String {
    let renderer = Renderer::styled();
    let mut mistakes = mistakes.into_iter();
    let shown = mistakes.by_ref().take(SHOWN).map(|(source, mistake)| {
        let text = &*source.shown();
        let Mistake { span, message, label, related, help, note } = mistake;
        let place = |kind: AnnotationKind, span: &Range<usize>, label: &str| {
            let label = (!label.is_empty()).then(|| label.to_owned());
            kind.span(within(span, text)).label(label)
        };
        let snippet = Snippet::source(text)
            .path(&source.name)
            .annotation(place(AnnotationKind::Primary, span, label))
            .annotations(related.iter().map(|(span, label)| place(AnnotationKind::Context, span, label)));
        let mut group = Level::ERROR.primary_title(message).element(snippet);
        if let Some(help) = help {
            group = group.element(Level::HELP.message(help));
        }
        if let Some(note) = note {
            group = group.element(Level::NOTE.message(note));
        }
        // The renderer shows the other control characters as pictures, but some terminals obey these as well.
        renderer.render(&[group]).replace(|c| matches!(c, '\u{80}'..='\u{9f}'), "\u{fffd}")
    });
    let mut shown: Vec<String> = shown.collect();
    let more = mistakes.count();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join("\n\n")
}

/// Keeps a span inside its text and on the boundaries of its characters.
fn within(span: &Range<usize>, text: &str) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.min(text.len()));
    start..end.max(start)
}

/// The name most like a misspelt one.
pub fn closest<'a>(misspelt: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    similar::get_close_matches(misspelt, &known, 1, 0.6).first().copied()
}

/// Help with a name that is not known: "did you mean `api`?", or else all that are, after `otherwise`.
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
