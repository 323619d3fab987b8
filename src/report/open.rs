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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_an_address_is_not_opened_is_said() {
        let (slot, web) = (SlotId::new(3).unwrap(), PortName::new("web").unwrap());
        let url = Url { plain: "localhost:8003".to_owned(), hosted: None, is_here: true };
        let db = PortName::new("db").unwrap();
        for (fault, exit, what, advice) in [
            (none(slot), Exit::Refused, "slot 3 has no ports", None),
            (
                unknown(slot, &web, [&db, &web].into_iter()),
                Exit::Refused,
                "slot 3 has no port `web`",
                Some("its ports are `db`, `web`"),
            ),
            (
                no_scheme(&web, &url),
                Exit::Refused,
                "what speaks on port `web` is not known, so nothing can open localhost:8003",
                Some("its `scheme` in slots.toml says it"),
            ),
            (
                silent(slot, &web, &url),
                Exit::DoesNotRun,
                "nothing listens on port `web` of slot 3, localhost:8003",
                Some("`kinfra up` starts the stack"),
            ),
        ] {
            assert_eq!((fault.exit, fault.what.as_str(), fault.advice.as_deref()), (exit, what, advice));
        }
    }
}
