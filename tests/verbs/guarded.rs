//! The variables that no slot may set: refused in `slots.toml`, in what templates come to, and where a slot's
//! variables are read. And what a shell had before a slot is there again after it.

use std::fs;

use kinfra::guarded_variables::{GUARDED, Guarded};

use super::compose::Shop;
use crate::support::{Machine, Run};

const ENV_FILE: &str = "~/pool/slot-1/.env.sandbox";

/// A pool of two slots with an env file from a template.
fn pool(template: &str) -> Machine {
    let machine = Machine::small();
    machine.edit_spec("\"conf.txt\" = \"conf.txt\"", "\".env.sandbox\" = \"env.sandbox\"");
    machine.template("env.sandbox", template);
    machine
}

/// A name for each guarded one.
fn guarded() -> impl Iterator<Item = String> {
    GUARDED.iter().flat_map(Guarded::names).map(|name| name.replace('*', "X"))
}

#[test]
fn slots_toml_cannot_name_one_and_all_are_shown_at_once() {
    let machine = Machine::small();
    let names: Vec<String> = guarded().collect();
    for few in names.chunks(40) {
        machine.spec(crate::support::SMALL);
        let env: String = few.iter().map(|name| format!("{name} = \"x\"\n")).collect();
        let spec = format!("{}\n[env]\nSHOP_PATH = \"x\"\n{env}", machine.read("slots.toml"));
        machine.spec(&spec);
        let run = machine.kinfra("plan").exits(65).never_says("SHOP_PATH");
        for name in few {
            let line = 1 + spec
                .lines()
                .collect::<Vec<_>>()
                .iter()
                .rposition(|line| line.starts_with(&format!("{name} =")))
                .expect("a line");
            assert!(
                run.stderr.contains(&format!("no slot may set `{name}`, which ")),
                "{name}: {}",
                run.stderr
            );
            assert!(run.stderr.contains(&format!("slots.toml:{line}:1")), "{name}: {}", run.stderr);
        }
    }
}

#[test]
fn what_a_service_is_told_in_its_container_is_its_own() {
    let machine = Machine::small();
    machine.spec(&format!("{}[services.web.environment]\nPATH = \"/bin\"\n", crate::support::SHOP));
    machine.write("compose.yaml", "services:\n  web:\n    image: web\n");
    machine.kinfra("plan").exits(0);
}

#[test]
fn a_template_cannot_set_one_and_its_file_and_line_are_named() {
    let all = [
        (
            "A=1\nPATH=/evil\nexport BASH_ENV = '/evil'\n",
            &["env.sandbox` line 2: ", "env.sandbox` line 3: "][..],
        ),
        // Other programs read what kinfra's reader refuses.
        ("A=$B\nLD_PRELOAD=$evil\nHOME\n", &["env.sandbox` line 2: ", "env.sandbox` line 3: "]),
        ("{{ 'PA' }}TH='/evil\nand more'\n", &["env.sandbox` makes line 1 of `.env.sandbox` of slot 1: "]),
        ("A=1{{ '\\nGIT_DIR=/evil' }}\n", &["env.sandbox` makes line 2 of `.env.sandbox` of slot 1: "]),
        (
            "{% if slot.id == 1 %}I{% endif %}FS=evil\n",
            &["env.sandbox` makes line 1 of `.env.sandbox` of slot 1: "],
        ),
    ];
    for (template, places) in all {
        let machine = pool(template);
        for (verb, exit) in [("plan", 0), ("apply", 0), ("validate", 65)] {
            let run = machine.kinfra(verb).exits(exit);
            let all = format!("{}{}", run.stdout, run.stderr);
            for place in places {
                assert!(all.contains(place), "{template}: {verb}: {place}: {all}");
            }
            assert_eq!(all.matches("it is left out").count(), places.len(), "{template}: {verb}: {all}");
        }
        let written = machine.read(ENV_FILE);
        assert!(!written.contains("evil") && !written.contains("HOME\n"), "{template}: {written}");
        machine.kinfra("plan").exits(0).prints("No changes");
    }
    let machine = pool("# PATH=/x\nKINFRA_SLOT={{ slot.id }}\nGIT_WEB_PORT={{ ports.web }}\nMY_PATH=PATH\n");
    machine.kinfra("apply").exits(0).never_says("left out");
    assert_eq!(machine.read(ENV_FILE), "# PATH=/x\nKINFRA_SLOT=1\nGIT_WEB_PORT=8001\nMY_PATH=PATH\n");
}

