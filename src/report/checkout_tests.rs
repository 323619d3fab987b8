use super::*;

fn work() -> Work {
    let files = Vec::new;
    let changes = Changes {
        changed: files(),
        untracked: files(),
        repositories: files(),
        ignored: files(),
        unreadable: files(),
        submodules: files(),
        unseen: files(),
    };
    Work { changes, commits: 0, left_behind: 0, in_progress: None }
}

fn with(change: impl Fn(&mut Changes, Vec<Utf8PathBuf>)) -> Work {
    let mut work = work();
    change(&mut work.changes, vec!["a".into()]);
    work
}

#[test]
fn work_is_named_by_its_kind_with_what_can_be_done() {
    let commit = "commit and push it, or keep it aside with --discard";
    let push = "push what is in the submodules and move the repositories away";
    // What is said where it would be kept aside is `None` if it can be.
    for (work, said, advice, is_kept_aside) in [
        (with(|it, a| it.changed = a), "1 file with changes that are not committed (a)", commit, true),
        (with(|it, a| it.untracked = a), "1 file that git does not know (a)", commit, true),
        (
            with(|it, a| it.submodules = a),
            "1 submodule with changes or commits of their own (a)",
            push,
            false,
        ),
        (with(|it, a| it.repositories = a), "1 repository that git does not know (a)", push, false),
        (
            with(|it, a| it.ignored = a),
            "1 ignored repository with changes, or with commits on no remote (a)",
            push,
            false,
        ),
        (
            with(|it, a| it.unreadable = a),
            "1 directory that git cannot list (a)",
            "make it readable, or move it away",
            false,
        ),
        (
            with(|it, a| it.unseen = a),
            "1 file that git was told not to look at (a)",
            "`git update-index --no-assume-unchanged --no-skip-worktree FILE` has git look at a file again",
            false,
        ),
        (Work { commits: 1, ..work() }, "1 commit on no remote and not merged", commit, true),
        (Work { left_behind: 2, ..work() }, "2 commits that no branch has any more", commit, true),
        (Work { in_progress: Some("a merge"), ..work() }, "a merge in progress", commit, true),
    ] {
        let fault = has_work(Utf8Path::new("/w"), &work, false);
        assert_eq!(fault.to_string(), format!("`/w` has work that may be nowhere else: {said}"));
        let told = fault.advice.as_deref().unwrap_or_default();
        assert!(told.starts_with(advice), "{said}: {told}");
        let discarded = has_work(Utf8Path::new("/w"), &work, true).to_string();
        let rest = discarded.strip_prefix("`/w` has work that --discard cannot keep: ").unwrap();
        assert_eq!(rest, if is_kept_aside { "" } else { said });
    }
    let mut much = work();
    much.changes.changed = ["a", "b", "c"].map(Utf8PathBuf::from).into();
    much.changes.unreadable = ["a", "b", "c", "d"].map(Utf8PathBuf::from).into();
    much.commits = 2;
    let said = has_work(Utf8Path::new("/w"), &much, false).to_string();
    let all = "3 files with changes that are not committed (a, b, c); 4 directories that git cannot list \
               (a, b, c, …); 2 commits on no remote and not merged";
    assert_eq!(said, format!("`/w` has work that may be nowhere else: {all}"));
}

#[test]
fn what_was_done_with_a_worktree_is_told() {
    let branch = Branch::new("login").unwrap();
    let path = Utf8Path::new("/src/my login");
    let slot = SlotId::new(3).unwrap();
    let started = Started { branch: &branch, path, is_new: true, slot };
    for (said, expected) in [
        (made(path, &branch), "Made the worktree /src/my login of branch login\n"),
        (next(path), "Next: `cd '/src/my login'`\n"),
        (removed(path), "Removed the worktree /src/my login\n"),
        (leave(path), "Next: `cd '/src/my login'`, because this directory is gone\n"),
        (
            not_undone(path, &Error::msg("no space").context("slot 3")),
            "warning: not all that was made for /src/my login is undone: slot 3: no space\n",
        ),
        (
            stays(&started),
            "note: the worktree /src/my login stays, and so does its claim of slot 3\nhelp: `cd '/src/my login'` \
             and mend it, then `kinfra up`; or `kinfra done login` removes both\n",
        ),
        (super::branch(&BranchEnd::None), ""),
        (super::branch(&BranchEnd::Removed(branch.clone())), "Removed branch login, which is merged\n"),
        (super::branch(&BranchEnd::NotMerged(branch.clone())), "Branch login stays: it is not merged\n"),
        (super::branch(&BranchEnd::InUse(branch.clone())), "Branch login stays\n"),
    ] {
        assert_eq!(said, expected);
    }
    let json: Value = serde_json::from_str(&json(&started, None)).unwrap();
    let (path, is_new) = ("/src/my login", true);
    let expected = json!({
        "format_version": FORMAT_VERSION, "slot_id": 3, "branch": "login", "path": path, "is_new": is_new,
    });
    assert_eq!(json, expected);
}

#[test]
fn where_nothing_is_left_the_next_command_depends_on_git() {
    let (branch, path) = (Branch::new("login").unwrap(), Utf8Path::new("/w"));
    for (branch, is_listed, said, advice) in [
        (None, true, "the worktree `/w` is gone, and holds no slot", "`git worktree prune` forgets it"),
        (None, false, "`/w` is no worktree, and holds no slot", "`kinfra worktrees` lists them"),
        (
            Some(&branch),
            false,
            "no worktree has branch `login`, and `/w` holds no slot",
            "`kinfra worktrees` lists them",
        ),
    ] {
        let fault = nothing_left(path, branch, is_listed);
        assert_eq!((fault.to_string().as_str(), fault.advice.as_deref()), (said, Some(advice)));
    }
    let files = ["/w/a", "/else/b"].map(Utf8PathBuf::from);
    let fault = files_left(path, &files);
    assert!(fault.to_string().ends_with("files of `/w` cannot be removed: a, /else/b"), "{fault}");
    assert_eq!(fault.advice.as_deref(), Some("`sudo rm -rf /w` removes them"));
}

#[test]
fn runs_that_hold_slots_are_named() {
    let slot = SlotId::new(3).unwrap();
    let claim = |owner: Option<&str>| Claim {
        claim_owner: owner.map(|owner| crate::identifier::Owner::new(owner).unwrap()),
        ..Claim::of("/w".to_owned().into(), None)
    };
    assert!(has_runs(Utf8Path::new("/w"), &[]).is_none());
    for (owner, said, advice) in [
        (
            None,
            "slot 3 is held by a run in `/w`, which may go on",
            "`kinfra release --for /w --wipe` ends its claim",
        ),
        (
            Some("ci"),
            "slot 3 is held by owner ci in `/w`: a run may go on there",
            "`kinfra release --for /w --owner ci --wipe` ends its claim",
        ),
    ] {
        let fault = has_runs(Utf8Path::new("/w"), &[(slot, claim(owner))]).unwrap();
        assert_eq!((fault.to_string().as_str(), fault.advice.as_deref()), (said, Some(advice)));
    }
}
