//! Names of images: `ubuntu`, `ghcr.io/a/b:1`, `x@sha256:…`.
//!
//! Grammar, normalisation and the wording of every error are those of
//! `github.com/distribution/reference`, since users and scripts know them: `ubuntu` means
//! `docker.io/library/ubuntu`, a first component with `.` or `:`, or `localhost`, or with upper case
//! is a registry. (So these messages start in lower case, unlike ours.)

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

mod grammar;

use grammar::{is_domain, is_path, is_tag, parse_digest};

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
const OFFICIAL_PREFIX: &str = "library/";
const PATH_LIMIT: usize = 255;

/// A normalised image name: registry, repository, and a tag or a digest or both or neither.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Text that names no image; docker's wording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseReferenceError {
    /// It doesn't follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// Upper case in the repository.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// Nothing before the tag.
    #[error("repository name must have at least one component")]
    Empty,
    /// Too long a repository.
    #[error("repository name must not be more than {PATH_LIMIT} characters")]
    TooLong,
    /// 64 hex digits, which would be taken for an image ID.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
    /// A tag that doesn't follow the grammar, given apart from a name.
    #[error("invalid tag format")]
    Tag,
    /// A digest of another algorithm than sha256, or of a wrong length.
    #[error("unsupported digest algorithm")]
    Digest,
}

impl Reference {
    /// Returns the registry, `docker.io` by default.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns the repository within the registry: `library/ubuntu`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the tag that was given.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest that was given.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Returns the name without tag and digest, in full: `docker.io/library/ubuntu`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// Returns the name without tag and digest as users write it: `ubuntu`, `radial/nginx`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        // `library/a/b` must keep its prefix: `a/b` is another repository.
        match self.path.strip_prefix(OFFICIAL_PREFIX) {
            Some(short) if !short.contains('/') => short.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// Returns the familiar name with tag and digest: `ubuntu:22.04`.
    #[must_use]
    pub fn familiar(&self) -> String {
        self.suffixed(self.familiar_name())
    }

    /// Returns it with the tag `latest` where there is neither tag nor digest.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// Returns the same repository with another tag, without digest.
    ///
    /// # Errors
    /// [`ParseReferenceError::Tag`] if that is no tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ParseReferenceError> {
        if !is_tag(tag) {
            return Err(ParseReferenceError::Tag);
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// Returns the same repository by digest, without tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    fn suffixed(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
        text
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ParseReferenceError::LooksLikeId(text.to_owned()));
        }
        let (domain, remainder) = split_domain(text);
        let remote = remainder.split(':').next().unwrap_or_default();
        if remote.to_lowercase() != remote {
            return Err(ParseReferenceError::Uppercase(remote.to_owned()));
        }
        if text.is_empty() {
            return Err(ParseReferenceError::Format);
        }
        let (named, digest) = match remainder.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (remainder.as_str(), None),
        };
        // A colon before the last slash can't be a tag's, and no path component may hold one.
        let (path, tag) = match named.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (named, None),
        };
        if !is_domain(&domain) || !is_path(path) || tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ParseReferenceError::Format);
        }
        let digest = digest.map(parse_digest).transpose()?;
        if path.len() > PATH_LIMIT {
            return Err(ParseReferenceError::TooLong);
        }
        Ok(Self { domain, path: path.to_owned(), tag: tag.map(str::to_owned), digest })
    }
}

impl fmt::Display for Reference {
    /// Writes the canonical form: `docker.io/library/ubuntu:22.04`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.suffixed(self.name()))
    }
}

