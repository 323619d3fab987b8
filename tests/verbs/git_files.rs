//! Git's own files of a worktree in another form than git writes: each is named with what is wrong, and none is
//! waited for.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{Machine, Run};

/// What a file is made to be, and what is said of it.
type Kind = (fn(&Path), &'static str);

const KINDS: [Kind; 5] = [
    (
        |file| mknodat(CWD, file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe"),
        "it is a FIFO, socket or device",
    ),
    (|file| fs::create_dir(file).expect("a directory"), "it is a directory"),
    (|file| fs::write(file, "a".repeat(100_000)).expect("a file"), "it is larger than 64 KiB"),
    (|file| symlink(file, file).expect("a link"), "Too many levels of symbolic links"),
    (|file| fs::write(file, b"gitdir: \xff\n").expect("a file"), "it is not UTF-8 text"),
];

/// An applied pool, and a linked worktree that holds a slot.
fn with_worktree() -> Machine {
    let machine = Machine::small();
    machine.repository(machine.project());
    machine.kinfra("apply").exits(0);
    machine.worktree("fix");
    in_worktree(&machine, "claim").exits(0);
    machine
}

fn in_worktree(machine: &Machine, arguments: &str) -> Run {
    Run::of(machine.command(arguments).current_dir(machine.path("~/fix")))
}

#[test]
fn a_file_of_git_that_cannot_be_read_is_named_with_what_is_wrong() {
    let machine = with_worktree();
    let own = machine.path(".git/worktrees/fix");
    let before = machine.read("~/pool/registry.json");
    for file in [machine.path("~/fix/.git"), own.join("commondir"), own.join("gitdir")] {
        let saved = fs::read(&file).expect("a file of git");
        // A directory `.git` is a repository of its own.
        let kinds = KINDS.iter().filter(|(_, said)| !file.ends_with(".git") || *said != "it is a directory");
        for (make, said) in kinds {
            fs::remove_file(&file).expect("a removed file");
            make(&file);
            let shown = file.display().to_string();
            let shown = shown.replacen(&machine.home().display().to_string(), "~", 1);
            let named = format!("`{shown}` cannot be read: {said}");
            for verb in ["claim", "release", "renew", "env"] {
                let run = in_worktree(&machine, verb).exits(1).says(&named);
                run.says("`git worktree repair` writes").never_says("have not applied");
            }
            in_worktree(&machine, "slots").exits(0).says(&named).never_says("have not applied");
            in_worktree(&machine, "doctor").exits(1).prints(&named);
            if file.is_dir() { fs::remove_dir(&file) } else { fs::remove_file(&file) }.expect("it is gone");
            fs::write(&file, &saved).expect("the file of git");
        }
    }
    assert_eq!(machine.read("~/pool/registry.json"), before);
    in_worktree(&machine, "release").exits(0).prints("Released slot 1");
}
