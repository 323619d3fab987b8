//! A registry in PostgreSQL: the way to the server, and what is said where it cannot be asked.

use std::net::TcpListener;

use crate::rig::postgres::{Database, Postgres};
use crate::support::{Machine, Run};

/// A machine, and `kinfra registry` with a url.
fn registry(machine: &Machine, verb: &str, url: &str) -> Run {
    Run::of(machine.command("registry").arg(verb).arg(url))
}

#[test]
#[ignore = "needs PostgreSQL"]
fn the_tables_are_made_once() {
    let machine = Machine::small();
    let database = Postgres::shared().database();
    let url = database.url();
    registry(&machine, "status", &url).exits(0).prints("no tables of kinfra").prints("kinfra registry init");
    registry(&machine, "migrate", &url).exits(4).says("has no tables").says("kinfra registry init");
    registry(&machine, "init", &url).exits(0).prints("has version 1 now");
    registry(&machine, "init", &url).exits(0).prints("has version 1 already");
    registry(&machine, "migrate", &url).exits(0).prints("has version 1 already");
    registry(&machine, "status", &url).exits(0).prints("schema: version 1\n");
    let json = Run::of(machine.command("registry status --json").arg(&url)).exits(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["schema"]["version"], &json["url"]), (&1.into(), &url.into()));
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_newer_schema_is_refused_and_kept() {
    let machine = Machine::small();
    let database = Postgres::shared().database();
    registry(&machine, "init", &database.url()).exits(0);
    database.sql("insert into kinfra.migration (version, kinfra) values (99, '9.9')");
    let before = dump(&database);
    for verb in ["status", "init", "migrate"] {
        registry(&machine, verb, &database.url())
            .exits(5)
            .says("has version 99, and this kinfra knows 1; nothing was changed")
            .says("upgrade kinfra");
    }
    assert_eq!(dump(&database), before);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn many_clients_make_the_tables_at_once() {
    let machine = Machine::small();
    let database = Postgres::shared().database();
    let url = database.url();
    std::thread::scope(|scope| {
        let run = || registry(&machine, "init", &url).exits(0);
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
        let made = runs.into_iter().map(|run| run.join().expect("it ran"));
        assert_eq!(made.filter(|run| run.stdout.contains("version 1 now")).count(), 1);
    });
    assert_eq!(database.sql("select version from kinfra.migration"), "1");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn what_is_wrong_with_the_way_is_said() {
    let machine = Machine::small();
    let database = Postgres::shared().database();
    let port = database.server.port();
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_port = silent.local_addr().expect("an address").port();
    for (url, what, advice) in [
        ("postgres://a@h.invalid/d".to_owned(), "`h.invalid:5432` was not found", "check the name"),
        (format!("postgres://a@127.0.0.1:{closed}/d"), "refuses connections", "check that PostgreSQL runs"),
        ("postgres:///d?host=/nowhere".to_owned(), "has no socket", "and the directory"),
        (
            format!("postgres://a@127.0.0.1:{silent_port}/d?connect_timeout=1"),
            "does not answer in time",
            "check the host",
        ),
        (
            format!("postgres://postgres@127.0.0.1:{port}/nothing"),
            "has no database `nothing`",
            "`createdb nothing`",
        ),
        (
            format!("postgres://stranger@127.0.0.1:{port}/{}", database.name),
            "refuses `stranger`",
            "pg_hba.conf",
        ),
        (
            format!(
                "postgres://missing@:{port}/{}?host={}",
                database.name,
                database.server.socket().display()
            ),
            "refuses `missing`",
            "`create role missing login`",
        ),
        (database.tcp_url("postgres", "sslmode=require"), "has no TLS", "turn it on there"),
        (
            database.tcp_url("postgres", "sslmode=verify-full"),
            "there are no root certificates in",
            "`sslrootcert=`",
        ),
    ] {
        registry(&machine, "status", &url).exits(9).says(what).says(advice);
    }
    for mode in ["disable", "allow", "prefer"] {
        registry(&machine, "status", &database.tcp_url("postgres", &format!("sslmode={mode}"))).exits(0);
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_password_comes_from_the_environment_or_a_private_file() {
    let machine = Machine::small();
    let database = Postgres::shared().database();
    let url = database.tcp_url("ann", "sslmode=disable");
    let with =
        |name: &str, value: &str| Run::of(machine.command("registry status").arg(&url).env(name, value));
    registry(&machine, "status", &url)
        .exits(9)
        .says("wants a password of `ann`")
        .says("`~/.pgpass` (mode 0600)");
    with("PGPASSWORD", "wrong").exits(9).says("refuses `ann`").never_says("wrong");
    with("PGPASSWORD", "wo:rd").exits(0);
    let named = database.tcp_url("ann:wo%3Ard", "sslmode=disable");
    Run::of(machine.command("registry status").env("KINFRA_REGISTRY_URL", named))
        .exits(0)
        .prints("ann@127.0.0.1");
    machine.write("~/.pgpass", "other:*:*:*:no\n127.0.0.1:*:*:ann:wo\\:rd\n");
    machine.set_mode("~/.pgpass", 0o644);
    registry(&machine, "status", &url).exits(9).says("its mode is 0644").says("chmod 600");
    machine.set_mode("~/.pgpass", 0o600);
    registry(&machine, "status", &url).exits(0);
    // What the environment has comes first.
    with("PGPASSWORD", "wrong").exits(9);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn certificates_are_checked_as_sslmode_says() {
    let machine = Machine::small();
    let database = Postgres::with_tls().database();
    let directory = database.server.socket().display();
    let (ca, other) =
        (format!("sslrootcert={directory}/ca.crt"), format!("sslrootcert={directory}/other.crt"));
    let port = database.server.port();
    let name = &database.name;
    for (at, parameters, code, said) in [
        ("postgres@localhost", format!("sslmode=verify-full&{ca}"), 0, ""),
        ("postgres@127.0.0.1", format!("sslmode=verify-full&{ca}"), 9, "was not trusted"),
        ("postgres@127.0.0.1", format!("sslmode=verify-ca&{ca}"), 0, ""),
        ("postgres@localhost", format!("sslmode=verify-ca&{other}"), 9, "was not trusted"),
        ("postgres@localhost", format!("sslmode=require&{other}"), 9, "was not trusted"),
        ("postgres@localhost", "sslmode=require".to_owned(), 0, ""),
        ("tls@127.0.0.1", "sslmode=disable".to_owned(), 9, "refuses `tls`"),
        ("tls@127.0.0.1", "sslmode=allow".to_owned(), 0, ""),
        ("tls@127.0.0.1", "sslmode=prefer".to_owned(), 0, ""),
        ("plain@127.0.0.1", "sslmode=require".to_owned(), 9, "refuses `plain`"),
        ("plain@127.0.0.1", "sslmode=prefer".to_owned(), 0, ""),
        ("plain@127.0.0.1", "sslmode=allow".to_owned(), 0, ""),
    ] {
        registry(&machine, "status", &format!("postgres://{at}:{port}/{name}?{parameters}"))
            .exits(code)
            .says(said);
    }
}

#[test]
fn only_a_server_that_was_named_or_applied_is_asked() {
    let machine = Machine::small();
    machine.kinfra("registry status").exits(4).says("is a file there").says("`[registry] url`");
    machine.edit_spec("[files]\n", "[registry]\nurl = \"postgres:///d?host=/nowhere\"\n[files]\n");
    machine
        .kinfra("registry status")
        .exits(4)
        .says("you have not applied")
        .says("`kinfra registry status 'postgres:///d?host=/nowhere'`");
    let named = |url: &str| Run::of(machine.command("registry status").env("KINFRA_REGISTRY_URL", url));
    named("postgres://ann:hunter2@/d?host=/nowhere").exits(9).says("has no socket").never_says("hunter2");
    named("postgres://ann:hunter2@/d?x=1")
        .exits(64)
        .says("KINFRA_REGISTRY_URL: kinfra knows no `x`")
        .never_says("hunter2");
    machine
        .kinfra("registry status postgres://ann:hunter2@h/d")
        .exits(64)
        .says("has no password")
        .never_says("hunter2");
    for (sign, code) in [("/", "%2F"), ("?", "%3F")] {
        let run = named(&format!("postgres://ann:hun{sign}ter2@h/d")).exits(64).never_says("hun");
        run.says(&format!("write it as `{code}`"));
    }
}

#[test]
fn a_plan_shows_the_server() {
    let machine = Machine::small();
    machine
        .edit_spec("[files]\n", "[registry]\nurl = \"postgres://ann@h:5432/d?sslmode=require\"\n[files]\n");
    machine.kinfra("plan --out p").exits(0).prints("Registry: postgres://ann@h/d?sslmode=require");
    machine.kinfra("plan --json").exits(0).prints(r#""registry": "postgres://ann@h/d?sslmode=require""#);
    machine.kinfra("show p").exits(0).prints("Registry: postgres://ann@h/d?sslmode=require");
    machine.edit_spec("@h:5432", "@i");
    machine.kinfra("apply p").exits(4).says("registry").says("postgres://ann@i/d?sslmode=require");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn an_answer_without_end_is_not_taken_in() {
    let database = super::shared_pool::database();
    let machine = Machine::small();
    machine.edit_spec("[files]\n", &format!("[registry]\nurl = \"{}\"\n[files]\n", database.url()));
    machine.kinfra("apply").exits(0);
    database.sql(
        "insert into kinfra.slot (pool, host, slot, generation, content) select pool, host, 100 + more, generation, \
         jsonb_build_object('x', repeat('x', 1000000)) from kinfra.slot, generate_series(1, 200) as more where slot = 1",
    );
    let run = machine.kinfra("claim").exits(9).says("answers with more than 128 MiB");
    run.says("see with SQL which rows");
}

/// Everything that a database has.
fn dump(database: &Database) -> String {
    database.sql("select version from kinfra.migration order by 1; select * from kinfra.pool; select * from kinfra.slot")
}
