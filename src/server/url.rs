//! The url of a server: `postgres://user@host:port/database?sslmode=…`.
//!
//! What it says is a part of the pool, and is shown. So it has no password: only the one that is given for a
//! single run may have it, and that is kept apart.

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::encryption::{RootCert, SslMode};
use super::password::Password;

/// PostgreSQL's own port.
const PORT: u16 = 5432;
/// How long a connection may take, in seconds, if the url does not say it.
const TIMEOUT: u64 = 10;
/// The longest time that it may say.
const LONGEST: u64 = 300;
/// The schemes that mean PostgreSQL.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// What a url may say after `?`.
const PARAMETERS: [&str; 6] = ["host", "port", "user", "sslmode", "sslrootcert", "connect_timeout"];

/// The url of a server and a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// The user; without one, the name of this machine's user.
    pub user: Option<String>,
    /// Where the server is.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// How the way is protected.
    pub ssl_mode: SslMode,
    /// Which root certificates count.
    pub root_cert: Option<RootCert>,
    /// How many seconds a connection may take, if it says it.
    timeout: Option<u64>,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or an address.
    Name(String),
    /// A directory with its socket.
    Socket(String),
}

/// A url, and the password that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The url without it.
    pub url: ServerUrl,
    /// The password.
    pub password: Option<Password>,
}

/// What is wrong with a url. It never repeats a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlMistake {
    /// What.
    pub message: String,
    /// What to write, if the message does not say it.
    pub help: Option<String>,
}

impl UrlMistake {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl ServerUrl {
    /// Reads a url that is a part of the pool.
    ///
    /// # Errors
    /// What is wrong with it. A password is.
    pub fn parse(text: &str) -> Result<Self, UrlMistake> {
        let Given { url, password } = Given::parse(text)?;
        if password.is_none() {
            return Ok(url);
        }
        let mistake =
            UrlMistake::new("a url in slots.toml or on a command line has no password: others would see it");
        Err(mistake.help("take it out, and put it into `~/.pgpass`, or into PGPASSWORD for a run"))
    }

    /// How long a connection may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.unwrap_or(TIMEOUT))
    }

    /// The host as `~/.pgpass` has it: the usual directories of a socket are `localhost`.
    pub fn host_of_password(&self) -> &str {
        match &self.host {
            Host::Name(name) => name,
            Host::Socket(directory)
                if ["/tmp", "/run/postgresql", "/var/run/postgresql"].contains(&directory.as_str()) =>
            {
                "localhost"
            }
            Host::Socket(directory) => directory,
        }
    }

    /// Whether another url leads to the same database, in whatever way.
    pub fn is_same_database(&self, other: &Self) -> bool {
        (&self.host, self.port, &self.database) == (&other.host, other.port, &other.database)
    }

    /// The server and its port, for messages.
    pub fn place(&self) -> String {
        match &self.host {
            Host::Name(name) if name.contains(':') => format!("[{name}]:{}", self.port),
            Host::Name(name) => format!("{name}:{}", self.port),
            Host::Socket(directory) => format!("{directory}/.s.PGSQL.{}", self.port),
        }
    }
}

