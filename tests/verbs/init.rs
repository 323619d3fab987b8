//! `kinfra init`: a project's Compose files become a pool that plans cleanly, and the project stays as it is.
//!
//! Every directory in `fixtures/init/` is a project; its `expected.txt` is what init says, shows and
//! declares. `KINFRA_UPDATE_EXPECTED=1 cargo test init` writes them again. Read `git diff` before you commit
//! it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use kinfra::embedded;
use serde_json::Value;

use crate::formats::compose::{config_of_every_profile, docker_compose, docker_config};
use crate::support::{Machine, Run};

const PROJECTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/init");

/// The projects, by name.
fn projects() -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(PROJECTS).expect("projects");
    let mut projects: Vec<_> = entries
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name().into_string().expect("a UTF-8 name"), entry.path()))
        .collect();
    projects.sort();
    assert!(projects.len() >= 20, "only {} projects", projects.len());
    projects
}

/// A machine with a project of the fixtures, and the paths of the project's files.
fn machine_of(project: &Path) -> (Machine, BTreeSet<String>) {
    let machine = Machine::new();
    let mut files = files_below(project);
    files.remove("expected.txt");
    for file in &files {
        machine.write(file, fs::read(project.join(file)).expect("a file of the project"));
    }
    (machine, files)
}

fn files_below(dir: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a UTF-8 name");
        if entry.path().is_dir() {
            files.extend(files_below(&entry.path()).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            files.insert(name);
        }
    }
    files
}

/// Runs init on a machine that has no docker.
fn init(machine: &Machine, flags: &str) -> Run {
    Run::of(machine.command(&format!("init {flags}")).env("PATH", "/nowhere"))
}

/// Runs init on a machine whose docker prints a text, and ends with a code.
fn init_with_docker(machine: &Machine, prints: &str, code: u8) -> Run {
    machine.write("~/bin/answer", prints);
    let to = if code == 0 { 1 } else { 2 };
    machine.write("~/bin/docker", format!("#!/bin/sh\n/bin/cat \"$HOME/bin/answer\" >&{to}\nexit {code}\n"));
    machine.set_mode("~/bin/docker", 0o755);
    Run::of(machine.command("init").env("PATH", machine.path("~/bin")))
}

fn machine_with(compose: &str) -> Machine {
    let machine = Machine::new();
    machine.write("compose.yaml", compose);
    machine
}

/// The `[ports]` of slots.toml.
fn ports(machine: &Machine) -> String {
    let spec = machine.read("slots.toml");
    let (_, ports) = spec.split_once("\n[ports]").expect("[ports]");
    let (heading, ports) = ports.split_once('\n').expect("a line");
    assert!(heading.contains("slot 0"), "{heading}");
    ports.split_once("\n\n").expect("the end of [ports]").0.to_owned()
}

#[test]
fn every_project_becomes_the_pool_that_is_expected() {
    for (name, project) in projects() {
        let (machine, _) = machine_of(&project);
        let run = init(&machine, "").exits(0);
        let produced = format!("{}{}\n{}\n", run.stderr, run.stdout, ports(&machine));
        let expected = project.join("expected.txt");
        if std::env::var_os("KINFRA_UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &produced).expect("a written file");
        }
        let expected = fs::read_to_string(expected).unwrap_or_default();
        assert_eq!(produced, expected, "{name}");
    }
}

#[test]
fn every_pool_plans_and_applies_cleanly() {
    for (name, project) in projects() {
        let (machine, _) = machine_of(&project);
        init(&machine, "").exits(0);
        let plan = machine.kinfra("plan").exits(0);
        assert!(plan.stdout.ends_with("\nPlan: 4 to add, 0 to change, 0 to destroy.\n"), "{name}: {plan:#?}");
        machine.kinfra("apply").exits(0);
        machine.kinfra("plan --detailed-exitcode").exits(0);
    }
}

