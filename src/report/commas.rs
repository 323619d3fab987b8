//! Lists in sentences.

use std::fmt::{self, Display};

/// A list with commas between its items.
pub(super) struct Commas<I>(pub(super) I);

impl<I: Iterator<Item = impl Display> + Clone> Display for Commas<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.clone().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}
