//! What is wrong with a pool before it is applied.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::doctor;
use super::document::{FORMAT_VERSION, document};
use crate::health::{Finding, Severity};
use crate::shown::count;
use crate::spec::mistake::{LISTED, Mistake, Source, render};

/// Every mistake at its place, then one line per finding.
pub fn text(mistakes: &[(Source, Mistake)], findings: &[Finding]) -> String {
    let mut text = String::new();
    if !mistakes.is_empty() {
        let _ = writeln!(text, "{}\n", render(mistakes.iter().map(|(source, mistake)| (source, mistake))));
    }
    text += &doctor::findings(findings);
    let errors = errors(mistakes, findings);
    let _ = match errors {
        0 => writeln!(text, "\nThe pool is valid."),
        _ => writeln!(text, "\nThe pool is not valid: {}.", count(errors, "error")),
    };
    text
}

/// The same as JSON.
pub fn json(mistakes: &[(Source, Mistake)], findings: &[Finding]) -> String {
    let valid = errors(mistakes, findings) == 0;
    let more = mistakes.len().saturating_sub(LISTED);
    let mistakes = mistakes.iter().take(LISTED).map(|(source, mistake)| {
        let Mistake { span, message, label: _, related: _, help, note } = mistake;
        let (line, column) = source.line_and_column(span.start);
        json!({
            "file": source.name, "line": line, "column": column,
            "message": message, "help": help, "note": note,
        })
    });
    let findings = findings.iter().map(|Finding { severity, subject, found, advice }| {
        let severity = match severity {
            Severity::Fine => "fine",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        json!({ "severity": severity, "subject": subject, "found": found, "advice": advice })
    });
    document(&json!({
        "format_version": FORMAT_VERSION,
        "valid": valid,
        "mistakes": mistakes.collect::<Vec<Value>>(),
        "more_mistakes": more,
        "findings": findings.collect::<Vec<Value>>(),
    }))
}

fn errors(mistakes: &[(Source, Mistake)], findings: &[Finding]) -> usize {
    mistakes.len() + findings.iter().filter(|finding| finding.severity == Severity::Error).count()
}
