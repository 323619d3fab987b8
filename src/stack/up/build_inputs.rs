//! What the images of services are built from.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use crate::compose::model::{Build, Model, Service};
use crate::digest::Digest;
use crate::host::fs::{left_out, survey};

/// A hash of what all services of a stack are built from. `None` if that cannot be told from files of this
/// machine.
pub(in crate::stack) fn of_stack(model: &Model) -> Option<Digest> {
    let mut parts = String::new();
    for (name, service) in &model.services {
        parts.extend([name.as_str(), " ", &of_service(service)?.to_string(), "\n"]);
    }
    Some(Digest::of(parts.as_bytes()))
}

/// A hash of what a service is built from; of nothing if it is not built.
pub(in crate::stack) fn of_service(service: &Service) -> Option<Digest> {
    let Some(build) = &service.build else { return Some(Digest::of(b"")) };
    let Build { context, dockerfile, dockerfile_inline: _, additional_contexts, args: _, tags: _ } = build;
    let directory = Utf8Path::new(context);
    let mut found = survey(directory, &left_out(&directory.join(".dockerignore")))?.to_string();
    // Either may be outside of the context.
    let dockerfile = dockerfile.as_ref().map(|file| directory.join(file));
    let contexts = additional_contexts.values().map(Utf8PathBuf::from);
    for path in dockerfile.into_iter().chain(contexts).filter(|path| !path.starts_with(directory)) {
        found.push_str(&survey(&path, &BTreeSet::new())?.to_string());
    }
    Some(Digest::of(found.as_bytes()))
}
