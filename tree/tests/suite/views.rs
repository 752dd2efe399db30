use std::collections::BTreeMap;

use gantry_tree::{Entry, Follow, Manifest, Node, ResolveError, Selected, TreePath, View};
use proptest::prelude::*;

use crate::common::{dir, file, layer, link, manifest, name, path, whiteout};

fn shown(view: &View<'_>, at: &str) -> Option<usize> {
    view.lookup(&path(at), Follow::Parents).map(|(layer, _)| layer)
}

#[test]
fn the_topmost_entry_shows() {
    let low = manifest(vec![file("a", "1"), file("d/x", "1"), file("e/y", "1")]);
    let middle = manifest(vec![whiteout("a"), whiteout("d/x"), dir("e")]);
    let top = manifest(vec![file("d/z", "2")]);
    let view = View::new(&[&low, &middle, &top]);
    assert_eq!(shown(&view, "a"), None);
    assert_eq!(shown(&view, "d/x"), None);
    assert_eq!(shown(&view, "d"), Some(2));
    assert_eq!(shown(&view, "d/z"), Some(2));
    assert_eq!(shown(&view, "e/y"), Some(0));
    assert_eq!(shown(&view, "a/b"), None);
}

#[test]
fn what_comes_back_after_a_deletion_comes_back_empty() {
    let low = manifest(vec![file("d/x", "1")]);
    let gone = manifest(vec![whiteout("d")]);
    let back = manifest(vec![dir("d")]);
    assert_eq!(shown(&View::new(&[&low, &gone, &back]), "d/x"), None);
    let file_between = manifest(vec![file("d", "")]);
    assert_eq!(shown(&View::new(&[&low, &file_between, &back]), "d/x"), None);
    let opaque = manifest(vec![Entry { node: Node::Dir { opaque: true }, ..dir("d") }]);
    assert_eq!(shown(&View::new(&[&low, &opaque]), "d/x"), None);
    assert_eq!(shown(&View::new(&[&low, &opaque]), "d"), Some(1));
}

#[test]
fn links_are_followed_inside_the_root() {
    let low = manifest(vec![
        file("usr/bin/sh", ""),
        link("bin", "usr/bin"),
        link("abs", "/usr/bin"),
        link("up", "../../../usr"),
        link("usr/back", "../bin/sh"),
        link("loop", "loop2/x"),
        link("loop2", "loop"),
        link("dangling", "no/where"),
        link("file", "usr/bin/sh"),
    ]);
    let view = View::new(&[&low]);
    let leads = |from: &str, to: &str| {
        assert_eq!(view.resolve(&path(from), Follow::Last).unwrap().path, path(to), "{from}");
    };
    leads("bin/sh", "usr/bin/sh");
    leads("abs/sh", "usr/bin/sh");
    leads("up/bin/sh", "usr/bin/sh");
    leads("usr/back", "usr/bin/sh");
    leads("dangling/more", "no/where/more");
    leads("new/dir", "new/dir");
    assert_eq!(view.resolve(&path("bin"), Follow::Parents).unwrap().path, path("bin"));
    assert_eq!(
        view.resolve(&path("loop"), Follow::Last),
        Err(ResolveError::TooManyLinks(path("loop")))
    );
    assert_eq!(
        view.resolve(&path("file/x"), Follow::Last),
        Err(ResolveError::NotADirectory(path("usr/bin/sh")))
    );
    assert!(view.lookup(&path("loop"), Follow::Parents).is_some());
    assert_eq!(view.lookup(&path("loop"), Follow::Last), None);
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let chain = |length: usize| {
        let mut all: Vec<Entry> =
            (0..length).map(|n| link(&format!("l{n}"), &format!("l{}", n + 1))).collect();
        all.push(file(&format!("l{length}"), ""));
        manifest(all)
    };
    let (good, bad) = (chain(40), chain(41));
    assert!(View::new(&[&good]).resolve(&path("l0"), Follow::Last).is_ok());
    assert!(View::new(&[&bad]).resolve(&path("l0"), Follow::Last).is_err());
}

#[test]
fn an_empty_stack_is_an_empty_root() {
    let view = View::new(&[]);
    assert!(view.lookup(&TreePath::root(), Follow::Last).unwrap().1.is_dir());
    assert_eq!(view.list(&TreePath::root()), []);
    assert_eq!(view.walk(&TreePath::root()), []);
    assert_eq!(view.lookup(&path("a"), Follow::Last), None);
}

/// What overlayfs does, said as changes of a map, a layer at a time.
fn reference(layers: &[Manifest]) -> BTreeMap<TreePath, (usize, Entry)> {
    let mut all: BTreeMap<TreePath, (usize, Entry)> = BTreeMap::new();
    for (index, layer) in layers.iter().enumerate() {
        for entry in layer.entries() {
            let was_dir = all.get(&entry.path).is_some_and(|(_, e)| e.is_dir());
            let merges = entry.node == Node::Dir { opaque: false } && was_dir;
            if !merges {
                all.retain(|p, _| !p.starts_with(&entry.path));
            }
            if entry.node != Node::Whiteout {
                all.insert(entry.path.clone(), (index, entry.clone()));
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_view_is_what_applying_the_layers_makes(
        layers in prop::collection::vec(layer(true), 0..5),
        asked in prop::collection::vec(name(), 0..4),
    ) {
        let expected = reference(&layers);
        let stack: Vec<&Manifest> = layers.iter().collect();
        let view = View::new(&stack);
        let walked: Vec<(usize, Entry)> =
            view.walk(&TreePath::root()).into_iter().map(|(l, e)| (l, e.clone())).collect();
        let all: Vec<(usize, Entry)> = expected.values().cloned().collect();
        prop_assert_eq!(&walked, &all);

        let asked = path(&asked.join("/"));
        let found = view.lookup(&asked, Follow::Parents);
        let no_links = asked.ancestors().all(|p| {
            !matches!(expected.get(&p), Some((_, e)) if matches!(e.node, Node::Symlink { .. }))
        });
        if no_links && !asked.is_root() {
            let expected = expected.get(&asked);
            prop_assert_eq!(found.map(|(l, e)| (l, e.clone())), expected.cloned());
        }
        let listed: Vec<TreePath> =
            view.list(&asked).into_iter().map(|(_, e)| e.path.clone()).collect();
        let children: Vec<TreePath> = expected
            .keys()
            .filter(|p| p.parent().as_ref() == Some(&asked))
            .cloned()
            .collect();
        prop_assert_eq!(listed, children);
        let below: Vec<TreePath> =
            view.walk(&asked).into_iter().map(|(_, e)| e.path.clone()).collect();
        let expected_below: Vec<TreePath> =
            expected.keys().filter(|p| p.starts_with(&asked)).cloned().collect();
        prop_assert_eq!(below, expected_below);
    }

    #[test]
    fn a_view_digests_as_the_manifest_that_it_amounts_to(
        layers in prop::collection::vec(layer(true), 0..4),
        asked in prop::collection::vec(name(), 0..3),
    ) {
        let stack: Vec<&Manifest> = layers.iter().collect();
        let view = View::new(&stack);
        let flat = view.flatten();
        prop_assert_eq!(&Manifest::new(flat.entries().to_vec()).unwrap(), &flat);
        let selection = [
            Selected { path: path(&asked.join("/")), at: path("x") },
            Selected { path: path("a"), at: TreePath::root() },
        ];
        prop_assert_eq!(view.selection_digest(&selection), flat.selection_digest(&selection));
    }
}
