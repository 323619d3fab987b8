//! What a machine has one of.

use std::fmt;
use std::net::IpAddr;

use camino::{Utf8Path, Utf8PathBuf};

use crate::compose::resource::Resource;
use crate::shown::printable;

/// Something that a stack takes, and of which the machine has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostThing {
    /// Published ports.
    Port {
        /// The first.
        first: u16,
        /// The last, which is the first if it is one port.
        last: u16,
        /// `tcp`, `udp` or another.
        protocol: String,
        /// The machine's address; without one, all.
        address: Option<IpAddr>,
    },
    /// A fixed name of a container.
    ContainerName(String),
    /// A volume, by its name on the engine.
    Volume(String),
    /// A network, by its name on the engine.
    Network(String),
    /// A subnet in CIDR notation.
    Subnet {
        /// The network's name on the engine.
        network: String,
        /// The subnet as the files have it.
        subnet: String,
    },
    /// A fixed IP or MAC address.
    Address {
        /// The network's name on the engine.
        network: String,
        /// The address.
        address: String,
    },
    /// A file or directory that a container can write to.
    Mount(Utf8PathBuf),
    /// What is behind a volume: a directory, a disk, an exported directory of a server.
    Device(Utf8PathBuf),
    /// An image that a service builds, with its tag.
    Image(String),
    /// Another container, whose namespace or volumes a service uses.
    Namespace(String),
}

impl HostThing {
    /// The path of a mount or a device.
    pub fn path(&self) -> Option<&Utf8Path> {
        if let Self::Mount(path) | Self::Device(path) = self { Some(path) } else { None }
    }

    /// What slots.toml calls it. `None` if it cannot be shared.
    pub fn resource(&self) -> Option<Resource> {
        let resource = match self {
            Self::Volume(name) => Resource::Volume(name.clone()),
            Self::Network(name) => Resource::Network(name.clone()),
            Self::Mount(path) => Resource::Mount(path.clone()),
            Self::Device(path) => Resource::Device(path.clone()),
            Self::Image(name) => Resource::Image(name.clone()),
            Self::Port { .. }
            | Self::ContainerName(_)
            | Self::Subnet { .. }
            | Self::Address { .. }
            | Self::Namespace(_) => return None,
        };
        // Not every name can be written there: one with a control character, or a server's directory.
        Resource::parse(&resource.to_string()).ok()
    }
}

impl fmt::Display for HostThing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { first, last, protocol, address } => {
                f.write_str(if first == last { "port " } else { "ports " })?;
                match address {
                    Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
                    Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
                    None => {}
                }
                write!(f, "{first}")?;
                if first != last {
                    write!(f, "-{last}")?;
                }
                write!(f, "/{}", printable(protocol))
            }
            Self::ContainerName(name) => write!(f, "container name `{}`", printable(name)),
            Self::Volume(name) => write!(f, "volume `{}`", printable(name)),
            Self::Network(name) => write!(f, "network `{}`", printable(name)),
            Self::Subnet { network, subnet } => {
                write!(f, "subnet {} of network `{}`", printable(subnet), printable(network))
            }
            Self::Address { network, address } => {
                write!(f, "address {} on network `{}`", printable(address), printable(network))
            }
            Self::Mount(path) => write!(f, "mount `{}`", printable(path.as_str())),
            Self::Device(path) => write!(f, "device `{}`", printable(path.as_str())),
            Self::Image(name) => write!(f, "image `{}`", printable(name)),
            Self::Namespace(name) => write!(f, "container `{}`", printable(name)),
        }
    }
}
