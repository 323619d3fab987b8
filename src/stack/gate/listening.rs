//! Whether what a container publishes is listened on.

use std::time::Duration;

use super::state::Listening;
use crate::host::container::{Activity, Container, Published};
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
    let mut found = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let mut ports = container.ports.iter().filter(|port| port.protocol == protocol).peekable();
        if ports.peek().is_none() {
            continue;
        }
        let servers = servers_of_process(container.pid, &container.id, protocol)
            .or_else(|| servers_inside(engine, &container.id, protocol, left.min(LONGEST)));
        found.extend(ports.map(|port| {
            let listening = match &servers {
                Some(servers) => among(servers, port),
                None => by_connecting(engine, port),
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

/// Connects to a TCP port. The ports of an engine on another machine are not looked at.
fn by_connecting(engine: Option<&Engine>, port: &Published) -> Listening {
    let is_elsewhere = matches!(engine, Some(Engine::Address(address)) if !address.starts_with("unix://"));
    match port.host.filter(|_| port.protocol == Protocol::Tcp && !is_elsewhere) {
        None => Listening::NotChecked,
        Some(host) => match holds_connection(&port.host_ip, host) {
            Some(true) => Listening::Yes,
            Some(false) => Listening::No,
            None => Listening::NotChecked,
        },
    }
}
