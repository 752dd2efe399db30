//! A copy as a tar with its mountable index: one pass that reads, hashes and writes, and creates no
//! files but these two.

use std::fs::File;
use std::io;
use std::path::Path;

use gantry_cache::{LayerId, WorkDir};
use gantry_image::layer::{self, Earlier, IndexError, Offsets, Packing};
use gantry_solver::Task;
use gantry_tree::{CopyPlan, Entry, Follow, Manifest, Resolution, Root, TreePath};

use super::super::Executor;
use super::super::fault::Fault;
use super::super::stack::Stack;

/// Carries a plan out, and takes the layer into the store.
pub(super) fn write(
    executor: &Executor,
    task: &Task,
    stack: &Stack,
    work: &WorkDir,
    plan: CopyPlan<'_>,
    roots: Vec<&Root>,
) -> Result<LayerId, Fault> {
    let Resolution { mut manifest, sources } = plan.resolved()?;
    let earlier = executor.earlier_tar(task.vertex)?;
    let (tar, index) = (work.path().join("tar"), work.path().join("index"));
    let out = create(&tar).map_err(Fault::io("create a layer's tar"))?;
    let index_out = create(&index).map_err(Fault::io("create a layer's index"))?;
    let root = root_of(stack);
    // Where the files will lie is known before they are read.
    let (packed, indexed) = std::thread::scope(|scope| {
        let write = || write_index(&manifest, &root, index_out);
        let indexing = std::thread::Builder::new().name("gantry-index".to_owned());
        let indexing = indexing
            .spawn_scoped(scope, write)
            .map_err(Fault::io("start a thread that writes a layer's index"))?;
        let packed = layer::pack(
            Packing {
                manifest: &manifest,
                sources,
                roots,
                earlier: earlier.as_ref().map(|(tar, manifest)| Earlier { tar, manifest }),
            },
            &out,
        );
        let indexed = indexing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, Fault>((packed?, indexed?))
    })?;
    manifest.set_contents(&packed.read);
    let indexed = indexed.then_some(&*index);
    let layers = executor.store.layers();
    Ok(layers.commit_tar(&tar, indexed, &manifest, packed.diff_id, false)?)
}

/// Writes the index of the tar that will be written of a manifest. False if it can't have one: it is
/// unpacked when a step runs on it.
fn write_index(manifest: &Manifest, root: &Entry, mut out: File) -> Result<bool, Fault> {
    match layer::write_index(manifest, &Offsets::of_written(manifest), root, &mut out) {
        Ok(()) => Ok(true),
        Err(IndexError::Write(error)) => Err(Fault::io("write a layer's index")(error)),
        Err(_) => Ok(false),
    }
}

/// The root directory is overlay's, and looks like the uppermost layer's.
fn root_of(stack: &Stack) -> Entry {
    let mut root = Entry::plain_dir(TreePath::root());
    if let Some((_, below)) = stack.view().lookup(&root.path, Follow::Parents) {
        (root.mode, root.uid, root.gid) = (below.mode, below.uid, below.gid);
    }
    root
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create_new(true).open(path).map(|file| file.into_parts().0)
}

/// Opens a tar of the store for reading.
pub(in super::super) fn open(path: std::path::PathBuf) -> io::Result<File> {
    Ok(fs_err::File::open(path)?.into_parts().0)
}
