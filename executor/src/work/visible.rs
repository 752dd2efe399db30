//! What of a context can be seen: its ignore file drops some of it, and a selection takes some.

use std::collections::HashSet;

use gantry_parser::ignore::Walk;
use gantry_tree::{FileKind, Follow, Root, TreePath, Verdict};

use super::files::{Files, FilesError, Place, names};

/// A directory without what its ignore file drops.
pub(super) struct Visible<'a> {
    pub(super) root: &'a Root,
    pub(super) ignore: &'a Walk<'a>,
}

impl Visible<'_> {
    fn shows(&self, path: &TreePath, kind: FileKind) -> Result<bool, FilesError> {
        Ok(path.is_root()
            || match skipped(self.ignore, path, kind) {
                Verdict::Keep => true,
                Verdict::Skip => false,
                // Left out itself, and there only as the way to something that is let in.
                Verdict::Descend => self.shows_below(path)?,
            })
    }

    fn shows_below(&self, dir: &TreePath) -> Result<bool, FilesError> {
        for entry in self.root.read_dir(dir, Follow::Parents)? {
            let Ok(path) = dir.join(&entry.name) else { continue };
            if self.shows(&path, entry.kind)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Files for Visible<'_> {
    fn find(&self, path: &TreePath, follow: Follow) -> Result<Option<Place>, FilesError> {
        let real = match self.root.resolve(path, follow) {
            Ok(real) => real,
            Err(gantry_tree::TreeError::Resolve {
                source: gantry_tree::ResolveError::NotADirectory(_),
                ..
            }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stat = match self.root.stat(&real, Follow::Parents) {
            Ok(stat) => stat,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // A link that is dropped leads nowhere, and one that is not does not lead to what is.
        let shown = self.shows(&real, stat.kind)?
            && (*path == real || self.shows(path, FileKind::Symlink)?);
        Ok(shown.then_some(Place { path: real, kind: stat.kind }))
    }

    fn list(&self, dir: &TreePath) -> Result<Vec<(Vec<u8>, FileKind)>, FilesError> {
        let mut shown = Vec::new();
        for entry in self.root.read_dir(dir, Follow::Parents)? {
            let path = dir.join(&entry.name);
            if path.is_ok_and(|path| self.shows(&path, entry.kind).unwrap_or(false)) {
                shown.push(entry);
            }
        }
        Ok(names(shown))
    }
}

/// What a pattern list says of a path, in the words of a scan.
pub(super) fn skipped(rules: &Walk<'_>, path: &TreePath, kind: FileKind) -> Verdict {
    if !rules.matches(path.as_bytes()).excluded {
        Verdict::Keep
    } else if kind == FileKind::Dir
        && rules.file().has_exceptions()
        && !rules.prunes(path.as_bytes())
    {
        Verdict::Descend
    } else {
        Verdict::Skip
    }
}

/// Says whether a path is in a set, or something above it. Asked for every file of a context, so
/// it allocates nothing.
pub(super) fn is_within(set: &HashSet<&[u8]>, path: &[u8]) -> bool {
    // Most COPYs name one or two sources, and comparing is quicker than hashing.
    const FEW: usize = 8;
    if set.len() <= FEW {
        let above = |one: &&[u8]| match path.strip_prefix(*one) {
            Some(rest) => one.is_empty() || rest.is_empty() || rest[0] == b'/',
            None => false,
        };
        return set.iter().any(above);
    }
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    set.contains(&b""[..])
        || set.contains(path)
        || slashes.map(|(at, _)| &path[..at]).any(|above| set.contains(above))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::is_within;

    #[test]
    fn few_and_many_sources_let_in_the_same() {
        let few = HashSet::from([&b"a/b"[..], b"c"]);
        let mut many = few.clone();
        let others: Vec<String> = (0..20).map(|number| format!("other{number}")).collect();
        many.extend(others.iter().map(String::as_bytes));
        for (path, within) in [
            ("a", false),
            ("a/b", true),
            ("a/b/c", true),
            ("a/bc", false),
            ("c", true),
            ("d", false),
        ] {
            assert_eq!(is_within(&few, path.as_bytes()), within, "{path}");
            assert_eq!(is_within(&many, path.as_bytes()), within, "{path}");
        }
        assert!(is_within(&HashSet::from([&b""[..]]), b"any"), "the whole tree");
    }
}
