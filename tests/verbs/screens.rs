//! What `slots`, `status`, `plan`, `up` and `doctor` look like on terminals of four widths, with long names, wide
//! characters and colour. The screens are in `tests/fixtures/screens`.
//!
//! After an intended change, `KINFRA_UPDATE_EXPECTED=1 cargo test screens` writes them again. Read `git diff`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use camino::Utf8Path;
use kinfra::claims::listing::Listed;
use kinfra::claims::standing::Standing;
use kinfra::health::{Finding, Severity};
use kinfra::identifier::PortName;
use kinfra::registry::{MOST_FAILURES, Registry};
use kinfra::report::plan::render;
use kinfra::report::slots::{SlotsView, StatusView, status_text, text};
use kinfra::report::stack_gate::services;
use kinfra::report::{Aim, Paths, View, doctor, wrapped};
use kinfra::saved::Saved;
use kinfra::stack::gate::state::{Judged, Prospect, ServiceState};
use kinfra::stack::observe::examine::Examined;
use kinfra::stack::observe::sight::{Glance, Sight};
use kinfra::stack::observe::stacks::Looked;
use kinfra::stack::up::addresses::Url;
use kinfra::time::Time;
use serde_json::{Value, json};

use crate::rig::terminal::Terminal;
use crate::support::{Machine, Run};

const WIDTHS: [usize; 4] = [60, 80, 120, 200];

