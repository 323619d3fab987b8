//! The port of a slot that one opens in a browser, and the schemes of ports.

use super::declared::Spec;
use crate::identifier::PortName;
use crate::port::{PortFormula, Protocol};

/// The schemes of servers' usual ports.
const SCHEMES: [(&[u16], &str); 9] = [
    (&[80, 3000, 3001, 4200, 5000, 5173, 8000, 8008, 8080, 8081, 8888, 9000, 9090, 16686], "http"),
    (&[443, 8443], "https"),
    (&[5432], "postgres"),
    (&[3306], "mysql"),
    (&[6379], "redis"),
    (&[27017], "mongodb"),
    (&[5672], "amqp"),
    (&[4222], "nats"),
    (&[1025], "smtp"),
];

/// The scheme that is usual for a TCP port of a container.
pub fn usual_scheme(port: u16) -> Option<&'static str> {
    SCHEMES.iter().find(|(ports, _)| ports.contains(&port)).map(|(_, scheme)| *scheme)
}

impl Spec {
    /// The port that a slot is known by: the one that `[pool]` names, else the first that speaks HTTP, else
    /// the first.
    pub fn primary_port(&self) -> Option<&PortName> {
        let is_http = |(name, formula): &&(PortName, PortFormula)| {
            let publish = self.publish.get(name);
            let target = publish.map_or(formula.base.get(), |publish| publish.target.port);
            let usual = || usual_scheme(target).filter(|_| formula.protocol == Protocol::Tcp);
            let scheme = publish.and_then(|publish| publish.scheme.as_deref()).or_else(usual);
            scheme.is_some_and(|scheme| ["http", "https"].contains(&scheme))
        };
        let http = self.ports.iter().find(is_http);
        self.primary.as_ref().or_else(|| http.or(self.ports.first()).map(|(name, _)| name))
    }
}
