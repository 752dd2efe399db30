//! One pattern, compiled: component by component where that says the same as moby's regular
//! expression, else as a small automaton.

use super::ends::Ends;
use super::general::General;
use crate::glob::{BadPattern, Glob, tokens};

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    /// Tells most paths that don't match at a glance.
    ends: Ends,
    way: Way,
}

/// How a pattern is matched.
#[derive(Clone, Debug)]
enum Way {
    /// Components; `**` stands alone in its component, and there is no `[…]`.
    Parts(Vec<Part>),
    /// `**` beside other text, or a class, which may match a `/`.
    General(General),
}

#[derive(Clone, Debug)]
enum Part {
    Literal(String),
    Glob(Glob),
    /// `**`: any number of components; at the end of a pattern at least one.
    Deep,
}

impl Part {
    fn matches(&self, component: &[u8]) -> bool {
        match self {
            Self::Literal(text) => text.as_bytes() == component,
            Self::Glob(glob) => glob.matches(component),
            Self::Deep => true,
        }
    }
}

impl Matcher {
    /// Compiles a cleaned pattern without `!`.
    pub(super) fn new(pattern: &str) -> Result<Self, BadPattern> {
        // Go checks the syntax of the whole with `filepath.Match` first.
        let ends = Ends::of(&tokens(pattern)?);
        Ok(Self { ends, way: Way::new(pattern)? })
    }

    /// Whether it matches `path` itself.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        if !self.ends.fit(path) {
            return false;
        }
        match &self.way {
            Way::Parts(parts) => matches_parts(parts, path, false),
            Way::General(general) => general.matches(path, false),
        }
    }

    /// Whether it matches `path` or a directory above it.
    pub(super) fn matches_or_parent(&self, path: &[u8]) -> bool {
        if !self.ends.fit_above(path) {
            return false;
        }
        match &self.way {
            Way::Parts(parts) => matches_parts(parts, path, true),
            Way::General(general) => general.matches(path, true),
        }
    }

    /// Whether it may match something below the directory `path`; in doubt, yes.
    pub(super) fn may_match_below(&self, path: &[u8]) -> bool {
        let Way::Parts(parts) = &self.way else { return true };
        let mut rest = Some(path).filter(|path| !path.is_empty());
        for part in parts {
            let Some(path) = rest else { return true };
            if matches!(part, Part::Deep) {
                return true;
            }
            let (component, tail) = split(path);
            if !part.matches(component) {
                return false;
            }
            rest = tail;
        }
        // The pattern ends at or above the directory.
        false
    }
}

impl Way {
    fn new(pattern: &str) -> Result<Self, BadPattern> {
        let glued = pattern.split('/').any(|part| part.contains("**") && part != "**");
        if glued || pattern.contains(['[', ']']) || pattern.contains("\\/") {
            return General::new(pattern).map(Self::General);
        }
        let parts = pattern.split('/').map(|part| {
            if part == "**" {
                return Ok(Part::Deep);
            }
            let glob = Glob::new(part)?;
            if glob.is_literal() {
                let mut chars = part.chars();
                let mut text = String::new();
                while let Some(c) = chars.next() {
                    text.extend(if c == '\\' { chars.next() } else { Some(c) });
                }
                return Ok(Part::Literal(text));
            }
            Ok(Part::Glob(glob))
        });
        parts.collect::<Result<_, _>>().map(Self::Parts)
    }
}

/// The first component, and what follows it.
fn split(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'/', path) {
        Some(slash) => (&path[..slash], Some(&path[slash + 1..])),
        None => (path, None),
    }
}

/// Matches greedily and remembers only the last `**`: what lies behind it may begin at any later
/// component, so earlier ones never need another try.
fn matches_parts(parts: &[Part], path: &[u8], or_parent: bool) -> bool {
    let mut rest = Some(path);
    let mut at = 0;
    let mut retry: Option<(usize, &[u8])> = None;
    loop {
        match (parts.get(at), rest) {
            (None, None) => return true,
            (None, Some(_)) if or_parent => return true,
            (Some(Part::Deep), Some(path)) => {
                at += 1;
                if at == parts.len() {
                    return true;
                }
                retry = Some((at, path));
                continue;
            }
            (Some(part), Some(path)) => {
                let (component, tail) = split(path);
                if part.matches(component) {
                    (at, rest) = (at + 1, tail);
                    continue;
                }
            }
            _ => {}
        }
        let Some((after, path)) = retry else { return false };
        let (_, Some(tail)) = split(path) else { return false };
        retry = Some((after, tail));
        (at, rest) = (after, Some(tail));
    }
}

/// `filepath.Clean`, and then without a leading `/`.
pub(super) fn clean(pattern: &str) -> String {
    let rooted = pattern.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_like_go() {
        for (pattern, expect) in [
            ("/a//b/./c/", "a/b/c"),
            ("a/../b", "b"),
            ("../a", "../a"),
            ("/../a", "a"),
            ("/", "."),
            ("a/..", "."),
            ("**/", "**"),
        ] {
            assert_eq!(clean(pattern), expect);
        }
    }
}
