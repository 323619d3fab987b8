//! Text that means itself in the formats that `kinfra init` writes: in templates, and as strings of TOML and
//! YAML.

use std::fmt::Write as _;
use std::ops::Range;

/// A template that renders as the text, with the edits made. The edits are in the order of the text.
pub(super) fn template(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut template = String::with_capacity(text.len());
    let mut at = 0;
    for (span, replacement) in edits {
        protect(text.get(at..span.start).unwrap_or_default(), &mut template);
        // A brace here and the replacement's first brace would open a Jinja block.
        if template.ends_with('{') {
            template.pop();
            template.push_str("{{ '{' }}");
        }
        template.push_str(replacement);
        at = span.end;
    }
    protect(text.get(at..).unwrap_or_default(), &mut template);
    template
}

/// Writes text so that Jinja renders it as it is.
fn protect(text: &str, template: &mut String) {
    let mut rest = text;
    while let Some(start) = ["{{", "{%", "{#"].iter().filter_map(|opening| rest.find(opening)).min() {
        let (before, from) = rest.split_at(start);
        let (opening, after) = from.split_at(2);
        template.push_str(before);
        let _ = write!(template, "{{{{ '{opening}' }}}}");
        rest = after;
    }
    template.push_str(rest);
}

/// A string as both TOML and YAML write it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Templates;

    #[test]
    fn a_protected_text_renders_as_itself() {
        for text in [
            "",
            "{",
            "{{",
            "{{{",
            "{{{{ x }}}}",
            "a {% raw %} b {# c #} d",
            "{%- x -%}\n  {{- y -}}\r\n",
            "}} %} #}\n\n",
            "{{ '{{' }}",
            "\u{feff}x: '{{.ID}}'\r\n",
        ] {
            let source = template(text, &[]);
            let mut templates = Templates::new();
            templates.add("text", &source).unwrap();
            assert_eq!(templates.render("text", &minijinja::Value::UNDEFINED).unwrap(), text, "{source}");
        }
    }

    #[test]
    fn a_brace_before_a_port_stays_a_brace() {
        assert_eq!(template("{80}", &[(1..3, "{{ ports.web }}".to_owned())]), "{{ '{' }}{{ ports.web }}}");
    }
}
