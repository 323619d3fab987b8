//! The differences of files that `plan` and `apply` show.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};

use anyhow::Result;

use crate::provision::Prepared;
use crate::report;
use crate::slot::SlotId;

/// The differences of the files that would change, by slot: on a terminal, or if `asked` for.
pub(super) fn differences(prepared: &Prepared<'_>, asked: bool) -> Result<BTreeMap<SlotId, String>> {
    if !asked && !io::stdout().is_terminal() {
        return Ok(BTreeMap::new());
    }
    Ok(report::diff::by_slot(&prepared.changed_texts()?, prepared.secrets()))
}