impl Given {
    /// Reads a url that may have a password.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, UrlMistake> {
        let form = "write `postgres://user@host/database`, or `postgres:///database?host=/run/postgresql` for a socket";
        let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme));
        let rest = rest.ok_or_else(|| UrlMistake::new("the url is not one of PostgreSQL").help(form))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        // What stands before it is no port then, and must not be shown.
        let has_no_end = authority.contains(':') && !authority.contains('@');
        let in_query = if database.is_empty() { query } else { "" };
        for (sign, code, after) in [("/", "%2F", database), ("?", "%3F", in_query)] {
            if has_no_end && after.contains('@') {
                let what = format!("the user or the password of the url has a `{sign}`");
                return Err(UrlMistake::new(what).help(format!("write it as `{code}`")));
            }
        }
        let (user, host) =
            authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let (user, mut password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            None => (None, None),
            Some((user, password)) => (Some(decoded(user)?), Some(decoded(password)?)),
        };
        let (name, port) = host_and_port(host)?;
        let mut read = Parameters { user, port, ..Parameters::default() };
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = decoded(value)?;
            if key == "password" {
                password = Some(value);
            } else {
                read.note(key, value)?;
            }
        }
        let Parameters { user, port, socket, ssl_mode, root_cert, timeout } = read;
        let host = match (name, socket) {
            (name, None) if !name.is_empty() => Host::Name(name),
            (name, Some(socket)) if name.is_empty() => Host::Socket(socket),
            (_, Some(_)) => {
                return Err(UrlMistake::new(
                    "the url names two servers: one before the database, and one in `host`",
                ));
            }
            (_, None) => return Err(UrlMistake::new("the url names no server").help(form)),
        };
        let database = decoded(database)?;
        if database.is_empty() {
            return Err(UrlMistake::new("the url names no database").help(form));
        }
        let (ssl_mode, port) = (ssl_mode.unwrap_or_default(), port.unwrap_or(PORT));
        if root_cert == Some(RootCert::System) && ssl_mode != SslMode::VerifyFull {
            let mistake =
                UrlMistake::new(format!("`sslrootcert=system` does not go with `sslmode={ssl_mode}`"));
            return Err(
                mistake.help("write `sslmode=verify-full`: many have a certificate that this machine trusts")
            );
        }
        let password = password.filter(|password| !password.is_empty()).map(Password::new);
        let user = user.filter(|user| !user.is_empty());
        Ok(Self { url: ServerUrl { user, host, port, database, ssl_mode, root_cert, timeout }, password })
    }
}

/// What a url says after `?`.
#[derive(Default)]
struct Parameters {
    user: Option<String>,
    port: Option<u16>,
    socket: Option<String>,
    ssl_mode: Option<SslMode>,
    root_cert: Option<RootCert>,
    timeout: Option<u64>,
}

impl Parameters {
    fn note(&mut self, key: &str, value: String) -> Result<(), UrlMistake> {
        let shown = value.escape_debug().to_string();
        let wrong = |what: String| Err(UrlMistake::new(what));
        let twice = match key {
            "host" if value.starts_with('/') => {
                self.socket.replace(value.trim_end_matches('/').to_owned()).is_some()
            }
            "host" => {
                return wrong(format!(
                    "`host={shown}` is no directory of a socket: write a name before the database"
                ));
            }
            "port" => self.port.replace(port(&value)?).is_some(),
            "user" => self.user.replace(value).is_some(),
            "sslmode" => {
                let words: Vec<&str> = SslMode::words().collect();
                let mistake = UrlMistake::new(format!("`sslmode={shown}` is none that PostgreSQL has"));
                let mode = SslMode::of(&value);
                let mode = mode.ok_or_else(|| mistake.help(format!("write one of {}", words.join(", "))))?;
                self.ssl_mode.replace(mode).is_some()
            }
            "sslrootcert" => match RootCert::of(&value) {
                Some(cert) => self.root_cert.replace(cert).is_some(),
                None => {
                    return wrong(format!("`sslrootcert={shown}` must be `system`, absolute or below `~/`"));
                }
            },
            "connect_timeout" => match value.parse().ok().filter(|seconds| (1..=LONGEST).contains(seconds)) {
                Some(seconds) => self.timeout.replace(seconds).is_some(),
                None => return wrong(format!("`connect_timeout={shown}` must be 1 to {LONGEST} seconds")),
            },
            unknown => {
                let mistake =
                    UrlMistake::new(format!("kinfra knows no `{}` of a url", unknown.escape_debug()));
                return Err(mistake
                    .help(format!("it takes {}", PARAMETERS.map(|name| format!("`{name}`")).join(", "))));
            }
        };
        if twice { wrong(format!("the url says `{key}` twice")) } else { Ok(()) }
    }
}

