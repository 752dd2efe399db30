//! Lists: the tags of a repository, the repositories of a registry, searching.

use std::collections::HashSet;

use reqwest::{Method, Url};
use serde::Deserialize;

use super::auth::Scopes;
use super::client::{Client, Inner, Repository, reading};
use super::error::RegistryError;
use super::hosts::Endpoint;
use super::link;
use super::retry::Tries;
use super::send::{Call, redirected, same_origin};

/// No page is larger.
const PAGE: u64 = 16 << 20;
/// No list has more pages.
const PAGES: usize = 10_000;
/// No list has more entries.
const ENTRIES: usize = 1 << 20;
/// How many entries are asked for at once; larger numbers are refused by some.
const AT_ONCE: &str = "1000";
/// Where Docker Hub is searched.
const HUB_SEARCH: &str = "index.docker.io";

/// A repository that a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Hit {
    /// Its name within the registry.
    #[serde(default)]
    pub name: String,
    /// What its owner says of it.
    #[serde(default, deserialize_with = "crate::json::null_is_default")]
    pub description: String,
    /// How many like it.
    #[serde(default)]
    pub star_count: u64,
    /// Is it one of Docker's own?
    #[serde(default)]
    pub is_official: bool,
    /// Is it built automatically? (No longer used by Docker Hub.)
    #[serde(default)]
    pub is_automated: bool,
}

impl Repository {
    /// Lists all tags, in the registry's order.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is no such repository.
    pub async fn tags(&self) -> Result<Vec<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default, deserialize_with = "crate::json::null_is_default")]
            tags: Vec<String>,
        }
        let endpoint = self.itself()?;
        let mut url = self.inner().url(&endpoint, "tags/list").await?;
        url.query_pairs_mut().append_pair("n", AT_ONCE);
        let list =
            Pages { endpoint: &endpoint, scopes: reading(&endpoint), action: "list the tags of" };
        let mut tags = Vec::new();
        list.read(self.inner(), url, |page: Page| {
            tags.extend(page.tags);
            tags.len()
        })
        .await?;
        Ok(tags)
    }
}

impl Client {
    /// Lists the repositories of a registry, where it offers that.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] or [`RegistryError::Denied`] where it doesn't.
    pub async fn catalog(&self, registry: &str) -> Result<Vec<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default, deserialize_with = "crate::json::null_is_default")]
            repositories: Vec<String>,
        }
        let endpoint = self.0.itself(registry, "")?;
        let mut url = self.0.url(&endpoint, "_catalog").await?;
        url.query_pairs_mut().append_pair("n", AT_ONCE);
        let list = Pages {
            endpoint: &endpoint,
            scopes: Scopes::catalog(),
            action: "list the repositories of",
        };
        let mut names = Vec::new();
        list.read(&self.0, url, |page: Page| {
            names.extend(page.repositories);
            names.len()
        })
        .await?;
        Ok(names)
    }

    /// Searches a registry, best hits first: with `/v1/search` as Docker Hub offers it, else by name
    /// in the catalog.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] or [`RegistryError::Denied`] where it offers neither.
    pub async fn search(
        &self,
        registry: &str,
        term: &str,
        limit: usize,
    ) -> Result<Vec<Hit>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default, deserialize_with = "crate::json::null_is_default")]
            results: Vec<Hit>,
        }
        let hub = registry == "docker.io";
        let endpoint = self.0.itself(if hub { HUB_SEARCH } else { registry }, "")?;
        let mut url = self.0.url(&endpoint, "").await?;
        url.set_path("/v1/search");
        url.query_pairs_mut()
            .append_pair("q", term)
            .append_pair("n", &limit.clamp(1, 100).to_string());
        let mut tries = Tries::new(&self.0.settings.retry);
        let answer = self.0.call(&endpoint, &Call::new(Method::GET, url), &mut tries).await?;
        if answer.status().is_success() {
            let host = answer.host.clone();
            let body = answer.bytes(PAGE, "the list").await?;
            if let Ok(mut page) = serde_json::from_slice::<Page>(&body) {
                page.results.truncate(limit);
                return Ok(page.results);
            }
            if hub {
                return Err(no_list(host));
            }
        } else if hub {
            return Err(answer.refuse(registry, "search", false).await);
        }
        let names = self.catalog(registry).await?.into_iter().filter(|name| name.contains(term));
        Ok(names.take(limit).map(|name| Hit { name, ..Hit::default() }).collect())
    }
}

/// A list that comes page by page.
pub(super) struct Pages<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) scopes: Scopes,
    pub(super) action: &'static str,
}

impl Pages<'_> {
    /// Reads page after page; `each` takes one in, and says how many entries there are by now.
    pub(super) async fn read<T: serde::de::DeserializeOwned>(
        &self,
        inner: &Inner,
        first: Url,
        mut each: impl FnMut(T) -> usize,
    ) -> Result<(), RegistryError> {
        let host = &self.endpoint.authority;
        let refused =
            |reason: &str| RegistryError::Refused { host: host.clone(), reason: reason.to_owned() };
        let mut seen = HashSet::new();
        let mut next = Some(first.clone());
        while let Some(url) = next {
            if !seen.insert(url.to_string()) || seen.len() > PAGES {
                return Err(refused("its list has no end"));
            }
            let mut tries = Tries::new(&inner.settings.retry);
            let call = Call::new(Method::GET, url.clone()).scoped(self.scopes.clone());
            let (body, link) = loop {
                let answer = inner.call(self.endpoint, &call, &mut tries).await?;
                if !answer.status().is_success() {
                    return Err(answer.refuse(&self.endpoint.name(), self.action, false).await);
                }
                let link = answer.header("link").and_then(link::next).map(str::to_owned);
                match answer.bytes(PAGE, "the list").await {
                    Ok(body) => break (body, link),
                    Err(failure) => inner.pause(&mut tries, failure).await?,
                }
            };
            let page = serde_json::from_slice(&body).map_err(|_| no_list(host.clone()))?;
            if each(page) > ENTRIES {
                return Err(refused("its list has too many entries"));
            }
            next = link.map(|link| redirected(&url, &link, host)).transpose()?;
            if next.as_ref().is_some_and(|next| !same_origin(next, &first)) {
                return Err(refused("its list goes on at another host"));
            }
        }
        Ok(())
    }
}

fn no_list(host: String) -> RegistryError {
    RegistryError::Refused { host, reason: "that is no list".to_owned() }
}