#[test]
fn a_project_keeps_every_byte_and_gets_only_what_was_shown() {
    for (name, project) in projects() {
        let (machine, files) = machine_of(&project);
        let shown = init(&machine, "").exits(0).stdout;
        for file in &files {
            let original = fs::read(project.join(file)).expect("a file");
            assert_eq!(fs::read(machine.path(file)).expect("a file"), original, "{file} of {name}");
        }
        let new = files_below(&machine.project()).difference(&files).cloned().collect::<BTreeSet<_>>();
        let shown = shown.lines().filter_map(|line| line.strip_prefix("  + Would write "));
        let shown = shown.map(|line| line.split([',', ' ']).next().unwrap_or_default().to_owned());
        assert_eq!(new, shown.collect::<BTreeSet<_>>(), "{name}");
        assert_eq!(machine.mode("slots.toml"), 0o644);
        assert_eq!(machine.mode("templates/env.sandbox"), 0o644);
    }
}

#[test]
fn a_template_is_the_projects_own_text_but_for_its_ports() {
    // Where no variable, range or privileged port is in play, slot 0 is the file itself.
    for (name, file) in [
        ("kafka", "docker-compose.yml"),
        ("mastodon", "docker-compose.yml"),
        ("airflow", "docker-compose.yaml"),
        ("cookiecutter-django", "docker-compose.yml"),
        ("mailpit", "docker-compose.yml"),
    ] {
        let (machine, _) = machine_of(&Path::new(PROJECTS).join(name));
        init(&machine, "").exits(0);
        machine.kinfra("apply").exits(0);
        let ports: Value =
            serde_json::from_str(&machine.kinfra("ports --json").exits(0).stdout).expect("JSON");
        let mut rendered = machine.read(&format!("~/.project/slots/slot-1/project/{file}"));
        let (main, slot) = (&ports["main"], &ports["slots"][0]["ports"]);
        for (port, number) in slot.as_object().expect("ports") {
            let base = main[port].as_u64().expect("a base");
            rendered = rendered.replacen(&format!("{number}:"), &format!("{base}:"), 1);
            rendered = rendered.replacen(&format!("\"{number}\""), &format!("\"{base}\""), 1);
        }
        assert_eq!(rendered, machine.read(file), "{name}");
    }
}

#[test]
fn text_that_looks_like_a_template_reaches_the_slot_as_it_is() {
    let (machine, _) = machine_of(&Path::new(PROJECTS).join("traefik"));
    init(&machine, "").exits(0);
    machine.kinfra("apply").exits(0);
    let original = machine.read("docker-compose.yml");
    let slot = machine.read("~/.project/slots/slot-1/project/docker-compose.yml");
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| !line.ends_with("80\"") && !line.ends_with("443\""))
            .map(str::to_owned)
            .collect()
    };
    assert!(
        original.contains("{{ normalize .Name }}")
            && original.contains("{% raw %}")
            && original.contains("{# no")
    );
    assert_eq!(lines(&slot), lines(&original));
}

