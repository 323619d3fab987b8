//! What Compose files come to: the resolved model, as `docker compose config --format json` prints it.
//!
//! Only what concerns kinfra is read: everything that is one per machine, and what makes a stack run. Compose
//! adds keys with its versions, so unknown keys are ignored.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::dependency::Dependency;

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;

/// A resolved project.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Model {
    /// The project's name.
    pub name: String,
    /// Its services, of every profile that was asked for.
    #[serde(default)]
    pub services: BTreeMap<String, Service>,
    /// Its volumes that some service uses.
    #[serde(default, deserialize_with = "nullable")]
    pub volumes: BTreeMap<String, Volume>,
    /// Its networks that some service uses.
    #[serde(default, deserialize_with = "nullable")]
    pub networks: BTreeMap<String, Network>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// The image that it runs, or the name of the one that it builds.
    pub image: Option<String>,
    /// How its image is built, if it is.
    pub build: Option<Build>,
    /// A fixed name for its container.
    pub container_name: Option<String>,
    /// Its published ports.
    pub ports: Vec<PublishedPort>,
    /// What is mounted into it.
    pub volumes: Vec<Mount>,
    /// The networks that it is on.
    #[serde(deserialize_with = "nullable_values")]
    pub networks: BTreeMap<String, Attachment>,
    /// A fixed MAC address, written at the service.
    pub mac_address: Option<String>,
    /// Another network namespace that it uses: `host`, `none`, `service:NAME`, `container:NAME`.
    pub network_mode: Option<String>,
    /// Another process namespace that it uses.
    pub pid: Option<String>,
    /// Another IPC namespace that it uses.
    pub ipc: Option<String>,
    /// Containers whose volumes it mounts.
    pub volumes_from: Vec<String>,
    /// Containers of other projects that it reaches by name: `NAME`, or `NAME:ALIAS`.
    #[serde(deserialize_with = "nullable")]
    pub external_links: Vec<String>,
    /// Its environment; `None` is a variable without a value.
    #[serde(deserialize_with = "nullable")]
    pub environment: BTreeMap<String, Option<String>>,
    /// What it runs, as Compose prints it.
    pub command: Value,
    /// What runs that.
    pub entrypoint: Value,
    /// Its DNS servers.
    pub dns: Value,
    /// Names of hosts, with their addresses.
    pub extra_hosts: Value,
    /// How many containers it has, under `scale`.
    pub scale: Option<u16>,
    /// How it is deployed.
    pub deploy: Option<Deploy>,
    /// The services that it waits for.
    #[serde(deserialize_with = "nullable")]
    pub depends_on: BTreeMap<String, Dependency>,
    /// The profiles that it belongs to; without one it always runs.
    pub profiles: Vec<String>,
    /// Whether it has the rights of the machine's root.
    pub privileged: bool,
    /// Devices of the machine.
    pub devices: Vec<Device>,
    /// Graphics processors of the machine, as newer Compose files ask for them.
    #[serde(deserialize_with = "nullable")]
    pub gpus: Vec<DeviceRequest>,
}

/// How an image is built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Build {
    /// The directory, or an address.
    pub context: String,
    /// The Dockerfile, in the directory.
    pub dockerfile: Option<String>,
    /// The text of a Dockerfile that the Compose file itself has.
    pub dockerfile_inline: Option<String>,
    /// Further contexts, by name.
    #[serde(deserialize_with = "nullable")]
    pub additional_contexts: BTreeMap<String, String>,
    /// Build arguments.
    #[serde(deserialize_with = "nullable")]
    pub args: BTreeMap<String, Option<String>>,
    /// Further names for the image.
    pub tags: Vec<String>,
}

/// A port of a container, and where it is published.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishedPort {
    /// The port in the container.
    pub target: u16,
    /// The port on the machine, or a range such as `9000-9002`; without one Docker chooses.
    pub published: Option<String>,
    /// The machine's address; without one, all.
    pub host_ip: Option<String>,
    /// `tcp`, `udp` or another.
    pub protocol: String,
}

/// Something that is mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs` or another.
    #[serde(rename = "type")]
    pub kind: String,
    /// A path of the machine, or the name of a volume.
    pub source: Option<String>,
    /// The path in the container.
    pub target: String,
    /// Whether the container can only read it.
    pub read_only: bool,
    /// Everything else that Compose printed of it.
    #[serde(flatten)]
    pub options: BTreeMap<String, Value>,
}

/// A service on a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// A fixed IPv4 address.
    pub ipv4_address: Option<String>,
    /// A fixed IPv6 address.
    pub ipv6_address: Option<String>,
    /// A fixed MAC address.
    pub mac_address: Option<String>,
    /// Further host names that it has there.
    #[serde(deserialize_with = "nullable")]
    pub aliases: Vec<String>,
}

/// How a service is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Deploy {
    /// How many containers it has.
    pub replicas: Option<u16>,
    /// What it needs of the machine.
    pub resources: Resources,
}

/// What a service needs of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// What is set aside for it.
    #[serde(deserialize_with = "nullable")]
    pub reservations: Reservations,
}

