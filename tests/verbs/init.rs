//! `kinfra init`: a project's Compose files become a pool that plans cleanly, and the project stays as it is.
//!
//! Every directory in `fixtures/init/` is a project; its `expected.txt` is what init says and the slots.toml
//! that it writes. `KINFRA_UPDATE_EXPECTED=1 cargo test init` writes them again. Read `git diff` before you
//! commit it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use kinfra::embedded;

use crate::formats::compose::docker_config;
use crate::support::{Machine, Run};

const PROJECTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/init");

/// The projects, by name.
pub(super) fn projects() -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(PROJECTS).expect("projects");
    let mut projects: Vec<_> = entries
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name().into_string().expect("a UTF-8 name"), entry.path()))
        .collect();
    projects.sort();
    assert!(projects.len() >= 20, "only {} projects", projects.len());
    projects
}

/// A machine with the files of a directory as its project, and their paths.
pub(super) fn machine_of(project: &Path) -> (Machine, BTreeSet<String>) {
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
pub(super) fn init(machine: &Machine, flags: &str) -> Run {
    Run::of(machine.command(&format!("init {flags}")).env("PATH", "/nowhere"))
}

/// Runs init on a machine whose Compose prints a text as its config, and ends with a code.
pub(super) fn init_with_docker(machine: &Machine, flags: &str, prints: &str, code: u8) -> Run {
    machine.write("~/bin/answer", prints);
    let to = if code == 0 { 1 } else { 2 };
    let script = format!(
        "#!/bin/sh\necho \"$*\" >>\"$HOME/bin/asked\"\ncase \"$*\" in *version*) echo 2.26.1; exit 0;; esac\n/bin/cat \"$HOME/bin/answer\" >&{to}\nexit {code}\n"
    );
    machine.write("~/bin/docker", script);
    machine.set_mode("~/bin/docker", 0o755);
    Run::of(machine.command(&format!("init {flags}")).env("PATH", machine.path("~/bin")))
}

pub(super) fn machine_with(compose: &str) -> Machine {
    let machine = Machine::new();
    machine.write("compose.yaml", compose);
    machine
}

/// A part of slots.toml: from a heading to the next empty line.
pub(super) fn part(machine: &Machine, heading: &str) -> String {
    let spec = machine.read("slots.toml");
    let (_, part) =
        spec.split_once(&format!("\n[{heading}]")).unwrap_or_else(|| panic!("no {heading}: {spec}"));
    let (_, part) = part.split_once('\n').expect("a line");
    part.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_project_becomes_the_pool_that_is_expected() {
    for (name, project) in projects() {
        let (machine, _) = machine_of(&project);
        let run = init(&machine, "").exits(0);
        assert_eq!(run.stdout, machine.read("slots.toml"), "{name}");
        let produced = format!("{}\n{}", run.stderr, run.stdout);
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
fn a_project_keeps_every_byte_and_gets_slots_toml_alone() {
    for (name, project) in projects() {
        let (machine, mut files) = machine_of(&project);
        init(&machine, "").exits(0);
        for file in &files {
            let original = fs::read(project.join(file)).expect("a file");
            assert_eq!(fs::read(machine.path(file)).expect("a file"), original, "{file} of {name}");
        }
        files.insert("slots.toml".to_owned());
        assert_eq!(files_below(&machine.project()), files, "{name}");
        assert_eq!(machine.mode("slots.toml"), 0o644);
        // It is for everyone who clones the project.
        let text = machine.read("slots.toml");
        for place in [machine.home(), machine.project()] {
            assert!(!text.contains(place.to_str().expect("a path")), "{name}: {text}");
        }
    }
}

#[test]
fn no_secret_of_an_env_file_is_written_anywhere() {
    for (name, secrets) in [("supabase", &["your-super-secret"][..]), ("bots", &["very-secret"])] {
        let (machine, _) = machine_of(&Path::new(PROJECTS).join(name));
        let run = init(&machine, "").exits(0);
        for secret in secrets {
            assert!(!machine.read("slots.toml").contains(secret), "{name}");
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{name}: {run:#?}");
        }
    }
    // A URL that only an env file has, with what may be a secret in it.
    let machine =
        machine_with("services: {web: {ports: ['8000:80'], environment: ['URL=${URL}', 'X=${X}']}}");
    machine.write(".env", "URL=http://me:hush@localhost:8000\nX=http://localhost:8000/?key=hush\n");
    let run = init(&machine, "").exits(0).says("`URL` of web (compose.yaml:1) has `localhost:8000`");
    run.never_says("hush");
    assert!(!machine.read("slots.toml").contains("hush"));
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
    let machine = machine_with("services: {web: {ports: ['8000:80']}}");
    machine.write("slots.toml", "mine");
    init(&machine, "")
        .exits(4)
        .says("`slots.toml` exists already")
        .says("move it away first")
        .prints_exactly("");
    assert_eq!(machine.read("slots.toml"), "mine");
}

#[test]
fn nothing_is_written_through_a_link() {
    let machine = machine_with("services: {web: {ports: ['8000:80']}}");
    symlink(machine.path("~/elsewhere"), machine.path("slots.toml")).expect("a link");
    init(&machine, "").exits(4).says("`slots.toml` leads to a symbolic link");
    machine.remove("slots.toml");
    fs::create_dir(machine.path("~/elsewhere")).expect("a directory");
    symlink(machine.path("~/elsewhere"), machine.path("templates")).expect("a link");
    init(&machine, "--embedded").exits(4).says("leads to a symbolic link");
    assert_eq!(files_below(&machine.path("~/elsewhere")), BTreeSet::new());
    fs::remove_file(machine.path("templates")).expect("a link to remove");
    machine.write("templates", "a file");
    init(&machine, "--embedded").exits(4).says("leads to a file");
}

#[test]
fn files_that_cannot_all_be_written_are_not_written_at_all() {
    let machine = Machine::new();
    let mut limited = machine.program("sh");
    limited.args(["-c", "ulimit -f 1; exec \"$0\" init --embedded", env!("CARGO_BIN_EXE_kinfra")]);
    Run::of(&mut limited).exits(1).says("nothing was written").says("File too large");
    assert_eq!(files_below(&machine.project()), BTreeSet::new());
    assert!(!machine.exists(".kinfra-init") && !machine.exists("templates"));

    machine.write(".kinfra-init/3", "of an init that was killed");
    init(&machine, "").exits(0);
    assert!(machine.exists("slots.toml") && !machine.exists(".kinfra-init"));
}

#[test]
fn an_init_completes_what_a_killed_one_began_and_can_be_repeated() {
    let machine = Machine::new();
    init(&machine, "--embedded").exits(0).says("Wrote slots.toml and its templates");
    let whole = files_below(&machine.project());
    init(&machine, "--embedded").exits(0).says("Nothing to write: there is already slots.toml");
    for gone in ["slots.toml", "templates/prometheus.yml"] {
        machine.remove(gone);
        machine.write(".kinfra-init/0", "half a fi");
        init(&machine, "--embedded").exits(0).says("Wrote");
        assert_eq!(files_below(&machine.project()), whole);
        assert!(!machine.exists(".kinfra-init"));
    }
    machine.write("templates/prometheus.yml", "edited\n");
    init(&machine, "--embedded").exits(4).says("`templates/prometheus.yml` exists already");
    assert_eq!(machine.read("templates/prometheus.yml"), "edited\n");
}

#[test]
fn a_directory_that_is_not_init_s_is_left_alone_and_two_inits_do_not_meet() {
    let machine = machine_with("services: {web: {ports: ['8000:80']}}");
    for name in [".kinfra-init/thesis.txt", ".kinfra-init/3/thesis.txt"] {
        machine.write(name, "three weeks of work");
        init(&machine, "").exits(4).says("`.kinfra-init` is there, and not kinfra's: `");
        assert_eq!(machine.read(name), "three weeks of work");
        machine.remove(".kinfra-init");
    }
    fs::create_dir(machine.path("~/elsewhere")).expect("a directory");
    machine.write("~/elsewhere/3", "three weeks of work");
    symlink(machine.path("~/elsewhere"), machine.path(".kinfra-init")).expect("a link");
    init(&machine, "").exits(4);
    assert_eq!(machine.read("~/elsewhere/3"), "three weeks of work");
    machine.remove(".kinfra-init");
    fs::create_dir(machine.path(".kinfra-init")).expect("a directory");
    let lock = fs::File::open(machine.path(".kinfra-init")).expect("a handle");
    lock.lock().expect("a lock");
    init(&machine, "").exits(4).says("another `kinfra init` runs here");
    drop(lock);
    init(&machine, "").exits(0);
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
    machine.kinfra("init --embedded").exits(0);
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
fn files_are_named_only_where_compose_would_not_find_them() {
    let text = "services: {web: {ports: ['8000:80']}}";
    let (one, two) = ("compose.yaml", "deploy/compose.dev.yaml");
    let machine = machine_with(text);
    machine.write(two, "services: {db: {image: db, ports: ['5432:5432']}}");
    init(&machine, "--file compose.yaml deploy/compose.dev.yaml")
        .exits(0)
        .says(&format!("Read {one} and {two}"));
    assert_eq!(part(&machine, "compose"), format!("files = [\"{one}\", \"{two}\"]"));
    machine.kinfra("plan").exits(0).prints("DB=5433");
    machine.remove("slots.toml");
    init(&machine, "--file gone.yaml").exits(4).says("names `gone.yaml`, which is not a file");
    init(&machine, "--file ../x.yaml").exits(64).says("name files of this directory");

    // COMPOSE_FILE is followed, and not copied.
    machine.write(".env", format!("COMPOSE_FILE={one}:{two}\n"));
    init(&machine, "").exits(0).says(&format!("Read {one} and {two}"));
    assert_eq!(part(&machine, "compose"), "");
    assert_eq!(part(&machine, "worktree"), "copy = [\".env\"]");

    // The project of each worktree is in the same directory.
    let machine = Machine::new();
    fs::create_dir(machine.path(".git")).expect("a repository");
    machine.write("app/compose.yaml", "services: {web: {volumes: ['../lib:/lib']}}");
    Run::of(machine.command("init").current_dir(machine.path("app")).env("PATH", "/nowhere"))
        .exits(0)
        .never_says("stops a start");
    assert!(!machine.read("app/slots.toml").contains("files ="));
}

#[test]
fn variables_of_the_project_are_set_by_no_accident() {
    let machine = machine_with(
        "services:
  api: {ports: ['${API_PORT:-8000}:8000']}
  db: {ports: ['5432:5432'], environment: ['PORT=${PROJECT_DB_PORT:-5432}']}
",
    );
    init(&machine, "").exits(0);
    machine.kinfra("apply").exits(0);
    let env = machine.read("~/.project/slots/slot-2/.env.sandbox");
    // PROJECT_DB_PORT is the project's own: it may mean the container's port.
    assert!(!env.contains("\nPROJECT_") && !env.contains("\nAPI_PORT"), "{env}");
    assert!(env.contains("\nKINFRA_PROJECT_DB_PORT=5434\n"), "{env}");
}

#[test]
fn bases_are_the_main_stacks_ports_and_move_only_where_they_must() {
    let machine = machine_with(
        "services:
  web: {ports: ['80:80', '443:443', '65535:1', '${A:-9000}:2', '9000:3', '127.0.0.1:6005-6015:4', '53:53/udp']}
  api: {ports: ['${SET}:80', '8081:81']}
",
    );
    machine.write(".env", "SET=8080\n");
    init(&machine, "")
        .exits(0)
        .says("note: port `web_80` (web:80) has the base 8075: 80 needs privilege")
        .says("note: port `web` (web:1) has the base 65531: 65535 leaves no room for the slots")
        .says("note: port `web_3` (web:3) has the base 9005: 9000 is another port's");
    assert_eq!(
        part(&machine, "ports"),
        "api     = { base = 8080, stride = 2, publish = \"api:80\" }
api_81  = { base = 8081, stride = 2, publish = \"api:81\" }
web     = { base = 65531, publish = \"web:1\" }    # 65535 leaves no room for the slots
web_2   = { base = 9000, publish = \"web:2\" }
web_3   = { base = 9005, publish = \"web:3\" }    # 9000 is another port's
web_4   = { base = 6005, stride = 11, publish = \"web:4\", count = 11 }
web_80  = { base = 8075, publish = \"web:80\" }    # 80 needs privilege
web_443 = { base = 8443, publish = \"web:443\" }    # 443 needs privilege
web_53  = { base = 8053, publish = \"web:53/udp\" }    # 53 needs privilege"
    );
    machine.kinfra("plan").exits(0);
}

#[test]
fn a_file_without_services_is_refused() {
    for (text, what) in [
        ("web: {image: nginx, ports: ['80:80']}\n", "is in the format of Compose 1: it has no `services:`"),
        ("", "declares no services"),
        ("services: {}\n", "declares no services"),
        ("- web\n", "declares no services"),
    ] {
        let machine = machine_with(text);
        init(&machine, "").exits(1).says(&format!("error: `compose.yaml` {what}")).prints_exactly("");
        let empty = r#"{"name": "project", "services": {}}"#;
        init_with_docker(&machine, "", empty, 0).exits(1).says(what);
        assert!(!machine.exists("slots.toml"));
    }
}

#[test]
fn what_is_no_yaml_is_an_error_at_its_line() {
    for (text, line) in [
        ("services:\n  web: {ports: ['80:80'\n", 2),
        ("a: b\n---\nc: d\n", 2),
        ("services: {web: {}}\nservices: {}\n", 2),
        (&"[".repeat(10_000), 1),
    ] {
        let machine = machine_with(text);
        init(&machine, "").exits(1).says(&format!("error: cannot read `compose.yaml`, line {line}: "));
        assert!(!machine.exists("slots.toml"));
    }
    let machine = Machine::new();
    machine.write("compose.yaml", b"a: \xff");
    init(&machine, "").exits(1).says("`compose.yaml` is not UTF-8 text");
}

#[test]
fn without_compose_init_says_so_and_why() {
    let machine = machine_with(
        "services: {web: {extends: {file: base.yaml, service: web}, ports: ['8:9:x']}}\ninclude: [gone.yaml, 'https://example.com/c.yaml']\n",
    );
    init(&machine, "--dry-run")
        .exits(0)
        .says("Read compose.yaml without Docker Compose: it is not there\n")
        .says("note: `gone.yaml`, named by compose.yaml, is not there")
        .says("note: `https://example.com/c.yaml`, named by compose.yaml, is not read")
        .says("note: web extends `web` of `base.yaml`, which cannot be read")
        .says("note: a port of web (compose.yaml:1) cannot be read without Docker Compose");
    let said = "time=\"x\" level=warning msg=\"old\"\nrequired variable A is missing a value\u{1b}[2J; A is missing a value";
    init_with_docker(&machine, "--dry-run", said, 1)
        .exits(0)
        .says("without Docker Compose: required variable A is missing")
        .says("A is missing a value\n")
        .says("note: `A` has no value, which is not the files' fault")
        .never_says("\u{1b}");
    init_with_docker(&machine, "--dry-run", "docker: 'compose' is not a docker command.", 1).exits(0);
    init_with_docker(&machine, "--dry-run", "no: [config", 0).exits(0).says("it printed something else");
}

#[test]
fn compose_is_asked_once_and_for_every_profile() {
    let machine = machine_with("services: {web: {image: w}}");
    let config = r#"{"name": "project", "services": {"web": {"ports":
        [{"target": 80, "published": "8081", "protocol": "tcp"}]}}}"#;
    init_with_docker(&machine, "", config, 0).exits(0).says("Read compose.yaml with Docker Compose\n");
    assert_eq!(part(&machine, "ports"), "web = { base = 8081, publish = \"web:80\" }");
    let asked = machine.read("~/bin/asked");
    let configs: Vec<&str> = asked.lines().filter(|line| line.contains(" config ")).collect();
    assert_eq!(configs.len(), 1, "{asked}");
    assert!(configs[0].contains("--profile *"), "{asked}");
}

#[test]
#[ignore = "needs Docker Compose v2"]
fn compose_and_the_text_come_to_the_same_pool() {
    for (name, project) in projects() {
        let (machine, _) = machine_of(&project);
        machine.install("docker");
        let from_text = init(&machine, "--dry-run").exits(0);
        let run = Run::of(machine.command("init --dry-run").env("DOCKER_CONFIG", docker_config())).exits(0);
        assert_eq!(run.stdout, from_text.stdout, "{name}");
        // It has a variable without a value, which Compose refuses.
        let with = if name == "monorepo" { " without Docker Compose: " } else { " with Docker Compose\n" };
        let is_of_both = |line: &&str| !line.contains("has no value, which is not the files' fault");
        let notes =
            |run: &Run| run.stderr.lines().skip(1).filter(is_of_both).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(notes(&run), notes(&from_text), "{name}");
        run.says(with);
    }
}
