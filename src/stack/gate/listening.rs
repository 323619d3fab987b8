//! Whether what a container publishes is listened on.

use std::time::Duration;

use super::state::Listening;
use crate::host::container::{Activity, Container, Published};
use crate::host::context::remote_host;
use crate::host::listening::{Server, holds_connection, servers_inside, servers_of_process};
use crate::port::Protocol;
use crate::registry::Engine;

/// The longest that a question inside a container may take.
const LONGEST: Duration = Duration::from_secs(3);

/// What listens on the published ports of a container that runs without a health check. Each way to look is
/// tried only where the one before it cannot say.
pub(in crate::stack) fn listening(
    engine: Option<&Engine>,
    container: &Container,
    left: Duration,
) -> Vec<(u16, Listening)> {
    if container.activity != Activity::Running || container.health.is_some() {
        return Vec::new();
    }
    // The processes and ports of this machine say nothing of an engine on another one.
    let is_here = remote_host(engine).is_none();
    let mut found = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let mut ports = container.ports.iter().filter(|port| port.protocol == protocol).peekable();
        if ports.peek().is_none() {
            continue;
        }
        let of_process = || servers_of_process(container.pid, &container.id, protocol);
        let servers = is_here
            .then(of_process)
            .flatten()
            .or_else(|| servers_inside(engine, &container.id, protocol, left.min(LONGEST)));
        found.extend(ports.map(|port| {
            let listening = match &servers {
                Some(servers) => among(servers, port),
                None if is_here => by_connecting(port),
                None => Listening::NotChecked,
            };
            (port.target, listening)
        }));
    }
    found
}

fn among(servers: &[Server], port: &Published) -> Listening {
    let mut servers = servers.iter().filter(|server| server.port == port.target);
    match servers.next() {
        None => Listening::No,
        Some(first) if first.is_on_loopback() && servers.all(Server::is_on_loopback) => Listening::OnLoopback,
        Some(_) => Listening::Yes,
    }
}

/// Connects to a TCP port of this machine.
fn by_connecting(port: &Published) -> Listening {
    match port.host.filter(|_| port.protocol == Protocol::Tcp) {
        None => Listening::NotChecked,
        Some(host) => match holds_connection(&port.host_ip, host) {
            Some(true) => Listening::Yes,
            Some(false) => Listening::No,
            None => Listening::NotChecked,
        },
    }
}
