//! A PostgreSQL server as a client sees it: how it is reached, and what is wrong if it is not.

pub mod credentials;

#[cfg(feature = "postgres")]
mod connection;
#[cfg(feature = "postgres")]
mod failure;
#[cfg(feature = "postgres")]
mod tls;

#[cfg(feature = "postgres")]
pub use connection::Connection;
#[cfg(not(feature = "postgres"))]
mod absent;
#[cfg(not(feature = "postgres"))]
pub use absent::Connection;