/// What is set aside for a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reservations {
    /// Devices by what they can do, such as graphics processors.
    #[serde(deserialize_with = "nullable")]
    pub devices: Vec<DeviceRequest>,
}

/// Devices by what they can do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRequest {
    /// What they can do: `gpu` and more.
    #[serde(deserialize_with = "nullable")]
    pub capabilities: Vec<String>,
}

/// A device of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Device {
    /// Its path.
    pub source: String,
}

/// A named volume.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Its name on the engine.
    pub name: Option<String>,
    /// Whether Compose only uses it, and never makes or removes it.
    pub external: bool,
    /// Its driver; without one `local`.
    pub driver: Option<String>,
    /// Options of its driver: `device` is what is behind it.
    #[serde(deserialize_with = "nullable")]
    pub driver_opts: BTreeMap<String, String>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Its name on the engine.
    pub name: Option<String>,
    /// Whether Compose only uses it, and never makes or removes it.
    pub external: bool,
    /// Its driver; without one `bridge`.
    pub driver: Option<String>,
    /// Whether it has IPv6 addresses.
    #[serde(deserialize_with = "nullable")]
    pub enable_ipv6: bool,
    /// Its addresses.
    pub ipam: Ipam,
    /// Options of its driver.
    #[serde(deserialize_with = "nullable")]
    pub driver_opts: BTreeMap<String, String>,
}

/// The addresses of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ipam {
    /// Its subnets.
    #[serde(deserialize_with = "nullable")]
    pub config: Vec<Subnet>,
}

/// A subnet of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Subnet {
    /// In CIDR notation.
    pub subnet: Option<String>,
}

/// Compose writes null where a group is empty.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The same for the values of a group, and the group itself.
fn nullable_values<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    let group: Option<BTreeMap<String, Option<T>>> = Option::deserialize(deserializer)?;
    Ok(group.unwrap_or_default().into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect())
}

impl Model {
    /// Reads what Compose printed. It doubles each `$` there, so that the text can be read as a Compose file.
    ///
    /// # Errors
    /// What is not as Compose prints it.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(&json.replace("$$", "$"))
    }

    /// The keys of the volumes that a service can write to.
    pub fn written(&self) -> BTreeSet<&str> {
        let mounts = self.services.values().flat_map(|service| &service.volumes);
        let written = mounts.filter(|mount| mount.kind == "volume" && !mount.read_only);
        written.filter_map(|mount| mount.source.as_deref()).collect()
    }

    /// The model with what another has besides.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (name, service) in other.services {
            self.services.entry(name).or_insert(service);
        }
        for (name, volume) in other.volumes {
            self.volumes.entry(name).or_insert(volume);
        }
        for (name, network) in other.networks {
            self.networks.entry(name).or_insert(network);
        }
        self
    }

    /// The names of the images that its services build: with their names, or those that Compose gives them.
    pub fn built_images(&self) -> BTreeMap<&str, String> {
        let built = self.services.iter().filter(|(_, service)| service.build.is_some());
        let named = built.map(|(name, service)| {
            let own = || format!("{}-{name}", self.name);
            (name.as_str(), service.image.clone().unwrap_or_else(own))
        });
        named.collect()
    }
}

impl Service {
    /// How many containers it has.
    pub fn replicas(&self) -> u16 {
        self.scale.or(self.deploy.as_ref().and_then(|deploy| deploy.replicas)).unwrap_or(1)
    }

    /// Whether it asks for graphics processors.
    pub fn uses_gpu(&self) -> bool {
        let reserved = self.deploy.iter().flat_map(|deploy| &deploy.resources.reservations.devices);
        let mut capabilities = reserved.flat_map(|request| &request.capabilities);
        !self.gpus.is_empty() || capabilities.any(|capability| capability == "gpu")
    }
}

impl Network {
    /// Whether the file fixes an IPv6 subnet of it.
    pub fn fixes_ipv6(&self) -> bool {
        let subnets = self.ipam.config.iter().filter_map(|subnet| subnet.subnet.as_deref());
        self.enable_ipv6 && subnets.into_iter().any(|subnet| subnet.contains(':'))
    }
}

impl Volume {
    /// The directory or device of the machine that is behind it. A volume in memory has none.
    pub fn device(&self) -> Option<&str> {
        let option = |name| self.driver_opts.get(name).map(String::as_str);
        option("device").filter(|device| *device != "tmpfs" && option("type") != Some("tmpfs"))
    }

    /// The driver that has options of its own, which lead to what is behind the volume: a plugin's.
    pub fn plugin(&self) -> Option<&str> {
        let driver = self.driver.as_deref().filter(|driver| !driver.is_empty() && *driver != "local");
        driver.filter(|_| !self.driver_opts.is_empty())
    }
}

impl Mount {
    /// The path on the machine, if it is a bind mount.
    pub fn bind(&self) -> Option<Utf8PathBuf> {
        self.source.as_ref().filter(|_| self.kind == "bind").map(Utf8PathBuf::from)
    }
}
