use super::*;

/// What Compose 2.26 prints, abridged.
const PRINTED: &str = r#"{"name": "x", "networks": {"default": {"name": "x_default", "ipam": {}},
    "net": {"name": "x_net", "driver": "bridge", "ipam": {"config": [{"subnet": "172.30.0.0/16"}]}}},
    "services": {"db": {"command": null, "image": "postgres:16", "networks": {"default": null},
        "volumes": [{"type": "bind", "source": "/var/lib/x", "target": "/var/lib/postgresql/data", "bind": {"create_host_path": true}}]},
    "web": {"profiles": ["p"], "build": {"context": "/p", "dockerfile": "Dockerfile", "additional_contexts": {"base": "docker-image://x"}},
        "deploy": {"replicas": 2, "placement": {},
            "resources": {"reservations": {"devices": [{"capabilities": ["gpu"], "count": -1}]}}}, "environment": {"API": "http://localhost:8080", "EMPTY": null},
        "networks": {"default": {}, "net": {"aliases": ["w"], "ipv4_address": "172.30.0.5"}}, "pid": "host",
        "ports": [{"mode": "ingress", "host_ip": "127.0.0.1", "target": 9000, "published": "9000-9002", "protocol": "tcp"},
            {"mode": "ingress", "target": 7000, "protocol": "tcp"}],
        "volumes": [{"type": "volume", "source": "ext", "target": "/e", "volume": {"subpath": "x"}, "read_only": true},
            {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "9", "mode": 511}}, {"type": "bind", "source": "/$$x", "target": "/x"}]}},
    "volumes": {"ext": {"name": "extvol", "external": true},
        "pg": {"name": "shop_pg", "driver_opts": {"device": "/srv/pg", "o": "bind", "type": "none"}}}}"#;

#[test]
fn what_compose_prints_is_read() {
    let model = Model::parse(PRINTED).unwrap();
    let web = &model.services["web"];
    assert_eq!((web.replicas(), model.services["db"].replicas()), (2, 1));
    assert!(web.uses_gpu() && !model.services["db"].uses_gpu());
    assert_eq!(web.ports[0].published.as_deref(), Some("9000-9002"));
    assert_eq!(web.ports[1].published, None);
    assert_eq!(web.networks["net"].ipv4_address.as_deref(), Some("172.30.0.5"));
    assert_eq!(web.environment["EMPTY"], None);
    assert_eq!(model.services["db"].volumes[0].bind(), Some("/var/lib/x".into()));
    assert_eq!(web.volumes[0].bind(), None);
    assert_eq!(web.volumes[0].options["volume"]["subpath"], "x");
    assert_eq!(web.volumes[1].options["tmpfs"]["mode"], 511);
    assert_eq!(web.volumes[2].bind(), Some("/$x".into()));
    assert!(model.volumes["ext"].external);
    assert_eq!((model.volumes["ext"].device(), model.volumes["pg"].device()), (None, Some("/srv/pg")));
    assert_eq!(model.volumes["pg"].driver_opts["device"], "/srv/pg");
    assert_eq!(model.networks["net"].ipam.config[0].subnet.as_deref(), Some("172.30.0.0/16"));
    assert_eq!(model.built_images(), BTreeMap::from([("web", "x-web".to_owned())]));
}

#[test]
fn a_volume_is_known_by_what_is_behind_it() {
    let of = |text: &str| {
        let model = Model::parse(&format!(r#"{{"name": "x", "volumes": {{"v": {text}}}}}"#)).unwrap();
        let volume = &model.volumes["v"];
        (volume.device().map(str::to_owned), volume.plugin().map(str::to_owned))
    };
    let some = |text: &str| Some(text.to_owned());
    for (text, device, plugin) in [
        ("{}", None, None),
        (r#"{"driver_opts": {"device": "/srv"}}"#, some("/srv"), None),
        (r#"{"driver_opts": {"type": "none", "device": "/srv"}}"#, some("/srv"), None),
        (r#"{"driver_opts": {"type": "tmpfs", "device": "tmpfs"}}"#, None, None),
        (r#"{"driver_opts": {"type": "tmpfs", "device": "x"}}"#, None, None),
        (r#"{"driver_opts": {"type": "none", "device": "tmpfs"}}"#, None, None),
        (r#"{"driver": "local", "driver_opts": {"o": "bind"}}"#, None, None),
        (r#"{"driver": "", "driver_opts": {"o": "bind"}}"#, None, None),
        (r#"{"driver": "nfs", "driver_opts": {"o": "bind"}}"#, None, some("nfs")),
        (r#"{"driver": "nfs"}"#, None, None),
    ] {
        assert_eq!(of(text), (device, plugin), "{text}");
    }
    let ipv6 = |rest: &str| {
        let text = format!(r#"{{"name": "x", "networks": {{"n": {{{rest}}}}}}}"#);
        Model::parse(&text).unwrap().networks["n"].fixes_ipv6()
    };
    let (six, four) = (r#"{"subnet": "fd00::/64"}"#, r#"{"subnet": "10.0.0.0/24"}"#);
    assert!(ipv6(&format!(r#""enable_ipv6": true, "ipam": {{"config": [{four}, {six}]}}"#)));
    assert!(!ipv6(&format!(r#""enable_ipv6": true, "ipam": {{"config": [{four}]}}"#)));
    assert!(!ipv6(&format!(r#""ipam": {{"config": [{six}]}}"#)));
}
