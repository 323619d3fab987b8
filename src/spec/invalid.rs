//! Why a value is refused.

/// A refused value. The caller knows its place and makes a [`super::mistake::Mistake`] of it.
#[derive(Debug)]
pub(super) struct Invalid {
    /// What is wrong.
    pub(super) message: String,
    /// What to write instead, if the message does not say it.
    pub(super) help: Option<String>,
}

impl Invalid {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()) }
    }
}

impl From<String> for Invalid {
    fn from(message: String) -> Self {
        Self { message, help: None }
    }
}
