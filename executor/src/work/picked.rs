//! [`Picked`]: everything below what was chosen, as one list, whether from layers or a context.
//!
//! The digest of a selection and the plan of a copy are both made from this list, so a copy can
//! depend on nothing that its key doesn't cover.

use std::collections::HashSet;
use std::fmt;

use gantry_parser::ignore::IgnoreFile;
use gantry_solver::key::{ListedPart, Listing, Value};
use gantry_tree::{ContentHasher, Entry, Manifest, Node, TreePath, View};

use super::files::kind_of;
use super::select::{Chosen, SelectError};

/// One chosen file or directory with all that it brings along.
#[derive(Debug)]
pub(crate) struct Picked<'a> {
    /// What was chosen.
    pub(crate) chosen: &'a Chosen,
    /// With `--parents`: the directories on the way to it, outermost first.
    pub(crate) parents: Vec<Item<'a>>,
    /// What was chosen, and what lies below it; sorted.
    pub(crate) items: Vec<Item<'a>>,
}

/// One entry of a source.
#[derive(Debug, Clone)]
pub(crate) struct Item<'a> {
    /// Its path below the chosen one; the root for the chosen one itself.
    pub(crate) below: TreePath,
    /// The layer that shows it.
    pub(crate) layer: usize,
    /// Its entry in that layer.
    pub(crate) entry: &'a Entry,
}

/// Patterns of `--exclude`.
pub(crate) fn excludes(patterns: &[String]) -> Result<IgnoreFile, SelectError> {
    IgnoreFile::from_patterns(patterns)
        .map_err(|_| SelectError::BadPattern { pattern: patterns.join(" ") })
}

/// Lists what `chosen` brings along, without what `exclude` leaves out.
pub(crate) fn pick<'a>(
    view: &View<'a>,
    chosen: &'a [Chosen],
    exclude: &IgnoreFile,
) -> Vec<Picked<'a>> {
    chosen.iter().filter_map(|one| pick_one(view, one, exclude)).collect()
}

fn pick_one<'a>(view: &View<'a>, chosen: &'a Chosen, exclude: &IgnoreFile) -> Option<Picked<'a>> {
    let mut items: Vec<Item<'a>> = Vec::new();
    // Directories that are left out so far; one comes back if something in it is let in again.
    let mut dropped: Vec<Item<'a>> = Vec::new();
    for (layer, entry) in view.walk(&chosen.path) {
        let Some(below) = entry.path.strip_prefix(&chosen.path) else { continue };
        let item = Item { below, layer, entry };
        dropped.retain(|dir| item.below.starts_with(&dir.below));
        if is_excluded(chosen, &item, exclude) {
            if entry.is_dir() {
                dropped.push(item);
            }
        } else {
            items.append(&mut dropped);
            items.push(item);
        }
    }
    // A file that was named and is excluded. An empty root, which no layer lists, is not gone.
    let gone = items.is_empty() && !chosen.path.is_root();
    (!gone).then(|| Picked { chosen, parents: parents(view, chosen), items })
}

fn is_excluded(chosen: &Chosen, item: &Item<'_>, exclude: &IgnoreFile) -> bool {
    if exclude.is_empty() {
        return false;
    }
    // A directory that was named is the place where patterns begin; a file goes by its name.
    let named = match chosen.base {
        Some(_) => chosen.name.join_path(&item.below),
        None if item.below.is_root() && !item.entry.is_dir() => chosen.name.clone(),
        None => item.below.clone(),
    };
    !named.is_root() && exclude.matches(named.as_bytes()).excluded
}

fn parents<'a>(view: &View<'a>, chosen: &Chosen) -> Vec<Item<'a>> {
    let Some(base) = &chosen.base else { return Vec::new() };
    let mut parents: Vec<Item<'a>> = chosen
        .name
        .ancestors()
        .filter(|path| !path.is_root())
        .filter_map(|path| {
            let (layer, entry) =
                view.lookup(&base.join_path(&path), gantry_tree::Follow::Parents)?;
            Some(Item { below: path, layer, entry })
        })
        .collect();
    parents.sort_by(|a, b| a.below.cmp(&b.below));
    parents
}

