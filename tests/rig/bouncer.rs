//! PgBouncer in transaction mode before the tests' server: Debian's, in a directory of its own. It ends with the test
//! process.

use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::postgres::{Postgres, as_server, free_port, own_directory};
use crate::support::Running;

/// How many connections to the server it keeps for a database: fewer than the tests have clients.
const POOL_SIZE: u32 = 8;

/// Starts one before a server. Its port.
pub(super) fn start(server: &Postgres) -> u16 {
    let directory = own_directory("kinfra-bouncer");
    let (port, place) = (free_port(), directory.path().display());
    let settings = format!(
        "[databases]\n* = host={} port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir = {place}\nlogfile = {place}/log\npidfile = {place}/pid\nauth_type = any\npool_mode = transaction\n\
         max_client_conn = 500\ndefault_pool_size = {POOL_SIZE}\nserver_login_retry = 1\n",
        server.socket().display(),
        server.port()
    );
    let path = directory.path().join("settings");
    fs::write(&path, settings).expect("settings");
    let mut command = as_server(Command::new("/usr/sbin/pgbouncer").arg("--quiet").arg(&path));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (give, take) = mpsc::channel();
    // The kernel ends it with the thread that started it.
    thread::spawn(move || {
        let running = Running::start_within(Duration::from_hours(1), &mut command);
        let deadline = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "PgBouncer does not answer: `apt-get install pgbouncer`");
            thread::sleep(Duration::from_millis(20));
        }
        give.send(()).expect("it is waited for");
        let _kept = (running, directory);
        loop {
            thread::park();
        }
    });
    take.recv().expect("PgBouncer");
    port
}
