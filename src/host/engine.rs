//! The Docker engine: which one it is, what it has of images and volumes, and what slots share on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use camino::Utf8PathBuf;
use serde_json::Value;

use super::docker::{Answer, TIMEOUT, ask, ask_of, docker_version, output_of, server_components};
use super::fs::read_named;
use super::invocation::environment;
use crate::digest::Digest;
use crate::registry::Engine;
use crate::thing::Kind;
use crate::time::Time;

/// The most that is read of Docker's configuration, in bytes.
const CONFIG_LIMIT: u64 = 4 << 20;

/// The engine that `docker` talks to if nothing else is said: by `DOCKER_HOST`, by `DOCKER_CONTEXT`, or by
/// the context in use.
pub fn current() -> Engine {
    let environment = environment();
    let named = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
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

/// A file of Docker's configuration.
fn configuration(file: &str) -> Option<Value> {
    let environment = environment();
    let named = |name: &str| environment.get(name).filter(|value| !value.is_empty());
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
fn address_of(context: &str) -> Option<String> {
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

/// Whether Podman stands in for Docker: the socket is its own, the `docker` command is, or it says so itself
/// among the components of the server.
pub fn is_podman() -> bool {
    let address = match current() {
        Engine::Address(address) => Some(address),
        Engine::Context(name) => address_of(&name),
    };
    let has_its_name = |answer: Answer<String>| match answer {
        Answer::Is(names) => names.to_lowercase().contains("podman"),
        Answer::NoCommand | Answer::NoDaemon | Answer::Failed(_) => false,
    };
    address.is_some_and(|address| address.ends_with("podman.sock"))
        || has_its_name(docker_version())
        || has_its_name(server_components())
}

/// The socket of the engine that `docker` talks to if nothing is said.
const SOCKET: &str = "/var/run/docker.sock";

/// Whether this machine may have an engine: there is a `docker` command, and the socket of its engine, if
/// that is one of this machine. Asks nothing.
pub fn may_be_here() -> bool {
    let is_there = |path: &Path| path.metadata().is_ok();
    let path = environment().get("PATH").cloned().unwrap_or_default();
    let has_command = std::env::split_paths(&path).any(|dir| is_there(&dir.join("docker")));
    let has_socket = || match current() {
        Engine::Address(address) => {
            address.strip_prefix("unix://").is_none_or(|socket| is_there(Path::new(socket)))
        }
        Engine::Context(name) => name != "default" || is_there(Path::new(SOCKET)),
    };
    has_command && has_socket()
}

/// The directories that an image declares as volumes (`VOLUME`). Only an image that is on the engine tells.
pub fn image_volumes(image: &str) -> Answer<BTreeSet<String>> {
    let answer = ask(&["image", "inspect", "--format", "{{json .Config.Volumes}}", image]);
    answer.map(|json| {
        let volumes: Option<BTreeMap<String, Value>> = serde_json::from_str(&json).unwrap_or_default();
        volumes.unwrap_or_default().into_keys().collect()
    })
}

/// The ids of images, in the order of their names. Fails if one of them is not there.
pub fn image_ids(engine: Option<&Engine>, names: &[&str]) -> Answer<Vec<String>> {
    if names.is_empty() {
        return Answer::Is(Vec::new());
    }
    let arguments = [&["image", "inspect", "--format", "{{.Id}}"], names].concat();
    ask_of(engine, &arguments, TIMEOUT).map(|ids| ids.lines().map(str::to_owned).collect())
}

/// The directory of this machine where an engine keeps its data. `None` if it is on another machine, or does
/// not say.
pub fn data_directory(engine: Option<&Engine>) -> Option<Utf8PathBuf> {
    if remote_host(engine).is_some() {
        return None;
    }
    match ask_of(engine, &["info", "--format", "{{.DockerRootDir}}"], TIMEOUT) {
        Answer::Is(path) => Some(Utf8PathBuf::from(path)).filter(|path| path.is_absolute()),
        Answer::NoCommand | Answer::NoDaemon | Answer::Failed(_) => None,
    }
}

/// When volumes were made, to the second. Fails if one of them is not there.
pub fn volumes_made(engine: Option<&Engine>, names: &[&str]) -> Answer<Vec<(String, Time)>> {
    if names.is_empty() {
        return Answer::Is(Vec::new());
    }
    let arguments = [&["volume", "inspect", "--format", "{{.Name}}\t{{.CreatedAt}}"], names].concat();
    ask_of(engine, &arguments, TIMEOUT).map(|lines| {
        let made = |line: &str| {
            let (name, at) = line.split_once('\t')?;
            Some((name.to_owned(), Time::parse(at).ok()?))
        };
        lines.lines().filter_map(made).collect()
    })
}

/// Whether there is a volume or network with this name.
pub fn exists(kind: Kind, name: &str) -> Answer<bool> {
    match ask(&[kind.word(), "inspect", "--format", "{{.Name}}", name]) {
        Answer::Is(_) => Answer::Is(true),
        Answer::Failed(_) => Answer::Is(false),
        Answer::NoCommand => Answer::NoCommand,
        Answer::NoDaemon => Answer::NoDaemon,
    }
}

/// The subnets of networks, each with the network's name. What is not there, or does not answer, has none.
pub fn subnets(engine: Option<&Engine>, networks: &[&str]) -> Vec<(String, String)> {
    let format = "{{$name := .Name}}{{range .IPAM.Config}}{{$name}} {{println .Subnet}}{{end}}";
    let arguments = [&["network", "inspect", "--format", format], networks].concat();
    // It says what it found, and fails for what it did not.
    let output = output_of(engine, &arguments, TIMEOUT).map(|output| output.stdout).unwrap_or_default();
    let lines = String::from_utf8_lossy(&output).into_owned();
    let subnet = |line: &str| line.split_once(' ').map(|(name, subnet)| (name.to_owned(), subnet.to_owned()));
    lines.lines().filter_map(subnet).collect()
}

/// Makes a volume or network with this name, if there is none. It has no project's label, so no project's
/// `down` removes it.
pub fn make_shared(kind: Kind, name: &str) -> Answer<()> {
    exists(kind, name).then(|is_there| {
        if is_there { Answer::Is(()) } else { ask(&[kind.word(), "create", name]).map(drop) }
    })
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