/// Compares a screen with the one that is kept, or writes it.
#[track_caller]
fn is_kept(name: &str, screen: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/screens").join(name);
    if std::env::var_os("KINFRA_UPDATE_EXPECTED").is_some() {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(&path, screen).expect("a screen");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(screen, kept, "{name}: see the head of this file");
}

/// The screen at each width, one below the other. No line is wider than its terminal.
#[track_caller]
fn at_each_width(name: &str, screen: impl Fn(usize) -> String) {
    let screens = WIDTHS.map(|columns| {
        let screen = screen(columns);
        for line in anstream::adapter::strip_str(&screen).to_string().lines() {
            let width = unicode_width::UnicodeWidthStr::width(line);
            // A long word stays whole, so that it can be copied.
            let is_one_word =
                line.split("  ").any(|part| part.len() > columns / 2 && !part.trim().contains(' '));
            assert!(width <= columns || is_one_word, "{name} at {columns}: {width} columns in {line:?}");
        }
        format!("== {columns} columns ==\n{screen}")
    });
    is_kept(name, &screens.join("\n"));
}

const NOW: &str = "2026-03-01T20:22:10+00:00";

/// A slot in a pool: who holds it, on which branch, how its claim stands, and what its stack does. The last two
/// are free; cleaning the last one failed too often.
type Row = (Option<(&'static str, &'static str, Standing)>, Sight);

fn glance(service: &str, state: ServiceState, exit_code: Option<i32>) -> Glance {
    let up_for = exit_code.is_none().then_some(Duration::from_mins(12));
    Glance { service: service.to_owned(), state, exit_code, is_out_of_memory: false, up_for }
}

fn rows() -> [Row; 7] {
    let held = |tree, branch, standing| Some((tree, branch, standing));
    let runs = Sight::Seen(vec![
        glance("web", ServiceState::Healthy, None),
        glance("db", ServiceState::Healthy, None),
    ]);
    let loops = Sight::Seen(vec![glance("worker-of-the-mail-queue", ServiceState::Looping, Some(3))]);
    let long = "feature/4711-let-customers-pay-with-two-cards-at-once-and-split-the-bill";
    [
        (held("shop-fix-login", "fix-login", Standing::Held), runs.clone()),
        (held("shop-4711-let-customers-pay-with-two-cards-at-once", long, Standing::Held), loops),
        (
            held(
                "店-修正-ログイン画面の表示が崩れる問題",
                "修正/ログイン画面の表示が崩れる問題",
                Standing::Held,
            ),
            runs,
        ),
        (held("shop-🚀-rocket", "🚀/to-the-moon", Standing::Orphaned), Sight::Seen(Vec::new())),
        (held("shop-quiet", "quiet", Standing::Held), Sight::Unknown("no answer".to_owned())),
        (None, Sight::NeverStarted),
        (None, Sight::NeverStarted),
    ]
}

/// The slots as kinfra lists them.
fn looked(has_claims: bool) -> Looked {
    let (mut slots, mut sights) = (Vec::new(), BTreeMap::new());
    for (id, (held, sight)) in (1_u16..).zip(rows()) {
        let held = held.filter(|_| has_claims);
        let claimed_by = held.map(|(tree, ..)| format!("/home/me/src/{tree}"));
        let left = (id == 7).then(|| {
            json!({
                "by": "/home/me/src/shop-old", "at": NOW, "remains": "everything", "failures": MOST_FAILURES,
                "reason": "Docker says: the volume `shop-slot-7_data` is in use by a container of another project",
            })
        });
        let entry = json!({
            "slot_id": id, "infrastructure_path": format!("/home/me/.shop/slot-{id}"), "profile": "standard",
            "workers": {}, "ports": { "db": 5432 + id, "web": 8080 + id }, "status": "stopped",
            "claimed_by": claimed_by, "claimed_at": claimed_by.as_ref().map(|_| "2026-03-01T17:22:10+00:00"), "left": left, "started_at": left.as_ref().map(|_| NOW), "started_as": left.as_ref().map(|_| "shop-slot-7"),
        });
        let registry: Value = json!({ "version": 2, "slots": { id.to_string(): entry } });
        let registry = Registry::parse(&registry.to_string()).expect("a registry");
        let (slot, entry) = registry.slots.into_iter().next().expect("a slot");
        let (branch, standing) = held.map(|(_, branch, standing)| (branch.to_owned(), standing)).unzip();
        let last_used = held.and_then(|_| Time::parse("2026-03-01T18:22:10Z").ok());
        slots.push(Listed { slot, entry, standing, branch, last_used });
        sights.insert(slot, if has_claims { sight } else { Sight::NeverStarted });
    }
    let address = |listed: &Listed| {
        let (slot, port) = (listed.slot, 8080 + listed.slot.get());
        let hosted = Some(format!("http://web.slot-{slot}.localhost:{port}"));
        (slot, Url { plain: format!("http://localhost:{port}"), hosted, is_here: true })
    };
    let addresses = slots.iter().map(address).collect();
    Looked { slots, sights, elsewhere: BTreeMap::new(), addresses }
}

fn slots(has_claims: bool, columns: Option<usize>) -> String {
    let (web, now) = (PortName::new("web").expect("a name"), Time::parse(NOW).expect("a time"));
    let paths = Paths { home: Some(Utf8Path::new("/home/me")) };
    let view = SlotsView { primary: Some(&web), now, judged_at: now, paths, columns, is_worst_first: false };
    text(&looked(has_claims), view)
}

#[test]
fn slots_fit_the_terminal() {
    at_each_width("slots.txt", |columns| slots(true, Some(columns)));
    at_each_width("slots-free.txt", |columns| slots(false, Some(columns)));
    // Nothing is shortened in a pipe.
    assert!(
        slots(true, None)
            .contains("feature/4711-let-customers-pay-with-two-cards-at-once-and-split-the-bill")
    );
}

fn judged(service: &str, state: ServiceState, prospect: Prospect, exit_code: Option<i32>) -> Judged {
    Judged {
        service: service.to_owned(),
        container: None,
        state,
        prospect,
        exit_code,
        is_out_of_memory: false,
        health: String::new(),
        note: None,
    }
}

#[test]
fn status_fits_the_terminal() {
    let looked = looked(true);
    let (now, paths) = (Time::parse(NOW).expect("a time"), Paths { home: Some(Utf8Path::new("/home/me")) });
    let url = |name: &str, url: &str| {
        let url = Url { plain: url.to_owned(), hosted: None, is_here: true };
        (PortName::new(name).expect("a name"), url)
    };
    for (index, name) in [(1, "status-long.txt"), (2, "status-wide.txt")] {
        let listed = &looked.slots[index];
        let services =
            vec![judged("worker-of-the-mail-queue", ServiceState::Looping, Prospect::Stuck, Some(3))];
        let examined = Examined {
            elsewhere: None,
            declared_memory: None,
            sight: looked.sights[&listed.slot].clone(),
            services,
            not_started: vec!["mailcatcher".to_owned()],
            taken: Vec::new(),
            urls: [url("db", "postgres://localhost:5434"), url("web", "http://localhost:8082")].into(),
        };
        at_each_width(name, |columns| {
            let view = StatusView {
                now,
                judged_at: now,
                paths,
                local: Time::to_the_minute,
                shows_id: false,
                is_worst_first: false,
            };
            wrapped(&status_text(listed, &examined, view), Some(columns))
        });
    }
}

#[test]
fn up_fits_the_terminal() {
    let services_of_a_start = [
        judged("worker-of-the-mail-queue-for-customers", ServiceState::Looping, Prospect::Stuck, Some(3)),
        judged("web", ServiceState::Starting, Prospect::OnItsWay, None),
        judged("db", ServiceState::Healthy, Prospect::Ready, None),
    ];
    at_each_width("up.txt", |columns| services(&services_of_a_start, columns).join("\n") + "\n");
}

#[test]
fn doctor_fits_the_terminal() {
    let finding = |severity, subject: &str, found: &str, advice: &str| Finding {
        severity,
        subject: subject.to_owned(),
        found: found.to_owned(),
        advice: advice.to_owned(),
    };
    let findings = [
        finding(Severity::Fine, "registry", "`~/.shop/registry.json` has 6 slots", ""),
        finding(
            Severity::Warning,
            "ports",
            "port 8083, `web` of slot 3, is used by python3 (process 13996), and 修正/ログイン画面の表示 waits for it",
            "stop python3 (process 13996), or move the base of `web` in slots.toml and run `kinfra apply --update`",
        ),
        finding(Severity::Error, "docker", "does not answer", "start Docker"),
    ];
    at_each_width("doctor.txt", |columns| wrapped(&doctor::findings(&findings), Some(columns)));
}

#[test]
fn a_plan_groups_what_is_blocked_alike_and_shows_an_equal_diff_once() {
    let machine = Machine::small();
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-4\"");
    machine.template("conf.txt", "old\n");
    machine.kinfra("apply").exits(0);
    machine.template("conf.txt", "new\n");
    machine.write("~/pool/slot-3/conf.txt", "mine\n");
    let shown = |arguments: &str, no_color: &str| {
        let mut command = machine.command(arguments);
        Run::of(command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", no_color)).exits(0).stdout
    };
    is_kept("plan.txt", &shown("plan --diff", "1"));
    is_kept("plan-color.txt", &shown("plan --diff", ""));
    is_kept("plan-update.txt", &shown("plan --diff --update --exclude 3", "1"));
}

/// A plan that creates, changes, removes and is blocked, with a long branch and wide characters.
#[test]
fn a_plan_fits_the_terminal() {
    let machine = Machine::small();
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-6\"");
    machine.edit_spec("[files]\n", "[files]\n\"設定/ログイン画面の表示.txt\" = \"conf.txt\"\n");
    machine.kinfra("apply").exits(0);
    let home = machine.home().canonicalize().expect("a home");
    std::fs::create_dir(home.join("shop-修正-ログイン画面の表示")).expect("a directory");
    let typed = ["claim", "--for", &format!("{}/shop-修正-ログイン画面の表示", home.display())];
    Run::of(machine.command("").args(typed)).exits(0);
    machine.write("~/pool/slot-3/conf.txt", "mine\n");
    machine
        .template("conf.txt", "new, and so long that it does not fit a narrow terminal in one line at all\n");
    machine.edit_spec("web = 8000", "web = 9000\nadministration_of_the_shop = 9100");
    machine.edit_spec("ids = \"1-6\"", "ids = \"1-4,7-8\"");
    machine.kinfra("plan --update --prune --out the.plan").exits(0);
    let saved = Saved::parse(&machine.read("the.plan")).expect("a plan").expect("one of this version");
    let paths = Paths { home: Utf8Path::from_path(&home) };
    let from = "feature/4711-let-customers-pay-with-two-cards-at-once, at 2026-03-01 17:22";
    at_each_width("plan-wide.txt", |columns| {
        let view = View {
            columns: Some(columns),
            verbose: true,
            applied_from: Some(from),
            ..View::new(paths, Aim::Pool, &saved.options.allowed)
        };
        render(&saved.plan, &saved.desired, view, &BTreeMap::new())
    });
}

