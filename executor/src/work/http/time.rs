//! The time of a download: of its last change as the server tells it, else of the newest file in it.

use std::io;
use std::time::UNIX_EPOCH;

use gantry_image::{compress, layer};
use gantry_tree::{Follow, Node, Root, TreePath};

use super::super::Executor;
use super::super::fault::Fault;
use super::known::Known;

/// Returns it in seconds since 1970; `None` if the server says none and it is no archive.
pub(in crate::work) fn time(
    executor: &Executor,
    known: &Known,
    name: &str,
) -> Result<Option<i64>, Fault> {
    if let Ok(modified) = httpdate::parse_http_date(&known.modified) {
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        return Ok(i64::try_from(since.as_secs()).ok());
    }
    let layer = executor.store.layers().ensure_tree(&known.layer, &executor.unpack)?;
    let (Some(tree), Ok(path)) = (layer.tree(), TreePath::new(name)) else { return Ok(None) };
    let file = Root::open(tree)?.open_file(&path, Follow::Parents)?;
    let tar = compress::reader(io::BufReader::with_capacity(1 << 16, file));
    let Ok((_, mut tar)) = tar else { return Ok(None) };
    // What is no archive has no time.
    let Ok(index) = layer::index(&mut tar, &executor.unpack.limits) else { return Ok(None) };
    let files = index.manifest.entries().iter();
    let files = files.filter(|entry| matches!(entry.node, Node::File { .. }));
    Ok(files.map(|entry| entry.mtime.secs).max())
}