/// Digests what was picked: names, types, modes unless any will do, owners, attributes, links,
/// contents; no times.
pub(crate) fn digest<'a>(view: &View<'a>, picked: &[Picked<'a>], any_mode: bool) -> [u8; 32] {
    let items = || picked.iter().flat_map(|one| one.parents.iter().chain(&one.items));
    // Inodes that have several names here; which they are counts, as a copy keeps them linked.
    let linked: HashSet<(usize, &TreePath)> = items()
        .filter_map(|item| match &item.entry.node {
            Node::HardLink { target } => Some((item.layer, target)),
            _ => None,
        })
        .collect();
    let hasher = ContentHasher::new();
    let mut hasher = if any_mode { hasher.with_any_mode() } else { hasher };
    let mut add = |at: &TreePath, item: &Item<'a>| {
        let real = view.real((item.layer, item.entry));
        let origin = Some((item.layer, &real.path)).filter(|origin| linked.contains(origin));
        hasher.add(at, &item.below, real, origin);
    };
    for (number, one) in picked.iter().enumerate() {
        // The number keeps apart what two sources bring under one name.
        let at = TreePath::new(number.to_string()).unwrap_or_else(|_| TreePath::root());
        one.parents.iter().for_each(|item| add(&at, item));
        let at = at.join_path(&one.chosen.name);
        one.items.iter().for_each(|item| add(&at, item));
    }
    hasher.finish()
}

/// Lists the layers that have bytes of what was picked.
pub(crate) fn layers_with_files(picked: &[Picked<'_>], layers: &[&Manifest]) -> Vec<bool> {
    let mut used = vec![false; layers.len()];
    for item in picked.iter().flat_map(|one| &one.items) {
        used[item.layer] |= layers[item.layer].real(item.entry).content().is_some();
    }
    used
}

/// Lists per path what the digest was made of, to explain it.
pub(crate) fn describe<'a>(view: &View<'a>, picked: &[Picked<'a>], any_mode: bool) -> Value {
    let items = || picked.iter().flat_map(|one| one.parents.iter().chain(&one.items));
    let mut listing = Listing::with_capacity(items().count());
    for item in items() {
        let real = view.real((item.layer, item.entry));
        let path = String::from_utf8_lossy(item.entry.path.as_bytes());
        listing.add(&path, |part| describe_one(real, any_mode, part));
    }
    Value::Listing(listing.finish())
}

/// The parts of one file, sorted by name.
fn describe_one(real: &Entry, any_mode: bool, part: &mut ListedPart<'_>) {
    if !real.xattrs.is_empty() {
        let mut hasher = blake3::Hasher::new();
        for text in real.xattrs.iter().flat_map(|(name, value)| [name, value]) {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
        part.text("attributes", format_args!("{}", short(hasher.finalize().as_bytes())));
    }
    if let Node::File { content, .. } = &real.node {
        part.text("content", format_args!("{}", short(&content.0)));
    }
    if real.gid != 0 {
        part.number("gid", real.gid);
    }
    if let Node::Symlink { target } = &real.node {
        part.text("link", format_args!("{}", String::from_utf8_lossy(target)));
    }
    if !any_mode {
        part.text("mode", format_args!("{:o}", real.mode));
    }
    if !matches!(real.node, Node::File { .. } | Node::Symlink { .. }) {
        part.text("type", format_args!("{:?}", kind_of(&real.node)));
    }
    if real.uid != 0 {
        part.number("uid", real.uid);
    }
}

/// The beginning of a digest: enough to tell what changed, and a fourth of the space.
fn short(digest: &[u8; 32]) -> impl fmt::Display {
    let [a, b, c, d, e, f, g, h, ..] = *digest;
    let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    fmt::from_fn(move |text| write!(text, "{number:016x}"))
}
