//! A mistake in a file that people write, shown where it is made.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A text file that people write: `slots.toml` or a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// How messages name it.
    pub name: String,
    /// What is in it.
    pub text: String,
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
}

impl Mistake {
    /// A mistake with nothing but its place and message.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), label: String::new(), related: Vec::new(), help: None }
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
}

/// Shows mistakes in their source, as compilers do, with colour codes for the printer to keep or strip.
pub fn render<'a>(mistakes: impl IntoIterator<Item = (&'a Source, &'a Mistake)>) -> String {
    let renderer = Renderer::styled();
    let shown = mistakes.into_iter().map(|(source, mistake)| {
        let Mistake { span, message, label, related, help } = mistake;
        let place = |kind: AnnotationKind, span: &Range<usize>, label: &str| {
            let label = (!label.is_empty()).then(|| label.to_owned());
            kind.span(within(span, &source.text)).label(label)
        };
        let snippet = Snippet::source(&source.text)
            .path(&source.name)
            .annotation(place(AnnotationKind::Primary, span, label))
            .annotations(related.iter().map(|(span, label)| place(AnnotationKind::Context, span, label)));
        let mut group = Level::ERROR.primary_title(message).element(snippet);
        if let Some(help) = help {
            group = group.element(Level::HELP.message(help));
        }
        renderer.render(&[group])
    });
    shown.collect::<Vec<_>>().join("\n\n")
}

/// Keeps a span inside its text and on the boundaries of its characters.
fn within(span: &Range<usize>, text: &str) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.min(text.len()));
    start..end.max(start)
}

/// The names most like a misspelt one, as help: "did you mean `api`?".
pub fn suggestion<'a>(misspelt: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    let close = similar::get_close_matches(misspelt, &known, 1, 0.6);
    close.first().map(|name| format!("did you mean `{name}`?"))
}
