//! Opaque marks turned into explicit whiteouts.
//!
//! The OCI image spec wants explicit whiteouts written (layer.md, "Opaque Whiteout"), since some
//! readers honour the opaque mark late or not at all. Which ones they are, only someone who knows
//! the layers below can say.

use gantry_tree::{Entry, Manifest, Node, TreePath, View};

use super::LayerError;

/// Returns the same layer without opaque directories: what `lower` has in them, and isn't in the
/// layer itself, gets a whiteout.
///
/// # Errors
/// [`LayerError::Tree`], which manifests that are well formed don't cause.
pub fn expand_opaque(manifest: &Manifest, lower: &View<'_>) -> Result<Manifest, LayerError> {
    let opaque = |entry: &&Entry| entry.node == (Node::Dir { opaque: true });
    if !manifest.entries().iter().any(|entry| opaque(&entry)) {
        return Ok(manifest.clone());
    }
    let mut added = Vec::new();
    for dir in manifest.entries().iter().filter(opaque) {
        hide(manifest, lower, &dir.path, &mut added);
    }
    let mut entries = manifest.entries().to_vec();
    for entry in &mut entries {
        if let Node::Dir { opaque } = &mut entry.node {
            *opaque = false;
        }
    }
    entries.append(&mut added);
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries.dedup_by(|a, b| a.path == b.path);
    Ok(Manifest::new(entries)?)
}

/// Adds whiteouts for what lies in `dir` below and not here. A directory that is here too hides its
/// own lower entries in turn, as those of an opaque one are hidden at any depth.
fn hide(manifest: &Manifest, lower: &View<'_>, dir: &TreePath, added: &mut Vec<Entry>) {
    for (_, below) in lower.list(dir) {
        match manifest.get(&below.path) {
            None => added.push(Entry {
                node: Node::Whiteout,
                mode: 0,
                ..Entry::plain_dir(below.path.clone())
            }),
            Some(here) if here.is_dir() && below.is_dir() => {
                hide(manifest, lower, &below.path, added)
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use gantry_tree::Follow;

    use super::*;

    fn manifest(entries: &[(&str, Node)]) -> Manifest {
        let entry = |(path, node): &(&str, Node)| Entry {
            node: node.clone(),
            ..Entry::plain_dir(TreePath::new(path).unwrap())
        };
        Manifest::new(entries.iter().map(entry).collect()).unwrap()
    }

    #[test]
    fn the_merged_tree_is_the_same_with_explicit_whiteouts() {
        let (dir, opaque, file) =
            (Node::Dir { opaque: false }, Node::Dir { opaque: true }, Node::Fifo);
        let lower = manifest(&[
            ("a", dir.clone()),
            ("a/b", dir.clone()),
            ("a/b/gone", file.clone()),
            ("a/b/kept", file.clone()),
            ("a/c", file.clone()),
            ("a/d", dir.clone()),
            ("a/d/x", file.clone()),
            ("z", file.clone()),
        ]);
        let upper =
            manifest(&[("a", opaque), ("a/b", dir), ("a/b/kept", file.clone()), ("a/d", file)]);
        let expanded = expand_opaque(&upper, &View::new(&[&lower])).unwrap();
        let whiteouts = expanded.entries().iter().filter(|e| e.node == Node::Whiteout);
        assert_eq!(whiteouts.map(|e| e.path.to_string()).collect::<Vec<_>>(), ["a/b/gone", "a/c"]);
        let shown = |top: &Manifest| {
            View::new(&[&lower, top])
                .walk(&TreePath::root())
                .iter()
                .map(|f| f.1.path.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(&expanded), shown(&upper));
        assert!(
            View::new(&[&lower, &expanded])
                .lookup(&TreePath::new("a/b/gone").unwrap(), Follow::Parents)
                .is_none()
        );
    }
}
