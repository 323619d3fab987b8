//! The parts of `slots.toml` that are for a project's own Compose files.

use std::fs;

use kinfra::desired::{RenderInputs, TemplateTexts, render_environments, render_pool};
use kinfra::slot::SlotId;
use kinfra::spec::Spec;
use kinfra::spec::mistake::{Source, SourceKind};

use super::spec::{each_of_is_refused, is_refused};
use crate::support::{Machine, SHOP, SMALL};

const WEB: &str = "web = { base = 8000, publish = \"web:80\" }";

fn machine(spec: &str) -> Machine {
    let machine = Machine::new();
    machine.spec(spec);
    machine
}

#[test]
fn what_a_port_publishes_wrongly_is_refused() {
    each_of_is_refused(
        SHOP,
        WEB,
        r#"web = { base = 8000, publish = "web" } => `web` is not a service and a port: write `web:80` … :8:32
           web = { base = 8000, publish = "web:80/sctp" } => `web:80/sctp` is not a service and a port
           web = { base = 8000, publish = 80 } => `publish` must be a string, not of type integer … :8:32
           web = { base = 8000, publsh = "web:80" } => a port has no key `publsh` … :8:22 … did you mean `publish`?
           web = { base = 8000, count = 2 } => `count` needs `publish` … :8:30 … add the service and its port
           web = { base = 8000, scheme = "http" } => `scheme` needs `publish` … :8:31
           web = { base = 8000, publish = "web:80", count = 0 } => `count` must be between 1 and 1000, not 0 … :8:50
           web = { base = 8000, publish = "web:80", count = 1001 } => `count` must be between 1 and 1000
           web = { base = 8000, publish = "web:80", scheme = "HTTP" } => `HTTP` is not a valid scheme … :8:51 … what stands before `://`
           web = { base = 8000, publish = "web:80" }⏎api = { base = 9000, publish = "web:80/tcp" } => `web:80` is published twice … :9:32 … first published here
           # none => [ports] is empty"#,
    );
    each_of_is_refused(
        SMALL,
        "web = 8000",
        r#"web = { base = 8000, publish = "web:80" } => `publish` needs [compose] … :8:32 … add [compose] to run"#,
    );
}

#[test]
fn several_ports_in_a_row_need_room_and_names() {
    each_of_is_refused(
        SHOP,
        WEB,
        r#"web = { base = 8000, publish = "web:80", count = 4 } => ports collide: `web_2` of the main stack (slot 0) and `web` of slot 1 are both 8001 … :8:1 … 8000 + slot, and the 3 after it … 4 ports for each slot need a stride of at least 4; the smallest that works is 4
           web = { base = 8000, publish = "web:80", count = 4 }⏎api = 8007 => are both 8001 … at least 4; the smallest that works is 10
           web = { base = 8000, publish = "web:80", count = 4, stride = 4 }⏎api = 8002 => `web_3` of the main stack (slot 0) and `api` of the main stack (slot 0) are both 8002
           web = { base = 8000, publish = "web:80", count = 4 }⏎api = 8002 => as long as the other ports stay, none works; declare fewer slots or a smaller `count`
           web = { base = 8000, publish = "web:80", count = 4, stride = 4 }⏎web_3 = 9000 => `web_3` is already port 3 of the 4 of `web` … :9:1 … declared here … choose another name
           web = { base = 65530, publish = "web:80", count = 4, stride = 4 } => port `web_4` of slot 1 would be 65537, above 65535 … in range is 65524"#,
    );
    let spec =
        SHOP.replace(WEB, "web = { base = 8000, publish = \"web:80\", count = 3, stride = 3 }\nweb_4 = 9000");
    machine(&spec).kinfra("ports").exits(0).prints("2  only     8006   8007   8008   9002\n");
}

