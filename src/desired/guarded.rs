//! The variables that a template for an env file sets and no slot may set: they are left out, and named.

use crate::dotenv::{assigned, is_name, without};
use crate::guarded_variables::{readers_in_file, refusal};
use crate::names::ENV_FILE;
use crate::slot::SlotId;

/// A slot's env file without the variables that no slot may set.
pub(super) fn left(text: &str) -> String {
    without(text, |name| readers_in_file(name).is_some())
}

/// What is said of each variable that is left out, with its name. `path` is the template's, and `template`
/// its text.
pub(super) fn notices(
    (path, template): (&str, &str),
    text: &str,
    slot: SlotId,
) -> impl Iterator<Item = (String, String)> {
    assigned(text).filter_map(move |(line, name)| {
        let refusal = refusal(&name, readers_in_file(&name)?);
        let place = match line_of(template, &name) {
            Some(line) => format!("`{path}` line {line}"),
            None => format!("`{path}` makes line {line} of `{ENV_FILE}` of slot {slot}"),
        };
        Some((name, format!("{place}: {refusal}: it is left out")))
    })
}

/// The first line of a template where a whole word is this name.
fn line_of(template: &str, name: &str) -> Option<usize> {
    let has = |line: &str| line.split(|part: char| !is_name(&format!("_{part}"))).any(|word| word == name);
    template.lines().position(has).map(|before| before + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_one_with_the_whole_word() {
        let template = "SHOP_PATH={{ env.PATH_OF }}\nPATHS=1\nexport PATH=/x\n";
        assert_eq!(line_of(template, "PATH"), Some(3));
        assert_eq!(line_of("{{ a }}", "PATH"), None);
    }
}
