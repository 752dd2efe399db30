//! What a container wrote: as a list, as a size, as a layer.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;
use std::sync::Arc;

use fs_err as fs;
use gantry_cache::{LayerId, StoreError};
use gantry_image::digest::HashWriter;
use gantry_image::layer::{LayerError, expand_opaque, write_tar};
use gantry_image::{DiffId, Digest};
use gantry_sandbox::{Host, Overlay};
use gantry_tree::{
    Contents, Dialect, Difference, Entry, Follow, Manifest, Node, Root, ScanOptions, TreeError,
    TreePath, View, scan,
};

use crate::rootfs::{BASE, unpack_options};
use crate::{Containers, Record, RunError, Status};

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is other than the image's; of a directory: something in it is.
    Changed,
    /// The image has no such path.
    Added,
    /// It is gone.
    Deleted,
}

impl fmt::Display for Change {
    /// Writes docker's letter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "C",
            Self::Added => "A",
            Self::Deleted => "D",
        })
    }
}

/// The writable layer of a container, as it was at one moment.
#[derive(Debug)]
pub struct Changes {
    id: String,
    root: Root,
    manifest: Manifest,
    lower: Vec<Arc<Manifest>>,
}

/// Where a container's first moments leave places to mount on, which go with it.
const MOUNTED: [&str; 6] = ["dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf"];