#[test]
#[ignore = "needs script, of util-linux"]
fn what_people_read_is_broken_where_their_terminal_ends_and_has_short_paths() {
    for typed in ["plan", "doctor", "status --for .."] {
        let machine = Machine::small();
        machine.kinfra("apply").exits(0);
        machine.kinfra("claim --for ..").exits(0);
        machine.template("conf.txt", "new\n");
        machine.edit_spec("web = 8000", "web = 9000\nadministration = 9100");
        machine.set_mode("~/pool/slot-2", 0o755);
        let home = machine.home().canonicalize().expect("a home").display().to_string();
        let mut command = machine.command(typed);
        command.env("NO_COLOR", "1");
        let (_, printed, _) = Terminal::run(&machine, &command, 80, 60).ends();
        for line in printed.lines() {
            let is_one_word = line.split(' ').any(|word| word.len() > 30);
            let is_remark = line.starts_with("Isolation: ") || line.starts_with("Using ");
            let width = unicode_width::UnicodeWidthStr::width(line);
            assert!(width <= 60 || is_one_word || is_remark, "{typed}: {line:?}");
        }
        assert!(!printed.contains(&home), "{printed}");
        assert!(!printed.contains('\u{1b}'), "{printed:?}");
    }
}

#[test]
fn a_slot_is_known_by_its_port_for_browsers_or_the_one_that_is_named() {
    let machine = Machine::small();
    machine.edit_spec("web = 8000", "cache = 6379\nweb = 8000\nadmin = 9000");
    machine.kinfra("apply").exits(0);
    machine.kinfra("slots").exits(0).prints("WEB Port").prints(" 8001 ").never_says("6380");
    machine.edit_spec("[pool]", "[pool]\nprimary = \"admin\"");
    machine.kinfra("slots").exits(0).prints("ADMIN Port").prints(" 9001 ");
    machine.edit_spec("\"admin\"", "\"nope\"");
    machine
        .kinfra("plan")
        .exits(65)
        .says("`primary` names no port of [ports]: `nope`")
        .says("cache, web, admin");
}

#[test]
#[ignore = "needs script, of util-linux"]
fn on_a_terminal_each_step_ends_with_the_next_command() {
    for (before, typed, next) in [
        ("plan", "apply", "Next: `kinfra claim` in a worktree takes a slot"),
        ("apply", "claim", "Next: `kinfra up` starts its stack, `kinfra env` prints its variables"),
    ] {
        let machine = Machine::small();
        machine.kinfra(before).exits(0);
        let (code, printed, _) = Terminal::run(&machine, &machine.command(typed), 40, 120).ends();
        assert_eq!(code, Some(0), "{printed}");
        assert_eq!(printed.trim_end().lines().last(), Some(next), "{printed}");
        // A script knows what comes next.
        machine.kinfra("claim").exits(0).never_says("Next:");
    }
}
