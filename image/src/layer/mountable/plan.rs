//! Which inode lies where.

use gantry_tree::{Entry, Manifest, Node, TreePath};

use super::{BLOCK, IndexError, SLOT, dir, record, xattrs};
use crate::layer::offsets::Offsets;

/// Longer data are not put behind their inode: they must not cross a block's end there, and would
/// leave large gaps.
const INLINE: u64 = 384;

/// A file is one chunk, of at most this many bits.
const LARGEST: u64 = 40;

const LONGEST_NAME: usize = 255;

/// An inode's place and what it needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The byte where it begins.
    pub(super) at: u64,
    pub(super) links: u32,
    pub(super) data: Data,
}

/// Where the bytes of an inode are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Data {
    /// It has none.
    None,
    /// Right behind it.
    Inline { length: u64 },
    /// In blocks of the index.
    Blocks { first: u32, length: u64 },
    /// In the tar, from this block on. A chunk has `512 << bits` bytes, as many as the file or more.
    Chunk { block: u32, bits: u16 },
}

/// All inodes of an index. The root is number 0, entry `n` of the manifest number `n + 1`.
pub(super) struct Plan<'a> {
    entries: Vec<&'a Entry>,
    /// `None` for further names of an inode, and for a root that the manifest lists.
    places: Vec<Option<Place>>,
    /// For each number, that of the inode which it names.
    inodes: Vec<u32>,
    /// By number; empty for all but directories.
    dirs: Vec<Option<Box<Dir>>>,
    end: u64,
    /// Blocks of the tar.
    pub(super) tar_blocks: u32,
}

