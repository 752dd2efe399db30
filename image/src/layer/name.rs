//! What a member's name means in a layer.
//!
//! ```text
//! a/.wh.b            b was deleted from a
//! a/.wh..wh..opq     a hides what lower layers have in it
//! .wh..wh.plnk/…     what AUFS kept for itself in old images: ignored, as docker does
//! ```
//!
//! Names that lead out are refused and not clamped: nobody writes them by accident. `/` alone is
//! the root (kaniko writes it).

use gantry_tree::TreePath;

use super::LayerError;

pub(crate) const WHITEOUT: &[u8] = b".wh.";
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";
const META: &[u8] = b".wh..wh.";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Something that lies at this path.
    Entry(TreePath),
    /// Nothing lies at this path any more.
    Whiteout(TreePath),
    /// This directory is opaque.
    Opaque(TreePath),
    /// AUFS's own.
    Ignored,
}

/// Understands a member's name.
///
/// # Errors
/// [`LayerError::Refused`] for absolute names, `..`, NUL, whiteouts of nothing (`.wh.`), of `.` and
/// `..`, and for anything inside something that is called like a whiteout.
pub(crate) fn meaning(name: &[u8]) -> Result<Meaning, LayerError> {
    let refused = |reason: &str| Err(LayerError::refused(name, reason));
    let path = plain(name)?;
    let Some(base) = path.file_name() else { return Ok(Meaning::Entry(path)) };
    let parent = path.parent().unwrap_or_default();
    if parent.components().any(|component| component.starts_with(META)) {
        return Ok(Meaning::Ignored);
    }
    if parent.components().any(|component| component.starts_with(WHITEOUT)) {
        return refused("it lies in something that is called like a whiteout");
    }
    if base == OPAQUE {
        return Ok(Meaning::Opaque(parent));
    }
    if base.starts_with(META) {
        return Ok(Meaning::Ignored);
    }
    match base.strip_prefix(WHITEOUT) {
        None => Ok(Meaning::Entry(path)),
        Some(b"") => refused("it is a whiteout without a name"),
        Some(deleted) => match parent.join(deleted) {
            Ok(deleted) => Ok(Meaning::Whiteout(deleted)),
            Err(_) => refused("it is a whiteout of `.` or `..`"),
        },
    }
}

/// Returns the path that a hard link names. A leading slash is the layer's root (kaniko writes it).
///
/// # Errors
/// [`LayerError::Refused`] for `..`, NUL and nothing at all.
pub(crate) fn link_target(name: &[u8], target: &[u8]) -> Result<TreePath, LayerError> {
    match TreePath::normalize(target) {
        Ok(path) if !path.is_root() => Ok(path),
        Ok(_) => Err(LayerError::refused(name, "it is a hard link to a directory")),
        Err(err) => {
            Err(LayerError::refused(name, format!("it is a hard link that leads out: {err}")))
        }
    }
}

/// Returns the path of a name that means nothing special.
pub(crate) fn plain(name: &[u8]) -> Result<TreePath, LayerError> {
    if name.is_empty() {
        return Err(LayerError::refused(name, "it has no name"));
    }
    let path =
        TreePath::normalize(name).map_err(|err| LayerError::refused(name, err.to_string()))?;
    if name.starts_with(b"/") && !path.is_root() {
        return Err(LayerError::refused(name, "its name is absolute"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_they_mean_to_docker() {
        let path = |text: &str| TreePath::new(text).unwrap();
        for (name, means) in [
            ("./a//b/", Meaning::Entry(path("a/b"))),
            ("./", Meaning::Entry(TreePath::root())),
            ("/", Meaning::Entry(TreePath::root())),
            ("a/.wh.b", Meaning::Whiteout(path("a/b"))),
            (".wh.b", Meaning::Whiteout(path("b"))),
            ("a/.wh..b", Meaning::Whiteout(path("a/.b"))),
            ("a/.wh..wh..opq", Meaning::Opaque(path("a"))),
            (".wh..wh..opq", Meaning::Opaque(TreePath::root())),
            (".wh..wh.plnk/1.2", Meaning::Ignored),
            (".wh..wh.orph", Meaning::Ignored),
            ("a/.whx", Meaning::Entry(path("a/.whx"))),
        ] {
            assert_eq!(meaning(name.as_bytes()).unwrap(), means, "{name}");
        }
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for name in [
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/..",
            "",
            ".wh.",
            "a/.wh.",
            ".wh..",
            "a/.wh...",
            ".wh.a/b",
            "a\0b",
        ] {
            assert!(matches!(meaning(name.as_bytes()), Err(LayerError::Refused { .. })), "{name}");
        }
        assert_eq!(link_target(b"l", b"/a/./b").unwrap(), TreePath::new("a/b").unwrap());
        for target in ["", "/", "../../etc/passwd", "a/../../b"] {
            assert!(link_target(b"l", target.as_bytes()).is_err(), "{target}");
        }
    }
}
