//! A PostgreSQL server for tests, of Debian's programs, in a directory of its own. It ends with the test process.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{bouncer, must, through};
use crate::support::{Run, Running, has_bouncer};

/// Where Debian has the programs, a directory for each version.
const PROGRAMS: &str = "/usr/lib/postgresql";

/// Who may connect, and how.
const WHO_MAY: &str = "local all all trust
host all postgres all trust
host all ann all scram-sha-256
hostssl all tls all trust
hostnossl all plain all trust
";

/// How often connections are cut where the server is disturbed.
const CUT_EVERY: Duration = Duration::from_millis(100);

/// Cuts one of them.
const CUT: &str = "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and \
                   pid <> pg_backend_pid() order by random() limit 1";

/// A server. Each test has databases of its own in it.
pub(crate) struct Postgres {
    directory: TempDir,
    port: u16,
    server: Mutex<Option<Running>>,
    /// The port of the PgBouncer before it, once it has one.
    bouncer: OnceLock<u16>,
}

/// A user of this machine that the server may run as: it refuses root.
struct User {
    name: &'static str,
    id: u32,
}

impl User {
    /// `None` where the tests do not run as root.
    fn of_server() -> Option<Self> {
        let is_root = rustix::process::geteuid().is_root();
        let list = fs::read_to_string("/etc/passwd").expect("the list of users");
        let id = |name: &str| {
            let line = list.lines().find(|line| line.split(':').next() == Some(name))?;
            line.split(':').nth(2)?.parse().ok()
        };
        is_root.then(|| Self { name: "postgres", id: id("postgres").expect("a user `postgres`") })
    }
}

