//! What agents read of the verbs that can say much: 60 lines and no more.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cli::{PlanArgs, SandboxVerb, SlotsArgs, StatusArgs, UpArgs, Verb};
use crate::host::invocation::is_plain;
use crate::report::terse::capped;

/// What a text is to the verb that prints it.
#[derive(Debug, Clone, Copy)]
pub(super) enum About {
    /// What it was asked for, or why it fails.
    Asked,
    /// What is said besides.
    Besides,
}

static ASKED: AtomicUsize = AtomicUsize::new(usize::MAX);
static BESIDES: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Limits what a verb is about to print, where output is to be plain. JSON is whole.
pub(super) fn limit(verb: &Verb) {
    if is_plain() && is_long(verb) {
        ASKED.store(48, Ordering::Relaxed);
        BESIDES.store(12, Ordering::Relaxed);
    }
}

fn is_long(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Doctor(_)
            | Verb::Up(UpArgs { json: false, .. })
            | Verb::Status(StatusArgs { json: false, .. })
            | Verb::Plan(PlanArgs { json: false, .. })
            | Verb::Slots(SlotsArgs { json: false, watch: false, .. })
            | Verb::Sandbox(SandboxVerb::Slots(SlotsArgs { json: false, watch: false, .. }))
    )
}

/// As much of a text as may still be printed.
pub(super) fn within(text: &str, about: About) -> Cow<'_, str> {
    let left = match about {
        About::Asked => &ASKED,
        About::Besides => &BESIDES,
    };
    let most = left.load(Ordering::Relaxed);
    if most == usize::MAX {
        return text.into();
    }
    let text = capped(text, most);
    left.fetch_sub(text.lines().count(), Ordering::Relaxed);
    text
}