#[test]
fn more_workers_than_ports_are_refused() {
    each_of_is_refused(
        SHOP,
        "name = \"only\"",
        r#"name = "only"⏎workers = { web = 2 } => 2 workers of `web` need as many ports for `web:80`, and `web` has 1 … :12:19 … published here … give `web` a `count` of 2, or declare fewer workers
           name = "only"⏎workers = { "we b" = 2 } => `we b` is not a valid kind of worker: use lowercase letters, digits, `_` and `-`
           name = "only"⏎workers = { mail-out = 1, mail_out = 2 } => `mail-out` and `mail_out` are one variable … :12:27 … first declared here"#,
    );
    each_of_is_refused(
        SMALL,
        "name = \"only\"",
        r#"name = "only"⏎workers = { mail-out = 2 } => `mail-out` is not a valid kind of worker: only a service of [compose] has a `-` … :12:13"#,
    );
    // A service that publishes nothing has as many as it likes, and one more.
    let workers = "name = \"only\"\nworkers = { mail-out = 9, web = 1 }";
    machine(&SHOP.replace("name = \"only\"", workers)).kinfra("plan").exits(0);
}

#[test]
fn what_compose_is_told_wrongly_is_refused() {
    each_of_is_refused(
        SHOP,
        "[compose]\n",
        r#"[compose]⏎file = ["a"] => [compose] has no key `file` … :18:1 … did you mean `files`?
           [compose]⏎files = "compose.yaml" => `files` must be an array of strings, not of type string … :18:9
           [compose]⏎files = [] => `files` is empty … :18:9 … leave it out for the files that Compose itself finds
           [compose]⏎files = ["/srv/compose.yaml"] => `/srv/compose.yaml` is absolute … :18:10
           [compose]⏎files = ["a", "./a"] => file `a` is listed twice … :18:15 … first listed here
           [compose]⏎files = [1] => a file must be a string, not of type integer … :18:10
           [compose]⏎shared = ["disk:/x"] => `disk:/x` is not a resource: write `volume:NAME` … :18:11
           [compose]⏎shared = ["mount:srv"] => `mount:srv` is not a resource
           [compose]⏎shared = ["volume:a", "volume:a"] => `volume:a` stands twice in `shared` … :18:23 … first here
           [compose]⏎shared = ["volume:a"]⏎[compose.per_slot]⏎"volume:a" = "own" => `volume:a` is both in `shared` and in `per_slot` … :20:1 … first here
           [compose.per_slot]⏎"image:x" = "own" => `image:x` cannot be given to each slot … :18:1 … list it in `shared`
           [compose.per_slot]⏎"device:/x" = "own" => `device:/x` cannot be given to each slot … :18:1
           [compose.per_slot]⏎"disk:x" = "own" => `disk:x` is not a resource … :18:1
           [compose.per_slot]⏎"mount:/x" = "own" => `own` is not what a slot can have for `mount:/x` … :18:14 … write `volume`, or `worktree:DIR`
           [compose.per_slot]⏎"mount:/x" = "worktree:../y" => `../y` leaves its directory with `..` … :18:14
           [compose.per_slot]⏎"mount:/x" = "worktree:" => `` does not name a file
           [compose.per_slot]⏎"network:x" = "volume" => `volume` is not what a slot can have for `network:x` … :18:15 … write `own`
           [compose.per_slot]⏎"volume:x" = 1 => what a slot has of its own must be a string … :18:14
           [compose.per_slot]⏎"mount:/x" = "volume"⏎"mount:/x/" = "volume" => `mount:/x/` stands twice in `per_slot` … :19:1"#,
    );
    each_of_is_refused(
        SHOP,
        "[compose]\n",
        "[[compose]] => [compose] must be a table, not of type array … :17:1",
    );
}

