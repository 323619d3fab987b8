//! Directories and files of the machine in containers.

use camino::{Utf8Path, Utf8PathBuf};

use crate::compose::model::{Model, Mount, Service, Volume};
use crate::file::normal;

/// Directories that are the machine's, not a project's.
const OF_THE_MACHINE: [&str; 9] =
    ["/etc", "/usr", "/lib", "/sys", "/proc", "/dev", "/run", "/var/run", "/tmp/.X11-unix"];

/// A directory or file of the machine in a container, by a mount or through a volume.
pub(super) struct Bind<'a> {
    pub(super) path: Utf8PathBuf,
    pub(super) read_only: bool,
    pub(super) target: &'a str,
    /// Whether it is behind a named volume.
    pub(super) through_volume: bool,
}

/// Whether a path is a socket's, such as Docker's.
pub(super) fn is_socket(path: &Utf8Path) -> bool {
    path.extension() == Some("sock")
}

/// Whether a path is in a directory of the system.
pub(super) fn is_of_the_system(path: &Utf8Path) -> bool {
    OF_THE_MACHINE.iter().any(|dir| path.starts_with(dir))
}

/// The directories and files of the machine that a service sees.
pub(super) fn binds<'a>(model: &'a Model, service: &'a Service) -> impl Iterator<Item = Bind<'a>> {
    service.volumes.iter().filter_map(|mount| {
        let target = mount.target.as_str();
        if let Some(path) = mount.bind() {
            let path = normal(&path);
            return Some(Bind { path, read_only: mount.read_only, target, through_volume: false });
        }
        let volume = model.volumes.get(named_volume(mount)?)?;
        let option = |name: &str| volume.driver_opts.get(name).map_or("", String::as_str);
        let options = || option("o").split(',').map(str::trim);
        let is_bind = options().any(|option| option == "bind" || option == "rbind");
        let read_only = mount.read_only || options().any(|option| option == "ro");
        let path = normal(Utf8Path::new(volume.driver_opts.get("device").filter(|_| is_bind)?));
        Some(Bind { path, read_only, target, through_volume: true })
    })
}

/// What is behind a volume that is not a directory of the machine, if something is. What the options of a
/// plugin mean is its own affair: the same ones lead to the same data.
pub(super) fn device(volume: &Volume) -> Option<Utf8PathBuf> {
    if let Some(driver) = volume.plugin() {
        let options: Vec<String> =
            volume.driver_opts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        return Some(format!("{driver} {}", options.join(",")).into());
    }
    let option = |name: &str| volume.driver_opts.get(name).map_or("", String::as_str);
    let mut options = option("o").split(',').map(str::trim);
    // Each mount of these is a new one.
    let is_memory = ["tmpfs", "ramfs"].contains(&option("type"));
    let passes = is_memory || options.any(|option| ["bind", "rbind", "ro"].contains(&option));
    volume.driver_opts.get("device").filter(|_| !passes).map(|device| normal(Utf8Path::new(device)))
}

/// The key of the volume that a mount names. An anonymous volume has none.
pub(super) fn named_volume(mount: &Mount) -> Option<&str> {
    mount.source.as_deref().filter(|_| mount.kind == "volume")
}
