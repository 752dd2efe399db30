//! Which sources of ADD and COPY are no paths (B6-17, B6-19, B6-21).

use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_till1, take_while1};
use nom::character::complete::char;
use nom::{IResult, Parser};

/// What an expanded source names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SourceKind {
    /// A path or glob, in the context, a stage or an image.
    Path,
    /// A file to be fetched by HTTP or HTTPS.
    Http,
    /// A git repository: `git://`, `ssh://`, `user@host:path`, or HTTP with a path that ends in
    /// `.git`. What follows a `#` or `?` is not looked at.
    Git,
}

/// Tells what an expanded source is.
///
/// `github.com/x/y` could as well be a path and is one here, as in BuildKit.
#[must_use]
pub fn source_kind(source: &str) -> SourceKind {
    if let Ok((rest, ())) = http(source) {
        let path = &rest[..rest.find(['#', '?']).unwrap_or(rest.len())];
        return if path.ends_with(".git") { SourceKind::Git } else { SourceKind::Http };
    }
    let mut git = alt((scheme(&["git://", "ssh://"]), scp));
    if git.parse(source).is_ok() { SourceKind::Git } else { SourceKind::Path }
}

fn http(input: &str) -> IResult<&str, ()> {
    alt((tag_no_case("http://"), tag_no_case("https://"))).map(drop).parse(input)
}

fn scheme(names: &'static [&'static str]) -> impl Fn(&str) -> IResult<&str, ()> {
    |input| {
        let name = names.iter().find(|name| input.starts_with(**name)).unwrap_or(&"://");
        tag(*name).map(drop).parse(input)
    }
}

/// `user@host:path`.
fn scp(input: &str) -> IResult<&str, ()> {
    let user = take_while1(|c: char| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let host = take_till1(|c: char| matches!(c, ':' | '/') || c.is_whitespace());
    (user, char('@'), host, char(':')).map(drop).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (source, kind) in [
            ("https://example.com/a.tar", SourceKind::Http),
            ("HTTP://example.com", SourceKind::Http),
            ("https://example.com/x.git", SourceKind::Git),
            ("https://example.com/x.git#main:sub", SourceKind::Git),
            ("https://example.com/x.git?ref=main", SourceKind::Git),
            ("https://example.com/x?y.git", SourceKind::Http),
            ("git@example.com:a/b.git", SourceKind::Git),
            ("ssh://git@example.com/a", SourceKind::Git),
            ("git://example.com/a", SourceKind::Git),
            ("github.com/a/b", SourceKind::Path),
            ("a@b/c:d", SourceKind::Path),
            ("ftp://x/y", SourceKind::Path),
            ("./x.git", SourceKind::Path),
            ("", SourceKind::Path),
        ] {
            assert_eq!(source_kind(source), kind, "{source}");
        }
    }
}
