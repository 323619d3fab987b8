//! The variables that a template for an env file sets and no slot may set: they are left out, and named.

use std::collections::HashMap;

use crate::dotenv::{assigned, is_part_of_name, seemingly_assigned, without};
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
    let mut lines = None;
    let may_be_set = seemingly_assigned(text).any(|name| readers_in_file(name).is_some());
    let set = may_be_set.then(|| assigned(text)).into_iter().flatten();
    set.filter_map(move |(line, name)| {
        let refusal = refusal(&name, readers_in_file(&name)?);
        let place = match lines.get_or_insert_with(|| lines_of_words(template)).get(name.as_str()) {
            Some(line) => format!("`{path}` line {line}"),
            None => format!("`{path}` makes line {line} of `{ENV_FILE}` of slot {slot}"),
        };
        Some((name, format!("{place}: {refusal}: it is left out")))
    })
}

/// The words of a template that can be names, each with its first line.
fn lines_of_words(template: &str) -> HashMap<&str, usize> {
    let mut lines = HashMap::new();
    for (line, text) in (1..).zip(template.lines()) {
        for word in text.split(|c| !is_part_of_name(c)) {
            lines.entry(word).or_insert(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_one_with_the_whole_word() {
        let template = "SHOP_PATH={{ env.PATH_OF }}\nPATHS=1\nexport PATH=/x\n";
        assert_eq!(lines_of_words(template).get("PATH"), Some(&3));
        assert_eq!(lines_of_words("{{ a }}").get("PATH"), None);
    }
}
