//! How the way to a server is protected: libpq's `sslmode`, and what it comes to.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

/// `sslmode`, with libpq's words and meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted only where the server refuses what is not.
    Allow,
    /// Encrypted where the server can.
    #[default]
    Prefer,
    /// Encrypted. The certificate is checked only where there is a root certificate.
    Require,
    /// Encrypted, with a certificate that a root certificate vouches for.
    VerifyCa,
    /// The same, and the certificate is of this host.
    VerifyFull,
}

/// Each mode with its word.
const MODES: [(SslMode, &str); 6] = [
    (SslMode::Disable, "disable"),
    (SslMode::Allow, "allow"),
    (SslMode::Prefer, "prefer"),
    (SslMode::Require, "require"),
    (SslMode::VerifyCa, "verify-ca"),
    (SslMode::VerifyFull, "verify-full"),
];

/// What the certificate of a server is checked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Nothing.
    Nothing,
    /// That a root certificate vouches for it.
    Chain,
    /// That it is also of this host.
    ChainAndName,
}

/// One attempt to reach a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Without encryption.
    None,
    /// With it.
    Tls(Check),
}

impl SslMode {
    /// The mode of a word.
    pub fn of(word: &str) -> Option<Self> {
        MODES.iter().find(|(_, known)| *known == word).map(|(mode, _)| *mode)
    }

    /// All words, the weakest first.
    pub fn words() -> impl Iterator<Item = &'static str> {
        MODES.iter().map(|(_, word)| *word)
    }

    /// The attempts, in order. The next one is made if the server refuses the one before. `has_root` says
    /// whether there is a root certificate; a socket on this machine is never encrypted.
    pub fn attempts(self, is_socket: bool, has_root: bool) -> &'static [Encryption] {
        use Encryption::{None, Tls};
        match self {
            _ if is_socket => &[None],
            Self::Disable => &[None],
            Self::Allow => &[None, Tls(Check::Nothing)],
            Self::Prefer => &[Tls(Check::Nothing), None],
            Self::Require if !has_root => &[Tls(Check::Nothing)],
            Self::Require | Self::VerifyCa => &[Tls(Check::Chain)],
            Self::VerifyFull => &[Tls(Check::ChainAndName)],
        }
    }

    /// Whether it checks a certificate, if there is something to check it by.
    pub fn may_check(self) -> bool {
        matches!(self, Self::Require | Self::VerifyCa | Self::VerifyFull)
    }

    /// Whether it needs a root certificate.
    pub fn needs_root(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = MODES.iter().find(|(mode, _)| mode == self).map(|(_, word)| *word);
        f.write_str(word.unwrap_or_default())
    }
}

/// `sslrootcert`: which root certificates count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCert {
    /// Those of this machine.
    System,
    /// Those in a file; absolute, or below `~/`.
    File(Utf8PathBuf),
}

impl RootCert {
    /// Reads it. `None` for a path that depends on the directory.
    pub fn of(text: &str) -> Option<Self> {
        match text {
            "system" => Some(Self::System),
            path if path.starts_with('/') || path.starts_with("~/") => Some(Self::File(path.into())),
            _ => None,
        }
    }

    /// As it is written.
    pub fn as_written(&self) -> &str {
        match self {
            Self::System => "system",
            Self::File(path) => path.as_str(),
        }
    }

    /// Its file, with the home directory in place of `~/`. `None` for those of the machine, or without home.
    pub fn file(&self, home: Option<&Utf8Path>) -> Option<Utf8PathBuf> {
        let Self::File(path) = self else { return None };
        match path.strip_prefix("~") {
            Ok(below) => home.map(|home| home.join(below)),
            Err(_) => Some(path.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_is_attempted_as_libpq_does() {
        use Encryption::{None, Tls};
        let tcp = |word: &str, has_root| SslMode::of(word).unwrap().attempts(false, has_root).to_vec();
        assert_eq!(tcp("disable", true), [None]);
        assert_eq!(tcp("allow", true), [None, Tls(Check::Nothing)]);
        assert_eq!(tcp("prefer", true), [Tls(Check::Nothing), None]);
        assert_eq!(tcp("require", false), [Tls(Check::Nothing)]);
        assert_eq!(tcp("require", true), [Tls(Check::Chain)]);
        assert_eq!(tcp("verify-ca", true), [Tls(Check::Chain)]);
        assert_eq!(tcp("verify-full", true), [Tls(Check::ChainAndName)]);
        for word in SslMode::words() {
            let mode = SslMode::of(word).unwrap();
            assert_eq!(mode.to_string(), word);
            assert_eq!(mode.attempts(true, true), [None], "{word}");
            assert_eq!(mode.needs_root(), word.starts_with("verify"));
        }
        assert_eq!(SslMode::of("on"), Option::None);
    }

    #[test]
    fn a_root_certificate_does_not_depend_on_the_directory() {
        let home = Some(Utf8Path::new("/home/ann"));
        let file = |text| RootCert::of(text).unwrap().file(home);
        assert_eq!(file("~/ca.crt").unwrap(), "/home/ann/ca.crt");
        assert_eq!(file("/etc/ca.crt").unwrap(), "/etc/ca.crt");
        assert_eq!((RootCert::of("ca.crt"), file("system")), (None, None));
        assert_eq!(RootCert::of("~/ca.crt").unwrap().file(None), None);
    }
}
