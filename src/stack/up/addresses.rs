//! Where the services of a slot are reached from this machine. Pure.

use std::collections::BTreeMap;

use crate::compose::model::{Model, PublishedPort};
use crate::identifier::PortName;
use crate::port::{Port, Protocol};
use crate::spec::PublishSpec;
use crate::stack::gate::state::Expected;

/// Where a service is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The name of the port in slots.toml.
    pub name: PortName,
    /// The service.
    pub service: String,
    /// The port of this machine.
    pub port: Port,
    /// Its URL, or the host and the port if its scheme is not known.
    pub url: String,
}

/// The schemes of servers' usual ports.
const SCHEMES: [(&[u16], &str); 9] = [
    (&[80, 3000, 3001, 4200, 5000, 5173, 8000, 8008, 8080, 8081, 8888, 9000, 9090], "http"),
    (&[443, 8443], "https"),
    (&[5432], "postgres"),
    (&[3306], "mysql"),
    (&[6379], "redis"),
    (&[27017], "mongodb"),
    (&[5672], "amqp"),
    (&[4222], "nats"),
    (&[1025], "smtp"),
];

/// The addresses of the slot's ports that a service of the stack publishes, in the order of their names.
pub fn addresses(
    model: &Model,
    expected: &Expected,
    ports: &BTreeMap<PortName, Port>,
    publish: &BTreeMap<PortName, PublishSpec>,
) -> Vec<Address> {
    let services = || model.services.iter().filter(|(name, _)| expected.services.contains_key(*name));
    let address = |(name, port): (&PortName, &Port)| {
        let publishes = |published: &&PublishedPort| is_in(published, port.get());
        let mut published = services().flat_map(|(service, found)| {
            found.ports.iter().filter(publishes).map(move |published| (service, published))
        });
        let (service, published) = published.next()?;
        let scheme = publish.get(name).and_then(|publish| publish.scheme.as_deref());
        let url = url(scheme, published, *port);
        Some(Address { name: name.clone(), service: service.clone(), port: *port, url })
    };
    ports.iter().filter_map(address).collect()
}

fn url(scheme: Option<&str>, published: &PublishedPort, port: Port) -> String {
    let is_udp = published.protocol == Protocol::Udp.to_string();
    let usual = || {
        let known = SCHEMES.iter().find(|(ports, _)| ports.contains(&published.target) && !is_udp);
        known.map(|(_, scheme)| *scheme)
    };
    match scheme.or_else(usual) {
        Some(scheme) => format!("{scheme}://localhost:{port}"),
        None if is_udp => format!("localhost:{port}/udp"),
        None => format!("localhost:{port}"),
    }
}

/// Whether a port is one of those that are published: one, or a range.
fn is_in(published: &PublishedPort, port: u16) -> bool {
    let Some(text) = &published.published else { return false };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let bounds = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
    bounds.is_some_and(|(first, last)| (first..=last).contains(&port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_has_the_address_of_the_service_that_publishes_it() {
        let model = Model::parse(
            r#"{"name": "x", "services": {
            "web": {"ports": [{"target": 80, "published": "8001", "protocol": "tcp"}]},
            "db": {"ports": [{"target": 5432, "published": "5433", "protocol": "tcp"}]},
            "dns": {"ports": [{"target": 53, "published": "5301", "protocol": "udp"}]},
            "worker": {"ports": [{"target": 7777, "published": "9101-9104", "protocol": "tcp"}]},
            "off": {"ports": [{"target": 80, "published": "8401", "protocol": "tcp"}]}}}"#,
        )
        .unwrap();
        let named = ["web", "db", "dns", "worker"].map(str::to_owned).into();
        let expected = Expected::of(&model, &[].into()).only(&named);
        let ports = [
            ("api", 8001),
            ("db", 5433),
            ("dns", 5301),
            ("worker", 9101),
            ("worker_2", 9102),
            ("off", 8401),
            ("unknown", 8501),
        ];
        let ports = ports.map(|(name, port)| (PortName::new(name).unwrap(), Port::new(port).unwrap()));
        let found = addresses(&model, &expected, &ports.into(), &BTreeMap::new());
        let found: Vec<String> =
            found.iter().map(|found| format!("{} {} {}", found.name, found.url, found.service)).collect();
        assert_eq!(
            found,
            [
                "api http://localhost:8001 web",
                "db postgres://localhost:5433 db",
                "dns localhost:5301/udp dns",
                "worker localhost:9101 worker",
                "worker_2 localhost:9102 worker"
            ]
        );
    }
}
