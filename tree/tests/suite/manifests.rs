use gantry_tree::{DecodeError, Entry, Manifest, ManifestError, Node, Selected, Time, TreePath};
use proptest::prelude::*;

use crate::common::{dir, file, layer, link, manifest, path, paths};

fn hard_link(at: &str, to: &str) -> Entry {
    Entry { node: Node::HardLink { target: path(to) }, ..file(at, "") }
}

#[test]
fn entries_are_sorted_with_a_directory_before_its_contents() {
    let sorted = manifest(vec![file("a-b", ""), file("a/z", ""), file("a.c", "")]);
    assert_eq!(paths(&sorted), ["a", "a/z", "a-b", "a.c"]);
}

#[test]
fn what_is_no_tree_is_refused() {
    let check = |entries: Vec<Entry>, expected: ManifestError| {
        assert_eq!(Manifest::new(entries).unwrap_err(), expected);
    };
    check(vec![file("a", ""), file("a", "")], ManifestError::Duplicate(path("a")));
    check(vec![file("a/b", "")], ManifestError::NoParent(path("a/b")));
    check(vec![file("a", ""), file("a/b", "")], ManifestError::NoParent(path("a/b")));
    let root = Entry { path: TreePath::root(), ..file("x", "") };
    check(vec![root], ManifestError::RootNotDir);
    let bad = |at: &str, to: &str| ManifestError::BadLink(path(at), path(to));
    check(vec![hard_link("b", "a")], bad("b", "a"));
    check(vec![hard_link("a", "b"), file("b", "")], bad("a", "b"));
    check(vec![dir("a"), hard_link("b", "a")], bad("b", "a"));
    check(vec![file("a", ""), hard_link("b", "a"), hard_link("c", "b")], bad("c", "b"));
    let mode = Entry { mode: 0o10000, ..file("a", "") };
    check(vec![mode], ManifestError::BadField(path("a"), "mode"));
    check(vec![link("a", "")], ManifestError::BadField(path("a"), "link target"));
}

#[test]
fn subtree_and_children() {
    let all = manifest(vec![file("a/b/c", "1"), file("a/d", "22"), file("a-", ""), dir("e")]);
    let names = |entries: &[Entry]| -> Vec<String> {
        entries.iter().map(|entry| entry.path.to_string()).collect()
    };
    assert_eq!(names(all.subtree(&path("a"))), ["a", "a/b", "a/b/c", "a/d"]);
    assert_eq!(names(all.subtree(&path("nope"))), [""; 0]);
    let children: Vec<_> = all.children(&path("a")).cloned().collect();
    assert_eq!(names(&children), ["a/b", "a/d"]);
    let top: Vec<_> = all.children(&TreePath::root()).cloned().collect();
    assert_eq!(names(&top), ["a", "a-", "e"]);
    assert_eq!(all.total_size(), 3);
}

#[test]
fn a_decoder_is_told_what_is_wrong() {
    let bytes = manifest(vec![file("a", "1")]).encode();
    assert_eq!(Manifest::decode(b"xyz"), Err(DecodeError::NotAManifest));
    let newer = [b"gmf\x02", &bytes[4..]].concat();
    assert_eq!(Manifest::decode(&newer), Err(DecodeError::Version(2)));
    let longer = [&bytes[..], b"x"].concat();
    assert_eq!(Manifest::decode(&longer), Err(DecodeError::Damaged(bytes.len())));
    // A count of 2^63 entries in nine bytes: no memory is taken for what isn't there.
    let huge = b"gmf\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01";
    assert!(matches!(Manifest::decode(huge), Err(DecodeError::Damaged(_))));
    // Zero written in two bytes instead of one.
    assert!(matches!(Manifest::decode(b"gmf\x01\x80\x00"), Err(DecodeError::Damaged(_))));
}

#[test]
fn times_count_for_the_id_and_not_for_the_content() {
    let old = manifest(vec![file("a", "1")]);
    let later = Entry { mtime: Time { secs: 9, nanos: 0 }, ..file("a", "1") };
    let new = manifest(vec![later]);
    assert_ne!(old.id(), new.id());
    assert_eq!(old.content_digest(), new.content_digest());
}

#[test]
fn everything_else_counts_for_the_content() {
    let base = file("a", "1");
    let variants = [
        base.clone(),
        file("b", "1"),
        file("a", "2"),
        Entry { mode: 0o600, ..base.clone() },
        Entry { uid: 1, ..base.clone() },
        Entry { gid: 1, ..base.clone() },
        Entry { xattrs: vec![(b"user.a".to_vec(), b"".to_vec())], ..base.clone() },
        link("a", "1"),
        link("a", "2"),
        dir("a"),
        Entry { node: Node::Dir { opaque: true }, ..dir("a") },
        Entry { node: Node::Whiteout, ..base },
    ];
    let digests: std::collections::BTreeSet<_> =
        variants.iter().map(|entry| manifest(vec![entry.clone()]).content_digest()).collect();
    assert_eq!(digests.len(), variants.len());
}

#[test]
fn a_selection_depends_on_nothing_else() {
    let select = |entries: Vec<Entry>, from: &str| {
        let selected = Selected { path: path(from), at: path("x") };
        manifest(entries).selection_digest(&[selected])
    };
    let one = select(vec![file("a/f", "1"), file("other", "1")], "a");
    assert_eq!(one, select(vec![file("b/f", "1"), file("a", "2")], "b"));
    assert_ne!(one, select(vec![file("a/f", "2")], "a"));
    assert_ne!(one, select(vec![file("a/g", "1")], "a"));
    assert_ne!(one, select(vec![file("b/f", "1")], "a"));
}

#[test]
fn a_hard_link_out_of_the_selection_is_a_file() {
    let with_link = manifest(vec![file("a", "1"), dir("d"), hard_link("d/f", "a")]);
    let with_file = manifest(vec![dir("d"), file("d/f", "1")]);
    let select =
        |m: &Manifest| m.selection_digest(&[Selected { path: path("d"), at: TreePath::root() }]);
    assert_eq!(select(&with_link), select(&with_file));
    // Within it, linked and separate files differ.
    let linked = manifest(vec![dir("d"), file("d/e", "1"), hard_link("d/f", "d/e")]);
    let separate = manifest(vec![dir("d"), file("d/e", "1"), file("d/f", "1")]);
    assert_ne!(select(&linked), select(&separate));
    // And a pair whose first name lies outside is still a pair.
    let outside =
        manifest(vec![file("a", "1"), dir("d"), hard_link("d/e", "a"), hard_link("d/f", "a")]);
    assert_eq!(select(&outside), select(&linked));
}

proptest! {
    #[test]
    fn encoding_and_back(manifest in layer(true)) {
        let bytes = manifest.encode();
        prop_assert_eq!(&Manifest::decode(&bytes).unwrap(), &manifest);
        for cut in 0..bytes.len() {
            prop_assert!(Manifest::decode(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn damage_is_noticed_or_makes_another_manifest(
        manifest in layer(true), at in any::<prop::sample::Index>(), to in any::<u8>(),
    ) {
        let mut bytes = manifest.encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(other) = Manifest::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn hostile_bytes_are_survived(tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Manifest::decode(&[b"gmf\x01", &tail[..]].concat());
        let _ = Manifest::decode(&tail);
    }
}