#[test]
fn wrong_variables_of_services_are_refused() {
    each_of_is_refused(
        SHOP,
        "[compose]\n",
        r#"[compose]⏎[services.web]⏎enviroment = {} => [services.web] has no key `enviroment` … :19:1 … did you mean `environment`?
           [compose]⏎[services."a b".environment]⏎A = "a" => `a b` is not a valid service name … :18:11 … use letters, digits
           [compose]⏎[services.web.environment]⏎"1A" = "a" => `1A` is not a valid variable name … :19:1
           [compose]⏎[services.web.environment]⏎A = 1 => the value of a variable must be a string … :19:5
           [compose]⏎[services.web.environment]⏎A = { valu = "a" } => a variable has no key `valu` … did you mean `value`?
           [compose]⏎[services.web.environment]⏎A = "{{ ports.wbe }}" => `ports.wbe` is not defined … :19:5 … did you mean `ports.web`?
           [compose]⏎[services.web.environment]⏎A = "{{ slot.id" => unexpected end of input … :19:5"#,
    );
    each_of_is_refused(
        SMALL,
        "[files]\n",
        r#"[services.web.environment]⏎A = "a"⏎[files] => [services] needs [compose] … add [compose] to run
           [worktree]⏎copy = [".env"]⏎[files] => `copy` of [worktree] needs [compose] … :18:8
           [worktree]⏎path = "{branch"⏎[files] => `{branch` has braces that stand for nothing … :18:8 … `{repo}` and `{branch}`
           [worktree]⏎path = "../x"⏎[files] => `../x` is the same for every branch … :18:8 … `../{repo}-{branch}`
           [worktree]⏎path = "~x/{branch}"⏎[files] => `~x/{branch}` begins with `~` and not with `~/` … :18:8
           [worktree]⏎path = 1⏎[files] => `path` must be a string … :18:8"#,
    );
    let machine = machine(&format!("{SHOP}[services.web.environment]\nA = \"{{{{ x }}}} s3cret\"\n"));
    machine.kinfra("plan").exits(65).says("`x` is not defined").never_says("s3cret");
    machine.edit_spec("[compose]", "[compose");
    machine.kinfra("plan").exits(65).never_says("s3cret");
}

#[test]
fn files_that_kinfra_writes_itself_are_refused() {
    each_of_is_refused(
        SHOP,
        "[compose]\n",
        r#"[compose]⏎[worktree]⏎copi = [] => [worktree] has no key `copi` … :19:1 … did you mean `copy`?
           [compose]⏎[worktree]⏎copy = ".env" => `copy` must be an array of strings … :19:8
           [compose]⏎[worktree]⏎copy = ["../.env"] => `../.env` leaves its directory with `..` … :19:9
           [compose]⏎[worktree]⏎copy = [".env", ".env"] => file `.env` is listed twice … :19:17
           [compose]⏎[worktree]⏎copy = [".env.sandbox"] => kinfra writes `.env.sandbox` itself … :19:9
           [compose]⏎[claim]⏎".env.sandbox" = "x" => `.env.sandbox` cannot be a file: kinfra writes `.env.sandbox` there … :19:1
           [compose]⏎[files]⏎".env.sandbox/a" = "x" => `.env.sandbox/a` cannot be a file … :19:1"#,
    );
}

#[test]
fn all_mistakes_are_shown_at_once_in_the_order_of_the_file() {
    let web =
        "web = { base = 8000, publish = \"web\", stride = 0 }\napi = { base = 8001, publish = \"api:0\" }";
    let spec = SHOP.replace(WEB, web)
        + "shared = [\"x\", \"y\"]\nfiles = 1\n[services.web]\nx = 1\n[worktree]\ncopy = 1\n";
    let machine = machine(&spec);
    is_refused(
        &machine,
        65,
        &[
            "`web` is not a service and a port",
            "a stride must be between",
            "`api:0` is not a service and a port",
            "`x` is not a resource",
            "`y` is not a resource",
            "`files` must be an array",
            "[services.web] has no key `x`",
            "`copy` must be an array",
        ],
    );
}

