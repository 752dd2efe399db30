//! Paths as Dockerfiles write them: cleaned lexically, as Go's `path.Clean` does.

/// Cleans an absolute path: one slash between names, no `.`; `..` ends at the root.
pub(super) fn clean(path: &str) -> String {
    let mut clean = String::with_capacity(path.len() + 1);
    append(&mut clean, path);
    finish(clean)
}

/// Goes on from a clean path without a slash at its end.
fn append(clean: &mut String, path: &str) {
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => clean.truncate(clean.rfind('/').unwrap_or(0)),
            name => {
                clean.push('/');
                clean.push_str(name);
            }
        }
    }
}

fn finish(mut clean: String) -> String {
    if clean.is_empty() {
        clean.push('/');
    }
    clean
}

/// Returns `path` below `dir` unless it is absolute, cleaned.
pub(super) fn join(dir: &str, path: &str) -> String {
    let mut joined = String::with_capacity(dir.len() + path.len() + 2);
    if !path.starts_with('/') {
        append(&mut joined, dir);
    }
    append(&mut joined, path);
    finish(joined)
}

/// Like [`join`], and says by a trailing slash that a directory is meant.
pub(super) fn join_dest(dir: &str, path: &str) -> String {
    let mut joined = join(dir, path);
    let directory = path.is_empty() || path == "." || path.ends_with('/') || path.ends_with("/.");
    if directory && !joined.ends_with('/') {
        joined.push('/');
    }
    joined
}

/// Cleans the path of a source: relative to the root of the source, clamped at it (B6-02).
pub(super) fn source(path: &str) -> String {
    let mut clean = clean(path);
    clean.remove(0);
    clean
}

/// Returns the last name of a path, `/` for the root.
pub(crate) fn base(path: &str) -> String {
    let clean = clean(path);
    clean.rsplit('/').find(|name| !name.is_empty()).unwrap_or("/").to_owned()
}

/// Returns whether Go's `filepath.Match` would see a pattern in it.
pub(super) fn has_wildcards(path: &str) -> bool {
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return true,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_keep_their_slash() {
        let cases = [
            ("/app", "/app"),
            ("/app/", "/app/"),
            ("x", "/w/x"),
            (".", "/w/"),
            ("./", "/w/"),
            ("", "/w/"),
            ("../y/.", "/y/"),
            ("/", "/"),
            ("//a//b", "/a/b"),
        ];
        for (path, joined) in cases {
            assert_eq!(join_dest("/w", path), joined, "{path}");
        }
    }

    #[test]
    fn sources_end_at_the_root() {
        let cases = [("/", ""), (".", ""), ("../../a", "a"), ("/a/", "a"), ("a/./b//c", "a/b/c")];
        for (path, cleaned) in cases {
            assert_eq!(source(path), cleaned, "{path}");
        }
    }

    #[test]
    fn an_escaped_star_is_no_wildcard() {
        assert!(has_wildcards("a*") && has_wildcards("[a]") && has_wildcards("?"));
        assert!(!has_wildcards("a\\*") && !has_wildcards("a"));
    }
}