/// Splits registry from repository, and fills in what docker fills in.
fn split_domain(name: &str) -> (String, String) {
    let Some((first, rest)) = name.split_once('/') else {
        return (DEFAULT_DOMAIN.to_owned(), format!("{OFFICIAL_PREFIX}{name}"));
    };
    let (domain, remote) = match first {
        LEGACY_DEFAULT_DOMAIN => (DEFAULT_DOMAIN, rest),
        "localhost" => (first, rest),
        _ if first.contains(['.', ':']) || first.to_lowercase() != first => (first, rest),
        _ => (DEFAULT_DOMAIN, name),
    };
    if domain == DEFAULT_DOMAIN && !remote.contains('/') {
        return (domain.to_owned(), format!("{OFFICIAL_PREFIX}{remote}"));
    }
    (domain.to_owned(), remote.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Reference {
        text.parse().unwrap_or_else(|err| panic!("{text}: {err}"))
    }

    #[test]
    fn names_are_dockers() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, canonical, familiar) in [
            ("ubuntu", "docker.io/library/ubuntu", "ubuntu"),
            ("ubuntu:14.04", "docker.io/library/ubuntu:14.04", "ubuntu:14.04"),
            ("radial/nginx", "docker.io/radial/nginx", "radial/nginx"),
            ("docker.io/ubuntu", "docker.io/library/ubuntu", "ubuntu"),
            ("index.docker.io/library/ubuntu", "docker.io/library/ubuntu", "ubuntu"),
            ("localhost/a", "localhost/a", "localhost/a"),
            ("localhost:5000/a/b:v1", "localhost:5000/a/b:v1", "localhost:5000/a/b:v1"),
            ("ghcr.io/a/b__c-d---e.f", "ghcr.io/a/b__c-d---e.f", "ghcr.io/a/b__c-d---e.f"),
            ("Foo/bar", "Foo/bar", "Foo/bar"),
            ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
            ("[::1]/x", "[::1]/x", "[::1]/x"),
            ("library/a/b", "docker.io/library/a/b", "library/a/b"),
            ("foo:5000", "docker.io/library/foo:5000", "foo:5000"),
        ] {
            assert_eq!(parse(text).to_string(), canonical);
            assert_eq!(parse(text).familiar(), familiar);
            assert_eq!(parse(canonical), parse(text));
        }
        let both = parse(&format!("a:1@{digest}"));
        assert_eq!((both.tag(), both.digest().unwrap().to_string()), (Some("1"), digest));
    }

    #[test]
    fn latest_is_added_only_where_nothing_is_said() {
        assert_eq!(parse("a").with_default_tag().familiar(), "a:latest");
        assert_eq!(parse("a:1").with_default_tag().familiar(), "a:1");
        let digest = Digest::of(b"");
        assert_eq!(parse("a").with_digest(digest).with_default_tag().tag(), None);
    }

    #[test]
    fn errors_are_dockers() {
        let message = |text: &str| text.parse::<Reference>().unwrap_err().to_string();
        assert_eq!(
            message("Ubuntu"),
            "invalid reference format: repository name (library/Ubuntu) must be lowercase"
        );
        assert_eq!(
            message("a/B:x"),
            "invalid reference format: repository name (a/B) must be lowercase"
        );
        let id = "a".repeat(64);
        assert_eq!(
            message(&id),
            format!("invalid repository name ({id}), cannot specify 64-byte hexadecimal strings")
        );
        let (long_tag, long_name) = (format!("a:{}", "b".repeat(129)), "a/".repeat(128) + "b");
        for bad in [
            "",
            "-a",
            "a//b",
            "a/",
            "/a",
            "a:",
            "a:b:c",
            "a@sha256:12",
            "a@",
            "a b",
            "a:-x",
            "a..b",
            "a._b",
            "a___b",
            "-x.y/a",
            "[::1/x",
            "[g]/x",
            "x.y:/a",
            "x.y:1:2/a",
            "é",
            ":",
            "a@sha256",
            &long_tag,
        ] {
            assert_eq!(message(bad), "invalid reference format", "{bad}");
        }
        assert_eq!(message(&long_name), "repository name must not be more than 255 characters");
        assert_eq!(
            message(&format!("a@sha512:{}", "0".repeat(128))),
            "unsupported digest algorithm"
        );
        assert_eq!(parse("a").with_tag("-").unwrap_err().to_string(), "invalid tag format");
    }
}
