//! Each kind of thing: when two stacks have it in common.

use camino::Utf8Path;

use super::{NONE, between, bind, common, model, port, shared, slot, two};
use crate::proof::isolation::{Isolation, Owner, Stack, prove};

#[test]
fn ports_clash_on_one_protocol_and_address() {
    let tcp = r#", "protocol": "tcp""#;
    assert_eq!(between(&port("80", tcp), &port("80", "")), ["port 80/tcp"]);
    assert_eq!(between(&port("80", tcp), &port("80", r#", "protocol": "udp""#)), NONE);
    assert_eq!(between(&port("80", ""), &port("81", "")), NONE);
    assert_eq!(between(&port("80-90", ""), &port("90-99", "")), ["port 90/tcp"]);
    assert_eq!(between(&port("80-90", ""), &port("70-82", "")), ["ports 80-82/tcp"]);
    assert_eq!(between(&port("80-90", ""), &port("91-99", "")), NONE);
    let on = |address: &str| port("80", &format!(r#", "host_ip": "{address}""#));
    assert_eq!(between(&on("127.0.0.1"), &on("127.0.0.1")), ["port 127.0.0.1:80/tcp"]);
    assert_eq!(between(&on("127.0.0.1"), &on("127.0.0.2")), NONE);
    assert_eq!(between(&on("127.0.0.1"), &on("::1")), NONE);
    assert_eq!(between(&on("::1"), &on("0:0::1")), ["port [::1]:80/tcp"]);
    for all in ["", "0.0.0.0", "::", "[::]", "my-host"] {
        assert_eq!(between(&on("127.0.0.2"), &on(all)), ["port 127.0.0.2:80/tcp"], "{all:?}");
    }
    assert_eq!(between(&port("0", ""), &port("0", "")), NONE, "Docker chooses");
    let unpublished = r#""ports": [{"target": 80}]"#;
    assert_eq!(between(unpublished, unpublished), NONE, "Docker chooses");
}

#[test]
fn container_names_and_namespaces_are_one_kind() {
    let named = r#""container_name": "db""#;
    assert_eq!(between(named, named), ["container name `db`"]);
    assert_eq!(between(named, r#""container_name": "db2""#), NONE);
    for joined in [
        r#""network_mode": "container:db""#,
        r#""pid": "container:db""#,
        r#""ipc": "container:db""#,
        r#""volumes_from": ["container:db"]"#,
        r#""volumes_from": ["container:db:rw"]"#,
        r#""external_links": ["db"]"#,
        r#""external_links": ["db:database"]"#,
    ] {
        assert_eq!(between(joined, joined), ["container `db`"], "{joined}");
        assert_eq!(between(named, joined), ["container `db`"], "{joined}");
        assert_eq!(between(joined, named), ["container `db`"], "{joined}");
    }
    for own in [r#""network_mode": "service:db""#, r#""volumes_from": ["db", "container:db:ro"]"#] {
        assert_eq!(between(own, own), NONE, "{own}");
    }
    // A container of the same files is inside, but each other stack that has the same name still clashes.
    let (both, other) = (
        r#""s": {"container_name": "vpn"}, "t": {"pid": "container:vpn"}"#,
        r#""t": {"pid": "container:vpn"}"#,
    );
    assert_eq!(common(both, "", &[]), ["container name `vpn`"]);
    let found = two(&model("a", both, ""), &model("b", other, ""), &[]).conflicts;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].first.services.as_slice(), found[0].second.services.as_slice()),
        (&["s".to_owned()][..], &["t".to_owned()][..])
    );
}

#[test]
fn volumes_are_compared_by_their_names_on_the_engine() {
    let mounted = |read_only: bool| {
        format!(
            r#""s": {{"volumes": [{{"type": "volume", "source": "v", "target": "/t", "read_only": {read_only}}}]}}"#
        )
    };
    let volume = |body: &str| format!(r#""volumes": {{"v": {{{body}}}}},"#);
    assert_eq!(common(&mounted(false), "", &[]), NONE, "each project has its own");
    assert_eq!(common(&mounted(false), &volume(""), &[]), NONE);
    assert_eq!(common(&mounted(false), &volume(r#""external": true"#), &[]), ["volume `v`"]);
    assert_eq!(common(&mounted(true), &volume(r#""external": true"#), &[]), NONE);
    let named = volume(r#""name": "x_v""#);
    for read_only in [false, true] {
        // Compose makes and removes it, whether or not it is written to.
        assert_eq!(common(&mounted(read_only), &named, &[]), ["volume `x_v`"]);
    }
    assert_eq!(common(&mounted(false), &named, &["volume:x_v"]), NONE);
    assert_eq!(common(&mounted(false), &named, &["volume:v", "network:x_v", "image:x_v"]), ["volume `x_v`"]);
    assert_eq!(common("", &named, &[]), NONE, "nothing uses it");
    // One project's default name is another's external volume.
    let other = volume(r#""name": "a_v", "external": true"#);
    let found = two(
        &model("a", &mounted(false), &volume(r#""name": "a_v""#)),
        &model("b", &mounted(false), &other),
        &[],
    );
    assert_eq!(found.conflicts.len(), 1);
    let anonymous =
        r#""s": {"volumes": [{"type": "volume", "target": "/t"}, {"type": "tmpfs", "target": "/u"}]}"#;
    assert_eq!(common(anonymous, "", &[]), NONE);
}

#[test]
fn volumes_on_devices_share_what_is_behind_them() {
    let mounted = |read_only: bool| {
        format!(
            r#""s": {{"volumes": [{{"type": "volume", "source": "v", "target": "/t", "read_only": {read_only}}}]}}"#
        )
    };
    let on = |device: &str, kind: &str, o: &str| {
        format!(
            r#""volumes": {{"v": {{"driver_opts": {{"device": "{device}", "type": "{kind}", "o": "{o}"}}}}}},"#
        )
    };
    assert_eq!(common(&mounted(false), &on("/srv/pg/", "none", "bind"), &[]), ["device `/srv/pg`"]);
    assert_eq!(common(&mounted(true), &on("/srv/pg", "none", "bind"), &[]), NONE);
    assert_eq!(common(&mounted(false), &on("/srv/pg", "none", "bind,ro"), &[]), NONE);
    assert_eq!(common(&mounted(false), &on("/etc/pg", "none", "bind"), &[]), NONE, "a note");
    assert_eq!(common(&mounted(false), &on("/dev/sdb1", "ext4", ""), &[]), ["device `/dev/sdb1`"]);
    assert_eq!(common(&mounted(false), &on(":/pg", "nfs", "addr=nas,rw"), &[]), ["device `:/pg`"]);
    assert_eq!(common(&mounted(false), &on(":/pg", "nfs", "addr=nas,ro"), &[]), NONE);
    assert_eq!(common(&mounted(true), &on(":/pg", "nfs", "addr=nas"), &[]), NONE);
    assert_eq!(common(&mounted(false), &on("tmpfs", "tmpfs", "size=1m"), &[]), NONE);
    let plugin = |options: &str| {
        format!(r#""volumes": {{"v": {{"driver": "rclone", "driver_opts": {{"remote": "{options}"}}}}}},"#)
    };
    assert_eq!(common(&mounted(false), &plugin("nas:a"), &[]), ["device `rclone remote=nas:a`"]);
    assert_eq!(common(&mounted(true), &plugin("nas:a"), &[]), NONE);
    for resource in ["device:/srv/pg", "mount:/srv/pg", "device:/srv"] {
        assert_eq!(common(&mounted(false), &on("/srv/pg", "none", "bind"), &[resource]), NONE, "{resource}");
    }
    // A mount of the same directory is the same directory.
    let volume = model("a", &mounted(false), &on("/srv/pg", "none", "rbind"));
    let mount = model("b", &format!(r#""s": {{{}}}"#, bind("/srv/pg/16", "")), "");
    let found = two(&volume, &mount, &[]).conflicts;
    assert_eq!(found[0].thing.to_string(), "mount `/srv/pg/16`");
    let inside = [
        model("a", &mounted(false), &on("/main/d", "none", "bind")),
        model("b", &mounted(false), &on("/wt/1/d", "none", "bind")),
    ];
    assert_eq!(two(&inside[0], &inside[1], &[]), Isolation::default());
}

#[test]
fn networks_are_compared_by_their_names_on_the_engine() {
    let on = |attachment: &str| format!(r#""s": {{"networks": {{"n": {attachment}}}}}"#);
    let network = |body: &str| format!(r#""networks": {{"n": {{{body}}}}},"#);
    assert_eq!(common(&on("null"), &network(""), &[]), NONE, "each project has its own");
    assert_eq!(common(&on("null"), &network(r#""external": true"#), &[]), ["network `n`"]);
    assert_eq!(common(&on("null"), &network(r#""name": "proxy""#), &[]), ["network `proxy`"]);
    assert_eq!(common(&on("null"), &network(r#""name": "proxy""#), &["network:proxy"]), NONE);
    assert_eq!(common("", &network(r#""name": "proxy""#), &[]), NONE, "nothing is on it");
    for own in ["bridge", "host", "none"] {
        assert_eq!(
            common(&on("null"), &network(&format!(r#""name": "{own}", "external": true"#)), &[]),
            NONE
        );
    }
}

#[test]
fn subnets_clash_where_they_overlap_and_addresses_on_one_network() {
    let with = |name: &str, subnet: &str| {
        let network =
            format!(r#""networks": {{"n": {{"ipam": {{"config": [{{"subnet": "{subnet}"}}]}}}}}},"#);
        model(name, r#""s": {"networks": {"n": {}}}"#, &network)
    };
    let things = |one: &str, other: &str| -> Vec<String> {
        let found = two(&with("a", one), &with("b", other), &[]).conflicts;
        found.iter().map(|conflict| conflict.thing.to_string()).collect()
    };
    assert_eq!(things("10.1.0.0/16", "10.1.9.0/24"), ["subnet 10.1.9.0/24 of network `b_n`"]);
    assert_eq!(things("10.1.9.0/24", "10.1.0.0/16"), ["subnet 10.1.9.0/24 of network `a_n`"]);
    assert_eq!(things("10.1.0.0/16", "10.2.0.0/16"), NONE);
    assert_eq!(things("fd00::/64", "fd00::/80"), ["subnet fd00::/80 of network `b_n`"]);
    assert_eq!(things("fd00::/64", "fd00:0:0:1::/64"), NONE);
    assert_eq!(things("0.0.0.0/0", "::/0"), NONE, "two families");

    let (main, first) = (with("main", "10.213.0.0/16"), with("a", "10.213.5.0/25"));
    let stacks = [(Owner::Main, &main), (slot(5), &first)].map(|(owner, model)| Stack {
        owner,
        model,
        worktree: Utf8Path::new("/wt"),
    });
    let found = prove(&stacks, &shared(&[])).conflicts;
    assert_eq!(found[0].thing.to_string(), "subnet 10.213.5.0/25 of network `a_n`");
    assert_eq!(
        found[0].remedy().to_string(),
        "give the slots other addresses by `subnet` in [stack], or remove `subnet: 10.213.0.0/16`: Docker then chooses a free one"
    );

    let fixed = |addresses: &str| format!(r#""s": {{"networks": {{"n": {{{addresses}}}}}}}"#);
    let own = r#""networks": {"n": {}},"#;
    let external = r#""networks": {"n": {"name": "lan", "external": true}},"#;
    let v4 = fixed(r#""ipv4_address": "10.1.0.5""#);
    assert_eq!(common(&v4, own, &[]), NONE);
    assert_eq!(common(&v4, external, &[]), ["network `lan`", "address 10.1.0.5 on network `lan`"]);
    assert_eq!(
        common(&v4, external, &["network:lan"]),
        ["address 10.1.0.5 on network `lan`"],
        "it is still one address"
    );
    let [one, other] =
        ["fd00::5", "fd00:0::5"].map(|address| fixed(&format!(r#""ipv6_address": "{address}""#)));
    let found = two(&model("a", &one, external), &model("b", &other, external), &["network:lan"]).conflicts;
    assert_eq!(found[0].thing.to_string(), "address fd00::5 on network `lan`");
    let [one, other] = ["02:42:AC:11:65:43", "02-42-ac-11-65-43"]
        .map(|address| fixed(&format!(r#""mac_address": "{address}""#)));
    assert_eq!(
        two(&model("a", &one, external), &model("b", &other, external), &["network:lan"]).conflicts.len(),
        1
    );
    // With one network there is one subnet.
    let named = r#""networks": {"n": {"name": "x", "ipam": {"config": [{"subnet": "10.1.0.0/16"}]}}},"#;
    assert_eq!(common(&fixed(""), named, &[]), ["network `x`"]);
}

#[test]
fn mounts_clash_where_one_contains_the_other() {
    assert_eq!(between(&bind("/srv/pg", ""), &bind("/srv/pg", "")), ["mount `/srv/pg`"]);
    assert_eq!(between(&bind("/srv", ""), &bind("/srv/pg", "")), ["mount `/srv/pg`"]);
    assert_eq!(between(&bind("/srv/pg", ""), &bind("/srv", "")), ["mount `/srv/pg`"]);
    assert_eq!(between(&bind("/", ""), &bind("/srv", "")), ["mount `/srv`"]);
    assert_eq!(between(&bind("/srv/pg", ""), &bind("/srv/pg2", "")), NONE);
    assert_eq!(between(&bind("/srv/pg/", ""), &bind("/srv/x/.././pg", "")), ["mount `/srv/pg`"]);
    let read_only = bind("/srv/pg", r#", "read_only": true"#);
    assert_eq!(between(&read_only, &read_only), NONE);
    assert_eq!(between(&read_only, &bind("/srv/pg", "")), NONE);
    // What lies in the stack's own worktree is its own; the main stack's is not a slot's.
    assert_eq!(between(&bind("/main/data", ""), &bind("/wt/1/data", "")), NONE);
    assert_eq!(between(&bind("/main/data", ""), &bind("/main/data", "")), ["mount `/main/data`"]);
    assert_eq!(between(&bind("/wt", ""), &bind("/wt/1/data", "")), ["mount `/wt/1/data`"]);
}

#[test]
fn a_worktree_in_a_worktree_is_its_own() {
    let [main, first] =
        ["/main", "/main/.wt/1"].map(|dir| model("a", &format!(r#""s": {{{}}}"#, bind(dir, "")), ""));
    let stacks = [
        Stack { owner: Owner::Main, model: &main, worktree: Utf8Path::new("/main") },
        Stack { owner: slot(1), model: &first, worktree: Utf8Path::new("/main/.wt/1/") },
    ];
    assert_eq!(prove(&stacks, &shared(&[])), Isolation::default());
}

#[test]
fn a_shared_directory_covers_what_lies_in_it() {
    let at = |path: &str| format!(r#""s": {{{}}}"#, bind(path, ""));
    assert_eq!(common(&at("/srv/models"), "", &["mount:/srv/models"]), NONE);
    assert_eq!(common(&at("/srv/models"), "", &["mount:/srv"]), NONE);
    assert_eq!(
        common(&at("/srv/models"), "", &["mount:/srv/models/small", "mount:/srv/mod"]),
        ["mount `/srv/models`"]
    );
    // What both see is shared, though one of them sees more.
    let (one, other) = (model("a", &at("/srv"), ""), model("b", &at("/srv/models"), ""));
    assert_eq!(two(&one, &other, &["mount:/srv/models"]).conflicts, []);
    assert_eq!(two(&one, &other, &["mount:/srv/other"]).conflicts.len(), 1);
}

#[test]
fn images_clash_where_both_build_them() {
    let builds = |image: &str| format!(r#""build": {{"context": "."}}, "image": "{image}""#);
    assert_eq!(between(&builds("shop"), &builds("shop:latest")), ["image `shop:latest`"]);
    assert_eq!(between(&builds("docker.io/library/shop:1"), &builds("shop:1")), ["image `shop:1`"]);
    assert_eq!(between(&builds("shop:1"), &builds("shop:2")), NONE);
    assert_eq!(
        between(&builds("localhost:5000/shop"), &builds("localhost:5000/shop:latest")),
        ["image `localhost:5000/shop:latest`"]
    );
    assert_eq!(between(r#""image": "postgres""#, r#""image": "postgres""#), NONE);
    assert_eq!(
        between(r#""build": {"context": "."}"#, r#""build": {"context": "."}"#),
        NONE,
        "named for the project"
    );
    let tagged = r#""build": {"context": ".", "tags": ["shop:dev"]}"#;
    assert_eq!(between(tagged, &builds("shop:dev")), ["image `shop:dev`"]);
    let one = format!(r#""s": {{{}}}"#, builds("shop"));
    assert_eq!(common(&one, "", &["image:shop"]), NONE);
    assert_eq!(common(&one, "", &["image:shop:dev"]), ["image `shop:latest`"]);
}
