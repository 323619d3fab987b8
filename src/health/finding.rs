//! One thing that was checked, and how it stands.

use anyhow::Error;

use crate::fault::{Fault, advice_of};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// kinfra works, or only some verbs need it.
    Warning,
    /// Keeps kinfra from working.
    Error,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was checked.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What to do; empty if there is nothing to do.
    pub advice: String,
}

/// Whether nothing keeps kinfra from working.
pub fn is_well(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.severity < Severity::Error)
}

/// The findings of an examination, in order.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn fine(&mut self, subject: &str, found: impl Into<String>) {
        self.add(Severity::Fine, subject, found, "");
    }

    pub(super) fn warning(&mut self, subject: &str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(Severity::Warning, subject, found, advice);
    }

    pub(super) fn error(&mut self, subject: &str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(Severity::Error, subject, found, advice);
    }

    /// What kept a check from being made, with the error's own advice.
    pub(super) fn failure(&mut self, severity: Severity, subject: &str, error: &Error) {
        self.add(severity, subject, what_of(error), advice_of(error).unwrap_or_default());
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn into_vec(self) -> Vec<Finding> {
        self.0
    }

    pub(super) fn add(
        &mut self,
        severity: Severity,
        subject: &str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let (found, advice) = (found.into(), advice.into());
        self.0.push(Finding { severity, subject: subject.to_owned(), found, advice });
    }
}

/// What happened, without "nothing was changed": an examination never changes anything.
pub(super) fn what_of(error: &Error) -> String {
    match error.downcast_ref::<Fault>() {
        Some(fault) if fault.is_unchanged => fault.what.clone(),
        _ => format!("{error:#}"),
    }
}
