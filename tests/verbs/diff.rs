//! `plan --diff`: shows what would change in each file, line by line, without sensitive values.

use crate::support::{Machine, SMALL};

#[test]
fn the_lines_that_would_change_are_shown() {
    let machine = Machine::small();
    machine.template("conf.txt", "first\nslot {{ slot.id }}\nport {{ ports.web }}\nlast\n");
    machine.kinfra("apply").exits(0);
    machine.edit_spec("web = 8000", "web = 8100");
    machine.write("~/pool/slot-2/conf.txt", "first\nslot 2\nport 8002\nlast\nmine\n");
    machine.kinfra("plan").exits(0).never_says("+ port");
    for verb in ["plan --diff", "plan --diff --update"] {
        let run = machine.kinfra(verb).exits(0);
        let run = run.prints("      conf.txt\n        first\n        slot 1\n      - port 8001\n      + port 8101\n        last\n");
        run.prints("      - port 8002\n      + port 8102\n        last\n      - mine\n");
    }
    // In colour, the changed part of the line is underlined.
    let mut command = machine.command("plan --diff");
    let run = crate::support::Run::of(command.env("CLICOLOR_FORCE", "1"));
    run.prints("\u{1b}[4m8101\u{1b}[0m");
}

#[test]
fn far_apart_changes_are_shown_apart() {
    let machine = Machine::small();
    let lines: Vec<String> = (1..=40).map(|line| format!("line {line}\n")).collect();
    machine.template("conf.txt", &lines.concat());
    machine.kinfra("apply").exits(0);
    machine.template(
        "conf.txt",
        &lines.concat().replace("line 5\n", "five\n").replace("line 35\n", "thirty-five\n"),
    );
    let run = machine.kinfra("plan --diff --only 1").exits(0).prints("      - line 5\n      + five\n");
    run.prints("        line 8\n      …\n        line 32\n").never_says("line 20");
}

#[test]
fn no_sensitive_value_is_shown_not_even_the_old_one() {
    let machine = Machine::small();
    machine.spec(&format!("{SMALL}\n[env]\nPASSWORD = {{ value = \"old-canary\", sensitive = true }}\n"));
    machine.template("conf.txt", "port {{ ports.web }}\npassword {{ env.PASSWORD }}\n");
    machine.kinfra("apply").exits(0);
    machine.edit_spec("old-canary", "new-canary");
    let run = machine.kinfra("plan --diff").exits(0).never_says("canary");
    run.prints("        port 8001\n      - (sensitive)\n      + password (sensitive)\n");
    // The old file had the value, the new one has not.
    machine.template("conf.txt", "port {{ ports.web }}\n");
    machine.edit_spec("new-canary", "old-canary");
    machine.kinfra("plan --diff").exits(0).never_says("canary").prints("      - (sensitive)\n");
    // The value was put into the file by hand.
    machine.template("conf.txt", "port {{ ports.web }} {{ env.PASSWORD | length }}\n");
    machine.write("~/pool/slot-1/conf.txt", "my old-canary\n");
    machine.kinfra("plan --diff").exits(0).never_says("canary");
    // A value of two lines cannot be masked line by line.
    machine.template("conf.txt", "{{ env.PASSWORD }}\n");
    machine.edit_spec("old-canary", "old-canary\\nsecond-canary");
    machine.kinfra("plan --diff").exits(0).never_says("canary").prints("      conf.txt: (sensitive)\n");
}
