//! What is said about files: statements in files of their own beside them, such as
//! `provenance.json`, each of which names every file with its digest.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write as _};
use std::path::Path;

use gantry_image::Hasher;
use gantry_solver::Snapshot;
use gantry_tree::{ContentId, Entry, Follow, Node, Root, Time, TreePath};

use super::rootfs::open_layer;
use super::{Built, ExportError};
use crate::attest::Subject;
use crate::work::{Executor, Stack};

/// A file that holds a statement.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) path: TreePath,
    pub(super) bytes: Vec<u8>,
    mtime: Time,
}

impl Written {
    /// As a tar has it: nobody else's to read.
    pub(super) fn entry(&self) -> Entry {
        let content = ContentId(*blake3::hash(&self.bytes).as_bytes());
        let node = Node::File { size: self.bytes.len() as u64, content };
        Entry { node, mode: 0o600, mtime: self.mtime, ..Entry::plain_dir(self.path.clone()) }
    }
}

/// Makes the statements about the files of all platforms. With `split`, each platform has a
/// directory; with `Some(false)`, the names tell them apart; absent: as several platforms need it.
pub(super) fn of(
    executor: &Executor,
    result: &Built<'_>,
    split: Option<bool>,
    prefix: &str,
) -> Result<Vec<Written>, ExportError> {
    let Some(said) = result.said else { return Ok(Vec::new()) };
    let several = result.platforms.len() > 1;
    let mut all = Vec::new();
    let mut names = BTreeSet::new();
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    let mtime = Time { secs: result.clamp.unwrap_or(seconds), nanos: 0 };
    for (number, (platform, snapshot)) in result.platforms.iter().enumerate() {
        let predicates: Vec<_> =
            said(number).into_iter().filter(|predicate| !predicate.inline_only).collect();
        if predicates.is_empty() {
            continue;
        }
        let subjects = subjects(executor, snapshot)?;
        let directory = super::directory(platform);
        for predicate in predicates {
            let mut name = format!("{prefix}{}", predicate.path);
            if split == Some(false) {
                name = match name.rsplit_once('.') {
                    Some((base, extension)) => format!("{base}.{directory}.{extension}"),
                    None => format!("{name}.{directory}"),
                };
            } else if several || split == Some(true) {
                name = format!("{directory}/{name}");
            }
            if !names.insert(name.clone()) {
                let what = format!("duplicate attestation path name {name}");
                return Err(ExportError::Refused(what));
            }
            let path = TreePath::clamp(&name);
            let path = path.map_err(|error| ExportError::Refused(error.to_string()))?;
            all.push(Written { path, bytes: predicate.statement(&subjects, true), mtime });
        }
    }
    Ok(all)
}

/// Writes the statements into the directory that the files were written into.
pub(super) fn beside(
    executor: &Executor,
    result: &Built<'_>,
    dest: &Path,
    split: Option<bool>,
    prefix: &str,
) -> Result<(), ExportError> {
    let written = of(executor, result, split, prefix)?;
    if written.is_empty() {
        return Ok(());
    }
    let root = Root::open(dest)?;
    for Written { path, bytes, mtime } in written {
        if let Some(parent) = path.parent().filter(|parent| !parent.is_root()) {
            root.mkdir_all(&parent, 0o755)?;
        }
        if root.stat(&path, Follow::Parents).is_ok() {
            root.remove_all(&path)?;
        }
        let mut file = root.create_file(&path, 0o600)?;
        file.write_all(&bytes).map_err(ExportError::io(format!("write `{path}`")))?;
        drop(file);
        root.set_mtime(&path, mtime)?;
    }
    Ok(())
}

/// Every regular file of a root filesystem, by path and digest.
fn subjects(executor: &Executor, snapshot: &Snapshot) -> Result<Vec<Subject>, ExportError> {
    let stack = Stack::open(&executor.store, snapshot)?;
    let view = stack.view();
    let mut roots: HashMap<usize, Root> = HashMap::new();
    let mut known: HashMap<ContentId, gantry_image::Digest> = HashMap::new();
    let mut subjects = Vec::new();
    for (layer, entry) in view.walk(&TreePath::root()) {
        let real = view.real((layer, entry));
        let Some(content) = real.content() else { continue };
        let digest = match known.get(&content) {
            Some(digest) => *digest,
            None => {
                let root = match roots.entry(layer) {
                    std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                    std::collections::hash_map::Entry::Vacant(new) => {
                        new.insert(open_layer(executor, &stack, layer)?)
                    }
                };
                let mut file = root.open_file(&real.path, Follow::Parents)?;
                let mut hasher = Writer(Hasher::new());
                io::copy(&mut file, &mut hasher)
                    .map_err(ExportError::io(format!("read `{}`", real.path)))?;
                let digest = hasher.0.finish();
                known.insert(content, digest);
                digest
            }
        };
        subjects.push(Subject::new(entry.path.to_string(), &digest));
    }
    Ok(subjects)
}

struct Writer(Hasher);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
