//! Members become files below a [`Root`], in overlay form.
//!
//! What may be made where has been decided before (`collect`): here every parent is a directory that
//! this unpacking made, and `Root` follows no link in any case. Directories are made with mode 0700
//! and get their own mode, owner and times at the end, so that a read-only directory can be filled
//! and keeps its time.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use gantry_tree::{Dialect, Entry, FileKind, Manifest, Node, Root, TreeError, TreePath};
use rustix::fs::{Gid, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use super::LayerError;
use super::collect::{Meta, Preparation};
use super::options::{Devices, Ids, Note, Notes, UnpackOptions};

pub(super) struct Placer<'a> {
    root: &'a Root,
    options: &'a UnpackOptions,
    /// The directory that the last member lay in, open.
    dir: Option<(TreePath, Root)>,
}

/// A file that is being written. Holes stay holes.
pub(super) struct Placed {
    file: File,
    path: TreePath,
    ends_in_hole: bool,
}

impl<'a> Placer<'a> {
    pub(super) fn new(root: &'a Root, options: &'a UnpackOptions) -> Self {
        Self { root, options, dir: None }
    }

    /// Removes and makes what has to be gone and be there before a member comes to `path`.
    pub(super) fn prepare(
        &mut self,
        path: &TreePath,
        preparation: &Preparation,
    ) -> Result<(), LayerError> {
        if preparation.remove {
            self.dir = None;
            self.root.remove_all(path).map_err(at(path))?;
        }
        preparation.implied.iter().try_for_each(|dir| self.dir(dir))
    }

    /// Makes a directory, if it isn't there.
    pub(super) fn dir(&mut self, path: &TreePath) -> Result<(), LayerError> {
        if path.is_root() {
            return Ok(());
        }
        match self.within(path, |dir, name| dir.mkdir(name, 0o700)) {
            Err(LayerError::Place { source, .. })
                if source.kind() == Some(io::ErrorKind::AlreadyExists) =>
            {
                // Most likely it is the same directory. If not, it is a whiteout.
                if self.within(path, |dir, name| dir.remove_file(name)).is_ok() {
                    return self.within(path, |dir, name| dir.mkdir(name, 0o700));
                }
                Ok(())
            }
            made => made,
        }
    }

    /// Makes a whiteout, unless the tree is a plain one.
    pub(super) fn whiteout(&mut self, path: &TreePath) -> Result<(), LayerError> {
        match self.options.dialect {
            Dialect::Plain => Ok(()),
            _ => self.within(path, Root::whiteout),
        }
    }

    /// Starts a file.
    pub(super) fn file(&mut self, path: &TreePath) -> Result<Placed, LayerError> {
        let file = self.within(path, |dir, name| dir.create_file(name, 0o600))?;
        Ok(Placed { file, path: path.clone(), ends_in_hole: false })
    }

