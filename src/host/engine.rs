//! The Docker engine: what it has of images and volumes, and what slots share on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use camino::Utf8PathBuf;
use serde_json::Value;

use super::context::{address_of, current, remote_host};
use super::docker::{Answer, TIMEOUT, ask, ask_of, docker_version, output_of, server_components};
use super::invocation::in_environment;
use crate::memory::Memory;
use crate::registry::Engine;
use crate::thing::Kind;
use crate::time::Time;

/// Whether Podman stands in for Docker: the socket is its own, the `docker` command is, or it says so itself
/// among the components of the server.
pub fn is_podman() -> bool {
    let address = match current() {
        Engine::Address(address) => Some(address),
        Engine::Context(name) => address_of(&name),
    };
    let has_its_name = |answer: Answer<String>| match answer {
        Answer::Is(names) => names.to_lowercase().contains("podman"),
        Answer::NoCommand | Answer::NoDaemon | Answer::Silent(_) | Answer::Failed(_) => false,
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
    let path = in_environment("PATH").unwrap_or_default();
    let has_command = std::env::split_paths(&path).any(|dir| is_there(&dir.join("docker")));
    let has_socket = || match current() {
        Engine::Address(address) => {
            address.strip_prefix("unix://").is_none_or(|socket| is_there(Path::new(socket)))
        }
        Engine::Context(name) => name != "default" || is_there(Path::new(SOCKET)),
    };
    has_command && has_socket()
}

/// The images that have a name, such as `alpine:3.20`.
pub fn images() -> Answer<Vec<String>> {
    let answer = ask(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
    answer.map(|names| names.lines().map(str::to_owned).collect())
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
        Answer::NoCommand | Answer::NoDaemon | Answer::Silent(_) | Answer::Failed(_) => None,
    }
}

/// The memory of an engine's machine.
pub fn total_memory(engine: Option<&Engine>) -> Answer<Memory> {
    ask_of(engine, &["info", "--format", "{{.MemTotal}}"], TIMEOUT).then(|bytes| match bytes.parse() {
        Ok(bytes) if bytes > 0 => Answer::Is(Memory::of_bytes(bytes)),
        Ok(_) | Err(_) => Answer::Failed("Docker does not say how much memory there is".to_owned()),
    })
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
        Answer::Silent(said) => Answer::Silent(said),
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
