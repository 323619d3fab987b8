//! The PostgreSQL server of a registry: its address, how the way to it is protected, and the password.

mod encryption;
mod password;
mod password_file;
mod url;

pub use encryption::{Check, Encryption, RootCert, SslMode};
pub use password::Password;
pub use password_file::{Wanted, password_in};
pub use url::{Given, Host, ServerUrl, UrlMistake, secrets_in};
