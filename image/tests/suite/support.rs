//! What the tests share: asking for what a host offers, hand-made tars, manifests at random.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Output, Stdio};

use gantry_image::layer;
use gantry_tree::{ContentId, Entry, Manifest, Node, Time, TreePath};
use proptest::prelude::*;

/// Says whether a test may go on without `what`; panics where `GANTRY_TEST_REQUIRE` wants it.
pub(crate) fn skip(what: &str, reason: &str) -> bool {
    let required = std::env::var("GANTRY_TEST_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|r| r.trim() == what), "{what} is required: {reason}");
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: {reason}");
    }
    true
}

/// Is there such a program?
pub(crate) fn has_peer(program: &str) -> bool {
    let found =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok() || !skip("peers", &format!("there is no {program}"))
}

/// Runs a program that must succeed.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|err| panic!("{command:?}: {err}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// May this process change owners and make devices?
pub(crate) fn is_root(dir: &std::path::Path) -> bool {
    let root = gantry_tree::Root::open(dir).unwrap();
    let probe = path("probe");
    let able = root.mknod(&probe, gantry_tree::FileKind::CharDevice, (1, 3), 0o600).is_ok()
        && root.set_owner(&probe, 1, 1).is_ok()
        && root.set_xattr(&probe, b"trusted.probe", b"x").is_ok();
    root.remove_all(&probe).unwrap();
    able || !skip("root", "owners, devices and trusted attributes need root")
}

pub(crate) fn path(text: impl AsRef<[u8]>) -> TreePath {
    TreePath::new(text).unwrap()
}

/// A manifest with the bytes of its files.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) manifest: Manifest,
    pub(crate) files: BTreeMap<TreePath, Vec<u8>>,
}

impl Tree {
    /// Makes a tree of files and their contents; parents are added.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let entries = files.iter().map(|(name, data)| entry(name, file(data.as_bytes()))).collect();
        Self {
            manifest: Manifest::with_parents(entries, Entry::plain_dir).unwrap(),
            files: files
                .iter()
                .map(|(name, data)| (path(name), data.as_bytes().to_vec()))
                .collect(),
        }
    }

    pub(crate) fn tar_clamped(&self, clamp: Option<i64>) -> Vec<u8> {
        let mut tar = Vec::new();
        let mut open = |entry: &Entry| -> std::io::Result<Box<dyn Read>> {
            Ok(Box::new(std::io::Cursor::new(self.files[&entry.path].clone())))
        };
        layer::write_tar(&self.manifest, &mut open, clamp, &mut tar).unwrap();
        assert_eq!(tar.len() as u64, layer::tar_size(&self.manifest, clamp));
        tar
    }

    pub(crate) fn tar(&self) -> Vec<u8> {
        self.tar_clamped(None)
    }
}

pub(crate) fn entry(name: &str, node: Node) -> Entry {
    let mode = if node == Node::Whiteout { 0 } else { 0o644 };
    Entry { node, mode, ..Entry::plain_dir(path(name)) }
}

pub(crate) fn file(data: &[u8]) -> Node {
    Node::File { size: data.len() as u64, content: ContentId::of(data) }
}

/// Trees of any shape that a layer can have.
pub(crate) fn trees() -> impl Strategy<Value = Tree> {
    let name = prop_oneof![
        8 => "[a-c]{1,2}".prop_map(String::into_bytes),
        1 => "[ -.0-~é]{1,20}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(1_u8.., 1..10),
        1 => (90_usize..240).prop_map(|length| vec![b'n'; length]),
    ];
    let allowed = |name: &Vec<u8>| {
        !name.contains(&b'/') && name != b"." && name != b".." && !name.starts_with(b".wh.")
    };
    let name = name.prop_filter("no name", allowed);
    let paths = proptest::collection::vec(name, 1..5).prop_map(|names| path(names.join(&b'/')));
    let meta = (0_u32..=0o7777, any_id(), any_id(), any_time(), any_xattrs());
    let items =
        proptest::collection::vec((paths, any_node(), meta, any::<prop::sample::Index>()), 0..24);
    (items, any::<bool>()).prop_map(|(items, root)| tree(items, root))
}

type Meta = (u32, u32, u32, Time, Vec<(Vec<u8>, Vec<u8>)>);

type Item = (TreePath, (Node, Vec<u8>), Meta, prop::sample::Index);

