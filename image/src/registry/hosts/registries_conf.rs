//! Containers' `registries.conf`, version 2, and what version 1 says of insecure registries.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::endpoint::By;
use super::{Endpoint, Security, broken, first_of};
use crate::registry::error::RegistryError;

/// The rules of the file.
#[derive(Debug, Default)]
pub(super) struct Registries(Vec<Rule>);

/// One `[[registry]]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Rule {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    pub(super) blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    pull_from_mirror: String,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    registry: Vec<Rule>,
    #[serde(default)]
    registries: Version1,
}

#[derive(Default, Deserialize)]
struct Version1 {
    #[serde(default)]
    insecure: List,
    #[serde(default)]
    block: List,
}

#[derive(Default, Deserialize)]
struct List {
    #[serde(default)]
    registries: Vec<String>,
}

/// Reads the first of the files that is there.
pub(super) fn read(paths: &[PathBuf]) -> Result<Registries, RegistryError> {
    let Some((path, text)) = first_of(paths)? else { return Ok(Registries::default()) };
    parse(&text, &path)
}

fn parse(text: &str, path: &Path) -> Result<Registries, RegistryError> {
    let file: File = toml::from_str(text).map_err(|error| broken(path.to_owned(), error))?;
    let mut rules = file.registry;
    let old = |location: String, insecure, blocked| Rule {
        prefix: String::new(),
        location,
        insecure,
        blocked,
        mirror_by_digest_only: false,
        mirror: Vec::new(),
    };
    rules.extend(file.registries.insecure.registries.into_iter().map(|it| old(it, true, false)));
    rules.extend(file.registries.block.registries.into_iter().map(|it| old(it, false, true)));
    for rule in &mut rules {
        if rule.prefix.is_empty() {
            rule.prefix.clone_from(&rule.location);
        }
        if rule.prefix.is_empty() {
            return Err(broken(
                path.to_owned(),
                "a `[[registry]]` has no `prefix` and no `location`",
            ));
        }
    }
    Ok(Registries(rules))
}

impl Registries {
    /// Finds the rule with the longest prefix that suits.
    pub(super) fn find(&self, registry: &str, repository: &str) -> Option<&Rule> {
        let suited = self.0.iter().filter_map(|rule| {
            matched(&rule.prefix, registry, repository).map(|length| (length, rule))
        });
        // Of equal ones the first counts.
        suited.rev().max_by_key(|(length, _)| *length).map(|(_, rule)| rule)
    }
}

/// Returns how much of `registry/repository` a prefix covers, or `None` if it doesn't suit.
fn matched(prefix: &str, registry: &str, repository: &str) -> Option<usize> {
    if let Some(domain) = prefix.strip_prefix("*.") {
        let host = registry.split(':').next().unwrap_or(registry);
        let below = host.strip_suffix(domain)?;
        return (below.ends_with('.')).then_some(registry.len());
    }
    let name = format!("{registry}/{repository}");
    let rest = name.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
}

impl Rule {
    /// The mirrors for a repository, in order.
    pub(super) fn mirrors(&self, registry: &str, repository: &str) -> Vec<Endpoint> {
        self.mirror
            .iter()
            .map(|mirror| {
                let mut endpoint = self.at(&mirror.location, mirror.insecure, registry, repository);
                endpoint.stands_for = Some(registry.to_owned());
                endpoint.by = match mirror.pull_from_mirror.as_str() {
                    "digest-only" => By::Digest,
                    "tag-only" => By::Tag,
                    _ if self.mirror_by_digest_only => By::Digest,
                    _ => By::All,
                };
                endpoint
            })
            .collect()
    }

    /// The registry itself, which may have moved.
    pub(super) fn itself(&self, registry: &str, repository: &str) -> Endpoint {
        self.at(&self.location, self.insecure, registry, repository)
    }

    /// Puts `location` in the place of the prefix.
    fn at(&self, location: &str, insecure: bool, registry: &str, repository: &str) -> Endpoint {
        let name = format!("{registry}/{repository}");
        let covered = matched(&self.prefix, registry, repository).unwrap_or_default();
        let rest = name.get(covered..).unwrap_or_default().trim_start_matches('/');
        let moved = format!("{}/{rest}", location.trim_end_matches('/'));
        let mut endpoint = match moved.split_once('/') {
            Some((host, path)) if !location.is_empty() => Endpoint::new(host, path),
            _ => Endpoint::new(registry, repository),
        };
        if insecure {
            endpoint.settings.security = Security::Any;
        }
        endpoint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        unqualified-search-registries = ["docker.io"]
        [[registry]]
        prefix = "example.com/foo"
        location = "internal:5000/bar"
        insecure = true
        [[registry.mirror]]
        location = "m1.local/x"
        [[registry.mirror]]
        location = "m2.local"
        pull-from-mirror = "digest-only"
        [[registry]]
        location = "example.com"
        blocked = true
        [[registry]]
        prefix = "*.corp.example"
        location = "all.corp:1"
        [[registry]]
        prefix = "docker.io"
        [[registry.mirror]]
        location = "hub.local:5000/hub"
        insecure = true
    "#;

    #[test]
    fn the_longest_prefix_counts_and_locations_take_its_place() {
        let registries = parse(TEXT, Path::new("r")).unwrap();
        let rule = registries.find("example.com", "foo/img").unwrap();
        let itself = rule.itself("example.com", "foo/img");
        assert_eq!((&*itself.authority, &*itself.repository), ("internal:5000", "bar/img"));
        assert_eq!(itself.settings.security, Security::Any);
        let mirrors = rule.mirrors("example.com", "foo/img");
        assert_eq!((&*mirrors[0].authority, &*mirrors[0].repository), ("m1.local", "x/img"));
        assert!(mirrors[0].serves(false) && !mirrors[1].serves(false) && mirrors[1].serves(true));
        assert!(registries.find("example.com", "foobar").unwrap().blocked);
        assert!(registries.find("other.example", "a").is_none());
        let wild = registries.find("a.corp.example", "x/y").unwrap();
        let itself = wild.itself("a.corp.example", "x/y");
        assert_eq!((&*itself.authority, &*itself.repository), ("all.corp:1", "x/y"));
        let hub = registries.find("docker.io", "library/a").unwrap();
        assert_eq!(hub.itself("docker.io", "library/a").authority, "registry-1.docker.io");
        assert_eq!(hub.mirrors("docker.io", "library/a")[0].repository, "hub/library/a");
    }

    #[test]
    fn the_old_form_names_insecure_registries() {
        let text = "[registries.insecure]\nregistries = ['a.b:1']\n[registries.block]\nregistries = ['c.d']";
        let registries = parse(text, Path::new("r")).unwrap();
        let itself = registries.find("a.b:1", "x").unwrap().itself("a.b:1", "x");
        assert_eq!(itself.settings.security, Security::Any);
        assert!(registries.find("c.d", "x").unwrap().blocked);
        assert!(parse("[[registry]]\n", Path::new("r")).is_err());
    }
}
