//! Which ports are in use, and by which process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::port::{HostPort, Port, Protocol};

/// Whether a process listens on a port, on a loopback address or on all addresses.
pub fn is_in_use(HostPort { port, protocol }: HostPort) -> bool {
    if let Some(ports) = ports_of_a_test() {
        return ports.contains(&(port.get(), protocol));
    }
    let addresses = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ];
    addresses.iter().any(|address| match protocol {
        Protocol::Tcp => is_taken(*address, port),
        Protocol::Udp => is_taken_udp(*address, port),
    })
}

/// The ports in use according to a test, such as `KINFRA_TEST_PORTS=8001,53/udp`. Test pools have fixed
/// ports, and must not depend on what listens on the real machine. A release build ignores the variable.
fn ports_of_a_test() -> Option<Vec<(u16, Protocol)>> {
    if !cfg!(debug_assertions) {
        return None;
    }
    #[expect(clippy::disallowed_methods, reason = "a fact about a test, and not about a run")]
    let list = std::env::var("KINFRA_TEST_PORTS").ok()?;
    let read = |port: &str| match port.strip_suffix("/udp") {
        Some(port) => Some((port.parse().ok()?, Protocol::Udp)),
        None => Some((port.parse().ok()?, Protocol::Tcp)),
    };
    Some(list.split(',').filter_map(read).collect())
}

/// Binds the port for a moment, without listening on it, which no other program can notice.
///
/// With `SO_REUSEADDR` the kernel refuses only if another socket listens, not because of a closing connection
/// (`TIME_WAIT`). Any other error, such as a missing IPv6, means that nothing listens there.
#[cfg(target_os = "linux")]
fn is_taken(address: IpAddr, port: Port) -> bool {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let bound = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).and_then(|socket| {
        sockopt::set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &std::net::SocketAddr::new(address, port.get()))
    });
    bound == Err(rustix::io::Errno::ADDRINUSE)
}

/// Connects to the port. Only Linux refuses to bind one address while another socket listens on all of them.
#[cfg(not(target_os = "linux"))]
fn is_taken(address: IpAddr, port: Port) -> bool {
    let address = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let timeout = std::time::Duration::from_millis(200);
    std::net::TcpStream::connect_timeout(&(address, port.get()).into(), timeout).is_ok()
}

/// Binds the port for a moment. Without `SO_REUSEADDR` the kernel refuses if any other socket has it.
fn is_taken_udp(address: IpAddr, port: Port) -> bool {
    let bound = std::net::UdpSocket::bind((address, port.get()));
    bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
}

/// The process that listens on a port: its id and name. `None` if the system does not tell.
#[cfg(target_os = "linux")]
pub fn listener(port: HostPort) -> Option<(u32, String)> {
    use super::fs::Dir;

    if ports_of_a_test().is_some() {
        return None;
    }
    let tables = match port.protocol {
        Protocol::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
        Protocol::Udp => ["/proc/net/udp", "/proc/net/udp6"],
    };
    let inode = tables.iter().find_map(|table| listening_inode(table, port))?;
    let socket = format!("socket:[{inode}]");
    let proc = Dir::open("/proc".into()).ok()?;
    let mut processes = proc.names().ok()?.into_iter().filter_map(|name| name.to_str()?.parse::<u32>().ok());
    let pid = processes.find(|pid| {
        let handles = Dir::open(format!("/proc/{pid}/fd").as_str().into());
        let names = handles.as_ref().ok().and_then(|handles| handles.names().ok()).unwrap_or_default();
        handles.is_ok_and(|handles| {
            names
                .iter()
                .filter_map(|name| name.to_str())
                .any(|name| handles.link_target(name).is_some_and(|to| to == socket))
        })
    })?;
    let name = super::fs::read_named(format!("/proc/{pid}/comm").as_str().into(), 4096).ok()??;
    Some((pid, String::from_utf8_lossy(&name).trim().to_owned()))
}

/// The process that listens on a port. Only Linux has `/proc`.
#[cfg(not(target_os = "linux"))]
pub fn listener(_: HostPort) -> Option<(u32, String)> {
    None
}

/// The inode of the socket that listens on a port, from one of the kernel's tables (proc(5),
/// `/proc/net/tcp`). A UDP socket listens if it is connected to nothing.
#[cfg(target_os = "linux")]
fn listening_inode(table: &str, HostPort { port, protocol }: HostPort) -> Option<String> {
    let listening = match protocol {
        Protocol::Tcp => "0A",
        Protocol::Udp => "07",
    };
    let text = super::fs::read_named(table.into(), 64 << 20).ok()??;
    let text = String::from_utf8_lossy(&text);
    let port = format!(":{:04X}", port.get());
    text.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let (local, state) = (fields.nth(1)?, fields.nth(1)?);
        let inode = fields.nth(5)?;
        (local.ends_with(&port) && state == listening).then(|| inode.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn a_udp_port_in_use_is_seen_and_its_tcp_port_is_not() {
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let socket = UdpSocket::bind(address).unwrap();
            let port = Port::new(socket.local_addr().unwrap().port()).unwrap();
            let on = |protocol| HostPort { port, protocol };
            assert!(is_in_use(on(Protocol::Udp)));
            #[cfg(target_os = "linux")]
            assert_eq!(listener(on(Protocol::Udp)).unwrap().0, std::process::id());
            // A program of this machine may have the TCP port of that number: ask only of one that is ours.
            if let Ok(tcp) = TcpListener::bind(socket.local_addr().unwrap()) {
                drop(socket);
                assert!(is_in_use(on(Protocol::Tcp)) && !is_in_use(on(Protocol::Udp)));
                drop(tcp);
            }
        }
    }
}
