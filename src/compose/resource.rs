//! What a machine has only one of: the things that two stacks could share without wanting to.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

pub use crate::port::Protocol;

/// Something of which a machine has one, by the name that slots.toml gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// A named volume, by its name on the engine.
    Volume(String),
    /// A network, by its name on the engine.
    Network(String),
    /// A directory or file of the machine that a container can write to.
    Mount(Utf8PathBuf),
    /// A directory or device behind a named volume.
    Device(Utf8PathBuf),
    /// An image that a service builds, by its name and tag.
    Image(String),
}

impl Resource {
    /// Reads `volume:NAME`, `network:NAME`, `mount:PATH`, `device:PATH` or `image:NAME`. A path is absolute,
    /// or starts with `~/`.
    ///
    /// # Errors
    /// A sentence that says what a resource looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            let shown = text.escape_debug();
            format!(
                "`{shown}` is not a resource: write `volume:NAME`, `network:NAME`, `mount:/PATH`, `device:/PATH` or `image:NAME`"
            )
        };
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(wrong());
        }
        let is_path = name.starts_with('/') || name.strip_prefix("~/").is_some_and(|below| !below.is_empty());
        let path = || Some(Utf8PathBuf::from(name)).filter(|_| is_path).ok_or_else(wrong);
        match kind {
            "volume" => Ok(Self::Volume(name.to_owned())),
            "network" => Ok(Self::Network(name.to_owned())),
            "image" => Ok(Self::Image(name.to_owned())),
            "mount" => path().map(Self::Mount),
            "device" => path().map(Self::Device),
            _ => Err(wrong()),
        }
    }

    /// The same with the home directory in place of `~/`.
    #[must_use]
    pub fn in_home(self, home: &Utf8Path) -> Self {
        let absolute =
            |path: Utf8PathBuf| path.strip_prefix("~").map(|below| home.join(below)).unwrap_or(path);
        match self {
            Self::Mount(path) => Self::Mount(absolute(path)),
            Self::Device(path) => Self::Device(absolute(path)),
            named @ (Self::Volume(_) | Self::Network(_) | Self::Image(_)) => named,
        }
    }

    /// The path of a mount or a device.
    pub fn path(&self) -> Option<&Utf8Path> {
        match self {
            Self::Mount(path) | Self::Device(path) => Some(path),
            Self::Volume(_) | Self::Network(_) | Self::Image(_) => None,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(name) => write!(f, "volume:{name}"),
            Self::Network(name) => write!(f, "network:{name}"),
            Self::Mount(path) => write!(f, "mount:{path}"),
            Self::Device(path) => write!(f, "device:{path}"),
            Self::Image(name) => write!(f, "image:{name}"),
        }
    }
}

/// The full name of an image: as Docker reads `web`, `web:latest` and `docker.io/library/web`.
pub fn full_image(name: &str) -> String {
    let name = name.strip_prefix("index.docker.io/").unwrap_or(name);
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

/// How a slot gets its own in place of a shared resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PerSlot {
    /// In place of a mount: a named volume of the slot's own.
    Volume,
    /// In place of a mount: this directory in the worktree.
    Worktree(Utf8PathBuf),
    /// In place of an external volume or network: one of the slot's own.
    Own,
}

/// A port of a container that is published on the machine: `SERVICE:PORT`, with `/udp` if it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The service.
    pub service: String,
    /// The port in the container.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
}

impl Target {
    /// Reads `web:80` or `dns:53/udp`.
    ///
    /// # Errors
    /// A sentence that says what a target looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            let shown = text.escape_debug();
            format!("`{shown}` is not a service and a port: write `web:80`, or `dns:53/udp`")
        };
        let (service, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (port, protocol) = match port.strip_suffix("/udp") {
            Some(port) => (port, Protocol::Udp),
            None => (port.strip_suffix("/tcp").unwrap_or(port), Protocol::Tcp),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        if service.is_empty() || !service.chars().all(is_name) {
            return Err(wrong());
        }
        Ok(Self { service: service.to_owned(), port, protocol })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, port, protocol } = self;
        match protocol {
            Protocol::Tcp => write!(f, "{service}:{port}"),
            Protocol::Udp => write!(f, "{service}:{port}/udp"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_and_targets_read_back() {
        for text in [
            "volume:pnpm-store",
            "network:observability",
            "mount:/srv/a b",
            "device:/dev/sda",
            "mount:~/.npm",
            "image:shop:dev",
        ] {
            let resource = Resource::parse(text).unwrap();
            assert_eq!(resource.to_string(), text);
            let path = text.strip_prefix("mount:").or_else(|| text.strip_prefix("device:"));
            assert_eq!(resource.path().map(Utf8Path::as_str), path);
        }
        for text in ["", "volume", "volume:", "mount:srv", "mount:~/", "mount:~", "disk:/x", "network:a\nb"] {
            assert!(Resource::parse(text).is_err(), "{text:?} was taken");
        }
        let home = Utf8Path::new("/home/ana");
        let in_home = |text: &str| Resource::parse(text).unwrap().in_home(home).to_string();
        assert_eq!(in_home("mount:~/.npm"), "mount:/home/ana/.npm");
        assert_eq!(in_home("device:/srv/~/x"), "device:/srv/~/x");
        assert_eq!(in_home("volume:~/x"), "volume:~/x");
        for text in ["web:80", "dns:53/udp", "my.svc-1_a:65535"] {
            assert_eq!(Target::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Target::parse("web:80/tcp").unwrap().to_string(), "web:80");
        for text in ["", "web", "web:", "web:0", "web:65536", ":80", "we b:80", "web:80/sctp"] {
            assert!(Target::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn one_image_has_one_full_name() {
        for image in
            ["web", "web:latest", "library/web", "docker.io/library/web", "index.docker.io/library/web"]
        {
            assert_eq!(full_image(image), "web:latest");
        }
        assert_eq!(full_image("localhost:5000/web"), "localhost:5000/web:latest");
        assert_eq!(full_image("acme/web@sha256:00"), "acme/web@sha256:00");
    }
}
