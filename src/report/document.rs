//! The frame of every JSON document.

use serde_json::Value;

/// The version of the JSON documents. An addition raises the minor number, any other change the major one.
pub(super) const FORMAT_VERSION: &str = "1.0";

/// A JSON document.
pub fn document(value: &Value) -> String {
    format!("{value:#}\n")
}
