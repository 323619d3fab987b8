//! The short form of a published port: `8080:80`, `127.0.0.1:8000:8000/tcp`, `8000-8002:8000-8002`.

use crate::compose::model::PublishedPort;

/// The most ports that one item publishes.
const MOST: usize = 65_535;

/// Reads `[IP:][HOST:]CONTAINER[/PROTOCOL]`. `None` if it is something else.
pub(super) fn parse(item: &str) -> Option<Vec<PublishedPort>> {
    let (item, protocol) = item.split_once('/').unwrap_or((item, "tcp"));
    let (rest, container) = item.rsplit_once(':').unwrap_or(("", item));
    let (host_ip, host) = match rest.rsplit_once(':') {
        Some((ip, host)) => (Some(ip.trim_matches(['[', ']'])).filter(|ip| !ip.is_empty()), host),
        None => (None, rest),
    };
    let (first, last) = range(container)?;
    let port = |target: u16, published: Option<String>| PublishedPort {
        target,
        published,
        host_ip: host_ip.map(str::to_owned),
        protocol: protocol.to_lowercase(),
    };
    if host.is_empty() {
        return Some((first..=last).map(|target| port(target, None)).collect());
    }
    let (first_host, last_host) = range(host)?;
    if first == last {
        // Docker takes any free one of several.
        return Some(vec![port(first, Some(host.to_owned()))]);
    }
    let is_even = (first..=last).len() == (first_host..=last_host).len() && (first..=last).len() <= MOST;
    let pairs = (first..=last).zip(first_host..=last_host);
    is_even.then(|| pairs.map(|(target, host)| port(target, Some(host.to_string()))).collect())
}

/// `8000` or `8000-8002`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |digits: &str| digits.parse::<u16>().ok().filter(|port| *port > 0);
    Some((number(first)?, number(last)?)).filter(|(first, last)| first <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form() {
        let is = |item: &str, expected: &[(u16, Option<&str>, Option<&str>, &str)]| {
            let ports = parse(item).unwrap();
            let read = ports.iter().map(|port| {
                (port.target, port.published.as_deref(), port.host_ip.as_deref(), port.protocol.as_str())
            });
            assert_eq!(read.collect::<Vec<_>>(), expected, "{item}");
        };
        is("8080:80", &[(80, Some("8080"), None, "tcp")]);
        is("53:53/udp", &[(53, Some("53"), None, "udp")]);
        is("127.0.0.1:5432:5432", &[(5432, Some("5432"), Some("127.0.0.1"), "tcp")]);
        is("[::1]:8001:80", &[(80, Some("8001"), Some("::1"), "tcp")]);
        is("127.0.0.1::80", &[(80, None, Some("127.0.0.1"), "tcp")]);
        is("80", &[(80, None, None, "tcp")]);
        is("6005-6015:80", &[(80, Some("6005-6015"), None, "tcp")]);
        is("8000-8001:90-91", &[(90, Some("8000"), None, "tcp"), (91, Some("8001"), None, "tcp")]);
        for item in ["", "a", "80:b", "99999:80", "7000-7002:7000-7001", "8:9:"] {
            assert_eq!(parse(item), None, "{item}");
        }
    }
}
