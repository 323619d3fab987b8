//! The templates of the project's own files: their text, with the published ports and the paths of included
//! files replaced and nothing else.

use std::ops::Range;

use camino::Utf8Path;

use super::compose_facts::{ComposeFacts, Include, IncludeForm};
use super::draft_file::DraftFile;
use super::draft_pool::DraftPool;
use super::escape::template;
use super::project::ComposeFile;

/// The template of a project's file, given what the file says.
pub(super) fn project_template(pool: &DraftPool<'_>, file: &ComposeFile, facts: &ComposeFacts) -> DraftFile {
    let ports =
        facts.places.iter().map(|place| (place.span.clone(), place.replacement(&pool.formulas.names(place))));
    let includes = facts.includes.iter().filter(|include| pool.copies(&include.path));
    let mut edits: Vec<(Range<usize>, String)> =
        ports.chain(includes.flat_map(|include| redirect(pool, include))).collect();
    edits.sort_by_key(|(span, _)| span.start);
    DraftFile {
        path: Utf8Path::new("templates").join(pool.slot_path(&file.path)),
        text: template(&file.text, &edits),
        original: Some((file.path.clone(), file.text.clone())),
    }
}

/// The edits that point an included file at the slot's copy of it, and its relative paths at the project.
fn redirect(pool: &DraftPool<'_>, include: &Include) -> Vec<(Range<usize>, String)> {
    let prefix = &pool.prefix;
    let path = format!("\"${{{prefix}SLOT_DIR}}/{}\"", pool.slot_path(&include.path));
    let base = if include.base.as_str().is_empty() { String::new() } else { format!("/{}", include.base) };
    let directory = format!("project_directory: \"${{{prefix}WORKTREE:-${{{prefix}PROJECT_DIR}}}}{base}\"");
    match &include.form {
        IncludeForm::Short => vec![(include.span.clone(), format!("{{path: {path}, {directory}}}"))],
        IncludeForm::Long { project_directory: None } => vec![(include.span.clone(), path)],
        IncludeForm::Long { project_directory: Some((at, separator)) } => {
            vec![(*at..*at, format!("{directory}{separator}")), (include.span.clone(), path)]
        }
    }
}