#[test]
fn the_files_of_a_claim_are_no_way_around() {
    let machine = Machine::small();
    machine.spec(&format!("{}[claim]\n\".env.sandbox\" = \"env.sandbox\"\n", crate::support::SMALL));
    machine.template("env.sandbox", "PATH=/evil\nA={{ slot.id }}\n");
    machine.kinfra("plan").exits(0).says("env.sandbox` line 1: no slot may set `PATH`");
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    let printed = machine.kinfra("env").exits(0).prints("export A='1'").stdout;
    assert!(!printed.contains("evil"), "{printed}");
}

#[test]
fn an_env_file_that_sets_one_is_used_by_no_verb() {
    let machine = pool("SHOP_URL=http://localhost:{{ ports.web }}\n");
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    machine.write(ENV_FILE, "A=1\nPATH=/evil\nB=$C\nBASH_ENV=/evil\n");
    let says = [
        ".env.sandbox` line 2: no slot may set `PATH`, which every shell and program reads; line 4: no slot may \
         set `BASH_ENV`, which shells read\n",
        "kinfra apply --update --include-claimed",
    ];
    for verb in ["env", "env --format fish", "env --format dotenv", "env --format json", "exec true", "claim"]
    {
        let run = machine.kinfra(verb).exits(4);
        assert!(!run.stdout.contains("evil"), "{verb}: {}", run.stdout);
        says.iter().fold(run, |run, said| run.says(said));
    }
    machine.kinfra("release").exits(0);
    machine.kinfra("claim --slot 1").exits(4).says("line 2: no slot may set `PATH`");

    let shop = Shop::new();
    let env_file = shop.machine.read(ENV_FILE);
    shop.machine.write(ENV_FILE, format!("{env_file}LD_PRELOAD=/evil.so\n"));
    for verb in ["env", "exec true", "up", "compose up -d"] {
        Run::of(&mut shop.command(verb)).exits(4).says("no slot may set `LD_PRELOAD`, which the loader");
    }
}

#[test]
fn what_a_shell_had_before_a_slot_is_there_again_after_it() {
    let machine = pool("DB_URL=slot-{{ slot.id }}\nNEW={{ slot.id }}\n");
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    let (other, none) = (machine.path("~/other"), machine.path("~/none"));
    for dir in [&other, &none] {
        fs::create_dir(dir).expect("a directory");
    }
    let posix = "export KINFRA_SPEC=\"$PWD/slots.toml\" DB_URL=\"it's {mine}\" COMPOSE_PROFILES=debug
        eval \"$(kinfra env)\" 2>/dev/null; echo \"in 1: $DB_URL $NEW ${COMPOSE_PROFILES-unset}\"
        cd ~/other && kinfra claim >/dev/null && eval \"$(kinfra env)\"; echo \"in 2: $DB_URL $NEW\"
        cd ~/none; eval \"$(kinfra env 2>/dev/null)\"
        echo \"out: $DB_URL ${NEW-unset} $COMPOSE_PROFILES ${KINFRA_ENV-unset} ${KINFRA_ENV_BEFORE-unset}\"
        cd ~/other && kinfra release >/dev/null";
    let fish = "set -gx KINFRA_SPEC \"$PWD/slots.toml\"; set -gx DB_URL \"it's {mine}\"; set -gx COMPOSE_PROFILES debug
        kinfra env --format fish 2>/dev/null | source; echo \"in 1: $DB_URL $NEW \"(set -q COMPOSE_PROFILES; or echo unset)
        cd ~/other; kinfra claim >/dev/null; kinfra env --format fish | source; echo \"in 2: $DB_URL $NEW\"
        cd ~/none; kinfra env --format fish 2>/dev/null | source
        set -q NEW KINFRA_ENV KINFRA_ENV_BEFORE; set -l left $status
        echo \"out: $DB_URL unset $COMPOSE_PROFILES unset unset\"; test $left = 3
        cd ~/other; kinfra release >/dev/null";
    for (shell, text) in [("sh", posix), ("bash", posix), ("zsh", posix), ("fish", fish)] {
        if !machine.tools().join(shell).exists() {
            continue;
        }
        let run = Run::of(machine.program(shell).args(["-c", text]));
        let expected = "in 1: slot-1 1 unset\nin 2: slot-2 2\nout: it's {mine} unset debug unset unset\n";
        assert_eq!(run.stdout, expected, "{shell}: {}", run.stderr);
    }
}

#[test]
fn the_documented_list_is_the_one_that_holds() {
    let text = include_str!("../../docs/security.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")).filter(|row| row.contains(" read"));
    let documented: Vec<String> = rows.map(|row| row.trim_end_matches(" |").replace('`', "")).collect();
    let held: Vec<String> = GUARDED
        .iter()
        .map(|group| format!("{} | {}", group.readers, group.names().collect::<Vec<_>>().join(" ")))
        .collect();
    assert_eq!(documented, held);
}
