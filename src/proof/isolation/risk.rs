//! What can go wrong with what two stacks take at once.

use std::collections::BTreeSet;

use super::conflict::Conflict;
use super::thing::HostThing;

/// Where database servers keep their data in containers.
const DATABASES: [&str; 16] = [
    "/var/lib/postgresql",
    "/var/lib/mysql",
    "/var/lib/mariadb",
    "/var/lib/mongodb",
    "/var/lib/redis",
    "/var/lib/clickhouse",
    "/var/lib/cassandra",
    "/var/lib/elasticsearch",
    "/var/lib/influxdb",
    "/var/lib/rabbitmq",
    "/var/lib/kafka",
    "/var/opt/mssql",
    "/data/db",
    "/bitnami",
    "/usr/share/elasticsearch/data",
    "/qdrant/storage",
];

/// Where images keep data by custom.
const DATA: [&str; 3] = ["/var/lib", "/data", "/config"];

impl Conflict {
    /// What can go wrong, in one sentence.
    pub fn risk(&self) -> &'static str {
        match self.thing {
            HostThing::Port { .. } => "the second stack to start fails, because the port is in use",
            HostThing::ContainerName(_) => "the second stack to start fails, because the name is in use",
            HostThing::Network(_) => "slots answer to each other's service names there",
            HostThing::Subnet { .. } => "the second stack to start fails, because the addresses are in use",
            HostThing::Address { .. } => "the second container to start fails, because the address is in use",
            HostThing::Image(_) => "each build replaces the image that the other stack runs",
            HostThing::Namespace(_) => {
                "both stacks act inside one container, which belongs to one of them at most"
            }
            HostThing::Volume(_) | HostThing::Mount(_) | HostThing::Device(_) if self.has_database() => {
                "two databases on one data directory destroy it"
            }
            HostThing::Volume(_) => "each stack changes and removes the other's data",
            HostThing::Mount(_) | HostThing::Device(_) => {
                "what one stack writes there, the other reads and overwrites"
            }
        }
    }

    fn has_database(&self) -> bool {
        let targets = self.first.targets.iter().chain(&self.second.targets);
        targets.into_iter().any(|target| is_below_any(target, &DATABASES))
    }
}

/// Whether some path in a container is a place for data: a database's, or one that images use by custom.
pub(super) fn hold_data(targets: &BTreeSet<String>) -> bool {
    let is_data = |target: &String| is_below_any(target, &DATABASES) || is_below_any(target, &DATA);
    targets.iter().any(is_data)
}

fn is_below_any(target: &str, dirs: &[&str]) -> bool {
    let is_below = |dir: &&str| {
        let rest = target.strip_prefix(*dir);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    dirs.iter().any(is_below)
}
