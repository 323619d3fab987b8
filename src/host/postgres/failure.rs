//! Why a server was not reached, or did not do what it was asked.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::credentials::Login;
use crate::fault::Fault;
use crate::server::Host;
use crate::shown::printable;

/// The most that a server may say, in characters.
const MOST_SAID: usize = 1_000;

/// The most that it may answer at once, in bytes. A registry of 64 MiB is less, with what rows add to it.
pub(super) const ANSWER: usize = 128 << 20;

/// Why.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    /// What the server or the system says.
    said: String,
}

/// What kind of failure it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// The name of the server is not known.
    Name,
    /// Nothing listens there.
    Refused,
    /// There is no socket.
    NoSocket,
    /// There is no answer.
    Silent,
    /// TLS failed.
    Tls,
    /// The server has no TLS.
    NoTls,
    /// The server wants a password, and there is none.
    NoPassword,
    /// The connection ended.
    Lost,
    /// The answer has no end, or is none that kinfra can have asked for.
    TooMuch,
    /// The server says so, with this code.
    Server(SqlState),
    /// Something else.
    Other,
}

impl Failure {
    /// What a connection or a statement came to.
    pub(super) fn of(error: &Error) -> Self {
        if let Some(said) = error.as_db_error() {
            let message = said.message().chars().take(MOST_SAID).collect();
            return Self { kind: Kind::Server(said.code().clone()), said: message };
        }
        let is_closed = error.is_closed();
        let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        let kind = match cause {
            Some(io) if said_by_tls(io).is_some() => Kind::Tls,
            Some(io) => Self::kind_of(io),
            None if is_closed => Kind::Lost,
            None => Self::kind_by_words(error),
        };
        let said = cause.map(|io| said_by_tls(io).unwrap_or_else(|| io.to_string()));
        let inner = || error.source().map_or_else(|| error.to_string(), ToString::to_string);
        Self { kind, said: said.unwrap_or_else(inner) }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rest of the system's kinds need no words of their own"
    )]
    fn kind_of(error: &io::Error) -> Kind {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Kind::Refused,
            io::ErrorKind::NotFound => Kind::NoSocket,
            io::ErrorKind::TimedOut => Kind::Silent,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Kind::Lost,
            _ if error.to_string().contains("lookup address") => Kind::Name,
            _ => Kind::Other,
        }
    }

    /// The crate has no kinds for these.
    fn kind_by_words(error: &Error) -> Kind {
        let words = format!("{error} {}", error.source().map(ToString::to_string).unwrap_or_default());
        match words {
            words if words.contains("does not support TLS") => Kind::NoTls,
            words if words.contains("password missing") => Kind::NoPassword,
            words if words.contains("TLS handshake") => Kind::Tls,
            words if words.contains("timeout") => Kind::Silent,
            _ => Kind::Other,
        }
    }

    /// That TLS could not be set up.
    pub(super) fn of_tls(said: String) -> Self {
        Self { kind: Kind::Tls, said }
    }

    /// That an answer did not come in time.
    pub(super) fn silent() -> Self {
        Self { kind: Kind::Silent, said: "no answer in time".to_owned() }
    }

    /// That an answer is too long.
    pub(super) fn too_much() -> Self {
        Self { kind: Kind::TooMuch, said: "its answer is too long".to_owned() }
    }

    /// That a server forgot what it was told: it crashed.
    pub(super) fn lost() -> Self {
        Self { kind: Kind::Lost, said: "the server crashed".to_owned() }
    }

    /// Whether another client holds the lock for too long.
    pub fn is_locked(&self) -> bool {
        self.kind == Kind::Server(SqlState::LOCK_NOT_AVAILABLE)
    }

    /// Whether an attempt with other encryption may come to something else.
    pub(super) fn may_differ(&self) -> bool {
        matches!(self.kind, Kind::Tls | Kind::NoTls | Kind::Lost | Kind::Other | Kind::Server(_))
    }

    /// How much it says, of several attempts at one server.
    pub(super) fn weight(&self) -> u8 {
        match self.kind {
            Kind::Server(_) | Kind::NoPassword => 2,
            Kind::NoTls => 0,
            Kind::Name
            | Kind::Refused
            | Kind::NoSocket
            | Kind::Silent
            | Kind::Tls
            | Kind::Lost
            | Kind::TooMuch
            | Kind::Other => 1,
        }
    }

    /// What the server or the system says.
    pub fn said(&self) -> String {
        printable(&self.said)
    }

    /// Whether the connection is gone, so that what was sent may be done or not.
    pub fn is_lost(&self) -> bool {
        let ended = |code: &SqlState| {
            [
                SqlState::ADMIN_SHUTDOWN,
                SqlState::CRASH_SHUTDOWN,
                SqlState::CANNOT_CONNECT_NOW,
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            ]
            .contains(code)
                || code.code().starts_with("08")
        };
        match &self.kind {
            Kind::Lost | Kind::Silent | Kind::Refused | Kind::NoSocket => true,
            Kind::Server(code) => ended(code),
            Kind::Name | Kind::Tls | Kind::NoTls | Kind::NoPassword | Kind::TooMuch | Kind::Other => false,
        }
    }

    /// Whether the server took all of it back, so that it can be tried again.
    pub fn was_taken_back(&self) -> bool {
        let again = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
        ];
        matches!(&self.kind, Kind::Server(code) if again.contains(code))
    }

    /// Whether what was asked for is not there: the schema or a table of it.
    pub fn is_missing_schema(&self) -> bool {
        let missing =
            [SqlState::INVALID_SCHEMA_NAME, SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_FUNCTION];
        matches!(&self.kind, Kind::Server(code) if missing.contains(code))
    }

    /// The error, with what to do about it.
    pub fn fault(&self, login: &Login) -> Fault {
        let fault = self.not_allowed(login).unwrap_or_else(|| self.told(login));
        let is_full = self.kind == Kind::Server(SqlState::TOO_MANY_CONNECTIONS);
        if self.is_lost() || is_full { fault.away() } else { fault }
    }

    fn told(&self, login: &Login) -> Fault {
        let place = login.url.place();
        let said = printable(&self.said);
        let user = printable(&login.user);
        let database = printable(&login.url.database);
        let is_socket = matches!(login.url.host, Host::Socket(_));
        let fault = |what: String| Fault::server(format!("the registry's server at `{place}` {what}"));
        let password = || {
            let advice = "put the password into `~/.pgpass` (mode 0600) or PGPASSWORD";
            login.unread.as_ref().map_or_else(|| advice.to_owned(), |unread| format!("{unread}; or {advice}"))
        };
        match &self.kind {
            Kind::Name => fault(format!("was not found: {said}"))
                .advise("check the name in `[registry] url`, and the network"),
            Kind::Refused => fault("refuses connections".to_owned())
                .advise("check that PostgreSQL runs there, and the port"),
            Kind::NoSocket if is_socket => fault("has no socket".to_owned())
                .advise("check that PostgreSQL runs on this machine, and the directory"),
            Kind::Silent => timed_out(login),
            Kind::Tls => fault(format!("was not trusted: {said}"))
                .advise("check `sslmode` and `sslrootcert` of the url, and the server's certificate"),
            Kind::NoTls => fault("has no TLS".to_owned()).advise(format!(
                "turn it on there, or change `sslmode={}`, which asks for it",
                login.url.ssl_mode
            )),
            Kind::NoPassword => {
                fault(format!("wants a password of `{user}`, and there is none")).advise(password())
            }
            Kind::TooMuch => fault(format!("answers with more than {} MiB", ANSWER >> 20))
                .advise("ask its administrator: see with SQL which rows in the schema `kinfra` are so long"),
            Kind::Lost => fault(format!("ended the connection: {said}")).advise("run again"),
            Kind::Server(code) if *code == SqlState::INVALID_PASSWORD => {
                fault(format!("refuses `{user}`: {said}")).advise(password())
            }
            Kind::Server(code) if *code == SqlState::INVALID_CATALOG_NAME => {
                fault(format!("has no database `{database}`"))
                    .advise(format!("`createdb {database}` makes it, or correct the url"))
            }
            Kind::Server(code) if *code == SqlState::TOO_MANY_CONNECTIONS => {
                fault(format!("has too many clients: {said}"))
                    .advise("run again in a moment, or raise max_connections there")
            }
            Kind::Server(_) if self.is_missing_schema() => {
                fault(format!("has no registry of kinfra in the database `{database}`"))
                    .advise("an admin makes it with `kinfra registry init`")
            }
            Kind::Server(code) if *code == SqlState::CANNOT_CONNECT_NOW => {
                fault(format!("takes no connections now: {said}")).advise("run again in a moment")
            }
            Kind::Server(_) | Kind::NoSocket | Kind::Other => fault(format!("cannot be asked: {said}"))
                .advise("run again; if it stays so, ask its administrator"),
        }
    }
}

