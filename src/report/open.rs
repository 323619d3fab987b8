//! Why an address is not opened.

use crate::fault::{Exit, Fault};
use crate::identifier::PortName;
use crate::slot::SlotId;
use crate::stack::up::addresses::Url;

/// The slot has no ports.
pub fn none(slot: SlotId) -> Fault {
    Fault::refused(format!("slot {slot} has no ports"))
}

/// The slot has no port of this name.
pub fn unknown<'a>(slot: SlotId, name: &PortName, ports: impl Iterator<Item = &'a PortName>) -> Fault {
    let ports: Vec<String> = ports.map(|port| format!("`{port}`")).collect();
    Fault::refused(format!("slot {slot} has no port `{name}`"))
        .advise(format!("its ports are {}", ports.join(", ")))
}

/// It is not known which program opens the port.
pub fn no_scheme(name: &PortName, url: &Url) -> Fault {
    let what = format!("what speaks on port `{name}` is not known, so nothing can open {}", url.plain);
    Fault::refused(what).advise("its `scheme` in slots.toml says it")
}

/// Nothing listens on the port.
pub fn silent(slot: SlotId, name: &PortName, url: &Url) -> Fault {
    let what = format!("nothing listens on port `{name}` of slot {slot}, {}", url.plain);
    Fault { exit: Exit::DoesNotRun, ..Fault::failed(what) }.advise("`kinfra up` starts the stack")
}
