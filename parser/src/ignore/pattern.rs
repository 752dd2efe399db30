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

/// The byte with which every name that matches begins or ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Edge {
    Byte(u8),
    /// There is not one.
    Any,
}

/// More components than this are not followed one by one.
const FOLLOWED: usize = 64;

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

    /// Whether it is `**/x`: then only the last component of a path counts.
    pub(super) fn is_everywhere(&self) -> bool {
        matches!(&self.way, Way::Parts(parts) if matches!(parts.as_slice(), [Part::Deep, _]))
    }

    /// The positions before any component, as bits; `None` if components are not followed.
    pub(super) fn start(&self) -> Option<u64> {
        let Way::Parts(parts) = &self.way else { return None };
        Some(positions(parts, 0))
    }

    /// The positions after one more component.
    pub(super) fn step(&self, mut at: u64, component: &[u8]) -> u64 {
        let Way::Parts(parts) = &self.way else { return 0 };
        let mut next = 0;
        while at != 0 {
            let position = at.trailing_zeros() as usize;
            at &= at - 1;
            match &parts[position] {
                Part::Deep => next |= positions(parts, position),
                part if position + 1 < parts.len() && part.matches(component) => {
                    next |= positions(parts, position + 1);
                }
                _ => {}
            }
        }
        next
    }

    /// Whether only the last component is missing in one of these positions.
    pub(super) fn is_at_end(&self, at: u64) -> bool {
        matches!(&self.way, Way::Parts(parts) if at & 1 << (parts.len() - 1) != 0)
    }

    /// Whether it matches `path`, called `name` in its directory, where only that is missing.
    pub(super) fn matches_last(&self, path: &[u8], name: &[u8]) -> bool {
        match &self.way {
            Way::Parts(parts) => parts.last().is_some_and(|last| last.matches(name)),
            Way::General(general) => self.ends.fit(path) && general.matches(path, false),
        }
    }

    /// Whether it may match something in the directory `path` or below.
    pub(super) fn may_begin_with(&self, path: &[u8]) -> bool {
        self.ends.fit_below(path)
    }

    /// How the last component of everything that matches begins and ends.
    pub(super) fn edges(&self) -> (Edge, Edge) {
        let edge = |byte: Option<u8>| byte.map_or(Edge::Any, Edge::Byte);
        let Way::Parts(parts) = &self.way else {
            return (Edge::Any, edge(self.ends.last_byte()));
        };
        match parts.last() {
            Some(Part::Literal(text)) => {
                let bytes = text.as_bytes();
                (edge(bytes.first().copied()), edge(bytes.last().copied()))
            }
            Some(Part::Glob(glob)) => {
                let (first, last) = glob.edges();
                (edge(first), edge(last))
            }
            Some(Part::Deep) | None => (Edge::Any, Edge::Any),
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
        let long = pattern.split('/').count() > FOLLOWED;
        if glued || long || pattern.contains(['[', ']']) || pattern.contains("\\/") {
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

/// The position of a part, and those behind it that need no component of their own: `**` may stand
/// for none, but at the end.
fn positions(parts: &[Part], mut position: usize) -> u64 {
    let mut all = 1 << position;
    while matches!(parts[position], Part::Deep) && position + 1 < parts.len() {
        position += 1;
        all |= 1 << position;
    }
    all
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