impl Failure {
    /// What a server does not let a role do: to log in, to read or change something, or to change anything.
    fn not_allowed(&self, login: &Login) -> Option<Fault> {
        let Kind::Server(code) = &self.kind else { return None };
        let (said, user) = (printable(&self.said), printable(&login.user));
        let (what, advice) = if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
            let advice = format!(
                "an admin makes the role there, if it is missing: `create role {user} login`; its pg_hba.conf must let it in from \
                 here, with this `sslmode`"
            );
            (format!("refuses `{user}`: {said}"), advice)
        } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
            let grant = missing_grant(&self.said).map(|grant| format!("`grant {grant} to {user}`; "));
            let advice = format!(
                "an admin gives it: {}docs/team.md has all grants of the role of a member; only an admin makes a pool",
                grant.unwrap_or_default()
            );
            (format!("does not let `{user}` do that: {said}"), advice)
        } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
            let advice = "if it is a standby, name the one that it follows in `[registry] url`, and apply";
            (format!("only reads: {said}"), advice.to_owned())
        } else {
            return None;
        };
        Some(Fault::server(format!("the registry's server at `{}` {what}", login.url.place())).advise(advice))
    }
}

/// The grant of a member that a role lacks. What the server says of it ends with the name, in any language.
fn missing_grant(said: &str) -> Option<String> {
    let name = said.split(' ').next_back()?.trim_matches(|sign: char| !sign.is_ascii_lowercase());
    Some(match name {
        "kinfra" => "usage on schema kinfra".to_owned(),
        "save" | "end_uses" | "tell" | "look" | "is_kept" => format!("execute on function kinfra.{name}"),
        "turn" => "select, update on kinfra.turn".to_owned(),
        "queue" => "select, insert, delete, update (called_at, expires) on kinfra.queue".to_owned(),
        "migration" | "pool" | "root" | "host" | "slot" | "claim" | "ended" | "stack" | "uses" | "saved"
        | "history" => {
            format!("select on kinfra.{name}")
        }
        _ => return None,
    })
}

/// That the server does not answer.
pub(super) fn timed_out(login: &Login) -> Fault {
    let place = login.url.place();
    let what = format!("the registry's server at `{place}` does not answer in time");
    let advice = "check the host, the port and the network between, and that the pool of a PgBouncer is not full; \
                  `connect_timeout` of the url says how long to wait";
    Fault::server(what).advise(advice).away()
}

/// What TLS says in an error of the system.
fn said_by_tls(error: &io::Error) -> Option<String> {
    error.get_ref()?.downcast_ref::<rustls::Error>().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_grant_is_one_that_members_have() {
        let documented = include_str!("../../../docs/team.md");
        for name in ["save", "end_uses", "tell", "look", "is_kept"] {
            let grant = missing_grant(&format!("permission denied for function {name}"));
            assert_eq!(grant, Some(format!("execute on function kinfra.{name}")));
            assert!(documented.contains(&format!("kinfra.{name}")), "{name}");
        }
        for name in ["history", "claim", "pool"] {
            let grant = missing_grant(&format!("permission denied for table {name}"));
            assert_eq!(grant, Some(format!("select on kinfra.{name}")));
        }
        assert_eq!(missing_grant("permission denied for table other"), None);
    }
}
