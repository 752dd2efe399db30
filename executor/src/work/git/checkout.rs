//! A commit made into a layer: fetched without its history, files 0644 or 0755, all of it root's.

use gantry_cache::{LayerId, WorkDir};
use gantry_solver::op::GitOp;
use gantry_tree::{
    Contents, Entry, FileKind, Follow, Manifest, Node, Root, ScanOptions, Time, TreePath, scan,
};

use super::super::Executor;
use super::super::fault::Fault;
use super::program::Git;
use super::reference::Commit;
use super::remote::Remote;

/// Fetches a commit, checks it out, and makes a layer of it; also returns the time of the commit,
/// in seconds since 1970.
pub(super) fn check_out(
    executor: &Executor,
    git: &Git,
    remote: &Remote,
    op: &GitOp,
    commit: &Commit,
    work: &WorkDir,
) -> Result<(LayerId, i64), Fault> {
    let root = Root::open(work.upper())?;
    let what = format!("fetch {}", remote.address);
    fetch(git, &what, remote, commit)?;
    let found =
        git.run(&what, &["rev-parse", "--verify", "--quiet", &format!("{}^{{commit}}", commit.id)]);
    match found {
        Ok(found) if found.trim() == commit.id => {}
        Err(Fault::Canceled) => return Err(Fault::Canceled),
        _ => {
            let message = format!("{} is no commit of {}", commit.id, remote.address);
            let hint = "Name a branch or tag that leads to it, or another commit";
            return Err(Fault::refused_with(message, hint));
        }
    }
    git.run(&what, &["checkout", "--quiet", "--force", "--detach", &commit.id, "--"])?;
    let modules = root.stat(&path(".gitmodules")?, Follow::Parents);
    if op.submodules && modules.is_ok_and(|stat| stat.kind == FileKind::File) {
        let what = format!("fetch the submodules of {}", remote.address);
        let update = ["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"];
        git.run(&what, &update)?;
    }
    let secs = commit_time(git, commit)?;
    let time = (op.commit_time == Some(true)).then_some(Time { secs, nanos: 0 });
    let subdir = subdir(&root, op)?;
    // `.git` is of the whole repository, so it goes with all of it only.
    let keep = op.keep_git_dir && subdir.is_root();
    if keep {
        name_it(git, remote, commit)?;
    } else {
        root.remove_all(&path(".git")?)?;
    }
    let tree = root.open_in(&subdir)?;
    if !keep {
        remove_links_to_git(&tree)?;
    }
    let manifest = normalize(&tree, time)?;
    let place = work.upper().join(subdir.as_path());
    Ok((executor.store.layers().commit_tree(&place, &manifest)?, secs))
}

/// Fetches exactly that commit; from a server that does not give out commits, its reference; from
/// one that can't do that either, everything.
fn fetch(git: &Git, what: &str, remote: &Remote, commit: &Commit) -> Result<(), Fault> {
    let format = if commit.id.len() == 64 { "sha256" } else { "sha1" };
    let format = format!("--object-format={format}");
    git.run(what, &["init", "--quiet", "--template=", &format])?;
    let exact = ["--depth=1", "--", &remote.address, &commit.id];
    let named = commit.name.as_deref().map(|name| ["--depth=1", "--", &remote.address, name]);
    let mut ways: Vec<Vec<&str>> = vec![exact.to_vec()];
    ways.extend(named.map(|way| way.to_vec()));
    ways.push(vec![
        "--",
        &remote.address,
        "+refs/heads/*:refs/gantry/heads/*",
        "+refs/tags/*:refs/gantry/tags/*",
    ]);
    let mut first = None;
    for way in ways {
        let args = ["fetch", "--quiet", "--force", "--no-tags", "--no-recurse-submodules"];
        match git.run(what, &[&args[..], &way].concat()) {
            Ok(_) => return Ok(()),
            Err(fault @ Fault::Program { .. }) => {
                first.get_or_insert(fault);
            }
            Err(error) => return Err(error),
        }
    }
    Err(first.unwrap_or(Fault::Canceled))
}

/// Makes a `.git` that stays one that people know: it has an origin, and the reference's name.
fn name_it(git: &Git, remote: &Remote, commit: &Commit) -> Result<(), Fault> {
    let what = "write `.git`";
    git.run(what, &["config", "remote.origin.url", &remote.address])?;
    git.run(what, &["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"])?;
    if let Some(name) = commit.name.as_deref().filter(|name| name.starts_with("refs/")) {
        git.run(what, &["update-ref", name, &commit.id])?;
        if name.starts_with("refs/heads/") {
            git.run(what, &["symbolic-ref", "HEAD", name])?;
        }
    }
    let dir = Root::open(git.dir())?;
    for left in [".git/FETCH_HEAD", ".git/logs", ".git/refs/gantry"] {
        dir.remove_all(&path(left)?)?;
    }
    Ok(())
}

fn commit_time(git: &Git, commit: &Commit) -> Result<i64, Fault> {
    let what = "read the time of the commit";
    let told = git.run(what, &["show", "--no-patch", "--format=%ct", &commit.id, "--"])?;
    told.trim().parse().map_err(|_| Fault::bug(format!("Failed to {what}")))
}

/// The directory that is meant; links in a repository lead no further than its root.
fn subdir(root: &Root, op: &GitOp) -> Result<TreePath, Fault> {
    let Some(text) = &op.subdir else { return Ok(TreePath::root()) };
    let missing = || {
        Fault::refused_with(
            format!("the repository has no directory {text:?}"),
            "The path begins at the root of the repository",
        )
    };
    let written = TreePath::clamp(text).map_err(|_| missing())?;
    let real = root.resolve(&written, Follow::Last).map_err(|_| missing())?;
    let in_git = real.components().next().is_some_and(|first| first.eq_ignore_ascii_case(b".git"));
    match root.stat(&real, Follow::Parents) {
        Ok(stat) if stat.kind == FileKind::Dir && !in_git => Ok(real),
        _ => Err(missing()),
    }
}

/// Submodules have a file `.git` that says where theirs is, which is gone. No commit can hold a
/// file of that name.
fn remove_links_to_git(tree: &Root) -> Result<(), Fault> {
    let options = ScanOptions { contents: Contents::Skip, ..ScanOptions::default() };
    for entry in scan(tree, &options)?.manifest.entries() {
        if entry.path.file_name() == Some(b".git") {
            tree.remove_all(&entry.path)?;
        }
    }
    Ok(())
}

fn normalize(tree: &Root, time: Option<Time>) -> Result<Manifest, Fault> {
    let mut entries = scan(tree, &ScanOptions::default())?.manifest.into_entries();
    for entry in &mut entries {
        (entry.uid, entry.gid) = (0, 0);
        let mode = mode(entry);
        if entry.mode != mode {
            entry.mode = mode;
            tree.set_mode(&entry.path, mode)?;
        }
    }
    if let Some(time) = time {
        for entry in entries.iter_mut().filter(|entry| !matches!(entry.node, Node::HardLink { .. }))
        {
            entry.mtime = time;
            tree.set_mtime(&entry.path, time)?;
        }
    }
    Ok(Manifest::new(entries)?)
}

/// What the umask of this process would have left with 022.
fn mode(entry: &Entry) -> u32 {
    match &entry.node {
        Node::Dir { .. } => 0o755,
        Node::File { .. } if entry.mode & 0o111 != 0 => 0o755,
        Node::File { .. } => 0o644,
        _ => entry.mode,
    }
}

fn path(text: &str) -> Result<TreePath, Fault> {
    TreePath::new(text).map_err(|_| Fault::bug(format!("`{text}` is no path")))
}