#[test]
fn no_value_of_an_env_file_is_written_anywhere() {
    for (name, secrets) in [
        ("supabase", &["your-super-secret", "18000", "18443"][..]),
        ("bots", &["very-secret"]),
        ("sentry", &["9000\n"]),
    ] {
        let (machine, files) = machine_of(&Path::new(PROJECTS).join(name));
        let run = init(&machine, "").exits(0);
        for file in files_below(&machine.project()).difference(&files) {
            let text = machine.read(file);
            assert!(secrets.iter().all(|secret| !text.contains(secret)), "{file} of {name}: {text}");
        }
        for secret in secrets {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{name}: {run:#?}");
        }
    }
}

#[test]
fn a_dry_run_shows_the_same_and_writes_nothing() {
    let (machine, files) = machine_of(&Path::new(PROJECTS).join("include"));
    let shown = init(&machine, "--dry-run").exits(0).stdout;
    assert_eq!(files_below(&machine.project()), files);
    init(&machine, "").exits(0).prints_exactly(&shown);
}

#[test]
fn no_existing_file_is_replaced() {
    let (machine, _) = machine_of(&Path::new(PROJECTS).join("include"));
    init(&machine, "").exits(0);
    let written = files_below(&machine.project());
    let new = written.iter().filter(|file| *file == "slots.toml" || file.starts_with("templates/"));
    for file in new.collect::<Vec<_>>() {
        let (machine, files) = machine_of(&Path::new(PROJECTS).join("include"));
        machine.write(file, "mine");
        init(&machine, "")
            .exits(4)
            .says(&format!("`{file}` exists already"))
            .says("move it away first")
            .prints_exactly("");
        assert_eq!(machine.read(file), "mine");
        assert_eq!(files_below(&machine.project()).len(), files.len() + 1, "beside {file}");
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    let machine = machine_with("services: {web: {ports: ['8000:80']}}");
    symlink(machine.path("~/elsewhere"), machine.path("slots.toml")).expect("a link");
    init(&machine, "").exits(4).says("`slots.toml` leads to a symbolic link");
    machine.remove("slots.toml");
    fs::create_dir(machine.path("~/elsewhere")).expect("a directory");
    symlink(machine.path("~/elsewhere"), machine.path("templates")).expect("a link");
    init(&machine, "").exits(4).says("leads to a symbolic link");
    assert_eq!(files_below(&machine.path("~/elsewhere")), BTreeSet::new());
    fs::remove_file(machine.path("templates")).expect("a link to remove");
    machine.write("templates", "a file");
    init(&machine, "").exits(4).says("leads to a file");
}

#[test]
fn files_that_cannot_all_be_written_are_not_written_at_all() {
    let (machine, files) = machine_of(&Path::new(PROJECTS).join("include"));
    let mut limited = machine.program("sh");
    limited.args(["-c", "ulimit -f 1; exec \"$0\" init", env!("CARGO_BIN_EXE_kinfra")]);
    Run::of(&mut limited).exits(1).says("nothing was written").says("File too large");
    assert_eq!(files_below(&machine.project()), files);
    assert!(!machine.exists(".kinfra-init") && !machine.exists("templates"));

    machine.write(".kinfra-init/3", "of an init that was killed");
    init(&machine, "").exits(4).says("`.kinfra-init` is there").says("remove `.kinfra-init` when none runs");
    assert!(!machine.exists("slots.toml"));
    machine.remove(".kinfra-init");
    init(&machine, "").exits(0);
    assert!(!machine.exists(".kinfra-init"));
}

#[test]
fn the_embedded_spec_is_written_as_it_is() {
    let machine = Machine::new();
    let plan = machine.kinfra("plan").exits(0).stdout;
    machine.kinfra("init --embedded").exits(0).prints("  + Would write slots.toml\n");
    assert_eq!(machine.read("slots.toml"), embedded::SPEC);
    for (name, text) in embedded::TEMPLATES {
        assert_eq!(machine.read(&format!("templates/{name}")), text);
    }
    machine.kinfra("plan").exits(0).says("/slots.toml").prints_exactly(&plan);
    machine.kinfra("init --embedded").exits(4);
}

#[test]
fn without_a_compose_file_there_is_a_sample_whose_comments_work_too() {
    let machine = Machine::new();
    init(&machine, "").exits(0).says("No Compose file is here: this is a sample");
    machine.kinfra("plan").exits(0).prints("Plan: 4 to add, 0 to change, 0 to destroy.");
    assert!(machine.read("slots.toml").contains("root       = \"~/.project/slots\""));

    let spec = machine.read("slots.toml");
    let uncommented = |line: &str| {
        line.strip_prefix("# ")
            .filter(|line| line.contains(" = ") || line.starts_with('['))
            .map_or(line.to_owned(), str::to_owned)
    };
    machine.spec(&spec.lines().map(|line| uncommented(line) + "\n").collect::<String>());
    let plan = machine.kinfra("plan").exits(0);
    plan.prints("OTLP_GRPC=4327").prints("workers  mail=1");
}

#[test]
fn an_override_alone_is_no_project() {
    let machine = Machine::new();
    machine.write("compose.override.yml", "services: {web: {ports: ['8000:80']}}");
    init(&machine, "").exits(0).says("No Compose file is here");
}

#[test]
fn the_pool_is_named_for_its_directory() {
    for (directory, name) in
        [("My Shop!", "my-shop"), ("2048", "2048"), ("größe", "gr--e"), ("---", "pool"), ("_x_", "x")]
    {
        let machine = Machine::new();
        machine.write(&format!("{directory}/compose.yml"), "services: {web: {ports: ['8000:80']}}");
        let run = |verb: &str| {
            Run::of(machine.command(verb).current_dir(machine.path(directory)).env("PATH", "/nowhere"))
        };
        run("init").exits(0);
        run("plan").exits(0).prints(&format!("at ~/.{name}/slots/slot-1"));
    }
}

#[test]
fn a_root_that_is_there_is_left_to_its_pool() {
    let machine = machine_with("services: {web: {ports: ['8000:80']}}");
    machine.write("~/.project/slots/registry.json", "{}");
    init(&machine, "").exits(0);
    machine.kinfra("plan").exits(0).prints("at ~/.project-2/slots/slot-1");
}

#[test]
fn variables_of_the_project_are_set_and_never_by_accident() {
    let machine = machine_with(
        "services:
  api: {ports: ['${API_PORT:-8000}:8000'], environment: ['URL=http://localhost:${API_PORT:-8000}']}
  db: {ports: ['5432:5432'], environment: ['PORT=${PROJECT_DB_PORT:-5432}']}
",
    );
    init(&machine, "").exits(0);
    machine.kinfra("apply").exits(0);
    let env = machine.read("~/.project/slots/slot-2/.env.sandbox");
    let variables: Vec<&str> = env.lines().filter(|line| !line.starts_with('#')).collect();
    // PROJECT_DB_PORT is the project's own: it may mean the container's port.
    assert!(!env.contains("\nPROJECT_"), "{env}");
    assert!(variables.contains(&"KINFRA_PROJECT_DB_PORT=5434"), "{env}");
    assert!(variables.contains(&"API_PORT=8002"), "{env}");
}

#[test]
fn ports_that_no_template_can_have_are_named() {
    let machine = machine_with(
        "services:
  web:
    ports: ['8000:80', '${MAPPING:-9000:90}', '10000-20000:10000-20000/udp', '7000-7002:7000-7001', \"70\\x300:80\"]
include: ['https://example.com/compose.yaml', '${DIR}/compose.yaml', gone.yaml]
",
    );
    init(&machine, "")
        .exits(0)
        .says("`${MAPPING:-9000:90}` of service web (compose.yaml:3) is left as it is, and every slot would publish it: one variable")
        .says("`10000-20000:10000-20000/udp` of service web (compose.yaml:3) is left as it is")
        .says("`7000-7002:7000-7001` of service web (compose.yaml:3) is left as it is")
        .says("it has escapes")
        .says("`https://example.com/compose.yaml`, included by compose.yaml, is left as it is")
        .says("`${DIR}/compose.yaml`, included by compose.yaml, is left as it is")
        .says("`gone.yaml`, included by compose.yaml, is not there");
    machine.kinfra("plan").exits(0);
}

#[test]
fn names_that_all_slots_would_share_are_named() {
    let machine = machine_with(
        "services:
  one: {container_name: one, ports: ['8000:80']}
  two: {container_name: '${COMPOSE_PROJECT_NAME}-two'}
volumes:
  data: {name: shop_data}
  theirs: {external: true, name: backup}
  own: {name: '${COMPOSE_PROJECT_NAME}_own'}
networks: {default: {name: shop}}
",
    );
    init(&machine, "")
        .exits(0)
        .says("note: only one slot at a time can run service one, because of its `container_name: one`")
        .says("note: all slots share `shop_data`, because `data` of volumes")
        .says("note: all slots share `shop`, because `default` of networks")
        .never_says("service two")
        .never_says("backup")
        .never_says("_own");
}

#[test]
fn bases_are_moved_only_where_the_projects_own_cannot_be() {
    let machine = machine_with(
        "services:
  web: {ports: ['80:80', '443:443', '65535:1', '${A:-9000}:1', '${B:-9000}:2', '$C:22', '$D:$D', '9000:3']}
  api: {ports: ['8080:80', '${A:-9000}:1']}
",
    );
    init(&machine, "")
        .exits(0)
        .says("note: port `web` (compose.yaml:2, web) has the base 8091: 80 needs privilege");
    assert_eq!(
        ports(&machine),
        "web     = 8091     # compose.yaml:2, web; 80 needs privilege
web_443 = 8443     # compose.yaml:2, web; 443 needs privilege
web_1   = 60000    # compose.yaml:2, web; 65535 leaves no room for the slots below 65536
a       = 9000     # compose.yaml:2, web
b       = 9011     # compose.yaml:2, web; 9000 is the base of another port
c       = 8022     # compose.yaml:2, web; chosen, because `$C` names none
d       = 8000     # compose.yaml:2, web; chosen, because `$D` names none
web_3   = 9022     # compose.yaml:2, web; 9000 is the base of another port
api     = 8080     # compose.yaml:3, api"
    );
    machine.kinfra("plan").exits(0);
}

#[test]
fn an_included_file_may_be_outside_the_project() {
    let machine = Machine::new();
    machine.write("common/compose.yaml", "services: {db: {ports: ['5432:5432'], volumes: ['./data:/data']}}");
    machine.write("app/compose.yaml", "include:\n  - ../common/compose.yaml\n");
    let run =
        |verb: &str| Run::of(machine.command(verb).current_dir(machine.path("app")).env("PATH", "/nowhere"));
    run("init").exits(0);
    assert_eq!(
        machine.read("app/templates/project/compose.yaml"),
        "include:\n  - {path: \"${APP_SLOT_DIR}/project/up/common/compose.yaml\", project_directory: \"${APP_WORKTREE:-${APP_PROJECT_DIR}}/../common\"}\n"
    );
    assert!(machine.read("app/templates/project/up/common/compose.yaml").contains("{{ ports.db }}:5432"));
    run("plan").exits(0);
}

#[test]
fn a_claim_leads_a_slot_to_the_project_s_directory_in_the_worktree() {
    let machine = Machine::new();
    std::fs::create_dir(machine.path(".git")).expect("a repository");
    machine.write("my app/compose.yaml", "include: [db.yaml]\nservices: {web: {build: ., ports: ['80:80']}}");
    machine.write("my app/db.yaml", "services: {db: {image: db, volumes: ['./data:/data']}}");
    machine.write("~/tree/my app/main.rs", "");
    let run = |arguments: &str| {
        let mut command = machine.command(arguments);
        Run::of(command.current_dir(machine.path("my app")).env("PATH", "/nowhere"))
    };
    run("init").exits(0);
    run("apply").exits(0);
    run("claim --for ../../home/tree").exits(0);
    let tree = machine.path("~/tree").canonicalize().expect("a directory");
    let text = machine.read("~/.my-app/slots/slot-1/docker-compose.override.yml");
    assert!(text.contains(&format!("project_directory: \"{}/my app\"\n", tree.display())), "{text}");
    let text = machine.read("~/.my-app/slots/slot-1/.env.worktree");
    assert_eq!(text, format!("MY_APP_WORKTREE='{}/my app'\n", tree.display()));
    run("release 1 --force").exits(0);
    assert!(!machine.exists("~/.my-app/slots/slot-1/.env.worktree"));
}

#[test]
fn invalid_yaml_is_an_error_at_its_line() {
    for (text, line, why) in [
        ("services:\n  web: {ports: ['80:80'\n", 2, "this bracket does not end"),
        ("services:\n  web:\n    image: \"a\n", 3, "this quote does not end"),
        ("services:\n  web:\n    image: a\n   ports: b\n", 4, "this line is indented"),
        ("a: b\n---\nc: d\n", 2, "a second document begins here"),
        ("services: {web: {}}\n? a\n: b\n", 2, "a key and `:` belong here"),
        ("services: - web\n", 1, "a list cannot begin on the line of its key"),
        ("services: `a`\n", 1, "no value begins with this character"),
        (&"[".repeat(10_000), 1, "values nest too deeply"),
    ] {
        let machine = machine_with(text);
        init(&machine, "").exits(1).says(&format!("error: cannot read `compose.yaml`, line {line}: {why}"));
        assert!(!machine.exists("slots.toml") && !machine.exists("templates"));
    }
    let machine = Machine::new();
    machine.write("compose.yaml", b"a: \xff");
    init(&machine, "").exits(1).says("`compose.yaml` is not UTF-8 text");
}

#[test]
fn ports_that_only_compose_knows_are_named() {
    let text = "services: {web: {extends: {file: base.yaml, service: web}, ports: ['8000-8001:80-81']}}";
    let config =
        r#"{"services": {"web": {"ports": ["8000-8001:80-81", {"published": "9000", "target": 90}]}}}"#;
    init_with_docker(&machine_with(text), config, 0)
        .exits(0)
        .says("Read compose.yaml with Docker Compose\n")
        .says("note: Docker Compose says that service web publishes 9000, and none of these files does")
        .never_says("publishes 8001");
    init_with_docker(&machine_with(text), "env file .env not found", 1)
        .exits(0)
        .says("Read compose.yaml without Docker Compose: env file .env not found\n")
        .says("note: service web extends `base.yaml`: if that publishes ports");
    init_with_docker(&machine_with(text), "docker: 'compose' is not a docker command.", 1)
        .exits(0)
        .says("Read compose.yaml without Docker Compose: it is not there\n");
    init_with_docker(&machine_with(text), "no: [config", 0).exits(0).says("it printed something else");
    init(&machine_with(text), "").exits(0).says("without Docker Compose: it is not there");
}

#[test]
#[ignore = "needs Docker Compose v2"]
fn compose_takes_every_slot_and_relative_paths_mean_the_project() {
    for (name, project) in projects() {
        let (machine, _) = machine_of(&project);
        machine.install("docker");
        let run = Run::of(machine.command("init").env("DOCKER_CONFIG", docker_config()));
        run.exits(0).says(" with Docker Compose\n").never_says("Docker Compose says");
        machine.kinfra("apply").exits(0);
        let ports: Value =
            serde_json::from_str(&machine.kinfra("ports --json").exits(0).stdout).expect("JSON");
        let root = machine.path("~/.project/slots").display().to_string();
        for (slot, id) in ports["slots"].as_array().expect("slots").iter().zip(1..) {
            let dir = machine.path(&format!("~/.project/slots/slot-{id}"));
            let config = config_of_every_profile(&machine, &dir);
            assert_eq!(config["name"], format!("project-slot-{id}"));
            let services = config["services"].as_object().expect("services").values();
            let published = services.filter_map(|service| service["ports"].as_array()).flatten();
            let published: BTreeSet<u64> = published
                .filter_map(|port| port["published"].as_str())
                .map(|port| port.parse().unwrap_or_else(|_| panic!("{name} publishes {port}")))
                .collect();
            let declared = slot["ports"].as_object().expect("ports").values().filter_map(Value::as_u64);
            let declared: BTreeSet<u64> = if name == "bots" { BTreeSet::new() } else { declared.collect() };
            assert_eq!(published, declared, "slot {id} of {name}");
            assert!(!config.to_string().contains(&root), "{name} has paths of its slot: {config:#}");
        }
    }
}

#[test]
#[ignore = "needs Docker Compose v2"]
fn a_slot_runs_on_the_files_of_the_project_or_of_a_worktree() {
    let (machine, _) = machine_of(&Path::new(PROJECTS).join("include"));
    init(&machine, "").exits(0);
    machine.kinfra("apply").exits(0);
    let slot = machine.path("~/.project/slots/slot-1");
    let sources = |config: &Value| {
        let of =
            |service: &str| config["services"][service]["volumes"][0]["source"].as_str().map(PathBuf::from);
        let web = config["services"]["web"]["build"]["context"].as_str().map(PathBuf::from);
        [web, of("db"), of("redis")].map(|path| path.expect("a path"))
    };
    let project = machine.project();
    let expected =
        |top: &Path| [top.join("web"), top.join("infra/init.sql"), top.join("infra/cache/redis.conf")];
    let config = config_of_every_profile(&machine, &slot);
    assert_eq!(sources(&config), expected(&project));
    assert_eq!(config["services"]["adminer"]["image"], "adminer:4.8.1");

    Run::of(machine.program("cp").arg("-r").arg(&project).arg(machine.path("~/worktree"))).exits(0);
    let worktree = machine.path("~/worktree").canonicalize().expect("a directory");
    let mut claim = machine.command("claim --slot 1 --for");
    Run::of(claim.arg(&worktree)).exits(0);
    let config = config_of_every_profile(&machine, &slot);
    assert_eq!(sources(&config), expected(&worktree));
    assert!(!config.to_string().contains(project.to_str().expect("a path")), "{config:#}");
    assert_eq!(config["services"]["adminer"]["ports"].as_array().map(Vec::len), Some(1), "{config:#}");
    machine.kinfra("release 1 --force").exits(0);
    assert_eq!(sources(&config_of_every_profile(&machine, &slot)), expected(&project));

    // Variables that containers take by name come from the `.env` that is passed.
    let (machine, _) = machine_of(&Path::new(PROJECTS).join("supabase"));
    init(&machine, "").exits(0).says("note: a slot reads `.env` only for the variables in the Compose files");
    machine.kinfra("apply").exits(0);
    let slot = machine.path("~/.project/slots/slot-1");
    let text = machine.read("~/.project/slots/slot-1/docker-compose.yml");
    let named = format!("--env-file '{}/.env' --env-file .env.sandbox up", machine.project().display());
    assert!(text.contains(&named), "{text}");
    let environment = |files: &[&str]| {
        let run = Run::of(docker_compose(&machine, &slot).args(files).args(["config", "--format", "json"]));
        let config: Value = serde_json::from_str(&run.exits(0).stdout).expect("JSON");
        ["db", "studio"]
            .map(|service| config["services"][service]["environment"]["POSTGRES_PASSWORD"].clone())
    };
    let password = Value::from("your-super-secret-and-long-postgres-password");
    assert_eq!(environment(&["--env-file", ".env.sandbox"]), [password.clone(), Value::Null]);
    let env_file = machine.project().join(".env").display().to_string();
    let both = environment(&["--env-file", &env_file, "--env-file", ".env.sandbox"]);
    assert_eq!(both, [password.clone(), password.clone()]);
    // The worktree has no `.env`, because git does not track it.
    std::fs::create_dir(machine.path("~/worktree")).expect("a worktree");
    machine.kinfra("claim --slot 1 --for ../home/worktree").exits(0);
    assert_eq!(environment(&["--env-file", ".env.sandbox"]), [password, Value::Null]);

    let without = Run::of(docker_compose(&machine, &slot).arg("config"));
    assert_ne!(without.code, Some(0));
    without.says("run docker compose with --env-file .env.sandbox");
}

#[test]
fn a_drafted_pool_plans_cleanly_beside_other_pools() {
    let compose = "services: {web: {ports: ['8000:80', '9000:90']}, db: {ports: ['5432:5432']}}";
    for (theirs, expected) in [
        // One of the other pool's slots has the base port: another base.
        ("web = 7999", "`api` of slot 1 of the pool `small`"),
        // The other main stack has the port of a slot: another stride.
        ("web = 8002", "stride = 5"),
        // Both projects publish the same ports.
        ("web = 8000", "stride = 3"),
    ] {
        let machine = Machine::small();
        machine.edit_spec("web = 8000", &theirs.replace("web", "api"));
        machine.template("conf.txt", "{{ ports.api }}\n");
        machine.kinfra("apply").exits(0);
        for file in ["slots.toml", "templates"] {
            machine.remove(file);
        }
        machine.write("mine/compose.yml", compose);
        let run = |verb: &str, directory: &str| {
            Run::of(machine.command(verb).current_dir(machine.path(directory)).env("PATH", "/nowhere"))
        };
        run("init", "mine").exits(0);
        assert!(machine.read("mine/slots.toml").contains(expected), "{}", machine.read("mine/slots.toml"));
        run("plan", "mine").exits(0).prints("Plan: 4 to add");
        // The same for the sample.
        fs::create_dir(machine.path("sample")).expect("a directory");
        run("init", "sample").exits(0);
        run("plan", "sample").exits(0).prints("Plan: 4 to add");
        run("apply", "sample").exits(0);
        fs::create_dir(machine.path("another")).expect("a directory");
        run("init", "another").exits(0);
        run("plan", "another").exits(0).prints("Plan: 4 to add");
    }
}

#[test]
fn a_warning_of_compose_is_not_why_it_failed() {
    let said =
        "time=\"2026-01-01T00:00:00Z\" level=warning msg=\"version is obsolete\"\nservices must be a mapping";
    init_with_docker(&machine_with("services: {web: {ports: ['8000:80']}}"), said, 1)
        .exits(0)
        .says("without Docker Compose: services must be a mapping\n");
}

#[test]
fn notes_say_each_port_once_and_steer_no_terminal() {
    let text = "services: {web: {ports: [\"80\\u00380:80\", \"${BOTH:-9000:90}\"]}}";
    let config =
        "{\"services\": {\"web\": {\"ports\": [\"8080:80\", \"${BOTH:-9000:90}\", \"91\\u001b[2J:1\"]}}}";
    let run = init_with_docker(&machine_with(text), config, 0).exits(0);
    let run = run.says("note: `${BOTH:-9000:90}` of service web").never_says("publishes 8080, says Docker");
    run.never_says("publishes ${BOTH").never_says("\u{1b}");
}