/// The host and the port of an authority, as far as it has them.
fn host_and_port(text: &str) -> Result<(String, Option<u16>), UrlMistake> {
    if text.contains(',') {
        return Err(UrlMistake::new("the url names several servers").help("name one: kinfra does not choose"));
    }
    let (host, rest) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let given = rest.strip_prefix(':').filter(|given| !given.is_empty());
    if given.is_none() && !["", ":"].contains(&rest) {
        return Err(UrlMistake::new(format!("`{}` is no host and port", text.escape_debug())));
    }
    Ok((decoded(host)?, given.map(port).transpose()?))
}

fn port(text: &str) -> Result<u16, UrlMistake> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| UrlMistake::new(format!("`{}` is no port", text.escape_debug())))
}

/// A text without its `%` escapes. What is wrong is not repeated: it may be of a password.
fn decoded(text: &str) -> Result<String, UrlMistake> {
    let mistake =
        || UrlMistake::new("the url has a `%` that begins no escape such as `%20`, or one that is no text");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (high, low) = digit().zip(digit()).ok_or_else(mistake)?;
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| mistake())?);
    }
    let text = String::from_utf8(bytes).map_err(|_| mistake())?;
    if text.chars().any(char::is_control) {
        return Err(UrlMistake::new("the url has a control character"));
    }
    Ok(text)
}

/// A text with escapes for what a url cannot have there, but for these characters.
struct Encoded<'a>(&'a str, &'static str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, kept) = self;
        text.bytes().try_for_each(|byte| match char::from(byte) {
            plain if plain.is_ascii_alphanumeric() || "-._~".contains(plain) => f.write_char(plain),
            plain if plain.is_ascii() && kept.contains(plain) => f.write_char(plain),
            _ => write!(f, "%{byte:02X}"),
        })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port, database, ssl_mode, root_cert, timeout } = self;
        f.write_str("postgres://")?;
        user.as_ref().map_or(Ok(()), |user| write!(f, "{}@", Encoded(user, "")))?;
        match host {
            Host::Name(name) if name.contains(':') => write!(f, "[{name}]")?,
            Host::Name(name) => write!(f, "{}", Encoded(name, ""))?,
            Host::Socket(_) => {}
        }
        if *port != PORT {
            write!(f, ":{port}")?;
        }
        write!(f, "/{}", Encoded(database, ""))?;
        let socket = match host {
            Host::Socket(directory) => Some(("host", directory.clone())),
            Host::Name(_) => None,
        };
        let mode = (*ssl_mode != SslMode::default()).then(|| ("sslmode", ssl_mode.to_string()));
        let cert = root_cert.as_ref().map(|cert| ("sslrootcert", cert.as_written().to_owned()));
        let timeout = timeout.map(|seconds| ("connect_timeout", seconds.to_string()));
        let said = [socket, mode, cert, timeout].into_iter().flatten();
        said.enumerate().try_for_each(|(place, (key, value))| {
            write!(f, "{}{key}={}", if place == 0 { '?' } else { '&' }, Encoded(&value, "/"))
        })
    }
}

impl Serialize for ServerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ServerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|mistake| de::Error::custom(mistake.message))
    }
}

/// Where a text that may be a url has passwords.
pub fn secrets_in(text: &str) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    if let Some(start) = text.find("://").map(|at| at + "://".len()) {
        let authority = &text[start..];
        let authority = &authority[..authority.find(['/', '?']).unwrap_or(authority.len())];
        // A password that is not escaped may have a `/` or a `?`.
        let end =
            text.rfind('@').filter(|end| *end >= start).or_else(|| authority.rfind('@').map(|at| start + at));
        let colon = end.and_then(|end| text[start..end].find(':').map(|colon| (start + colon + 1, end)));
        secrets.extend(colon.map(|(from, to)| from..to));
    }
    for (at, key) in text.match_indices("password=") {
        let value = at + key.len();
        let end = text[value..].find(['&', '"', '\'']).map_or(text.len(), |end| value + end);
        secrets.push(value..end);
    }
    secrets.sort_by_key(|secret| secret.start);
    secrets
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