/// A directory's parent and contents, as numbers.
#[derive(Debug, Default)]
struct Dir {
    parent: u32,
    children: Vec<u32>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        offsets: &Offsets,
        root: &'a Entry,
    ) -> Result<Self, IndexError> {
        let listed = manifest.entries();
        let has_root = listed.first().is_some_and(|entry| entry.path.is_root());
        let root = if has_root { &listed[0] } else { root };
        let entries: Vec<&Entry> = std::iter::once(root).chain(listed).collect();
        if u32::try_from(entries.len()).is_err() {
            return unfit("it has too many entries");
        }
        let tar_blocks = u32::try_from(offsets.tar_size().div_ceil(BLOCK));
        let Some(tar_blocks) = tar_blocks.ok().filter(|blocks| *blocks < u32::MAX) else {
            return unfit("its tar is too large");
        };
        let mut plan = Self {
            places: vec![None; entries.len()],
            inodes: (0..entries.len() as u32).collect(),
            dirs: entries.iter().map(|_| None).collect(),
            entries,
            end: 0,
            tar_blocks,
        };
        if has_root {
            plan.inodes[1] = 0;
        }
        plan.group(manifest)?;
        plan.put(offsets)?;
        Ok(plan)
    }

    /// Finds each directory's contents and each inode's number of links.
    fn group(&mut self, manifest: &Manifest) -> Result<(), IndexError> {
        let mut links = vec![0_u32; self.entries.len()];
        self.dirs[0] = Some(Box::default());
        links[0] = 2;
        // The directories that the current entry lies in, the nearest last.
        let mut open: Vec<u32> = vec![0];
        for at in 1..self.entries.len() {
            let entry = self.entries[at];
            if entry.path.is_root() {
                continue;
            }
            let inside = |dir: &u32| *dir == 0 || entry.path.starts_with(self.path(*dir));
            while open.last().is_some_and(|dir| !inside(dir)) {
                open.pop();
            }
            let parent = open.last().copied().unwrap_or_default();
            if entry.path.file_name().is_none_or(|name| name.len() > LONGEST_NAME) {
                return unfit(format!("the name of `{}` is too long", entry.path));
            }
            if let Some(dir) = &mut self.dirs[parent as usize] {
                dir.children.push(at as u32);
            }
            match &entry.node {
                Node::Dir { .. } => {
                    self.dirs[at] = Some(Box::new(Dir { parent, children: Vec::new() }));
                    open.push(at as u32);
                    links[at] += 2;
                    links[parent as usize] += 1;
                }
                Node::HardLink { target } => {
                    let first = manifest.entries().binary_search_by(|e| e.path.cmp(target));
                    let Ok(first) = first else {
                        return unfit(format!("`{}` is a link to nothing", entry.path));
                    };
                    self.inodes[at] = first as u32 + 1;
                    links[first + 1] += 1;
                }
                _ => links[at] += 1,
            }
        }
        for (at, links) in links.into_iter().enumerate() {
            if self.inodes[at] == at as u32 {
                self.places[at] = Some(Place { at: 0, links, data: Data::None });
            }
        }
        Ok(())
    }

    /// Gives all inodes their places.
    fn put(&mut self, offsets: &Offsets) -> Result<(), IndexError> {
        let mut end = record::HEAD;
        let mut blocks: Vec<usize> = Vec::new();
        for at in 0..self.entries.len() {
            let Some(mut place) = self.places[at] else { continue };
            let entry = self.entries[at];
            let head = record::INODE + xattrs::size(entry)?;
            let start = end.next_multiple_of(SLOT);
            let length = match &entry.node {
                Node::File { size: 0, .. } => 0,
                Node::File { size, .. } => {
                    place.data = chunk(entry, *size, offsets.get(at - 1))?;
                    place.at = start;
                    end = start + head.next_multiple_of(8) + 8;
                    self.places[at] = Some(place);
                    continue;
                }
                Node::CharDevice { major, minor } | Node::BlockDevice { major, minor } => {
                    if *major > 0xfff || *minor > 0xf_ffff {
                        return unfit(format!("the numbers of `{}` are too large", entry.path));
                    }
                    0
                }
                Node::Symlink { target } => target.len() as u64,
                Node::Dir { .. } => dir::size(&self.listing(at)),
                Node::Fifo | Node::Whiteout | Node::HardLink { .. } => 0,
            };
            place.at = start;
            end = start + head;
            if length > INLINE {
                place.data = Data::Blocks { first: 0, length };
                blocks.push(at);
            } else if length > 0 {
                place.data = Data::Inline { length };
                while (place.at + head) % BLOCK + length > BLOCK {
                    place.at += SLOT;
                }
                end = place.at + head + length;
            }
            self.places[at] = Some(place);
        }
        for at in blocks {
            end = end.next_multiple_of(BLOCK);
            if let Some(Place { data: Data::Blocks { first, length }, .. }) = &mut self.places[at] {
                let Ok(block) = u32::try_from(end / BLOCK) else {
                    return unfit("it has too many entries");
                };
                *first = block;
                end += *length;
            }
        }
        self.end = end.next_multiple_of(BLOCK);
        Ok(())
    }

    fn path(&self, at: u32) -> &'a TreePath {
        &self.entries[at as usize].path
    }

    pub(super) fn entry(&self, at: usize) -> &'a Entry {
        self.entries[at]
    }

    /// All inodes that have a place, in the order of their places.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (usize, &Place)> {
        self.places.iter().enumerate().filter_map(|(at, place)| Some((at, place.as_ref()?)))
    }

    /// How many inodes there are.
    pub(super) fn count(&self) -> usize {
        self.in_order().count()
    }

    /// How many bytes the index has.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The number by which directories name an inode.
    pub(super) fn number(&self, place: &Place) -> u64 {
        place.at / SLOT
    }

    pub(super) fn root_number(&self) -> u64 {
        self.number_of(0)
    }

    fn number_of(&self, at: u32) -> u64 {
        let inode = self.inodes[at as usize] as usize;
        self.places[inode].map_or(0, |place| self.number(&place))
    }

    /// What a directory lists, sorted, `.` and `..` among it. Numbers are right once all inodes have
    /// their places.
    pub(super) fn listing(&self, at: usize) -> Vec<dir::Name<'a>> {
        let Some(dir) = &self.dirs[at] else { return Vec::new() };
        let mut names = Vec::with_capacity(dir.children.len() + 2);
        let own = [(b".".as_slice(), at as u32), (b"..".as_slice(), dir.parent)];
        for child in &dir.children {
            let entry = self.entries[self.inodes[*child as usize] as usize];
            let name = self.path(*child).file_name().unwrap_or_default();
            names.push(dir::Name {
                name,
                number: self.number_of(*child),
                kind: record::dirent_kind(&entry.node),
            });
        }
        for (name, at) in own {
            let kind = record::dirent_kind(&Node::Dir { opaque: false });
            let before = names.partition_point(|other| other.name < name);
            names.insert(before, dir::Name { name, number: self.number_of(at), kind });
        }
        names
    }
}

fn chunk(entry: &Entry, size: u64, offset: Option<u64>) -> Result<Data, IndexError> {
    let Some(offset) = offset else {
        return unfit(format!("`{}` is not in one piece in its tar", entry.path));
    };
    let block = u32::try_from(offset / BLOCK);
    let Some(block) = block.ok().filter(|_| offset % BLOCK == 0 && size <= 1 << LARGEST) else {
        return unfit(format!("`{}` lies too far in its tar, or is too large", entry.path));
    };
    let bits = size.div_ceil(BLOCK).next_power_of_two().trailing_zeros() as u16;
    Ok(Data::Chunk { block, bits })
}

pub(super) fn unfit<T>(why: impl Into<String>) -> Result<T, IndexError> {
    Err(IndexError::Unfit(why.into()))
}
