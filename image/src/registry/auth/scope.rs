//! What a token allows: `repository:library/a:pull,push`.

use std::collections::{BTreeMap, BTreeSet};

/// Actions by resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Scopes(BTreeMap<String, BTreeSet<String>>);

impl Scopes {
    /// Reading a repository.
    pub(in super::super) fn pull(repository: &str) -> Self {
        Self::default().and(&format!("repository:{repository}"), &["pull"])
    }

    /// Reading and writing a repository.
    pub(in super::super) fn push(repository: &str) -> Self {
        Self::default().and(&format!("repository:{repository}"), &["pull", "push"])
    }

    /// Deleting from a repository. Some token servers know `delete`, others `*`.
    pub(in super::super) fn delete(repository: &str) -> Self {
        Self::default().and(&format!("repository:{repository}"), &["pull", "push", "delete"])
    }

    /// Listing the repositories.
    pub(in super::super) fn catalog() -> Self {
        Self::default().and("registry:catalog", &["*"])
    }

    /// Adds what another one allows.
    #[must_use]
    pub(in super::super) fn join(mut self, other: &Self) -> Self {
        for (resource, actions) in &other.0 {
            self.0.entry(resource.clone()).or_default().extend(actions.iter().cloned());
        }
        self
    }

    fn and(mut self, resource: &str, actions: &[&str]) -> Self {
        let actions = actions.iter().map(|&action| action.to_owned());
        self.0.entry(resource.to_owned()).or_default().extend(actions);
        self
    }

    /// Reads the scope of a challenge: some between spaces; the name may hold colons.
    pub(super) fn parse(text: &str) -> Self {
        let mut scopes = Self::default();
        for scope in text.split_whitespace().take(16) {
            let Some((resource, actions)) = scope.rsplit_once(':') else { continue };
            scopes = scopes.and(resource, &actions.split(',').collect::<Vec<_>>());
        }
        scopes
    }

    /// Does it allow all that another one wants?
    pub(super) fn covers(&self, wanted: &Self) -> bool {
        wanted.0.iter().all(|(resource, actions)| {
            self.0.get(resource).is_some_and(|own| own.contains("*") || own.is_superset(actions))
        })
    }

    /// Writes each as token servers want it.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(resource, actions)| {
            // Written as docker writes it; a few servers compare text.
            let order = ["pull", "push"];
            let known = order.iter().copied().filter(|&action| actions.contains(action));
            let others = actions.iter().map(String::as_str).filter(|it| !order.contains(it));
            format!("{resource}:{}", known.chain(others).collect::<Vec<_>>().join(","))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_written_as_docker_does() {
        let texts = |scopes: &Scopes| scopes.texts().collect::<Vec<_>>();
        let mount = Scopes::push("b").join(&Scopes::pull("a"));
        assert_eq!(texts(&mount), ["repository:a:pull", "repository:b:pull,push"]);
        assert_eq!(texts(&Scopes::delete("a")), ["repository:a:pull,push,delete"]);
        let parsed = Scopes::parse("repository:host:5000/a:push,pull registry:catalog:* x");
        assert_eq!(texts(&parsed), ["registry:catalog:*", "repository:host:5000/a:pull,push"]);
    }

    #[test]
    fn a_larger_scope_covers_a_smaller_one() {
        assert!(Scopes::push("a").covers(&Scopes::pull("a")));
        assert!(!Scopes::pull("a").covers(&Scopes::push("a")));
        assert!(!Scopes::push("a").covers(&Scopes::pull("b")));
        assert!(Scopes::parse("repository:a:*").covers(&Scopes::push("a")));
        assert!(Scopes::pull("a").covers(&Scopes::default()));
    }
}
