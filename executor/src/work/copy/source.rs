//! Sources of a copy: what each item takes, and from which directories its bytes come.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_parser::ignore::IgnoreFile;
use gantry_solver::op::{InlineFile, Selection, SourcePath};
use gantry_solver::{Op, Role, Task};
use gantry_tree::{ContentId, Entry, FileKind, Manifest, Node, Root, TreePath, View};

use super::super::Executor;
use super::super::context::Selected;
use super::super::fault::Fault;
use super::super::picked::{Picked, excludes, layers_with_files, pick};
use super::super::select::{Chosen, select};
use super::super::stack::Stack;
use super::archive;
use super::place::{Dest, Placer, Source};

/// The directories that a copy takes bytes from, opened when the first file needs them.
pub(super) struct Sources<'a> {
    executor: &'a Executor,
    task: &'a Task,
    roots: Vec<Root>,
    scratch: PathBuf,
    /// How many directories lie below `scratch`.
    made: u32,
}

impl<'a> Sources<'a> {
    pub(super) fn new(executor: &'a Executor, task: &'a Task, scratch: PathBuf) -> Self {
        Self { executor, task, roots: Vec::new(), scratch, made: 0 }
    }

    /// The directories, in the order of their numbers.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Root> {
        self.roots.iter()
    }

    /// Places what one source path takes from a context, a stage or an image.
    pub(super) fn tree(
        &mut self,
        input: u32,
        path: &SourcePath,
        unpack: bool,
        exclude: &[String],
        placer: &mut Placer<'_>,
        dest: &Dest,
    ) -> Result<(), Fault> {
        let rules = excludes(exclude)?;
        let from = self.task.input(Role::Source(input)).ok_or_else(|| missing(input))?;
        if let Op::Context(op) = &from.op {
            let context = self.executor.context(&op.name)?;
            let selected: Arc<Selected> = context.select(&op.selection)?;
            let manifests = [selected.manifest()];
            let view = View::new(&manifests);
            let chosen = own_choice(&selected.chosen, &op.selection, path);
            let source = Source {
                manifests: manifests.to_vec(),
                trees: vec![Some(self.push(context.root().clone()))],
            };
            return self.place(&view, &chosen, &rules, &source, unpack, placer, dest);
        }
        let stack = Stack::open(&self.executor.store, &from.snapshot)?;
        let view = stack.view();
        let chosen = select(&view, std::slice::from_ref(path))?;
        let picked = pick(&view, &chosen, &rules);
        let source = self.open(&stack, &picked)?;
        self.place(&view, &chosen, &rules, &source, unpack, placer, dest)
    }

    /// Places a downloaded file.
    pub(super) fn download(
        &mut self,
        input: u32,
        name: &str,
        unpack: bool,
        placer: &mut Placer<'_>,
        dest: &Dest,
    ) -> Result<(), Fault> {
        let path = SourcePath { base: None, pattern: name.to_owned(), literal: true };
        self.tree(input, &path, unpack, &[], placer, dest)
    }

    /// Places what a git repository holds.
    pub(super) fn repository(
        &mut self,
        input: u32,
        exclude: &[String],
        placer: &mut Placer<'_>,
        dest: &Dest,
    ) -> Result<(), Fault> {
        let path = SourcePath { base: None, pattern: String::new(), literal: true };
        self.tree(input, &path, false, exclude, placer, dest)
    }

    /// Places a heredoc.
    pub(super) fn inline(
        &mut self,
        file: &InlineFile,
        placer: &mut Placer<'_>,
        dest: &Dest,
    ) -> Result<(), Fault> {
        let (root, _) = self.scratch_dir()?;
        let name = TreePath::new(&file.name)
            .ok()
            .filter(|name| name.components().count() == 1)
            .ok_or_else(|| {
                Fault::refused_with(
                    format!("`{}` is no file name", file.name),
                    "Name the here-document with a word without `/`",
                )
            })?;
        let bytes = file.content.as_bytes();
        root.create_file(&name, 0o644)?
            .write_all(bytes)
            .map_err(Fault::io(format!("write the here-document `{name}`")))?;
        let entry = Entry {
            node: Node::File { size: bytes.len() as u64, content: ContentId::of(bytes) },
            mode: 0o644,
            mtime: placer.time(),
            ..Entry::plain_dir(name.clone())
        };
        let manifest = Manifest::new(vec![entry])?;
        let view = View::new(&[&manifest]);
        let chosen =
            [Chosen { path: name.clone(), kind: FileKind::File, name, base: None, source: 0 }];
        let trees = vec![Some(self.push(root))];
        let source = Source { manifests: vec![&manifest], trees };
        self.place(&view, &chosen, &IgnoreFile::default(), &source, false, placer, dest)
    }

    #[expect(clippy::too_many_arguments, reason = "each is one word of the instruction")]
    fn place(
        &mut self,
        view: &View<'_>,
        chosen: &[Chosen],
        exclude: &IgnoreFile,
        source: &Source<'_>,
        unpack: bool,
        placer: &mut Placer<'_>,
        dest: &Dest,
    ) -> Result<(), Fault> {
        for picked in pick(view, chosen, exclude) {
            if !(unpack && self.unpacked(&picked, source, placer, dest)?) {
                placer.place(&picked, source, dest)?;
            }
        }
        Ok(())
    }

    /// Unpacks a file if it is an archive; false if it is none.
    fn unpacked(
        &mut self,
        picked: &Picked<'_>,
        source: &Source<'_>,
        placer: &mut Placer<'_>,
        dest: &Dest,
    ) -> Result<bool, Fault> {
        let Some(item) = picked.items.first().filter(|item| item.below.is_root()) else {
            return Ok(false);
        };
        let real = source.manifests[item.layer].real(item.entry);
        let (Node::File { content, .. }, Some(tree)) = (&real.node, source.trees[item.layer])
        else {
            return Ok(false);
        };
        let from = self.roots[tree].clone();
        let Some(kind) = archive::probe(&from, &real.path)? else { return Ok(false) };
        let (root, _) = self.scratch_dir()?;
        let manifest = archive::unpack(&from, &real.path, *content, kind, &root, self.executor)?;
        let tree = self.push(root);
        archive::place(&manifest, tree, placer, dest)?;
        Ok(true)
    }

    /// Opens the trees of those layers that have files of what was picked.
    fn open<'m>(&mut self, stack: &'m Stack, picked: &[Picked<'_>]) -> Result<Source<'m>, Fault> {
        let manifests: Vec<&Manifest> =
            (0..stack.len()).map(|index| &**stack.manifest(index)).collect();
        let used = layers_with_files(picked, &manifests);
        let mut trees = Vec::with_capacity(used.len());
        for (index, used) in used.into_iter().enumerate() {
            trees.push(match used {
                true => {
                    let root = stack.root(index, self.executor)?;
                    Some(self.push(root))
                }
                false => None,
            });
        }
        Ok(Source { manifests, trees })
    }

    fn push(&mut self, root: Root) -> usize {
        self.roots.push(root);
        self.roots.len() - 1
    }

    fn scratch_dir(&mut self) -> Result<(Root, PathBuf), Fault> {
        let path = self.scratch.join(self.made.to_string());
        self.made += 1;
        fs_err::create_dir(&path).map_err(Fault::io("make a scratch directory"))?;
        Ok((Root::open(&path)?, path))
    }
}

/// Picks out what one source path chose; a context's selection is made for all at once.
fn own_choice(all: &[Chosen], selection: &Selection, path: &SourcePath) -> Vec<Chosen> {
    let number = selection.paths.iter().position(|one| one == path);
    all.iter().filter(|chosen| Some(chosen.source) == number).cloned().collect()
}

fn missing(input: u32) -> Fault {
    Fault::bug(format!("The copy has no source number {input}"))
}
