//! A published port as Compose files write it: `8080:80`, `127.0.0.1:${API_PORT:-8000}:8000/tcp`,
//! `8000-8002:8000-8002`.

use std::ops::{Range, RangeInclusive};

/// Published ports, and where in the text they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    /// Bytes of the host port within the text.
    pub(super) host_span: Range<usize>,
    pub(super) host: HostPort,
    /// Bytes of the container port within the text.
    pub(super) container_span: Range<usize>,
    /// The ports in the container, where they are numbers.
    pub(super) container: Option<RangeInclusive<u16>>,
}

/// A port on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPort {
    /// The variable that holds it, if nothing else is in the text.
    pub(super) variable: Option<String>,
    /// The ports, or the default of the variable.
    pub(super) ports: Option<RangeInclusive<u16>>,
}

/// What an item of `ports:` in the short form publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ShortForm {
    /// A container port only: Docker takes any free host port.
    Anywhere,
    /// A host port.
    At(Published),
    /// One variable that holds both ports: no part of the text is the host port.
    Opaque,
}

impl Published {
    /// Whether Docker publishes several ports. For one container port, Docker takes any free port of a range.
    pub(super) fn is_expanded(&self) -> bool {
        let length = |ports: &Option<RangeInclusive<u16>>| ports.as_ref().map_or(1, RangeInclusive::len);
        length(&self.host.ports) > 1 && length(&self.container) > 1
    }
}

impl ShortForm {
    /// Reads the short form: `[IP:][HOST:]CONTAINER[/PROTOCOL]`.
    pub(super) fn parse(item: &str) -> Self {
        let parts = split(item);
        let [.., host, container] = parts.as_slice() else {
            return if item.contains('$') && item.contains(':') { Self::Opaque } else { Self::Anywhere };
        };
        let text = |span: &Range<usize>| item.get(span.clone()).unwrap_or_default();
        if text(host).is_empty() {
            return Self::Anywhere;
        }
        let protocol = text(container).rfind('/').filter(|_| !text(container).ends_with('}'));
        let container_span = container.start..protocol.map_or(container.end, |slash| container.start + slash);
        Self::At(Published {
            host_span: host.clone(),
            host: HostPort::parse(text(host)),
            container: HostPort::parse(text(&container_span)).ports,
            container_span,
        })
    }
}

impl HostPort {
    /// The ports as Compose would write them: a variable as its text, an `expanded` range one by one.
    pub(super) fn names(&self, text: &str, expanded: bool) -> impl Iterator<Item = String> {
        let numbers = self.ports.clone().filter(|_| self.variable.is_none() && expanded);
        let text = numbers.is_none().then(|| text.to_owned());
        numbers.into_iter().flatten().map(|port| port.to_string()).chain(text)
    }

    /// Reads the host's part: numbers, or a variable and its default.
    pub(super) fn parse(text: &str) -> Self {
        if let Some(ports) = ports(text) {
            return Self { variable: None, ports: Some(ports) };
        }
        let nothing = Self { variable: None, ports: None };
        let Some(variable) = text.strip_prefix('$') else { return nothing };
        let (name, rest) = match variable.strip_prefix('{') {
            None => (variable, ""),
            // Of `${A}${B}` neither is the port.
            Some(braced) => match braced.strip_suffix('}').filter(|_| closes_at_end(text)) {
                Some(inner) => inner.split_at(inner.find([':', '-', '?', '+']).unwrap_or(inner.len())),
                None => return nothing,
            },
        };
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return nothing;
        }
        let default = rest.strip_prefix(":-").or_else(|| rest.strip_prefix('-'));
        Self {
            variable: Some(name.to_owned()),
            ports: default.and_then(|default| Self::parse(default).ports),
        }
    }
}

/// `8000` or `8000-8002`.
fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let number = |digits: &str| {
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|port| is_number && *port > 0)
    };
    match text.split_once('-') {
        None => number(text).map(|port| port..=port),
        Some((first, last)) => Some(number(first)?..=number(last)?).filter(|range| !range.is_empty()),
    }
}

/// The parts between colons. Colons within `${…}` and `[…]` do not count.
fn split(entry: &str) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in entry.char_indices() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => {
                parts.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(start..entry.len());
    parts
}

/// Whether the last character of a text closes its first brace.
fn closes_at_end(text: &str) -> bool {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 1 == text.len();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The host's part of an entry, its variable, its ports and the container's.
    type Parts<'a> = (&'a str, Option<&'a str>, Option<(u16, u16)>, Option<(u16, u16)>);

    #[test]
    fn the_short_form() {
        let is = |entry: &str, (host, variable, ports, container): Parts<'_>| {
            let ShortForm::At(published) = ShortForm::parse(entry) else { panic!("{entry}") };
            let ends = |range: Option<RangeInclusive<u16>>| range.map(RangeInclusive::into_inner);
            assert_eq!(&entry[published.host_span], host, "{entry}");
            assert_eq!(published.host.variable.as_deref(), variable, "{entry}");
            assert_eq!(ends(published.host.ports), ports, "{entry}");
            assert_eq!(ends(published.container), container, "{entry}");
        };
        let one = |port| Some((port, port));
        is("8080:80", ("8080", None, one(8080), one(80)));
        is("53:53/udp", ("53", None, one(53), one(53)));
        is("127.0.0.1:5432:5432", ("5432", None, one(5432), one(5432)));
        is("[::1]:8001:80", ("8001", None, one(8001), one(80)));
        is("::1:8001:80", ("8001", None, one(8001), one(80)));
        is("${IP:-127.0.0.1}:8080:80", ("8080", None, one(8080), one(80)));
        is("${API_PORT:-8000}:8000", ("${API_PORT:-8000}", Some("API_PORT"), one(8000), one(8000)));
        is("${API_PORT-8000}:8000/tcp", ("${API_PORT-8000}", Some("API_PORT"), one(8000), one(8000)));
        is("${A:-${B:-80}}:${C:-81}", ("${A:-${B:-80}}", Some("A"), one(80), one(81)));
        is("$WEB:80", ("$WEB", Some("WEB"), None, one(80)));
        is("${WEB:?say}:80", ("${WEB:?say}", Some("WEB"), None, one(80)));
        is("${WEB:+80}:80", ("${WEB:+80}", Some("WEB"), None, one(80)));
        is("${A}${B}:80", ("${A}${B}", None, None, one(80)));
        is("${PREFIX}80:${PORT}", ("${PREFIX}80", None, None, None));
        is("8000-8002:9000-9002", ("8000-8002", None, Some((8000, 8002)), Some((9000, 9002))));
        is("99999:80", ("99999", None, None, one(80)));
    }

    #[test]
    fn entries_without_a_port_of_the_host() {
        for entry in ["80", "80/udp", "127.0.0.1::80", "${PORT}", "", "8000-8010"] {
            assert_eq!(ShortForm::parse(entry), ShortForm::Anywhere, "{entry}");
        }
        assert_eq!(ShortForm::parse("${MAPPING:-8080:80}"), ShortForm::Opaque);
    }
}