fn tree(items: Vec<Item>, root: bool) -> Tree {
    let mut entries: BTreeMap<TreePath, Entry> = BTreeMap::new();
    let mut files: BTreeMap<TreePath, Vec<u8>> = BTreeMap::new();
    let mut indexes = Vec::new();
    for (path, (node, data), (mode, uid, gid, mtime, xattrs), index) in items {
        let blocked =
            path.ancestors().any(|above| entries.get(&above).is_some_and(|e| !e.is_dir()));
        let covers = entries.keys().any(|other| other.starts_with(&path));
        if blocked || covers {
            continue;
        }
        for above in path.ancestors().filter(|above| !above.is_root()) {
            entries.entry(above.clone()).or_insert_with(|| Entry::plain_dir(above));
        }
        let mut entry = Entry { path: path.clone(), node, mode, uid, gid, mtime, xattrs };
        match &entry.node {
            Node::Whiteout => {
                entry = Entry { node: Node::Whiteout, mode: 0, ..Entry::plain_dir(path.clone()) }
            }
            Node::Symlink { .. } => (entry.mode, entry.xattrs) = (0o777, Vec::new()),
            Node::File { .. } => {
                files.insert(path.clone(), data);
            }
            Node::Dir { .. } => {}
            // Only files and directories may have attributes of the user's.
            _ => entry.xattrs.clear(),
        }
        entries.insert(path, entry);
        indexes.push(index);
    }
    // Every third file becomes a hard link to an earlier one.
    let candidates: Vec<TreePath> = files.keys().cloned().collect();
    for (at, (path, index)) in candidates.iter().zip(&indexes).enumerate().skip(1).step_by(3) {
        let target = &candidates[index.index(at)];
        if matches!(entries[target].node, Node::File { .. }) {
            let linked = Entry {
                path: path.clone(),
                node: Node::HardLink { target: target.clone() },
                ..entries[target].clone()
            };
            entries.insert(path.clone(), linked);
            files.remove(path);
        }
    }
    if root {
        entries.insert(TreePath::root(), Entry::plain_dir(TreePath::root()));
    }
    Tree { manifest: Manifest::new(entries.into_values().collect()).unwrap(), files }
}

fn any_node() -> impl Strategy<Value = (Node, Vec<u8>)> {
    let plain = |node: Node| Just((node, Vec::new()));
    prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 0..1500).prop_map(|data| (file(&data), data)),
        2 => any::<bool>().prop_map(|opaque| (Node::Dir { opaque }, Vec::new())),
        2 => "[a-z./]{1,150}".prop_map(|target| (Node::Symlink { target: target.into_bytes() }, Vec::new())),
        1 => (0_u32..256, 1_u32..1000).prop_map(|(major, minor)| (Node::CharDevice { major, minor }, Vec::new())),
        1 => (0_u32..256, 0_u32..1000).prop_map(|(major, minor)| (Node::BlockDevice { major, minor }, Vec::new())),
        1 => plain(Node::Fifo),
        2 => plain(Node::Whiteout),
    ]
}

fn any_id() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(1000), Just(0o7_777_777), Just(0o10_000_000), Just(u32::MAX - 1)]
}

fn any_time() -> impl Strategy<Value = Time> {
    let secs = prop_oneof![Just(0), 0_i64..2_000_000_000, -1_000_000_i64..0];
    (secs, prop_oneof![Just(0), 0_u32..1_000_000_000])
        .prop_map(|(secs, nanos)| Time { secs, nanos })
}

fn any_xattrs() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let name = prop_oneof![Just("user.a"), Just("user.b=c%3D"), Just("trusted.x")];
    let one = (name, proptest::collection::vec(any::<u8>(), 0..40));
    proptest::collection::btree_map(
        one.prop_map(|(n, v)| (n.as_bytes().to_vec(), v)).prop_map(|p| p.0),
        proptest::collection::vec(any::<u8>(), 0..40),
        0..3,
    )
    .prop_map(|map| map.into_iter().collect())
}

/// A tar made by hand, one header at a time, so that it can say what no writer would.
#[derive(Default)]
pub(crate) struct RawTar(pub(crate) Vec<u8>);

impl RawTar {
    pub(crate) fn add(mut self, kind: u8, name: &str, link: &str, data: &[u8]) -> Self {
        self.header(kind, name, link, data.len() as u64);
        self.data(data);
        self
    }

    pub(crate) fn file(self, name: &str, data: &str) -> Self {
        self.add(b'0', name, "", data.as_bytes())
    }

    pub(crate) fn dir(self, name: &str) -> Self {
        self.add(b'5', name, "", b"")
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.add(b'2', name, target, b"")
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.add(b'1', name, target, b"")
    }

    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length.to_string().len() + rest != length {
                length += 1;
            }
            data.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
        }
        self.add(b'x', "pax", "", &data)
    }

    pub(crate) fn header(&mut self, kind: u8, name: &str, link: &str, size: u64) {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(0o755);
        header.set_size(size);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
    }

    pub(crate) fn data(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}
