//! The bridge networks of an engine, and the ranges of addresses that it gives them.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::Deserialize;

use super::docker::{Answer, ask_of};
use crate::registry::Engine;

/// The timeout of a question.
const QUESTION: Duration = Duration::from_secs(20);
/// How often networks are asked for anew, because one of them went away in the middle of it.
const ATTEMPTS: usize = 3;

/// Docker's own pools, unless its configuration has others (`default-address-pools`): 31 networks.
const DEFAULT: [(&str, u32); 7] = [
    ("172.17.0.0/16", 16),
    ("172.18.0.0/16", 16),
    ("172.19.0.0/16", 16),
    ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16),
    ("172.28.0.0/14", 16),
    ("192.168.0.0/16", 20),
];

/// The bridge networks of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Networks {
    /// How many there are, Docker's own included.
    pub bridges: usize,
    /// For how many more its address pools last. Other networks of the machine may take from it.
    pub left: u64,
}

/// An address pool, as `docker info` prints it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AddressPool {
    base: String,
    size: u32,
}

/// A range of addresses of a network, as `docker network inspect` prints it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Range {
    #[serde(default)]
    subnet: String,
}

/// Counts them.
pub fn networks(engine: Option<&Engine>) -> Answer<Networks> {
    let info = ask_of(engine, &["info", "--format", "{{json .DefaultAddressPools}}"], QUESTION);
    info.then(|pools| {
        let pools: Option<Vec<AddressPool>> = match serde_json::from_str(&pools) {
            Ok(pools) => pools,
            Err(error) => return Answer::Failed(not_understood(&error)),
        };
        let default = || DEFAULT.iter().map(|(base, size)| ((*base).to_owned(), *size)).collect();
        let pools = pools.filter(|pools| !pools.is_empty());
        let pools: Vec<(String, u32)> = pools
            .map_or_else(default, |pools| pools.into_iter().map(|pool| (pool.base, pool.size)).collect());
        let mut answer = subnets(engine);
        for _ in 1..ATTEMPTS {
            if !matches!(answer, Answer::Failed(_)) {
                break;
            }
            answer = subnets(engine);
        }
        answer.map(|(bridges, subnets)| Networks { bridges, left: left(&pools, &subnets) })
    })
}

/// How many bridge networks there are, and their subnets.
fn subnets(engine: Option<&Engine>) -> Answer<(usize, Vec<String>)> {
    let list = ["network", "ls", "--quiet", "--no-trunc", "--filter", "driver=bridge"];
    ask_of(engine, &list, QUESTION).then(|ids| {
        let ids: Vec<&str> = ids.lines().collect();
        if ids.is_empty() {
            return Answer::Is((0, Vec::new()));
        }
        let inspect = [&["network", "inspect", "--format", "{{json .IPAM.Config}}"], &ids[..]].concat();
        ask_of(engine, &inspect, QUESTION).then(|lines| {
            let ranges: Result<Vec<Option<Vec<Range>>>, _> =
                lines.lines().map(serde_json::from_str).collect();
            match ranges {
                Ok(ranges) => {
                    let ranges = ranges.into_iter().flatten().flatten();
                    Answer::Is((ids.len(), ranges.map(|range| range.subnet).collect()))
                }
                Err(error) => Answer::Failed(not_understood(&error)),
            }
        })
    })
}

fn not_understood(error: &serde_json::Error) -> String {
    format!("docker printed what kinfra does not understand: {error}")
}

/// The parts of the pools, each `2^(32 - size)` addresses, that no subnet overlaps.
fn left(pools: &[(String, u32)], subnets: &[String]) -> u64 {
    let taken: Vec<(u64, u64)> = subnets.iter().filter_map(|subnet| range(subnet)).collect();
    let left_of = |(base, size): &(String, u32)| {
        let Some((first, last)) = range(base) else { return 0 };
        let Some(part) = 32_u32.checked_sub(*size).map(|bits| 1_u64 << bits) else { return 0 };
        let inside = taken.iter().filter(|(from, to)| *from <= last && *to >= first);
        let mut parts: Vec<(u64, u64)> = inside
            .map(|(from, to)| (((*from).max(first) - first) / part, ((*to).min(last) - first) / part))
            .collect();
        parts.sort_unstable();
        let (mut used, mut next) = (0, 0);
        for (from, to) in parts {
            let from = from.max(next);
            if to >= from {
                (used, next) = (used + to - from + 1, to + 1);
            }
        }
        ((last - first + 1) / part).saturating_sub(used)
    };
    pools.iter().map(left_of).sum()
}

/// The first and the last address of an IPv4 subnet.
fn range(subnet: &str) -> Option<(u64, u64)> {
    let (address, prefix) = subnet.split_once('/')?;
    let address = u64::from(u32::from(address.parse::<Ipv4Addr>().ok()?));
    let hosts = (1_u64 << 32_u32.checked_sub(prefix.parse().ok()?)?) - 1;
    Some((address & !hosts, address | hosts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_takes_each_part_of_a_pool_that_it_overlaps() {
        let default: Vec<_> = DEFAULT.iter().map(|(base, size)| ((*base).to_owned(), *size)).collect();
        for (subnets, expected) in [
            (&[][..], 31),
            (&["172.17.0.0/16"], 30),
            (&["172.20.0.0/16", "172.21.0.0/16", "192.168.240.0/20"], 28),
            // Two in one part, one that takes four, one of the machine's own, and one of IPv6.
            (&["192.168.1.0/24", "192.168.2.0/24"], 30),
            (&["192.168.0.0/18", "192.168.16.0/24"], 27),
            (&["10.213.1.0/24", "fd00::/64", ""], 31),
            (&["0.0.0.0/0"], 0),
        ] {
            let subnets: Vec<String> = subnets.iter().map(|subnet| (*subnet).to_owned()).collect();
            assert_eq!(left(&default, &subnets), expected, "{subnets:?}");
        }
        assert_eq!(left(&[("10.0.0.0/8".to_owned(), 24)], &["10.7.3.0/24".to_owned()]), 65_535);
        assert_eq!(left(&[("10.0.0.0/8".to_owned(), 33)], &[]), 0);
    }
}
