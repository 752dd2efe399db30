//! A copy as a tar with its mountable index: one pass that reads, hashes and writes, and creates no
//! files but these two.

use std::fs::File;
use std::io;

use gantry_cache::{LayerId, WorkDir};
use gantry_image::layer::{self, Earlier, IndexError, Packing};
use gantry_solver::Task;
use gantry_tree::{CopyPlan, Entry, Follow, Root, TreePath};

use super::super::Executor;
use super::super::fault::Fault;
use super::super::stack::Stack;

/// Carries a plan out, and takes the layer into the store.
pub(super) fn write(
    executor: &Executor,
    task: &Task,
    stack: &Stack,
    work: &WorkDir,
    plan: &CopyPlan<'_>,
    roots: Vec<&Root>,
) -> Result<LayerId, Fault> {
    let resolution = plan.resolved()?;
    let earlier = executor.earlier_tar(task.vertex)?;
    let (tar, index) = (work.path().join("tar"), work.path().join("index"));
    let create = |path| {
        let mut options = fs_err::OpenOptions::new();
        options.write(true).create_new(true).open(path).map(|file| file.into_parts().0)
    };
    let file = create(&tar).map_err(Fault::io("create a layer's tar"))?;
    let packed = layer::pack(
        Packing {
            manifest: resolution.manifest,
            sources: resolution.sources,
            roots,
            earlier: earlier.as_ref().map(|(tar, manifest)| Earlier { tar, manifest }),
        },
        &file,
    )?;
    let mut file = create(&index).map_err(Fault::io("create a layer's index"))?;
    // The root directory is overlay's, and looks like the uppermost layer's.
    let mut root = Entry::plain_dir(TreePath::root());
    if let Some((_, below)) = stack.view().lookup(&root.path, Follow::Parents) {
        (root.mode, root.uid, root.gid) = (below.mode, below.uid, below.gid);
    }
    let indexed = match layer::write_index(&packed.manifest, &packed.offsets, &root, &mut file) {
        Ok(()) => Some(&*index),
        Err(IndexError::Write(error)) => return Err(Fault::io("write a layer's index")(error)),
        // It is unpacked when a step runs on it.
        Err(_) => None,
    };
    let layers = executor.store.layers();
    Ok(layers.commit_tar(&tar, indexed, &packed.manifest, packed.diff_id, false)?)
}

/// Opens a tar of the store for reading.
pub(in super::super) fn open(path: std::path::PathBuf) -> io::Result<File> {
    Ok(fs_err::File::open(path)?.into_parts().0)
}
