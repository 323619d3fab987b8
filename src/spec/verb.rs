//! A verb of the project, as `[verbs]` declares it.

use std::collections::BTreeMap;
use std::ops::Range;

use super::invalid::Invalid;
use crate::identifier::{Branch, ProfileName, VerbName};
use crate::time::Span;

/// What stands for the name that is typed.
const NAME: &str = "{name}";

/// What `[verbs]` declares.
#[derive(Debug, Clone, Default)]
pub struct Verbs {
    /// The verbs of the project.
    pub declared: BTreeMap<VerbName, VerbSpec>,
    /// The verbs that this kinfra has itself, each with its place: its own are meant. An older one may have
    /// read the same file.
    pub taken: BTreeMap<VerbName, Range<usize>>,
}

/// A verb of the project: `kinfra start` with these.
#[derive(Debug, Clone, Default)]
pub struct VerbSpec {
    /// The branch.
    pub branch: BranchTemplate,
    /// Where a new branch begins.
    pub from: Option<String>,
    /// The smallest profile that the slot may have.
    pub profile: Option<ProfileName>,
    /// The lease of the claim.
    pub lease: Option<Span>,
    /// Whether the stack is not started.
    pub is_without_stack: bool,
}

/// The name of a branch, with a place for the name that is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchTemplate(String);

impl Default for BranchTemplate {
    fn default() -> Self {
        Self(NAME.to_owned())
    }
}

impl BranchTemplate {
    /// Refuses a branch that does not have the name once, or that git would take for a flag.
    pub(super) fn new(template: &str) -> Result<Self, Invalid> {
        let shown = template.escape_debug();
        let takes = format!("write it once, as in `impl/{NAME}`");
        let count = template.matches(NAME).count();
        if count != 1 {
            return Err(Invalid::new(format!("`{shown}` has `{NAME}` {count} times"), takes));
        }
        if template.replace(NAME, "").contains(['{', '}']) {
            return Err(Invalid::new(format!("`{shown}` has braces that stand for nothing"), takes));
        }
        Branch::new(&template.replace(NAME, "x"))?;
        Ok(Self(template.to_owned()))
    }

    /// The branch for a name.
    ///
    /// # Errors
    /// The reason why it is none.
    pub fn of(&self, name: &str) -> Result<Branch, String> {
        Branch::new(name)?;
        Branch::new(&self.0.replace(NAME, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_has_the_name_once_and_is_no_flag() {
        let of = |template: &str, name: &str| {
            let template = BranchTemplate::new(template).map_err(|invalid| invalid.message)?;
            template.of(name).map(|branch| branch.to_string())
        };
        assert_eq!(of("impl/{name}", "a/b").as_deref(), Ok("impl/a/b"));
        assert_eq!(of("{name}-x", "a{name}").as_deref(), Ok("a{name}-x"));
        assert_eq!(BranchTemplate::default().of("a").map(|branch| branch.to_string()).as_deref(), Ok("a"));
        for template in ["", "impl", "{name}{name}", "{name}/{repo}", "{name}}", "-{name}", "a\n{name}"] {
            assert!(of(template, "a").is_err(), "{template:?}");
        }
        for name in ["", "-x", "a\n"] {
            assert!(of("impl/{name}", name).is_err(), "{name:?}");
        }
    }
}
