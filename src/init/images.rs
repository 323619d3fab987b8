//! Images that are built from an image that the project builds itself.

use std::collections::BTreeMap;

use crate::compose::model::Model;
use crate::compose::resource::full_image;

/// The text of a service's Dockerfile, and its name in messages.
pub(super) type Dockerfiles = BTreeMap<String, (String, String)>;

/// A note for each: a slot builds the one under its own tag, and this `FROM` still names the project's.
pub(super) fn notes(model: &Model, dockerfiles: &Dockerfiles) -> Vec<String> {
    let built = model.built_images();
    let mut notes = Vec::new();
    for (service, (file, text)) in dockerfiles {
        for (line, image) in images(text) {
            let by = built.iter().find(|(_, name)| full_image(name) == full_image(&image));
            if let Some((by, _)) = by {
                notes.push(format!(
                    "{service} is built from `{image}` ({file}:{line}), which {by} builds: that name is not moved, so a slot builds on the main stack's"
                ));
            }
        }
    }
    notes
}

/// The images that a Dockerfile names, with their lines.
fn images(text: &str) -> Vec<(usize, String)> {
    let image = |line: &str| {
        let mut words = line.split_whitespace();
        let instruction = words.next()?.to_uppercase();
        let is_option = |word: &&str| word.starts_with("--");
        match instruction.as_str() {
            "FROM" => words.find(|word| !is_option(word)),
            "COPY" => words.take_while(is_option).find_map(|word| word.strip_prefix("--from=")),
            _ => None,
        }
        .map(str::to_owned)
    };
    text.lines().enumerate().filter_map(|(index, line)| Some((index + 1, image(line)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockerfiles_name_images() {
        let text =
            "# FROM a\nfrom --platform=x shop-base AS b\nCOPY --from=shop-tools /a /b\nRUN x --from=y\n";
        assert_eq!(images(text), [(2, "shop-base".to_owned()), (3, "shop-tools".to_owned())]);
    }
}
