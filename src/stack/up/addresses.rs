//! Where the ports of a slot are reached. Pure.

use crate::compose::model::{Model, PublishedPort, Service};
use crate::identifier::PortName;
use crate::port::{HostPort, Port, Protocol};
use crate::slot::SlotId;
use crate::spec::{Spec, usual_scheme};
use crate::stack::gate::state::Expected;

/// Where a service is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The name of the port in slots.toml.
    pub name: PortName,
    /// The service.
    pub service: String,
    /// The port of the engine's machine.
    pub port: Port,
    /// Its URL.
    pub url: Url,
}

/// The schemes of what browsers open. They find every name below `localhost` on this machine, and keep the
/// cookies of one such name from another; other programs may not find it.
const OF_BROWSERS: [&str; 4] = ["http", "https", "ws", "wss"];

/// The variables by which the images of databases take the name of a user and of a database.
const OF_DATABASES: [(&str, [&str; 2], [&str; 2]); 2] = [
    ("postgres", ["POSTGRES_USER", "POSTGRESQL_USERNAME"], ["POSTGRES_DB", "POSTGRESQL_DATABASE"]),
    ("mysql", ["MYSQL_USER", "MARIADB_USER"], ["MYSQL_DATABASE", "MARIADB_DATABASE"]),
];

/// The URL of a port of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// With the host as every program finds it, or only host and port if its scheme is not known. A database
    /// has its user and its name in it where the model tells, and never a password.
    pub plain: String,
    /// With a name of the slot's own as the host, for browsers on the engine's machine.
    pub hosted: Option<String>,
    /// Whether the engine is on this machine.
    pub is_here: bool,
}

impl Url {
    /// What people are to open.
    pub fn shown(&self) -> &str {
        self.hosted.as_deref().unwrap_or(&self.plain)
    }

    /// Whether it is known what speaks there.
    pub fn has_scheme(&self) -> bool {
        self.plain.contains("://")
    }
}

/// What decides the address of a port.
#[derive(Clone, Copy)]
pub struct Reach<'a> {
    /// The host of an engine on another machine.
    pub host: Option<&'a str>,
    /// What declares the pool, if that is known.
    pub spec: Option<&'a Spec>,
    /// What runs, as far as it is known.
    pub model: &'a Model,
    /// The slot.
    pub slot: SlotId,
}

impl<'a> Reach<'a> {
    /// The URL of a port, or the host and the port if its scheme is not known. The scheme is the one that
    /// slots.toml gives it, or that is usual for the port of the container. Where no container is known, the
    /// base of the port says as much: it is the port of the main stack.
    pub fn url(&self, name: &PortName, port: HostPort) -> Url {
        let publish = self.spec.and_then(|spec| spec.publish.get(name));
        let base = || {
            let (_, formula) = self.spec?.ports.iter().find(|(other, _)| other == name)?;
            Some(formula.base.get())
        };
        let ports = |service: &'a Service| service.ports.iter().map(move |published| (service, published));
        let mut published = self.model.services.values().flat_map(ports);
        let (service, target) = published.find(|(_, published)| is_in(published, port)).unzip();
        let target = target.map(|published| published.target);
        let target = target.or_else(|| publish.map(|publish| publish.target.port)).or_else(base);
        let usual = || {
            let target = target.filter(|_| port.protocol == Protocol::Tcp)?;
            usual_scheme(target)
        };
        let (host, is_here) = (self.host.unwrap_or("localhost"), self.host.is_none());
        let Some(scheme) = publish.and_then(|publish| publish.scheme.as_deref()).or_else(usual) else {
            return Url { plain: format!("{host}:{port}"), hosted: None, is_here };
        };
        let (user, database) = service.map(|service| account(service, scheme)).unwrap_or_default();
        let url = |host: &str| format!("{scheme}://{user}{host}:{}{database}", port.port);
        // A name below `localhost` leads to this machine.
        let has_own = is_here && OF_BROWSERS.contains(&scheme);
        let published_by = publish.map(|publish| publish.target.service.as_str());
        let own = || format!("{}.slot-{}.localhost", label(published_by, name), self.slot);
        Url { plain: url(host), hosted: has_own.then(|| url(&own())), is_here }
    }

    /// The addresses of the ports that an expected service publishes.
    pub fn addresses<'b>(
        &self,
        expected: &Expected,
        ports: impl Iterator<Item = (&'b PortName, HostPort)>,
    ) -> Vec<Address> {
        let services = self.model.services.iter().filter(|(name, _)| expected.services.contains_key(*name));
        let address = |(name, port): (&PortName, HostPort)| {
            let publishes = |published: &PublishedPort| is_in(published, port);
            let (service, _) = services.clone().find(|(_, service)| service.ports.iter().any(publishes))?;
            let url = self.url(name, port);
            Some(Address { name: name.clone(), service: service.clone(), port: port.port, url })
        };
        ports.filter_map(address).collect()
    }
}

/// What files came to, to be kept: without the values of variables, which can be secret. Only the names of
/// users and databases stay, for the addresses.
pub fn without_values(mut model: Model) -> Model {
    let is_account = |name: &String| {
        let mut accounts =
            OF_DATABASES.iter().flat_map(|(_, users, databases)| users.iter().chain(databases));
        accounts.any(|account| account == name)
    };
    for service in model.services.values_mut() {
        service.environment.retain(|name, _| is_account(name));
        service.build.iter_mut().for_each(|build| build.args.clear());
    }
    model
}

