//! Packing files into a tar gives what writing one gives, whatever was there before.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use fs_err as fs;
use gantry_image::layer::{self, Earlier, Offsets, PackError, Packed, Packing};
use gantry_image::{DiffId, Digest};
use gantry_tree::{ContentId, Manifest, Node, Root, TreeError, TreePath};
use proptest::prelude::*;

use crate::support::{Tree, path, trees};

/// Files by number in a directory, and the plan that takes them from there.
struct Source {
    dir: tempfile::TempDir,
    root: Root,
    sources: Vec<(usize, TreePath)>,
}

impl Source {
    fn of(tree: &Tree) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut sources = Vec::new();
        for (number, entry) in tree.manifest.entries().iter().enumerate() {
            if let Some(data) = tree.files.get(&entry.path) {
                fs::write(dir.path().join(number.to_string()), data).unwrap();
            }
            sources.push((0, path(number.to_string())));
        }
        let root = Root::open(dir.path()).unwrap();
        Self { dir, root, sources }
    }

    fn pack(
        &self,
        manifest: &Manifest,
        earlier: Option<Earlier<'_>>,
    ) -> Result<(Packed, File), PackError> {
        let out = tempfile::tempfile().unwrap();
        let packing =
            Packing { manifest, sources: self.sources.clone(), roots: vec![&self.root], earlier };
        layer::pack(packing, &out).map(|packed| (packed, out))
    }
}

fn bytes(file: &File) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_packed_tar_is_the_written_one(tree in trees(), changed in any::<prop::sample::Index>()) {
        let source = Source::of(&tree);
        let (packed, tar) = source.pack(&tree.manifest, None).unwrap();
        let expected = tree.tar();
        prop_assert!(bytes(&tar) == expected);
        prop_assert_eq!(packed.diff_id, DiffId(Digest::of(&expected)));
        prop_assert!(packed.read.is_empty(), "all contents were known");
        let offsets = Offsets::of_written(&tree.manifest);
        for (number, entry) in tree.manifest.entries().iter().enumerate() {
            let Some(data) = tree.files.get(&entry.path) else { continue };
            let at = offsets.get(number).unwrap() as usize;
            prop_assert!(expected[at..].starts_with(data.as_ref()));
        }
        // With all of it there before, no file is opened.
        for entry in fs::read_dir(source.dir.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let earlier = Earlier { tar: &tar, manifest: &tree.manifest };
        let (again, tar_again) = source.pack(&tree.manifest, Some(earlier)).unwrap();
        prop_assert!(bytes(&tar_again) == expected);
        prop_assert_eq!(again.diff_id, packed.diff_id);

        // Another tree with most of the same.
        let mut other = tree.clone();
        let mut entries = other.manifest.into_entries();
        if entries.is_empty() {
            return Ok(());
        }
        let at = changed.index(entries.len());
        entries[at].uid ^= 1;
        let linked = entries[at].path.clone();
        for entry in &mut entries {
            if matches!(&entry.node, Node::HardLink { target } if *target == linked) {
                entry.uid ^= 1;
            }
        }
        other.manifest = Manifest::new(entries).unwrap();
        let source = Source::of(&other);
        let (_, new) = source.pack(&other.manifest, Some(earlier)).unwrap();
        prop_assert!(bytes(&new) == other.tar());
    }
}

#[test]
fn many_and_large_files_come_in_order() {
    let large: Vec<String> = [1 << 20, (1 << 20) - 1, (1 << 20) + 1, 5_000_000]
        .iter()
        .map(|size| "large".repeat(size / 5 + 1)[..*size].to_owned())
        .collect();
    let mut files: Vec<(String, String)> =
        (0..5000).map(|number| (format!("d/{number:04}"), "x".repeat(number))).collect();
    files.extend(large.into_iter().enumerate().map(|(at, data)| (format!("d/1000-{at}"), data)));
    let list: Vec<(&str, &str)> = files.iter().map(|(name, data)| (&**name, &**data)).collect();
    let tree = Tree::of(&list);
    let source = Source::of(&tree);
    let (packed, tar) = source.pack(&tree.manifest, None).unwrap();
    assert!(bytes(&tar) == tree.tar());
    assert_eq!((packed.taken, packed.diff_id), (0, DiffId(Digest::of(&tree.tar()))));

    // With another size of an early file, what follows lies elsewhere; with the same size it doesn't.
    for data in ["y".repeat(3000), "y".repeat(10)] {
        let mut other = tree.clone();
        let mut entries = other.manifest.into_entries();
        let at = entries.iter().position(|entry| entry.path == path("d/0010")).unwrap();
        entries[at].node = crate::support::file(data.as_bytes());
        other.files.insert(path("d/0010"), data.into_bytes());
        other.manifest = Manifest::new(entries).unwrap();
        let source = Source::of(&other);
        // Only the changed file is opened.
        for number in (0..other.manifest.entries().len()).filter(|number| *number != at) {
            let _ = fs::remove_file(source.dir.path().join(number.to_string()));
        }
        let earlier = Earlier { tar: &tar, manifest: &tree.manifest };
        let (again, new) = source.pack(&other.manifest, Some(earlier)).unwrap();
        assert!(bytes(&new) == other.tar());
        assert!(again.taken > 15 << 20, "{}", again.taken);
    }
}