#[test]
fn a_slot_without_templates_has_an_env_file_that_is_kept_as_it_should_be() {
    let spec = SHOP
        .replace(WEB, "web = { base = 8000, publish = \"web:80\", count = 2, stride = 5 }\ndns = { base = 8000, publish = \"dns:53/udp\" }")
        .replace("name = \"only\"", "name = \"only\"\nworkers = { mail-out = 2 }");
    let machine = machine(&spec);
    machine.kinfra("apply").exits(0).says("2 added");
    let path = "~/pool/slot-2/.env.sandbox";
    let dir = fs::canonicalize(machine.path("~/pool/slot-2")).expect("a slot");
    let expected = format!(
        "# Slot 2 of the shop pool, profile only. Written by kinfra from slots.toml: change it there.\n\
         SLOT_ID=2\nKINFRA_SLOT=2\nKINFRA_SLOT_DIR={}\n\n# Ports on this machine\n\
         SHOP_WEB_PORT=8010\nSHOP_WEB_2_PORT=8011\nSHOP_DNS_PORT=8002\n\n\
         # How many workers of each kind\nSHOP_MAIL_OUT_WORKERS=2\n",
        dir.display()
    );
    assert_eq!(machine.read(path), expected);
    assert_eq!(machine.mode(path), 0o600);
    machine.kinfra("plan --detailed-exitcode").exits(0);
    machine.write("compose.yaml", "services: {}\n");
    machine.kinfra("validate").exits(0).prints("1 file a slot");
    assert!(machine.read("~/pool/registry.json").contains("\"udp\": [\n        \"dns\"\n      ]"));

    fs::remove_file(machine.path(path)).expect("a removed file");
    machine.kinfra("apply").exits(0).says("Restored 1 slot");
    assert_eq!(machine.read(path), expected);
    machine.edit_spec("mail-out = 2", "mail-out = 3");
    machine.kinfra("apply --update --auto-approve").exits(0);
    assert_eq!(machine.read(path), expected.replace("WORKERS=2", "WORKERS=3"));

    // A template in [files] takes its place.
    machine.template("env", "MINE={{ slot.id }}\n");
    machine.spec(&format!("{}[files]\n\".env.sandbox\" = \"env\"\n", machine.read("slots.toml")));
    machine.kinfra("apply --update --auto-approve").exits(0);
    assert_eq!(machine.read(path), "MINE=2\n");
}

#[test]
fn a_port_that_becomes_udp_is_a_change() {
    let machine = machine(SHOP);
    machine.kinfra("apply").exits(0);
    machine.edit_spec("web:80", "web:80/udp");
    machine.kinfra("plan --update").exits(0).prints("8001/udp");
    machine.kinfra("apply --update --auto-approve").exits(0);
    assert!(machine.read("~/pool/registry.json").contains("\"udp\""));
    machine.kinfra("ports --json").exits(0).prints("\"protocol\": \"udp\"");
}

#[test]
fn a_udp_port_in_use_is_no_tcp_port_in_use() {
    let spec = SHOP.replace(WEB, &format!("{WEB}\ndns = {{ base = 8000, publish = \"dns:53/udp\" }}"));
    let machine = machine(&spec).with_ports_in_use("8001/udp,8002");
    let found = machine.kinfra("validate").stdout;
    for words in ["port 8001/udp, `dns` of slot 1, is used", "port 8002, `web` of slot 2, is used"] {
        assert!(found.contains(words), "no {words:?} in:\n{found}");
    }
    assert_eq!(found.matches("is used by").count(), 2, "{found}");
    machine.kinfra("apply").exits(0);
    machine.kinfra("doctor").prints("port 8001/udp, `dns` of slot 1, is used");
    machine
        .kinfra("claim")
        .exits(3)
        .says("its port 8001/udp (DNS) is used")
        .says("its port 8002 (WEB) is used");
}

#[test]
fn services_get_the_variables_of_their_slot() {
    let variables = "[env]\nBASE = \"~/up\"\n[services.web.environment]\n\
                     API_URL = \"http://localhost:{{ ports.web }}{{ env.BASE }}\"\nCODE = \"~/{{ worktree }}\"\n";
    let text = format!("{SHOP}{variables}");
    let (spec, kind) = (Spec::parse(&text).expect("a spec"), SourceKind::Spec);
    let source = Source { name: "slots.toml".to_owned(), text: text.into(), kind };
    let (templates, root) = (TemplateTexts::new(), "/pool".into());
    let inputs = RenderInputs {
        spec: &spec,
        source: &source,
        templates: &templates,
        root,
        home: Some("/home".into()),
    };
    let slot = SlotId::new(2).expect("an id");
    let provisioned = render_pool(inputs).expect("a pool").slots[&slot].provisioned();
    let rendered = render_environments(inputs, slot, &provisioned, "/w".into()).expect("variables");
    let web = &rendered["web"];
    assert_eq!(web["API_URL"], "http://localhost:8002/home/up");
    // A path in a container is not one of the home here.
    assert_eq!(web["CODE"], "~//w");
}
