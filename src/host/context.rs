//! Which Docker engine is meant: the one in use, or the one of another context.

use camino::Utf8PathBuf;
use serde_json::Value;

use super::fs::read_named;
use super::invocation::in_environment;
use crate::digest::Digest;
use crate::registry::{Elsewhere, Engine};

/// The most that is read of Docker's configuration, in bytes.
const CONFIG_LIMIT: u64 = 4 << 20;

/// The engine that `docker` talks to if nothing else is said: by `DOCKER_HOST`, by `DOCKER_CONTEXT`, or by
/// the context in use.
pub fn current() -> Engine {
    if let Some(address) = named("DOCKER_HOST") {
        return Engine::Address(address);
    }
    let in_use = || {
        let config = configuration("config.json")?;
        config.get("currentContext")?.as_str().filter(|name| !name.is_empty()).map(str::to_owned)
    };
    let context = named("DOCKER_CONTEXT").or_else(in_use);
    Engine::Context(context.unwrap_or_else(|| "default".to_owned()))
}

fn named(variable: &str) -> Option<String> {
    in_environment(variable).filter(|value| !value.is_empty())
}

/// A file of Docker's configuration.
fn configuration(file: &str) -> Option<Value> {
    let dir = named("DOCKER_CONFIG").map(Utf8PathBuf::from);
    let dir = dir.or_else(|| Some(Utf8PathBuf::from(named("HOME")?).join(".docker")))?;
    let text = read_named(&dir.join(file), CONFIG_LIMIT).ok()??;
    serde_json::from_slice(&text).ok()
}

/// The host of an engine that is reached by a network, so that its processes, ports and disks need not be
/// those of this machine. `None` is the caller's engine.
pub fn remote_host(engine: Option<&Engine>) -> Option<String> {
    let current = || engine.is_none().then(current);
    let address = match engine.cloned().or_else(current)? {
        Engine::Address(address) => address,
        Engine::Context(name) => address_of(&name)?,
    };
    host_of(&address)
}

/// The address that a context stands for. Docker keeps it in a file named after the hash of the context's
/// name. It keeps none for `default`, which is a socket of this machine.
pub(super) fn address_of(context: &str) -> Option<String> {
    let meta = configuration(&format!("contexts/meta/{}/meta.json", Digest::of(context.as_bytes())))?;
    meta.pointer("/Endpoints/docker/Host")?.as_str().map(str::to_owned)
}

/// The host in an address such as `ssh://me@far:22` or `tcp://[::1]:2375`. A socket has none.
fn host_of(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    if ["unix", "npipe", "fd"].contains(&scheme) {
        return None;
    }
    let authority = rest.split('/').next().unwrap_or(rest);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match authority.rsplit_once(':') {
        // An address of IPv6 has brackets around its colons.
        Some((host, port)) if !port.contains(']') => host,
        Some(_) | None => authority,
    };
    (!host.is_empty()).then(|| host.to_owned())
}

/// An engine that a stack was started in, if it is not the one in use now.
pub fn elsewhere(engine: Option<&Engine>) -> Option<Elsewhere> {
    let (engine, in_use) = (engine?.clone(), current());
    (engine != in_use).then_some(Elsewhere { engine, in_use })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_engine_is_in_its_address() {
        for (address, host) in [
            ("unix:///var/run/docker.sock", None),
            ("npipe:////./pipe/docker_engine", None),
            ("tcp://10.0.0.1:2376", Some("10.0.0.1")),
            ("tcp://[::1]:2375", Some("[::1]")),
            ("ssh://me@far.example:22/run/docker.sock", Some("far.example")),
            ("ssh://far", Some("far")),
            ("tcp://", None),
        ] {
            assert_eq!(host_of(address).as_deref(), host, "{address}");
            let engine = Engine::Address(address.to_owned());
            assert_eq!(remote_host(Some(&engine)).as_deref(), host, "{address}");
        }
    }
}
