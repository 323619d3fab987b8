//! Whether the ports of a slot are free, or taken by its own containers.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;

use crate::claims::held::Held;
use crate::fault::Fault;
use crate::host::container::Container;
use crate::host::containers::of_project;
use crate::host::context::remote_host;
use crate::host::net;
use crate::identifier::PortName;
use crate::observe::port_user::PortUsers;
use crate::port::HostPort;

/// The longest that Docker may take for one answer.
const LONGEST: Duration = Duration::from_secs(20);

/// Refuses a start where another program has one of the slot's ports: Compose would fail in the middle.
///
/// # Errors
/// [`Fault`] names all of them, and the programs.
pub(in crate::stack) fn check(held: &Held, project: &str) -> Result<()> {
    // On another machine, Docker is the only one that can say it.
    if remote_host(held.engine()).is_some() {
        return Ok(());
    }
    let ports = held.entry.provisioned.host_ports();
    let taken: Vec<(&PortName, HostPort)> = ports.filter(|(_, port)| net::is_in_use(*port)).collect();
    if taken.is_empty() {
        return Ok(());
    }
    let containers = of_project(held.engine(), project, LONGEST).needed();
    let containers = containers
        .map_err(|why| Fault::docker(format!("Docker cannot say whose the ports in use are: {why}")))?;
    let foreign = taken.into_iter().filter(|(_, port)| !containers.iter().any(|own| has(own, *port)));
    let users = PortUsers::new(held.engine(), Some(held.whose()));
    let (foreign, advice): (Vec<String>, Vec<String>) =
        foreign.map(|(name, port)| told(&users, name, port)).unzip();
    if foreign.is_empty() {
        return Ok(());
    }
    let what = format!("slot {} does not start: {}", held.slot, foreign.join(", and "));
    let advice: BTreeSet<String> = advice.into_iter().collect();
    let advice = advice.into_iter().collect::<Vec<_>>().join("; ");
    Err(Fault::refused(what).advise(format!("{advice}; or release the slot and claim another")).into())
}

/// Whether a container that runs publishes a port.
fn has(container: &Container, port: HostPort) -> bool {
    let mut published = container.ports.iter().filter(|published| published.protocol == port.protocol);
    container.is_up() && published.any(|published| published.host == Some(port.port.get()))
}

/// Who has a port, and what to do about it.
fn told(users: &PortUsers<'_>, name: &PortName, port: HostPort) -> (String, String) {
    let user = users.of(port);
    (format!("port {port} ({name}) is used by {user}"), user.advice(name))
}
