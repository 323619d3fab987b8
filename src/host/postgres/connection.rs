//! A connection to a PostgreSQL server. Nothing here waits for longer than its time: a server that was
//! suspended, or a network that swallows everything, is as good as none.

use std::future::poll_fn;
use std::pin::pin;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_core::Stream as _;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::config::SslMode as Wish;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage, SimpleQueryRow, Socket};

use super::credentials::Login;
use super::failure::{self, ANSWER, Failure};
use super::limits::STATEMENT;
use super::tls;
use crate::fault::Fault;
use crate::host::clock::Stopwatch;
use crate::server::{Encryption, Host, Password};

/// The oldest server that kinfra works with.
pub(super) const OLDEST: u32 = 12;
/// How much longer its answer may take: the way there and back.
const WAY: Duration = Duration::from_secs(5);
/// After how long without traffic the network is asked whether the server is there.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// For how long a server that did not answer is not asked anew: a verb that asks it several times does not
/// wait each time.
const SILENCE: Duration = Duration::from_secs(5);

/// The server that did not answer last, and when.
static SILENT: Mutex<Option<(String, Stopwatch)>> = Mutex::new(None);

/// A connection.
pub struct Connection {
    runtime: Runtime,
    client: Client,
    login: Login,
}

/// The rows that a text of several statements gave, in order.
pub(super) type Rows = Vec<Row>;

/// A row.
pub type Row = SimpleQueryRow;

impl Connection {
    /// Connects, as the url says. `verb` is what the server's list of clients shows.
    ///
    /// # Errors
    /// [`Fault`] says what is wrong, and what to do.
    pub fn open(login: &Login, verb: &str) -> Result<Self> {
        if was_silent(login) {
            return Err(failure::timed_out(login).into());
        }
        Self::open_again(login, verb)
    }

