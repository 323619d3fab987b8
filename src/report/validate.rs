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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::mistake::SourceKind;

    fn source() -> Source {
        Source { name: "slots.toml".to_owned(), text: "a = 1\nb = 2\n".into(), kind: SourceKind::Template }
    }

    fn finding(severity: Severity) -> Finding {
        let [subject, found, advice] = ["docker", "no answer", "start it"].map(str::to_owned);
        Finding { severity, subject, found, advice }
    }

    #[test]
    fn a_pool_is_valid_without_mistakes_and_errors() {
        let mistake = || (source(), Mistake::new(6..7, "no `b`").help("say `a`".to_owned()));
        for (mistakes, findings, last) in [
            (vec![], vec![], "\nThe pool is valid.\n"),
            (vec![], vec![finding(Severity::Fine), finding(Severity::Warning)], "\nThe pool is valid.\n"),
            (vec![], vec![finding(Severity::Error)], "\nThe pool is not valid: 1 error.\n"),
            (vec![mistake()], vec![finding(Severity::Error)], "\nThe pool is not valid: 2 errors.\n"),
        ] {
            let said = anstream::adapter::strip_str(&text(&mistakes, &findings)).to_string();
            assert!(said.ends_with(last), "{said}");
            assert_eq!(said.contains("error: no `b`"), !mistakes.is_empty(), "{said}");
            let told: Value = serde_json::from_str(&json(&mistakes, &findings)).unwrap();
            assert_eq!(told["valid"], last.contains("is valid"), "{told}");
        }
        let told: Value = serde_json::from_str(&json(&[mistake()], &[finding(Severity::Warning)])).unwrap();
        assert_eq!(
            told["mistakes"],
            json!([{ "file": "slots.toml", "line": 2, "column": 1, "message": "no `b`", "help": "say `a`", "note": null }])
        );
        let found = json!([{ "severity": "warning", "subject": "docker", "found": "no answer", "advice": "start it" }]);
        assert_eq!((&told["findings"], &told["more_mistakes"]), (&found, &json!(0)));
        let many: Vec<_> = (0..=LISTED).map(|_| mistake()).collect();
        let told: Value = serde_json::from_str(&json(&many, &[])).unwrap();
        assert_eq!(
            (told["mistakes"].as_array().map(Vec::len), &told["more_mistakes"]),
            (Some(LISTED), &json!(1))
        );
    }

    #[test]
    fn findings_have_their_marks_and_the_worst_can_come_first() {
        let findings = [finding(Severity::Fine), finding(Severity::Error), finding(Severity::Warning)];
        let marks = |text: String| -> String {
            let text = anstream::adapter::strip_str(&text).to_string();
            text.lines()
                .filter_map(|line| line.strip_prefix("  ")?.chars().next())
                .filter(|c| *c != ' ')
                .collect()
        };
        assert_eq!(marks(doctor::findings(&findings)), "✓✗!");
        assert_eq!(marks(doctor::worst_first(&findings)), "✗!✓");
        let plain = Finding { advice: String::new(), ..finding(Severity::Fine) };
        assert_eq!(doctor::findings(&[plain]).lines().count(), 1);
    }
}
