//! What listens inside a container.

use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::time::Duration;

use super::containers::read_inside;
use crate::port::Protocol;
use crate::registry::Engine;

/// How long a connection must be held: a proxy of the engine accepts, and closes at once if nothing listens
/// behind it.
const HELD: Duration = Duration::from_millis(300);

/// A server's address in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// The address that it listens on.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

impl Server {
    /// Whether only the container itself reaches it.
    pub fn is_on_loopback(&self) -> bool {
        self.address.to_canonical().is_loopback()
    }
}

/// The kernel's tables of a protocol, in a process's directory.
fn tables(protocol: Protocol) -> [&'static str; 2] {
    match protocol {
        Protocol::Tcp => ["net/tcp", "net/tcp6"],
        Protocol::Udp => ["net/udp", "net/udp6"],
    }
}

/// What listens in the network of a container's process, by the kernel of this machine. `None` if the process
/// is not on this machine. No rights are needed.
#[cfg(target_os = "linux")]
pub fn servers_of_process(pid: u32, id: &str, protocol: Protocol) -> Option<Vec<Server>> {
    use super::fs::read_named;

    let read = |file: &str| {
        let bytes = read_named(format!("/proc/{pid}/{file}").as_str().into(), 16 << 20).ok()??;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let is_it = || Some(read("cgroup")?.contains(id));
    if pid == 0 || !is_it()? {
        return None;
    }
    let text: String = tables(protocol).into_iter().filter_map(read).collect();
    // It may have ended meanwhile, and another process may have its number.
    (!text.is_empty() && is_it()?).then(|| servers(&text, protocol))
}

/// What listens in the network of a container's process. Only Linux has `/proc`.
#[cfg(not(target_os = "linux"))]
pub fn servers_of_process(_: u32, _: &str, _: Protocol) -> Option<Vec<Server>> {
    None
}

/// What listens in a container, by its own `cat`. `None` if it has none.
pub fn servers_inside(
    engine: Option<&Engine>,
    id: &str,
    protocol: Protocol,
    timeout: Duration,
) -> Option<Vec<Server>> {
    let files = tables(protocol).map(|table| format!("/proc/{table}"));
    let text = read_inside(engine, id, &files.each_ref().map(String::as_str), timeout)?;
    Some(servers(&text, protocol))
}

/// Whether a server holds a connection to a TCP port of this machine. `None` if that cannot be said.
pub fn holds_connection(host_ip: &str, port: u16) -> Option<bool> {
    let address: IpAddr = match host_ip.parse() {
        Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ipv6Addr::LOCALHOST.into(),
        Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) | Err(_) => Ipv4Addr::LOCALHOST.into(),
        Ok(address) => address,
    };
    let mut stream = match TcpStream::connect_timeout(&(address, port).into(), HELD) {
        Ok(stream) => stream,
        Err(error) => return (error.kind() == ErrorKind::ConnectionRefused).then_some(false),
    };
    stream.set_read_timeout(Some(HELD)).ok()?;
    Some(match stream.read(&mut [0]) {
        Ok(bytes) => bytes > 0,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    })
}

/// The servers in the kernel's tables (proc(5), `/proc/net/tcp`). A UDP socket listens if it is connected to
/// nothing.
fn servers(text: &str, protocol: Protocol) -> Vec<Server> {
    let listening = if protocol.is_udp() { "07" } else { "0A" };
    let server = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
        let (address, port) = local.split_once(':').filter(|_| state == listening)?;
        Some(Server { address: address_of(address)?, port: u16::from_str_radix(port, 16).ok()? })
    };
    text.lines().filter_map(server).collect()
}

/// An address as the kernel writes it: words of four bytes, each in the machine's own order.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_tables_are_read() {
        let tcp = "  sl  local_address rem_address   st tx_queue\n\
             0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n\
             1: 0100007F:1F90 00000000:0000 0A 0\n\
             2: 020011AC:0050 0100000A:D431 01 0\n  sl  local_address  remote_address  st\n\
             0: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 0\n\
             1: 0000000000000000FFFF00000100007F:0052 00000000000000000000000000000000:0000 0A 0\n\
             2: 00000000000000000000000000000000:0053 00000000000000000000000000000000:0000 0A 0\n";
        let found = servers(tcp, Protocol::Tcp);
        let found: Vec<_> = found.iter().map(|server| (server.port, server.is_on_loopback())).collect();
        assert_eq!(found, [(80, false), (8080, true), (81, true), (82, true), (83, false)]);
        let udp = "0: 00000000:0035 00000000:0000 07 0\n1: 00000000:0036 0100000A:0035 01 0\n";
        assert_eq!(servers(udp, Protocol::Udp).iter().map(|server| server.port).collect::<Vec<_>>(), [53]);
        assert_eq!(servers("no table\n: x\n", Protocol::Tcp), []);
    }

    #[test]
    fn a_connection_that_is_closed_at_once_has_no_server() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            drop(listener.accept().unwrap());
            let held = listener.accept().unwrap();
            let (mut greeting, _) = listener.accept().unwrap();
            greeting.write_all(b"220 hello").unwrap();
            drop(held);
        });
        assert_eq!(holds_connection("", port), Some(false));
        assert_eq!(holds_connection("0.0.0.0", port), Some(true));
        assert_eq!(holds_connection("127.0.0.1", port), Some(true));
        server.join().unwrap();
        assert_eq!(holds_connection("", port), Some(false));
    }
}
