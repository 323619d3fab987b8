//! The frame of every JSON document.

use serde_json::Value;

use crate::shown::printable_json;

/// The version of the JSON documents. An addition raises the minor number, any other change the major one.
pub(super) const FORMAT_VERSION: &str = "1.0";

/// A JSON document. No word in it steers a terminal; its values are exact.
pub fn document(value: &Value) -> String {
    printable_json(&format!("{value:#}\n"))
}

/// The same in one line, for a document a line.
pub(super) fn line(value: &Value) -> String {
    printable_json(&format!("{value}\n"))
}
