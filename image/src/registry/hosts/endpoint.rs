//! One address that can be asked for a repository.

use std::net::IpAddr;

use super::{HostSettings, Security};

/// What Docker Hub's registry is called, and where it is.
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// Where a repository is, and how to talk to whoever is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Endpoint {
    /// The name under which credentials are kept: `docker.io`, `localhost:5000`.
    pub(in super::super) registry: String,
    /// Host and port to connect to: `registry-1.docker.io`.
    pub(in super::super) authority: String,
    /// The repository's name there.
    pub(in super::super) repository: String,
    /// For a mirror: the registry that it stands for.
    pub(in super::super) stands_for: Option<String>,
    pub(in super::super) scheme: Scheme,
    pub(in super::super) settings: HostSettings,
    /// What this mirror may be asked for.
    pub(in super::super) by: By,
}

/// How to find out whether to use TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Scheme {
    Https,
    Http,
    /// TLS if there is any, else plain http.
    Either,
}

/// What a mirror may be asked for, as `registries.conf` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum By {
    #[default]
    All,
    Digest,
    Tag,
}

impl Endpoint {
    /// The registry itself.
    pub(super) fn new(registry: &str, repository: &str) -> Self {
        let authority = if registry == HUB.0 { HUB.1 } else { registry };
        Self {
            registry: registry.to_owned(),
            authority: authority.to_owned(),
            repository: repository.to_owned(),
            stands_for: None,
            scheme: Scheme::Https,
            settings: HostSettings::default(),
            by: By::All,
        }
    }

    /// A mirror: `[http[s]://]host[:port][/prefix]`.
    pub(super) fn mirror(address: &str, registry: &str, repository: &str) -> Self {
        let (plain, rest) =
            match (address.strip_prefix("http://"), address.strip_prefix("https://")) {
                (Some(rest), _) => (true, rest),
                (None, Some(rest)) => (false, rest),
                (None, None) => (false, address),
            };
        let rest = rest.trim_end_matches('/');
        let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        // BuildKit's users write the prefix with and without the API's own.
        let prefix = prefix
            .strip_prefix("v2")
            .filter(|it| it.is_empty() || it.starts_with('/'))
            .unwrap_or(prefix);
        let prefix = prefix.trim_matches('/');
        let repository = match prefix {
            "" => repository.to_owned(),
            _ => format!("{prefix}/{repository}"),
        };
        let mut mirror = Self::new(host, &repository);
        mirror.stands_for = Some(registry.to_owned());
        if plain {
            mirror.settings.security = Security::Plain;
        }
        mirror
    }

    /// Takes over what is known of the host; what the endpoint says already stays.
    pub(super) fn apply(&mut self, settings: HostSettings) {
        let own = self.settings.security;
        self.settings = settings;
        if own != Security::Verified {
            self.settings.security = own;
        }
        self.scheme = match self.settings.security {
            Security::Plain => Scheme::Http,
            Security::Any => Scheme::Either,
            Security::Unverified => Scheme::Https,
            Security::Verified if is_loopback(&self.authority) => Scheme::Either,
            Security::Verified => Scheme::Https,
        };
    }

    /// Makes the connection be like this, whatever else is known; nothing is told by its name then.
    pub(super) fn insist(&mut self, security: Security) {
        self.settings.security = security;
        self.scheme = match security {
            Security::Plain => Scheme::Http,
            Security::Any => Scheme::Either,
            Security::Unverified | Security::Verified => Scheme::Https,
        };
    }

    /// What it is called in messages.
    pub(in super::super) fn name(&self) -> String {
        if self.repository.is_empty() {
            return self.registry.clone();
        }
        format!("{}/{}", self.registry, self.repository)
    }

    /// May it be asked for something named by digest, or by tag?
    pub(in super::super) fn serves(&self, by_digest: bool) -> bool {
        match self.by {
            By::All => true,
            By::Digest => by_digest,
            By::Tag => !by_digest,
        }
    }
}

/// Is it this very machine, `host[:port]`?
pub(in super::super) fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_have_prefixes() {
        for (address, authority, repository) in [
            ("m.example", "m.example", "library/a"),
            ("m.example:5000/", "m.example:5000", "library/a"),
            ("https://m.example/proxy/docker.io", "m.example", "proxy/docker.io/library/a"),
            ("http://m.example/v2/p", "m.example", "p/library/a"),
            ("m.example/v2x", "m.example", "v2x/library/a"),
        ] {
            let mirror = Endpoint::mirror(address, "docker.io", "library/a");
            assert_eq!((&*mirror.authority, &*mirror.repository), (authority, repository));
            assert_eq!(mirror.settings.security == Security::Plain, address.starts_with("http:"));
        }
    }

    #[test]
    fn loopback_is_told_by_the_whole_name() {
        for yes in ["localhost", "localhost:5000", "a.localhost", "127.9.0.1:1", "[::1]:80"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in ["localhost.example", "128.0.0.1", "[::2]:80", "127.0.0.1.example", ""] {
            assert!(!is_loopback(no), "{no}");
        }
    }
}
