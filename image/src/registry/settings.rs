//! How to talk to registries: everything that `cli` finds out from files, flags and environment.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::credentials::{Anonymous, Credentials};
use super::hosts::Hosts;

/// What a [`Client`](super::Client) is made of. Making one reads no file and opens no connection.
#[derive(Clone)]
pub struct Settings {
    /// Mirrors, certificates and plain http, host by host.
    pub hosts: Hosts,
    /// Who knows user names and passwords. Asked only when a registry wants one.
    pub credentials: Arc<dyn Credentials>,
    /// Sent with each request.
    pub user_agent: String,
    /// Through which proxies.
    pub proxies: Proxies,
    /// How often and after what time something is tried again.
    pub retry: Retry,
    /// After so long without a byte in either direction a connection counts as dead. There is no
    /// limit to the time that something takes which goes on.
    pub silence: Duration,
    /// In pieces of how many bytes blobs are uploaded; in one, if `None`. A registry that asks for
    /// larger ones gets them, and one that finds a blob too large for one request gets pieces.
    pub chunk: Option<u64>,
    /// Who is told what goes on.
    pub observer: Arc<dyn Observer>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hosts: Hosts::default(),
            credentials: Arc::new(Anonymous),
            user_agent: concat!("gantry/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxies: Proxies::default(),
            retry: Retry::default(),
            silence: Duration::from_secs(60),
            chunk: None,
            observer: Arc::new(Unobserved),
        }
    }
}

impl fmt::Debug for Settings {
    /// Leaves out what may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("hosts", &self.hosts)
            .field("user_agent", &self.user_agent)
            .field("proxies", &self.proxies)
            .field("retry", &self.retry)
            .field("silence", &self.silence)
            .field("chunk", &self.chunk)
            .finish_non_exhaustive()
    }
}

/// The proxies of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, as values.
///
/// Loopback addresses are never reached through a proxy, as with Go's programs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For plain http; may hold a user and password.
    pub http: Option<String>,
    /// For https.
    pub https: Option<String>,
    /// Hosts, domains and networks that are reached directly, between commas, maybe with a port.
    pub none: Option<String>,
}

impl fmt::Debug for Proxies {
    /// Says whether there are proxies; their addresses may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("none", &self.none)
            .finish()
    }
}

/// How often something is tried, and how long is waited in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often, at most; each try that made headway starts the count anew.
    pub tries: u32,
    /// How long before the second try. Doubles from try to try; a part of it is random.
    pub first: Duration,
    /// How long at most, also where `Retry-After` asks for more: then the request fails at once.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { tries: 5, first: Duration::from_millis(500), longest: Duration::from_secs(60) }
    }
}

/// What is worth telling while a request goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Something failed and is tried again.
    Retry {
        /// Host and port.
        host: String,
        /// Why, in one line.
        reason: String,
        /// After which time.
        after: Duration,
    },
    /// A mirror could not serve something, and the next one or the registry itself is asked.
    MirrorFailed {
        /// The mirror's host and port.
        mirror: String,
        /// Why, in one line.
        reason: String,
    },
}

/// Is told what goes on; must return at once.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event);
}

/// Nobody watches.
struct Unobserved;

impl Observer for Unobserved {
    fn event(&self, _: Event) {}
}
