//! What is said of the line that makes a shell complete.

use crate::completions::StartUp;

/// That the line was added.
pub fn added(StartUp { file, line, .. }: &StartUp) -> String {
    format!("Added to {file}:\n    {line}\nNew shells complete kinfra\n")
}

/// What would be added.
pub fn would_add(StartUp { file, line, .. }: &StartUp) -> String {
    format!("Would add to {file}:\n    {line}\n")
}

/// That the file has the line already.
pub fn there(StartUp { file, line, .. }: &StartUp) -> String {
    format!("{file} has it already:\n    {line}\n")
}