#[test]
fn zeros_take_no_space() {
    const SIZE: usize = 20 << 20;
    let mut data = vec![0; SIZE];
    data[9 << 20] = 1;
    let mut tree = Tree::of(&[("a", "before"), ("b-zeros", ""), ("c", "behind")]);
    let mut entries = tree.manifest.into_entries();
    entries[1].node = crate::support::file(&data);
    tree.files.insert(path("b-zeros"), data);
    tree.manifest = Manifest::new(entries).unwrap();
    let source = Source::of(&tree);
    let (packed, tar) = source.pack(&tree.manifest, None).unwrap();
    assert!(bytes(&tar) == tree.tar());
    assert_eq!(packed.diff_id, DiffId(Digest::of(&tree.tar())));
    assert!(tar.metadata().unwrap().blocks() * 512 < SIZE as u64 / 4);
    // Taken over, they take none again.
    let earlier = Earlier { tar: &tar, manifest: &tree.manifest };
    let (again, new) = source.pack(&tree.manifest, Some(earlier)).unwrap();
    assert_eq!(again.diff_id, packed.diff_id);
    assert!(new.metadata().unwrap().blocks() * 512 < SIZE as u64 / 4);
}

/// A sparse file of a size, with a few bytes at some offsets.
fn sparse(file: &std::path::Path, size: u64, data: &[u64]) {
    use std::os::unix::fs::FileExt;
    let file = fs::File::create(file).unwrap().into_parts().0;
    file.set_len(size).unwrap();
    for at in data {
        file.write_all_at(b"data", *at).unwrap();
    }
}

#[test]
fn holes_are_zeros_wherever_they_are() {
    const MIB: u64 = 1 << 20;
    let places: [(u64, &[u64]); 6] = [
        (5 * MIB, &[]),
        (5 * MIB, &[0]),
        (5 * MIB + 7, &[5 * MIB + 3]),
        (9 * MIB, &[2 * MIB - 2, 7 * MIB]),
        (9 * MIB + 513, &[4 * MIB]),
        (MIB, &[MIB - 4]),
    ];
    for (size, data) in places {
        let mut content = vec![0; size as usize];
        for at in data {
            content[*at as usize..][..4].copy_from_slice(b"data");
        }
        for known in [true, false] {
            let mut tree = Tree::of(&[("a", "before"), ("b", ""), ("c", "behind")]);
            let mut entries = tree.manifest.into_entries();
            entries[1].node = crate::support::file(&content);
            tree.files.insert(path("b"), content.clone());
            tree.manifest = Manifest::new(entries).unwrap();
            let source = Source::of(&tree);
            sparse(&source.dir.path().join("1"), size, data);
            let mut asked = tree.manifest.clone();
            if !known {
                let mut entries = asked.into_entries();
                entries[1].node = Node::File { size, content: ContentId::UNREAD };
                asked = Manifest::new(entries).unwrap();
            }
            let (packed, tar) = source.pack(&asked, None).unwrap();
            assert!(bytes(&tar) == tree.tar(), "{size} {data:?}");
            asked.set_contents(&packed.read);
            assert_eq!(asked, tree.manifest);
            assert_eq!(packed.diff_id, DiffId(Digest::of(&tree.tar())));

            // The same out of a tar with holes.
            let earlier = Earlier { tar: &tar, manifest: &tree.manifest };
            let (again, new) = source.pack(&tree.manifest, Some(earlier)).unwrap();
            assert!(bytes(&new) == tree.tar(), "{size} {data:?}");
            assert_eq!(again.diff_id, packed.diff_id);

            // Shorter or longer than asked for, it is another file.
            for other in [size - 1, size - MIB, size + 1, size + 2 * MIB] {
                sparse(&source.dir.path().join("1"), other, &[]);
                let error = source.pack(&asked, None).unwrap_err();
                assert!(matches!(error, PackError::Tree(TreeError::Changed { .. })), "{error:?}");
            }
        }
    }
}

#[test]
fn a_file_that_changed_meanwhile_is_noticed() {
    let big: String = "b".repeat(3 << 20);
    for (old, new) in
        [("one", "two"), ("one", "on"), ("one", "more"), (big.as_str(), &big.as_str()[1..])]
    {
        let tree = Tree::of(&[("a", "a"), ("f", old)]);
        let source = Source::of(&tree);
        fs::write(source.dir.path().join("1"), new).unwrap();
        match source.pack(&tree.manifest, None) {
            Err(PackError::Tree(TreeError::Changed { path, .. })) => assert_eq!(path, "1"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn contents_that_nobody_knew_are_filled_in() {
    let mut tree = Tree::of(&[("a", "known"), ("b", "unknown")]);
    let expected = tree.manifest.clone();
    let mut entries = tree.manifest.into_entries();
    entries[1].node = Node::File { size: 7, content: ContentId::UNREAD };
    tree.manifest = Manifest::new(entries).unwrap();
    let (packed, _) = Source::of(&tree).pack(&tree.manifest, None).unwrap();
    tree.manifest.set_contents(&packed.read);
    assert_eq!(tree.manifest, expected);
}
