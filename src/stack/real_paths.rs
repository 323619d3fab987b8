//! Models with the paths of the machine without links: the proof compares paths as they are given.

use camino::Utf8Path;

use crate::compose::model::Model;
use crate::host::fs::real;

/// The model with the paths of the machine without links, as far as they exist.
pub(super) fn real_paths(model: &Model) -> Model {
    let mut model = model.clone();
    for mount in model.services.values_mut().flat_map(|service| &mut service.volumes) {
        if let Some(path) = mount.bind() {
            mount.source = Some(real(&path).into_string());
        }
    }
    for volume in model.volumes.values_mut() {
        if let Some(device) = volume.device().filter(|device| device.starts_with('/')) {
            let real = real(Utf8Path::new(device)).into_string();
            volume.driver_opts.insert("device".to_owned(), real);
        }
    }
    model
}
