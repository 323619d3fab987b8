//! Ports, and the formula for a slot's port.

use std::fmt;
use std::num::NonZeroU16;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A TCP or UDP port that needs no privilege: 1024 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Port(u16);

impl Port {
    /// The lowest port that needs no privilege.
    pub const MIN: u16 = 1024;
    /// The highest port there is.
    pub const MAX: u16 = u16::MAX;

    /// The port. `None` if it needs privileges.
    pub fn new(number: u16) -> Option<Self> {
        (number >= Self::MIN).then_some(Self(number))
    }

    /// The port, or the lowest that needs no privilege.
    pub fn at_least(number: u16) -> Self {
        Self(number.max(Self::MIN))
    }

    /// The port as a number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u16::deserialize(deserializer)?;
        Self::new(number).ok_or_else(|| de::Error::custom(format!("port {number} is below {}", Self::MIN)))
    }
}

/// A protocol of published ports. TCP and UDP ports of one number are two ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// UDP if it `is_udp`, else TCP.
    pub fn udp_if(is_udp: bool) -> Self {
        if is_udp { Self::Udp } else { Self::Tcp }
    }

    /// Whether it is UDP.
    pub fn is_udp(self) -> bool {
        self == Self::Udp
    }

    /// Whether it is TCP. Formats leave it out then.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_tcp(&self) -> bool {
        *self == Self::Tcp
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A port of the machine: no two programs have the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// Its number.
    pub port: Port,
    /// Its protocol.
    pub protocol: Protocol,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Tcp => self.port.fmt(f),
            Protocol::Udp => write!(f, "{}/udp", self.port),
        }
    }
}

/// The formula for a service's host port in a slot: `base + stride × slot id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortFormula {
    /// The port of slot 0, the main stack.
    pub base: Port,
    /// The distance between the ports of neighbouring slots.
    pub stride: NonZeroU16,
    /// The protocol of its ports.
    #[serde(default, skip_serializing_if = "Protocol::is_tcp")]
    pub protocol: Protocol,
}

impl PortFormula {
    /// The port of a slot, which may be 0. `None` if the number is too large for a port.
    pub fn port(self, slot: u16) -> Option<Port> {
        u16::try_from(self.number(slot)).ok().and_then(Port::new)
    }

    /// [`PortFormula::port`] with its protocol.
    pub fn host_port(self, slot: u16) -> Option<HostPort> {
        self.port(slot).map(|port| HostPort { port, protocol: self.protocol })
    }

    /// The formula's number for a slot. It may be too large for a port.
    pub fn number(self, slot: u16) -> u32 {
        u32::from(self.base.get()) + u32::from(self.stride.get()) * u32::from(slot)
    }
}

impl fmt::Display for PortFormula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stride.get() {
            1 => write!(f, "{} + slot", self.base),
            stride => write!(f, "{} + {stride} × slot", self.base),
        }
    }
}
