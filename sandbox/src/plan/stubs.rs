//! Mount points that were missing: made for a step, and taken away after it.
//!
//! So that a step leaves a layer of what it did and of nothing else, also what making them changed
//! is undone: the times of directories, and directories that overlay copied up for this alone.

use std::path::PathBuf;

use gantry_tree::{FileKind, Follow, Root, Stat, Time, TreeError, TreePath, Xattrs};

use super::place::Kind;

/// What was made in a root filesystem; taken away when dropped.
pub(super) struct Stubs {
    root: Root,
    /// Where the overlay keeps changes, if it is one.
    upper: Option<PathBuf>,
    made: Vec<(TreePath, Kind)>,
    touched: Vec<Touched>,
}

/// A directory of the root filesystem in which something was made.
struct Touched {
    path: TreePath,
    before: Stat,
    /// Whether the upper directory had it before.
    in_upper: bool,
    after: Option<Time>,
}

impl Stubs {
    pub(super) fn new(root: Root, upper: Option<PathBuf>) -> Self {
        Self { root, upper, made: Vec::new(), touched: Vec::new() }
    }

    /// Lets everything stay that was made after the first `count` things.
    pub(super) fn keep_from(&mut self, count: usize) {
        self.made.truncate(count);
    }

    /// How many things were made so far.
    pub(super) fn count(&self) -> usize {
        self.made.len()
    }

    /// Makes what is missing of a resolved path in the root filesystem, and remembers it.
    pub(super) fn make(&mut self, path: &TreePath, kind: Kind) -> Result<(), TreeError> {
        if self.root.stat(path, Follow::Parents).is_ok() {
            return Ok(());
        }
        let mut missing = vec![path.clone()];
        for parent in path.ancestors() {
            match self.root.stat(&parent, Follow::Parents) {
                Ok(before) => {
                    self.touch(parent, before)?;
                    break;
                }
                Err(error) if error.is_not_found() => missing.push(parent),
                Err(error) => return Err(error),
            }
        }
        while let Some(next) = missing.pop() {
            let kind = if missing.is_empty() { kind } else { Kind::Directory };
            make_one(&self.root, &next, kind)?;
            self.made.push((next, kind));
        }
        for touched in &mut self.touched {
            touched.after = self.root.stat(&touched.path, Follow::Parents).ok().map(|s| s.mtime);
        }
        Ok(())
    }

    /// Remembers a directory before it is changed, and those above: they are copied up with it.
    fn touch(&mut self, path: TreePath, before: Stat) -> Result<(), TreeError> {
        let mut next = Some((path, before));
        while let Some((path, before)) = next {
            let parent = path.parent().filter(|parent| !parent.is_root());
            if self.touched.iter().all(|touched| touched.path != path) {
                let in_upper = self.upper.as_ref().is_none_or(|upper| {
                    fs_err::symlink_metadata(upper.join(path.as_path())).is_ok()
                });
                self.touched.push(Touched { path, before, in_upper, after: None });
            }
            next = match parent {
                None => None,
                Some(parent) => {
                    let stat = self.root.stat(&parent, Follow::Parents)?;
                    Some((parent, stat))
                }
            };
        }
        Ok(())
    }

    /// Removes what was made and is still empty, and puts back the times of what it was made in.
    ///
    /// For when the child has ended; failures are left alone, as the worst that comes of one is
    /// an empty directory in the layer.
    pub(super) fn clean(&mut self) {
        if self.made.is_empty() && self.touched.is_empty() {
            return;
        }
        let Self { root, upper, made, touched, .. } = self;
        let (made, mut touched) = (std::mem::take(made), std::mem::take(touched));
        // Where the time is not the one that our own change left, the step has changed the
        // directory too, and its time is to stay.
        for touched in &mut touched {
            let now = root.stat(&touched.path, Follow::Parents).ok().map(|stat| stat.mtime);
            let ours = now == touched.after;
            touched.after = if ours { Some(touched.before.mtime) } else { now };
        }
        for (path, kind) in made.iter().rev() {
            let _ = match (kind, root.stat(path, Follow::Parents)) {
                (Kind::Directory, Ok(stat)) if stat.kind == FileKind::Dir => root.remove_dir(path),
                (Kind::File, Ok(stat)) if stat.kind == FileKind::File && stat.size == 0 => {
                    root.remove_file(path)
                }
                _ => Ok(()),
            };
        }
        for Touched { path, after, .. } in &touched {
            let now = root.stat(path, Follow::Parents).ok().map(|stat| stat.mtime);
            if let (Some(time), true) = (*after, now != *after) {
                let _ = root.set_mtime(path, time);
            }
        }
        let Some(upper) = upper else { return };
        // Directories that were copied up for this alone say nothing new, so the layer is better
        // without them. The deepest first.
        touched.sort_by_key(|touched| std::cmp::Reverse(touched.path.as_bytes().len()));
        let copied: Vec<_> = touched
            .into_iter()
            .filter(|touched| !touched.in_upper && !touched.path.is_root())
            .map(|touched| (root.xattrs(&touched.path).ok(), touched))
            .collect();
        // The overlay is used by nobody any more, so its upper directory may be changed.
        if let Ok(upper) = Root::open(&*upper) {
            for (xattrs, touched) in copied {
                withdraw(&upper, &touched, xattrs.as_ref());
            }
        }
    }
}

impl Drop for Stubs {
    /// Cleans up, also when the child has never been made.
    fn drop(&mut self) {
        self.clean();
    }
}

/// Removes a directory from the upper directory that is empty and like the one it was copied from.
fn withdraw(upper: &Root, touched: &Touched, merged: Option<&Xattrs>) {
    let (path, before) = (&touched.path, &touched.before);
    let (Ok(now), Ok(own), Some(merged)) =
        (upper.stat(path, Follow::Parents), upper.xattrs(path), merged)
    else {
        return;
    };
    let same = (now.mode, now.uid, now.gid, now.mtime, now.kind)
        == (before.mode, before.uid, before.gid, before.mtime, before.kind);
    let opaque = own.iter().any(|(name, _)| name.ends_with(b".overlay.opaque"));
    let marks = |(name, _): &&(Vec<u8>, Vec<u8>)| !is_overlays(name);
    if same && !opaque && own.iter().filter(marks).eq(merged.iter().filter(marks)) {
        let parent = path.parent().unwrap_or_default();
        let time = upper.stat(&parent, Follow::Parents).map(|stat| stat.mtime);
        // Refused if it is not empty, and right so.
        if let (Ok(()), Ok(time)) = (upper.remove_dir(path), time) {
            let _ = upper.set_mtime(&parent, time);
        }
    }
}

fn is_overlays(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}

pub(super) fn make_one(root: &Root, path: &TreePath, kind: Kind) -> Result<(), TreeError> {
    match kind {
        Kind::Directory => root.mkdir(path, 0o755),
        Kind::File => root.create_file(path, 0o644).map(drop),
    }
}