/// The user and the database of a service, as parts of its URL.
fn account(service: &Service, scheme: &str) -> (String, String) {
    let Some((_, users, databases)) = OF_DATABASES.iter().find(|(database, ..)| *database == scheme) else {
        return Default::default();
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let known = |name: &&str| service.environment.get(*name)?.as_deref();
    let value = |names: &[&str]| {
        let value = names.iter().find_map(known)?;
        (!value.is_empty() && value.chars().all(is_plain)).then(|| value.to_owned())
    };
    let user = value(users).map(|user| user + "@").unwrap_or_default();
    (user, value(databases).map(|name| format!("/{name}")).unwrap_or_default())
}

/// A part of a host's name: of the service that publishes a port, or of the port.
fn label(service: Option<&str>, name: &PortName) -> String {
    let label = |text: &str| {
        let text: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let part: String = text.trim_start_matches('-').chars().take(63).collect();
        part.trim_end_matches('-').to_ascii_lowercase()
    };
    service.map(label).filter(|label| !label.is_empty()).unwrap_or_else(|| label(name.as_str()))
}

/// Whether a port is one of those that are published: one, or a range.
fn is_in(published: &PublishedPort, port: HostPort) -> bool {
    let (port, protocol) = (port.port.get(), port.protocol.to_string());
    if published.protocol != protocol {
        return false;
    }
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
        let ports = ports.map(|(name, port)| {
            let protocol = Protocol::udp_if(name == "dns");
            (PortName::new(name).unwrap(), HostPort { port: Port::new(port).unwrap(), protocol })
        });
        let reach = Reach { host: None, spec: None, model: &model, slot: SlotId::new(2).unwrap() };
        let found = reach.addresses(&expected, ports.iter().map(|(name, port)| (name, *port)));
        let found: Vec<String> = found
            .iter()
            .map(|found| format!("{} {} {}", found.name, found.url.shown(), found.service))
            .collect();
        assert_eq!(
            found,
            [
                "api http://api.slot-2.localhost:8001 web",
                "db postgres://localhost:5433 db",
                "dns localhost:5301/udp dns",
                "worker localhost:9101 worker",
                "worker_2 localhost:9102 worker"
            ]
        );
        let far = Reach { host: Some("far"), ..reach };
        let (name, port) = &ports[1];
        assert_eq!(far.url(name, *port).shown(), "postgres://far:5433");
        let (name, port) = &ports[0];
        let url = far.url(name, *port);
        assert_eq!((url.plain.as_str(), url.hosted), ("http://far:8001", None));
        assert_eq!(reach.url(name, *port).plain, "http://localhost:8001");
    }

    #[test]
    fn a_database_is_told_with_its_user_and_its_name_and_never_a_password() {
        let model = Model::parse(
            r#"{"name": "x", "services": {
            "db": {"ports": [{"target": 5432, "published": "5433", "protocol": "tcp"}], "environment":
                {"POSTGRES_USER": "shop", "POSTGRES_PASSWORD": "secret", "POSTGRES_DB": "shop_test"}},
            "odd": {"ports": [{"target": 5432, "published": "5443", "protocol": "tcp"}], "environment":
                {"POSTGRES_USER": "a:b@c", "POSTGRES_DB": null}},
            "old": {"ports": [{"target": 3306, "published": "3307", "protocol": "tcp"}], "environment":
                {"MARIADB_DATABASE": "wiki", "POSTGRES_USER": "shop"}},
            "cache": {"ports": [{"target": 6379, "published": "6380", "protocol": "tcp"}], "environment":
                {"POSTGRES_USER": "shop"}}}}"#,
        )
        .unwrap();
        // It is the same from what is kept of a start.
        let model = without_values(model);
        assert!(!serde_json::to_string(&model).unwrap().contains("secret"));
        let reach = Reach { host: None, spec: None, model: &model, slot: SlotId::new(1).unwrap() };
        let name = PortName::new("db").unwrap();
        for (port, url) in [
            (5433, "postgres://shop@localhost:5433/shop_test"),
            (5443, "postgres://localhost:5443"),
            (3307, "mysql://localhost:3307/wiki"),
            (6380, "redis://localhost:6380"),
        ] {
            let port = HostPort { port: Port::new(port).unwrap(), protocol: Protocol::Tcp };
            assert_eq!(reach.url(&name, port), Url { plain: url.to_owned(), hosted: None, is_here: true });
        }
    }

    #[test]
    fn the_name_of_a_host_has_only_what_a_name_may_have() {
        let name = PortName::new("otlp_grpc").unwrap();
        for (service, host) in [
            (None, "otlp-grpc"),
            (Some("web"), "web"),
            (Some("_Web.api_2"), "web-api-2"),
            (Some("__"), "otlp-grpc"),
            (Some(&format!("{}_web", "a".repeat(62))), &"a".repeat(62)),
        ] {
            assert_eq!(label(service, &name), host);
        }
    }
}
