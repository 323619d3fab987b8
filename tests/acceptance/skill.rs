//! What an agent does that knows only `SKILL.md`: with a stack that does not run, from the claim to the release.

use super::ktrdr::run;
use crate::rig::engine::Engine;
use crate::support::Machine;

const SKILL: &str = include_str!("../../src/hooks/skill.md");

/// A command that the skill tells of, with the agent's own words after it.
fn told(command: &str, words: &str) -> String {
    let stands = |end: &str| SKILL.contains(&format!("`kinfra {command}{end}`"));
    assert!(
        stands("") || stands(" -- CMD") || stands(" SERVICE -- CMD"),
        "the skill has no `kinfra {command}`"
    );
    format!("kinfra {command}{words} || echo exit $?")
}

#[test]
#[ignore = "needs docker and curl"]
fn the_skill_leads_from_a_broken_stack_to_a_running_one_and_back() {
    let engine = Engine::for_projects(&["mended-slot-1"]);
    let machine = Machine::new();
    machine.write("~/.gitconfig", "[user]\nname = Dev\nemail = dev@localhost\n");
    // On ports that no other test has. The branch needs a file that is not there.
    let make = "export CLAUDECODE=1; cd && kinfra demo mended && cd mended \
                && sed -i 's/8180/8580/' compose.yaml slots.toml && git commit -qam ports && kinfra apply \
                && git worktree add -qb fix ../fix && cd ../fix \
                && sed -i 's|command: .*|command: [sh, -c, \"cat config \\&\\& exec nc -ll -p 80 -e sh /app/answer\"]|; \
                           s|init: true|&\\n    working_dir: /app|' compose.yaml";
    let curl = " -- sh -c 'curl -s localhost:$MENDED_WEB_PORT'";
    let look = ["claim", "up", "status", "logs --failing"].map(|command| told(command, ""));
    let mended = "touch config && git add . && git commit -qm 'Add the config'";
    let end = [
        told("up", ""),
        told("exec", curl),
        told("shell", " web -- cat /data/visits"),
        told("done", ""),
        told("release --wipe", ""),
        told("status", ""),
    ];
    let commands: Vec<&str> = [make]
        .into_iter()
        .chain(look.iter().map(String::as_str))
        .chain([mended])
        .chain(end.iter().map(String::as_str))
        .collect();
    let said = run(&machine, &engine, &commands);
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    let [_, claim, broken, status, logs, _, up, page, shell, done, release, after] = said[..] else {
        panic!("{said:#?}")
    };
    assert!(claim.contains("Claimed slot 1 ") && claim.contains("Next: "), "{claim}");
    assert!(broken.ends_with("exit 7\n") && broken.contains("web: failed, exit 1\n"), "{broken}");
    assert!(broken.contains("can't open 'config'") && broken.contains("help: `kinfra logs web`"), "{broken}");
    assert!(status.lines().nth(1).is_some_and(|line| line.contains("failed, exit 1")), "{status}");
    assert!(logs.contains("can't open 'config'"), "{logs}");
    assert!(up.contains("The stack of slot 1 runs\n") && !up.contains("exit"), "{up}");
    assert!(page.contains("You are visitor 1 ") && shell == "visit\n", "{page}{shell}");
    assert!(done.ends_with("exit 4\n") && done.contains("`kinfra release` gives the slot back"), "{done}");
    assert!(release.contains("Released slot 1") && !release.contains("exit"), "{release}");
    assert!(after.contains("holds no slot"), "{after}");
    assert_eq!(engine.made_by("mended-slot-1"), Vec::<String>::new());
}
