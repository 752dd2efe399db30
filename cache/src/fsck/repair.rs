//! Removing what is broken. Nothing is mended: what is missing is built or pulled again.

use std::path::Path;
use std::sync::Arc;

use super::check::{Findings, Remedy};
use crate::prune::remove_orphan;
use crate::store::Inner;
use crate::{StoreError, blobs, images, layers, owner, records};

pub(super) fn all(inner: &Arc<Inner>, findings: &mut Findings) -> Result<(), StoreError> {
    // Blobs first: whether a layer can be brought back depends on the good ones.
    let mut order: Vec<usize> = (0..findings.remedies.len()).collect();
    order.sort_by_key(|at| !matches!(findings.remedies[*at], Remedy::Blob(_)));
    for at in order {
        let repaired = apply(inner, &findings.remedies[at])?;
        findings.report.problems[at].repaired = repaired;
    }
    let formless = inner.db.write(|tx| {
        images::drop_dangling_names(tx)?;
        layers::drop_formless(tx)
    })?;
    for id in formless {
        remove_orphan(inner, &inner.layout.layer(&id))?;
    }
    inner.empty_trash()
}

/// Says whether the problem is gone.
fn apply(inner: &Arc<Inner>, remedy: &Remedy) -> Result<bool, StoreError> {
    match remedy {
        Remedy::None => return Ok(false),
        Remedy::Strip(id) => {
            inner.db.write(|tx| Ok(layers::strip(tx, id)?))?;
            let layout = &inner.layout;
            for form in [layout.tree(id), layout.tar(id), layout.index(id)] {
                remove_orphan(inner, &form)?;
            }
        }
        Remedy::Layer(id) => {
            inner.db.write(|tx| layers::forget(tx, id))?;
            remove_orphan(inner, &inner.layout.layer(id))?;
        }
        Remedy::Blob(digest) => {
            inner.db.write(|tx| blobs::forget(tx, digest))?;
            remove_orphan(inner, &inner.layout.blob_named(digest))?;
        }
        Remedy::Record(key) => inner.db.write(|tx| records::forget(tx, key))?,
        Remedy::Image(id) => inner.db.write(|tx| images::forget(tx, id))?,
        Remedy::Orphan(path) => return remove_orphan(inner, Path::new(path)),
        Remedy::Sweep => return owner::sweep(&inner.layout).map(|swept| swept > 0),
        Remedy::Rows(sql) => inner.db.write(|tx| {
            tx.execute_batch(sql)?;
            Ok(())
        })?,
    }
    Ok(true)
}