    /// [`Connection::open`], also if the server was silent just now.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub fn open_again(login: &Login, verb: &str) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("could not wait for a server")?;
        match Self::client(&runtime, login, verb) {
            Ok(client) => Ok(Self { runtime, client, login: login.clone() }),
            Err(error) => {
                // The system may still look for the server's name, and cannot be stopped.
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    fn client(runtime: &Runtime, login: &Login, verb: &str) -> Result<Client> {
        let config = config(login, verb);
        let is_socket = matches!(login.url.host, Host::Socket(_));
        let checks = login.url.ssl_mode.may_check() && !is_socket;
        let root = if checks { tls::root(login)? } else { None };
        let mut failures = Vec::new();
        for encryption in login.url.ssl_mode.attempts(is_socket, root.is_some()) {
            let attempt = attempt(config.clone(), *encryption, root.as_ref());
            match runtime.block_on(async { timeout(login.url.timeout(), attempt).await }) {
                Ok(Ok((client, version))) => return check_version(&version, login).map(|()| client),
                Ok(Err(failure)) => failures.push(failure),
                Err(_) => {
                    note_silence(login);
                    return Err(failure::timed_out(login).into());
                }
            }
            // Only what the server refused may be allowed in another way.
            if !failures.last().is_some_and(Failure::may_differ) {
                break;
            }
        }
        // Of several, the one that says the most.
        let failure = failures.into_iter().max_by_key(Failure::weight).context("no attempt was made")?;
        Err(failure.fault(login).into())
    }

    /// Runs statements, in one message. What comes back are the rows of all of them.
    ///
    /// # Errors
    /// [`Failure`], as the server or the network has it.
    pub fn run(&self, statements: &str) -> Result<Rows, Failure> {
        let rows = rows(&self.client, statements);
        let rows = self.runtime.block_on(async { timeout(STATEMENT + WAY, rows).await });
        rows.map_err(|_| {
            note_silence(&self.login);
            Failure::silent()
        })?
    }

    /// [`Connection::run`], for what is not tried again.
    ///
    /// # Errors
    /// [`Fault`] says what is wrong, and what to do.
    pub fn ask(&self, statements: &str) -> Result<Rows, Fault> {
        self.run(statements).map_err(|failure| failure.fault(&self.login))
    }

    /// A column of a row; empty if it is null.
    pub fn text(row: &SimpleQueryRow, column: usize) -> String {
        row.try_get(column).ok().flatten().unwrap_or_default().to_owned()
    }

    /// A column of a row that is a number.
    pub fn number<T: FromStr + Default>(row: &SimpleQueryRow, column: usize) -> T {
        row.try_get(column).ok().flatten().and_then(|text: &str| text.parse().ok()).unwrap_or_default()
    }

    /// That the server crashed behind a pooler that keeps that from its clients.
    ///
    /// # Errors
    /// Unless what it committed is there.
    pub fn lost_unless(&self, is_there: bool) -> Result<(), Failure> {
        if is_there { Ok(()) } else { Err(Failure::lost()) }
    }

    /// Who is logged in, and where.
    pub fn login(&self) -> &Login {
        &self.login
    }
}

/// What statements give, up to [`ANSWER`].
async fn rows(client: &Client, statements: &str) -> Result<Rows, Failure> {
    let mut answer = pin!(client.simple_query_raw(statements).await?);
    let (mut rows, mut size) = (Rows::new(), 0);
    while let Some(message) = poll_fn(|context| answer.as_mut().poll_next(context)).await {
        let SimpleQueryMessage::Row(row) = message? else { continue };
        let columns = (0..row.len()).filter_map(|column| row.try_get(column).ok().flatten());
        size += size_of::<Row>() + columns.map(str::len).sum::<usize>();
        if size > ANSWER {
            return Err(Failure::too_much());
        }
        rows.push(row);
    }
    Ok(rows)
}

fn note_silence(login: &Login) {
    let mut silent = SILENT.lock().unwrap_or_else(PoisonError::into_inner);
    *silent = Some((login.url.place(), Stopwatch::start()));
}

fn was_silent(login: &Login) -> bool {
    let silent = SILENT.lock().unwrap_or_else(PoisonError::into_inner);
    silent.as_ref().is_some_and(|(place, since)| *place == login.url.place() && since.elapsed() < SILENCE)
}

fn config(login: &Login, verb: &str) -> Config {
    let mut config = Config::new();
    config.user(&login.user).dbname(&login.url.database).port(login.url.port);
    config.application_name(format!("kinfra {verb}"));
    config.connect_timeout(login.url.timeout());
    config
        .keepalives(true)
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(KEEPALIVE / 4)
        .keepalives_retries(3);
    config.tcp_user_timeout(STATEMENT + WAY);
    match &login.url.host {
        Host::Name(name) => config.host(name),
        Host::Socket(directory) => config.host_path(directory),
    };
    if let Some(password) = &login.password {
        config.password(Password::reveal(password));
    }
    config
}

/// Connects. The version is what the server says of itself on the way.
async fn attempt(
    mut config: Config,
    encryption: Encryption,
    root: Option<&tls::Root>,
) -> Result<(Client, String), Failure> {
    match encryption {
        Encryption::None => {
            config.ssl_mode(Wish::Disable);
            Ok(served(config.connect(NoTls).await?))
        }
        Encryption::Tls(check) => {
            config.ssl_mode(Wish::Require);
            Ok(served(config.connect(tls::connector(check, root)?).await?))
        }
    }
}

fn served<T>((client, connection): (Client, tokio_postgres::Connection<Socket, T>)) -> (Client, String)
where
    T: TlsStream + Unpin + Send + 'static,
{
    let version = connection.parameter("server_version").unwrap_or_default().to_owned();
    tokio::spawn(connection);
    (client, version)
}

/// Refuses a server that is too old, by a version such as `15.8 (Debian 15.8-0+deb12u1)` or `17beta1`.
fn check_version(version: &str, login: &Login) -> Result<()> {
    let end = version.find(|it: char| !it.is_ascii_digit()).unwrap_or(version.len());
    let number: u32 = version.split_at(end).0.parse().unwrap_or_default();
    if number >= OLDEST {
        return Ok(());
    }
    let what = format!("the server at `{}` is PostgreSQL {}", login.url.place(), version.escape_debug());
    let advice = format!("kinfra needs PostgreSQL {OLDEST} or newer");
    Err(Fault::server(what).advise(advice).into())
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused_by_what_it_says() {
        let login = Login::of(crate::server::Given::parse("postgres://db.example/infra").unwrap(), "ann");
        let is_refused = |version: &str| check_version(version, &login).is_err();
        let spared = ["12.0", "15.8 (Debian 15.8-0+deb12u1)", "18beta1", "100"].map(is_refused);
        let refused = ["11.22", "9.6.24", "9.6 (Debian 12)", "", "devel"].map(is_refused);
        assert_eq!((spared, refused), ([false; 4], [true; 5]));
    }
}