impl Containers<'_> {
    /// Looks at what a container wrote, whether it runs or not. What lies in its mounts is no part
    /// of that. In a rootless store this needs the user namespace.
    ///
    /// # Errors
    /// The container or a layer of its image can't be found or read.
    pub fn changes(&self, text: &str, host: &Host) -> Result<Changes, RunError> {
        let (record, status) = self.find(text)?;
        self.look(&record, status, host, Contents::Hash)
    }

    /// The bytes of the files that a container wrote. Of them none is read where overlay can be
    /// mounted.
    ///
    /// # Errors
    /// As [`changes`](Self::changes).
    pub fn written(&self, record: &Record, status: Status, host: &Host) -> Result<u64, RunError> {
        let changes = self.look(record, status, host, Contents::Skip)?;
        Ok(changes.manifest.total_size())
    }

    fn look(
        &self,
        record: &Record,
        status: Status,
        host: &Host,
        contents: Contents,
    ) -> Result<Changes, RunError> {
        let dir = self.root().join(&record.id);
        let root = Root::open(dir.join("upper"))?;
        let base = match fs::read(dir.join(BASE)) {
            Ok(bytes) => Some(Manifest::decode(&bytes).map_err(|cause| {
                RunError::io(
                    format!("read the files of container `{}`", record.id),
                    std::io::Error::other(cause),
                )
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(RunError::io("read a container's files", error)),
        };
        let image = self.store.images().resolve(&record.image_id)?;
        let manifest_of = |id: &LayerId| self.store.layers().ensure_manifest(id);
        let lower = image.layers.iter().map(manifest_of).collect::<Result<Vec<_>, StoreError>>()?;
        let layers: Vec<&Manifest> = lower.iter().map(|manifest| &**manifest).collect();
        let view = View::new(&layers);
        let dialect = match (&base, host.overlay(self.store.root())) {
            (Some(_), _) => Dialect::Plain,
            (None, Overlay::Available { .. }) => unpack_options(host).dialect,
            (None, Overlay::Unavailable { .. }) => Dialect::OverlayUser,
        };
        // Unread contents are equal to nothing.
        let contents = if base.is_some() { Contents::Hash } else { contents };
        let options = ScanOptions { dialect, contents, include_root: true, ..Default::default() };
        let found = steady_scan(&root, &options)?;
        let manifest = match &base {
            Some(base) => difference(base, found)?,
            None => expand_opaque(&found, &view).map_err(|cause| layer(&record.id, cause))?,
        };
        let mut entries = manifest.into_entries();
        let same_root = |entry: &Entry| {
            let below = view.lookup(&TreePath::root(), Follow::Parents);
            // An image whose layers don't list their root has one of root's with mode 0755.
            let below = below.map_or((0o755, 0, 0), |(_, e)| (e.mode, e.uid, e.gid));
            below == (entry.mode, entry.uid, entry.gid)
        };
        entries.retain(|entry| !(entry.path.is_root() && same_root(entry)));
        if status == Status::Running {
            leave_out_mounts(&mut entries, record, &view);
        }
        let manifest =
            Manifest::new(entries).map_err(|cause| layer(&record.id, LayerError::from(cause)))?;
        let manifest = manifest.in_whole_seconds();
        Ok(Changes { id: record.id.clone(), root, manifest, lower })
    }
}

impl Changes {
    /// Lists what became of which path, sorted by path. Paths begin with a slash.
    pub fn list(&self) -> Vec<(Change, TreePath)> {
        let layers: Vec<&Manifest> = self.lower.iter().map(|manifest| &**manifest).collect();
        let view = View::new(&layers);
        let entries = self.manifest.entries().iter().filter(|entry| !entry.path.is_root());
        entries
            .filter_map(|entry| {
                let known = view.lookup(&entry.path, Follow::Parents).is_some();
                let change = match (&entry.node, known) {
                    (Node::Whiteout, true) => Change::Deleted,
                    // It was made and removed again.
                    (Node::Whiteout, false) => return None,
                    (_, true) => Change::Changed,
                    (_, false) => Change::Added,
                };
                Some((change, entry.path.clone()))
            })
            .collect()
    }

    /// Says whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.manifest.entries().is_empty()
    }

    /// The sum of the sizes of its files.
    pub fn size(&self) -> u64 {
        self.manifest.total_size()
    }

    /// Makes a layer of it. The container keeps what it has.
    ///
    /// # Errors
    /// A file changed meanwhile, or can't be read; the store can't be written.
    pub fn commit(&self, containers: &Containers<'_>) -> Result<(LayerId, DiffId), RunError> {
        let work = containers.store.work_dir()?;
        let path = work.scratch().join("layer.tar");
        let file = fs::File::create(&path).map_err(|error| RunError::io("make a tar", error))?;
        let mut out = HashWriter::new(file);
        let mut open = |entry: &Entry| -> std::io::Result<Box<dyn Read>> {
            let file = self.root.open_file(&entry.path, Follow::Parents);
            Ok(Box::new(file.map_err(std::io::Error::other)?))
        };
        write_tar(&self.manifest, &mut open, None, &mut out)
            .map_err(|cause| layer(&self.id, cause))?;
        let (_, digest, _): (_, Digest, _) = out.finish();
        let diff_id = DiffId(digest);
        let layers = containers.store.layers();
        Ok((layers.commit_tar(&path, None, &self.manifest, diff_id, false)?, diff_id))
    }
}

fn layer(id: &str, cause: LayerError) -> RunError {
    RunError::Layer { id: id.to_owned(), cause }
}

/// Scans a tree in which somebody may be writing.
fn steady_scan(root: &Root, options: &ScanOptions<'_>) -> Result<Manifest, RunError> {
    let mut last = scan(root, options);
    for _ in 0..4 {
        match last {
            Err(TreeError::Changed { .. }) => last = scan(root, options),
            other => return Ok(other?.manifest),
        }
    }
    Ok(last?.manifest)
}

/// What differs in a container whose files were all copied.
fn difference(before: &Manifest, after: Manifest) -> Result<Manifest, RunError> {
    let mut difference = Difference::between(before, &after);
    // A further name of a file stands for nothing without the first.
    let links: Vec<TreePath> = difference
        .present
        .iter()
        .filter_map(|path| match &after.get(path)?.node {
            Node::HardLink { target } => Some(target.clone()),
            _ => None,
        })
        .collect();
    for first in links {
        difference.present.extend(first.ancestors().filter(|path| !path.is_root()));
        difference.present.insert(first);
    }
    let mut entries = after.into_entries();
    entries.retain(|entry| entry.path.is_root() || difference.present.contains(&entry.path));
    let whiteout = |path| Entry { node: Node::Whiteout, mode: 0, ..Entry::plain_dir(path) };
    entries.extend(difference.gone.into_iter().map(whiteout));
    Manifest::new(entries)
        .map_err(|cause| RunError::io("compare files", std::io::Error::other(cause)))
}

/// Takes out what is there to be mounted on and nothing else.
fn leave_out_mounts(entries: &mut Vec<Entry>, record: &Record, view: &View<'_>) {
    let targets: BTreeSet<TreePath> = MOUNTED
        .into_iter()
        .chain(record.mounts.iter().map(String::as_str))
        .filter_map(|path| TreePath::normalize(path.trim_start_matches('/')).ok())
        .collect();
    let old = |path: &TreePath| view.lookup(path, Follow::Parents).is_some();
    entries.retain(|entry| !targets.contains(&entry.path) || old(&entry.path));
    let above: BTreeSet<TreePath> = targets.iter().flat_map(TreePath::ancestors).collect();
    // From below: a directory is empty once what was in it is out.
    let mut used: BTreeSet<TreePath> = BTreeSet::new();
    let mut kept = Vec::new();
    for entry in std::mem::take(entries).into_iter().rev() {
        let made_for_it = above.contains(&entry.path) && !entry.path.is_root();
        if made_for_it && entry.is_dir() && !used.contains(&entry.path) {
            continue;
        }
        used.extend(entry.path.parent());
        kept.push(entry);
    }
    kept.reverse();
    *entries = kept;
}
