//! `kinfra open`: the address of a port, and what opens it.

use super::start::with_script;
use crate::support::{Machine, Run};

/// A machine with a held slot, on whose port something listens or not, and a program that opens addresses.
fn held(ports: &'static str) -> Machine {
    let machine = Machine::small().with_ports_in_use("");
    machine.edit_spec("web = 8000", "web = 8000\ndb = 5432\nodd = 7000");
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    let machine = machine.with_ports_in_use(ports);
    for name in ["xdg-open", "open"] {
        machine.write(&format!("~/bin/{name}"), "#!/bin/sh\necho \"opened $*\"; exit 5\n");
        machine.set_mode(&format!("~/bin/{name}"), 0o755);
    }
    machine
}

#[test]
fn the_port_for_browsers_is_opened_unless_another_is_named() {
    let machine = held("8001,5433,7001");
    let ran =
        with_script(&machine, "open").exits(5).prints_exactly("opened http://web.slot-1.localhost:8001\n");
    ran.says("Opening http://web.slot-1.localhost:8001\n");
    with_script(&machine, "open db").exits(5).prints_exactly("opened postgres://localhost:5433\n");
    with_script(&machine, "open --slot 1 --print db").exits(0).prints_exactly("postgres://localhost:5433\n");
    let ran = with_script(&machine, "open odd").exits(4).prints_exactly("");
    ran.says("what speaks on port `odd` is not known, so nothing can open localhost:7001").says("`scheme`");
    machine
        .kinfra("open nope")
        .exits(4)
        .says("slot 1 has no port `nope`")
        .says("its ports are `db`, `odd`, `web`");
    with_script(&machine, "open --slot 2").exits(3).says("no worktree holds slot 2");
}

#[test]
fn what_does_not_listen_is_not_opened_and_can_be_printed() {
    let machine = held("5433");
    let ran = with_script(&machine, "open").exits(7).prints_exactly("");
    ran.says("nothing listens on port `web` of slot 1, http://localhost:8001").says("`kinfra up`");
    with_script(&machine, "open --print").exits(0).prints_exactly("http://web.slot-1.localhost:8001\n");
    machine.kinfra("release").exits(0);
    with_script(&machine, "open").exits(3).says("holds no slot");
}

#[test]
fn where_nothing_opens_addresses_the_error_has_it() {
    let machine = held("8001");
    machine.remove("~/bin/xdg-open");
    machine.remove("~/bin/open");
    with_script(&machine, "open").exits(127).says("open http://web.slot-1.localhost:8001 yourself");
}

#[test]
fn addresses_are_links_on_terminals_that_have_them() {
    let machine = held("");
    let address = "http://web.slot-1.localhost:8001";
    let link = format!("\u{1b}]8;;{address}\u{1b}\\{address}\u{1b}]8;;\u{1b}\\");
    for (forced, shown) in [("1", link.as_str()), ("0", address)] {
        let mut status = machine.command("status");
        Run::of(status.env("FORCE_HYPERLINK", forced)).exits(0).prints(&format!("WEB    {shown}\n"));
        let mut exact = machine.command("open --print");
        Run::of(exact.env("FORCE_HYPERLINK", forced)).prints_exactly(&format!("{address}\n"));
    }
}
