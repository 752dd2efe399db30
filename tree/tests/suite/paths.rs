use gantry_tree::{PathError, TreePath};
use proptest::prelude::*;

use crate::common::path;

#[test]
fn only_normal_paths_are_taken_as_they_are() {
    for good in ["", "a", "a/b", "...", ".a", "a b/\u{e9}", "..a/b.."] {
        assert_eq!(TreePath::new(good).unwrap().as_bytes(), good.as_bytes());
    }
    for bad in ["/", "/a", "a/", "a//b"] {
        assert!(matches!(TreePath::new(bad), Err(PathError::Empty(_))), "{bad}");
    }
    for bad in [".", "..", "a/..", "./a", "a/./b"] {
        assert!(matches!(TreePath::new(bad), Err(PathError::Dots(_))), "{bad}");
    }
    assert!(matches!(TreePath::new("a\0b"), Err(PathError::Nul(_))));
    assert_eq!(TreePath::new(b"\xff/\xfe").unwrap().to_string(), "\u{fffd}/\u{fffd}");
}

#[test]
fn clamping_stops_at_the_root() {
    let check = |from: &str, to: &str| {
        assert_eq!(TreePath::clamp(from).unwrap(), path(to), "{from}");
    };
    check("/../../a", "a");
    check("a/./b/../c/", "a/c");
    check("../..", "");
    check("a/b/../../../c", "c");
    check("//a///b", "a/b");
}

#[test]
fn names_in_archives_may_not_climb() {
    assert_eq!(TreePath::normalize("./usr//bin/").unwrap(), path("usr/bin"));
    assert_eq!(TreePath::normalize("/etc").unwrap(), path("etc"));
    assert!(matches!(TreePath::normalize("a/../b"), Err(PathError::Dots(_))));
}

#[test]
fn a_name_is_joined_only_if_it_is_one() {
    let dir = path("a");
    assert_eq!(dir.join("b").unwrap(), path("a/b"));
    for bad in ["", ".", "..", "b/c", "b\0"] {
        assert!(dir.join(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn parts_of_a_path() {
    let p = path("a/b/c");
    assert_eq!(p.parent().unwrap(), path("a/b"));
    assert_eq!(p.file_name().unwrap(), b"c");
    assert_eq!(p.ancestors().count(), 3);
    assert_eq!(p.strip_prefix(&path("a")).unwrap(), path("b/c"));
    assert_eq!(p.strip_prefix(&p).unwrap(), TreePath::root());
    assert_eq!(path("ab").strip_prefix(&path("a")), None);
    assert!(p.starts_with(&TreePath::root()));
    assert_eq!(TreePath::root().parent(), None);
    assert_eq!(path("a").join_path(&TreePath::root()), path("a"));
    assert_eq!(TreePath::root().join_path(&path("a")), path("a"));
}

fn any_path() -> impl Strategy<Value = TreePath> {
    let byte = prop::sample::select(vec![b'a', b'b', b'-', 0xff, b'.', b'0']);
    let name = prop::collection::vec(byte, 1..4);
    let name = name.prop_filter("dots", |n| n != b"." && n != b"..");
    prop::collection::vec(name, 0..4).prop_map(|names| TreePath::new(names.join(&b'/')).unwrap())
}

proptest! {
    #[test]
    fn the_order_is_that_of_components(a in any_path(), b in any_path()) {
        let (left, right): (Vec<_>, Vec<_>) = (a.components().collect(), b.components().collect());
        prop_assert_eq!(a.cmp(&b), left.cmp(&right));
        prop_assert_eq!(a.starts_with(&b), left.starts_with(&right));
    }

    #[test]
    fn whatever_is_clamped_is_normal(bytes in prop::collection::vec(
        prop::sample::select(vec![b'a', b'/', b'.']), 0..20))
    {
        let clamped = TreePath::clamp(&bytes).unwrap();
        prop_assert_eq!(TreePath::new(clamped.as_bytes()).unwrap(), clamped);
    }
}