impl Postgres {
    /// The server of this test process.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(false))
    }

    /// The server of this test process that has TLS.
    pub(crate) fn with_tls() -> &'static Self {
        static WITH_TLS: OnceLock<Postgres> = OnceLock::new();
        WITH_TLS.get_or_init(|| Self::start(true))
    }

    /// A server of a test's own, which it may stop.
    pub(crate) fn own() -> &'static Self {
        Box::leak(Box::new(Self::start(false)))
    }

    /// Ends it and starts it again. One that is not let go of in peace recovers from its log.
    pub(crate) fn restart(&self, is_in_peace: bool) {
        let signal = if is_in_peace { Signal::INT } else { Signal::QUIT };
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take().expect("a server");
        server.signal(signal);
        server.outcome();
        self.run();
    }

    /// Does some work, which is told how often the server was restarted so far. That is done each time that so
    /// much time is over, every second time by force. In between, clients lose their connections.
    pub(crate) fn disturbed<T>(&'static self, every: Duration, work: impl FnOnce(&AtomicU32) -> T) -> T {
        let (over, is_over) = mpsc::channel::<()>();
        let restarts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&restarts);
        let unrest = thread::spawn(move || {
            let mut since = Instant::now();
            while is_over.recv_timeout(CUT_EVERY) == Err(RecvTimeoutError::Timeout) {
                if since.elapsed() < every {
                    self.sql("postgres", CUT);
                } else {
                    self.restart(counted.load(Relaxed).is_multiple_of(2));
                    counted.fetch_add(1, Relaxed);
                    since = Instant::now();
                }
            }
        });
        let done = work(&restarts);
        drop(over);
        unrest.join().expect("the server comes back");
        done
    }

    fn start(has_tls: bool) -> Self {
        let directory = own_directory("kinfra-pg");
        let port = free_port();
        let data = directory.path().join("data");
        let path = data.to_str().expect("text").to_owned();
        let init = ["-D", &path, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"];
        Run::from(Running::piped(&mut as_server(program("initdb").args(init))).outcome()).exits(0);
        let socket = directory.path().display();
        let own = format!(
            "unix_socket_directories = '{socket}'\nport = {port}\nlisten_addresses = '127.0.0.1'\nmax_connections = 250\n"
        );
        let place = data.join("postgresql.conf");
        let mut text = fs::read_to_string(&place).expect("settings") + &own;
        if has_tls {
            certify(directory.path(), &data);
            text += "ssl = on\n";
        }
        fs::write(place, text).expect("settings");
        fs::write(data.join("pg_hba.conf"), WHO_MAY).expect("who may connect");
        let server = Self { directory, port, server: Mutex::new(None), bouncer: OnceLock::new() };
        server.run();
        server.sql(
            "postgres",
            "create role ann login password 'wo:rd'; create role tls login; create role plain login",
        );
        server
    }

    /// Starts it, and waits until it answers.
    fn run(&self) {
        let log = File::options().create(true).append(true).open(self.directory.path().join("log"));
        let log = log.expect("a log");
        let mut command = as_server(program("postgres").arg("-D").arg(self.data()));
        command.stdout(Stdio::null()).stderr(log);
        // The kernel ends the server with the thread that started it, and this one with the process.
        let (give, take) = mpsc::channel();
        thread::spawn(move || {
            let server = Running::start_within(Duration::from_hours(1), &mut command);
            give.send(server).expect("the server is taken");
            loop {
                thread::park();
            }
        });
        let server = take.recv().expect("a server");
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        let deadline = Instant::now() + Duration::from_mins(1);
        while Running::piped(self.psql("postgres").args(["-c", "select 1"])).outcome().status.code()
            != Some(0)
        {
            let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the server does not answer: {log}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its data.
    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The directory of its socket.
    pub(crate) fn socket(&self) -> &Path {
        self.directory.path()
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A new, empty database.
    pub(crate) fn database(&'static self) -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("d{}", COUNT.fetch_add(1, Relaxed));
        self.sql("postgres", &format!("create database {name}"));
        Database { server: self, name }
    }

    /// What statements print: rows a line, columns with `|` between.
    pub(crate) fn sql(&self, database: &str, statements: &str) -> String {
        let run = Run::from(Running::piped(self.psql(database).args(["-c", statements])).outcome());
        run.exits(0).stdout.trim_end().to_owned()
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        psql.arg("-h").arg(self.socket()).arg("-p").arg(self.port.to_string());
        psql
    }
}

/// A database of a server.
pub(crate) struct Database {
    pub(crate) server: &'static Postgres,
    pub(crate) name: String,
}

impl Database {
    /// Its url: by the socket, or by PgBouncer if that is between.
    pub(crate) fn url(&self) -> String {
        let Self { server, name } = self;
        if has_bouncer() {
            let port = server.bouncer.get_or_init(|| bouncer::start(server));
            return format!("postgres://postgres@127.0.0.1:{port}/{name}?sslmode=disable");
        }
        format!("postgres://postgres@:{}/{name}?host={}", server.port, server.socket().display())
    }

    /// Its url, by the network. `more` are further parameters.
    pub(crate) fn tcp_url(&self, user: &str, more: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{}?{more}", self.server.port, self.name)
    }

    /// Runs statements as a role.
    pub(crate) fn sql_as(&self, role: &str, statements: &str) -> Run {
        let mut psql = self.server.psql(&self.name);
        psql.args(["-U", role, "-c", statements]);
        Run::from(Running::piped(&mut psql).outcome())
    }

    /// What statements print.
    pub(crate) fn sql(&self, statements: &str) -> String {
        self.server.sql(&self.name, statements)
    }
}

/// A new directory that the server's user may write to.
pub(super) fn own_directory(prefix: &str) -> TempDir {
    let directory = tempfile::Builder::new().prefix(prefix).tempdir().expect("a directory");
    if let Some(user) = User::of_server() {
        chown(directory.path(), Some(user.id), None).expect("it is given away");
    }
    directory
}

/// A program of the newest PostgreSQL here.
fn program(name: &str) -> Command {
    let versions = fs::read_dir(PROGRAMS).expect("this test needs PostgreSQL: `apt-get install postgresql`");
    let mut paths: Vec<PathBuf> =
        versions.flatten().map(|version| version.path().join("bin").join(name)).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    Command::new(paths.pop().expect("this test needs PostgreSQL: `apt-get install postgresql`"))
}

/// The same command, run as the user of the server. What the kernel ends with this process, it ends, too.
pub(super) fn as_server(command: &Command) -> Command {
    let mut words = vec!["setpriv".to_owned(), "--pdeathsig".to_owned(), "INT".to_owned()];
    if let Some(user) = User::of_server() {
        words.extend(["--reuid", user.name, "--regid", user.name, "--clear-groups"].map(str::to_owned));
    }
    through(words, command)
}

/// Makes a certificate of `localhost`, in the directory `data`, and who vouches for it: `ca.crt`. Another one, `other.crt`,
/// vouches for nothing.
fn certify(directory: &Path, data: &Path) {
    let openssl = |words: &str| {
        let mut command = Command::new("openssl");
        must(command.current_dir(directory).args(words.split(' ')));
    };
    for name in ["ca", "other"] {
        openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.crt"
        ));
    }
    fs::write(directory.join("extra"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
        .expect("a file");
    openssl("req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr");
    openssl(
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile extra -out server.crt",
    );
    for name in ["server.crt", "server.key"] {
        let place = data.join(name);
        fs::copy(directory.join(name), &place).expect("a copy");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).expect("a mode");
        if let Some(user) = User::of_server() {
            chown(&place, Some(user.id), None).expect("it is given away");
        }
    }
}

pub(super) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
