//! Models with the paths of the machine without links: the proof compares paths as they are given.

use camino::{Utf8Path, Utf8PathBuf};

use crate::compose::model::Model;
use crate::host::fs::real;

/// The model with the paths of the machine without links, as far as they exist.
pub(in crate::stack) fn real_paths(model: &Model) -> Model {
    with_paths(model, real)
}

/// The model as it would be in another worktree: what lies in this one moves along.
pub(in crate::stack) fn moved(model: &Model, from: &Utf8Path, to: &Utf8Path) -> Model {
    with_paths(model, |path| path.strip_prefix(from).map_or_else(|_| path.to_owned(), |below| to.join(below)))
}

fn with_paths(model: &Model, change: impl Fn(&Utf8Path) -> Utf8PathBuf) -> Model {
    let mut model = model.clone();
    for mount in model.services.values_mut().flat_map(|service| &mut service.volumes) {
        if let Some(path) = mount.bind() {
            mount.source = Some(change(&path).into_string());
        }
    }
    for volume in model.volumes.values_mut() {
        if let Some(device) = volume.device().filter(|device| device.starts_with('/')) {
            let device = change(Utf8Path::new(device)).into_string();
            volume.driver_opts.insert("device".to_owned(), device);
        }
    }
    model
}