    /// Sets what a complete file has beside its bytes.
    pub(super) fn finish_file(
        &mut self,
        placed: Placed,
        size: u64,
        meta: &Meta,
        notes: &mut Notes,
    ) -> Result<(), LayerError> {
        let Placed { file, path, ends_in_hole } = placed;
        let failed = |action| {
            let path = path.clone();
            move |source: io::Error| io_error(&path, action, source)
        };
        if ends_in_hole {
            file.set_len(size).map_err(failed("resize"))?;
        }
        if self.options.ids == Ids::Full {
            let ids = (Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)));
            rustix::fs::fchown(&file, ids.0, ids.1)
                .map_err(|err| failed("change the owner of")(err.into()))?;
        }
        for (name, value) in &meta.xattrs {
            let set = rustix::fs::fsetxattr(&file, &name[..], value, XattrFlags::empty());
            self.tolerate(&path, name, set.map_err(io::Error::from), notes)?;
        }
        let mode = rustix::fs::Mode::from_raw_mode(meta.mode);
        rustix::fs::fchmod(&file, mode).map_err(|err| failed("change the mode of")(err.into()))?;
        rustix::fs::futimens(&file, &times(meta))
            .map_err(|err| failed("change the time of")(err.into()))
    }

    /// Makes a link, device or fifo with all it has. Returns false for what was skipped.
    pub(super) fn special(
        &mut self,
        path: &TreePath,
        node: &Node,
        meta: &Meta,
        notes: &mut Notes,
    ) -> Result<bool, LayerError> {
        match node {
            Node::Symlink { target } => self.within(path, |dir, name| dir.symlink(target, name))?,
            Node::Fifo => {
                self.within(path, |dir, name| dir.mknod(name, FileKind::Fifo, (0, 0), 0o600))?
            }
            _ if self.skips(node) => {
                notes.add(Note::Device(path.clone()));
                return Ok(false);
            }
            Node::CharDevice { major, minor } => {
                self.within(path, |dir, name| {
                    dir.mknod(name, FileKind::CharDevice, (*major, *minor), 0o600)
                })?;
            }
            Node::BlockDevice { major, minor } => {
                self.within(path, |dir, name| {
                    dir.mknod(name, FileKind::BlockDevice, (*major, *minor), 0o600)
                })?;
            }
            Node::Dir { .. } | Node::File { .. } | Node::HardLink { .. } | Node::Whiteout => {
                return Ok(false);
            }
        }
        self.describe(path, meta, !matches!(node, Node::Symlink { .. }), notes)?;
        Ok(true)
    }

    /// Is it a device that this process leaves out?
    pub(super) fn skips(&self, node: &Node) -> bool {
        self.options.devices == Devices::Skip
            && matches!(node, Node::CharDevice { .. } | Node::BlockDevice { .. })
    }

    /// Gives a file a further name.
    pub(super) fn hard_link(
        &mut self,
        existing: &TreePath,
        path: &TreePath,
    ) -> Result<(), LayerError> {
        self.root.hard_link(existing, path).map_err(at(path))
    }

    /// Sets what directories have, the deepest first, so that none that can't be searched is in the
    /// way of another.
    pub(super) fn finish(
        mut self,
        manifest: &Manifest,
        notes: &mut Notes,
    ) -> Result<(), LayerError> {
        let dirs = manifest.entries().iter().rev().filter(|entry| entry.is_dir());
        for Entry { path, node, mode, uid, gid, mtime, xattrs } in dirs.cloned() {
            let attribute: &[u8] = match self.options.dialect {
                Dialect::Plain => b"",
                Dialect::OverlayTrusted => b"trusted.overlay.opaque",
                Dialect::OverlayUser => b"user.overlay.opaque",
            };
            if node == (Node::Dir { opaque: true }) && !attribute.is_empty() {
                // Without it lower files would show: never tolerated.
                self.within(&path, |dir, name| dir.set_xattr(name, attribute, b"y"))?;
            }
            self.describe(&path, &Meta { mode, uid, gid, mtime, xattrs }, true, notes)?;
        }
        Ok(())
    }

    fn describe(
        &mut self,
        path: &TreePath,
        meta: &Meta,
        has_mode: bool,
        notes: &mut Notes,
    ) -> Result<(), LayerError> {
        if self.options.ids == Ids::Full {
            self.within(path, |dir, name| dir.set_owner(name, meta.uid, meta.gid))?;
        }
        for (name, value) in &meta.xattrs {
            match self.within(path, |dir, file| dir.set_xattr(file, name, value)) {
                Err(LayerError::Place { source: TreeError::Io { source, .. }, .. }) => {
                    self.tolerate(path, name, Err(source), notes)?;
                }
                set => set?,
            }
        }
        if has_mode {
            self.within(path, |dir, name| dir.set_mode(name, meta.mode))?;
        }
        self.within(path, |dir, name| dir.set_mtime(name, meta.mtime))
    }

    /// An attribute that this file system or this process can't have is noted, as docker does.
    fn tolerate(
        &self,
        path: &TreePath,
        name: &[u8],
        set: io::Result<()>,
        notes: &mut Notes,
    ) -> Result<(), LayerError> {
        let Err(err) = set else { return Ok(()) };
        let errno = Errno::from_io_error(&err);
        let rootless =
            self.options.ids == Ids::Single || self.options.dialect == Dialect::OverlayUser;
        if errno == Some(Errno::OPNOTSUPP) || (rootless && errno == Some(Errno::PERM)) {
            notes.add(Note::Xattr { path: path.clone(), name: name.to_vec() });
            return Ok(());
        }
        Err(io_error(path, "set an attribute of", err))
    }

    /// Does something in the directory of `path`, which is kept open for the next member.
    fn within<T>(
        &mut self,
        path: &TreePath,
        act: impl FnOnce(&Root, &TreePath) -> Result<T, TreeError>,
    ) -> Result<T, LayerError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return act(self.root, path).map_err(at(path));
        };
        if parent.is_root() {
            return act(self.root, path).map_err(at(path));
        }
        let dir = match self.dir.take() {
            Some((open, dir)) if open == parent => dir,
            _ => self.root.open_in(&parent).map_err(at(path))?,
        };
        let name = TreePath::new(name).unwrap_or_default();
        let done = act(&dir, &name).map_err(at(path));
        self.dir = Some((parent, dir));
        done
    }
}

impl Placed {
    /// Appends bytes.
    pub(super) fn write(&mut self, data: &[u8]) -> Result<(), LayerError> {
        self.ends_in_hole = false;
        self.file.write_all(data).map_err(|err| io_error(&self.path, "write", err))
    }

    /// Leaves out zeros.
    pub(super) fn hole(&mut self, size: u64) -> Result<(), LayerError> {
        self.ends_in_hole = true;
        let offset = i64::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge));
        let moved = offset.and_then(|offset| self.file.seek(SeekFrom::Current(offset)));
        moved.map(drop).map_err(|err| io_error(&self.path, "seek in", err))
    }
}

fn times(meta: &Meta) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: meta.mtime.secs, tv_nsec: meta.mtime.nanos.into() },
    }
}

fn at(path: &TreePath) -> impl FnOnce(TreeError) -> LayerError + '_ {
    |source| LayerError::Place { path: path.clone(), source }
}

fn io_error(path: &TreePath, action: &'static str, source: io::Error) -> LayerError {
    let source = TreeError::Io { action, path: path.to_string(), source };
    LayerError::Place { path: path.clone(), source }
}
