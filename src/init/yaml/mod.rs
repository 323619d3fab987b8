//! YAML → a tree that knows where in the text every value stands, so that a few characters of a file can be
//! replaced and the rest kept byte for byte. A YAML library throws that away.
//!
//! It reads what Compose files are written in. It refuses the rest, and names the line: complex keys, aliases
//! as keys, and more than one document.

mod cursor;
mod reader;
mod scalar;
mod tree;

pub(super) use reader::parse;
pub(super) use tree::{Node, YamlTree, YamlValue};
