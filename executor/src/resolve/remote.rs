//! Images that a registry has: looked up when a build names one, and known from then on. Their
//! layers come when something needs them.
//!
//! An image for the platform that this host runs gets the name that it was asked for by. One for
//! another platform must not take that name away from it, so which image a name stands for there is
//! a record of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use gantry_cache::{Image, Key, NewRecord, Store, StoreError};
use gantry_image::{Digest, Platform, Reference};
use gantry_solver::{CancelToken, Event, Observer, ResolveError, VertexId};

use crate::registry::{PullRequest, Registry, TransferError};
use crate::work::Executor;

/// The internal vertices before these are files that were read and contexts that were fetched.
const FIRST_VERTEX: u32 = 16;

/// Fetches images for one build.
pub(crate) struct Remote {
    registry: Arc<Registry>,
    executor: Arc<Executor>,
    observer: Arc<dyn Observer>,
    cancel: CancelToken,
    vertices: AtomicU32,
    unprivileged: AtomicBool,
}

impl Remote {
    pub(crate) fn new(
        registry: Arc<Registry>,
        executor: Arc<Executor>,
        observer: Arc<dyn Observer>,
        cancel: &CancelToken,
    ) -> Self {
        Self {
            registry,
            executor,
            observer,
            cancel: cancel.clone(),
            vertices: AtomicU32::new(FIRST_VERTEX),
            unprivileged: AtomicBool::new(false),
        }
    }

    /// Says whether an image was not fetched because this process can't unpack one.
    pub(crate) fn needs_user_namespace(&self) -> bool {
        self.unprivileged.load(Ordering::SeqCst)
    }

    /// Makes an image one of the store, on a thread that may wait. No layer is fetched.
    pub(super) async fn pull(
        self: &Arc<Self>,
        name: Reference,
        platform: Platform,
    ) -> Result<Image, ResolveError> {
        if self.executor.host.needs_user_namespace() {
            // Files of the layers belong to users that only a user namespace knows.
            self.unprivileged.store(true, Ordering::SeqCst);
            return Err(error("it can't be unpacked here".to_owned()));
        }
        let (this, full) = (Arc::clone(self), name.to_string());
        let pulled = tokio::task::spawn_blocking(move || this.pull_now(&name, &platform)).await;
        match pulled {
            Ok(pulled) => pulled.map_err(|error| explained(&full, error)),
            Err(_) => Err(error("the thread that fetched it has gone".to_owned())),
        }
    }

    fn pull_now(&self, name: &Reference, platform: &Platform) -> Result<Image, TransferError> {
        let store = &self.executor.store;
        let found = self.tell(format!("[internal] load metadata for {name}"), || {
            self.registry.find(name, Some(platform), &self.cancel)
        })?;
        // A single image is built upon whatever it runs on; a check warns of that, as BuildKit's does.
        let actual = found.platform().unwrap_or_else(|| platform.clone());
        let tag = Platform::host().matches(&actual);
        let request = PullRequest { reference: name, platform: Some(platform), all: false, tag };
        let pulled = found.adopt(&request, store)?;
        if !tag || !platform.matches(&actual) {
            remember(store, name, platform, &pulled.id)?;
        }
        Ok(store.images().resolve(&pulled.id.to_string())?)
    }

    /// Tells of some work as of a vertex.
    fn tell<T>(
        &self,
        title: String,
        work: impl FnOnce() -> Result<T, TransferError>,
    ) -> Result<T, TransferError> {
        let vertex = VertexId::internal(self.vertices.fetch_add(1, Ordering::SeqCst));
        let tell = |event| self.observer.event(event);
        tell(Event::VertexAdded { vertex, kind: "internal".to_owned(), title, inputs: Vec::new() });
        tell(Event::Started { vertex });
        let started = Instant::now();
        let done = work();
        tell(match &done {
            Ok(_) => Event::Done { vertex, took: started.elapsed() },
            Err(TransferError::Canceled) => Event::Canceled { vertex },
            Err(error) => {
                Event::Failed { vertex, messages: vec![error.to_string()], exit_code: None }
            }
        });
        done
    }
}

fn error(message: String) -> ResolveError {
    ResolveError { message, source: None, hint: None }
}

/// What BuildKit says of an image that can't be had.
fn explained(name: &str, source: TransferError) -> ResolveError {
    let what = match &source {
        TransferError::PullDenied { .. } => {
            "pull access denied, repository does not exist or may require authorization".to_owned()
        }
        TransferError::NoManifest { .. } => format!("{name}: not found"),
        TransferError::NoPlatform { .. } => "no match for platform in manifest".to_owned(),
        other => other.to_string(),
    };
    let hint = source.hint();
    let cause: Option<Arc<dyn std::error::Error + Send + Sync>> =
        match std::error::Error::source(&source).is_some() {
            true => Some(Arc::new(Below(source))),
            false => None,
        };
    ResolveError {
        message: format!("failed to resolve source metadata for {name}: {what}"),
        source: cause,
        hint,
    }
}

/// The cause of an error, without that error's own text.
#[derive(Debug)]
struct Below(TransferError);

impl Below {
    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)
    }
}

impl std::fmt::Display for Below {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.cause().map_or(Ok(()), |cause| write!(f, "{cause}"))
    }
}

impl std::error::Error for Below {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause()?.source()
    }
}

fn key(name: &Reference, platform: &Platform) -> Key {
    let mut hasher = blake3::Hasher::new_derive_key("gantry pulled image 1");
    for part in [name.to_string(), platform.to_string()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    Key(*hasher.finalize().as_bytes())
}

/// Finds the image that an earlier build fetched by this name for this platform.
pub(super) fn known(
    store: &Store,
    name: &Reference,
    platform: &Platform,
) -> Result<Option<Image>, StoreError> {
    let Some(record) = store.records().get(&key(name, platform))? else { return Ok(None) };
    let id = String::from_utf8(record.extra).ok().and_then(|text| text.parse::<Digest>().ok());
    id.map_or(Ok(None), |id| store.images().get(&id))
}

fn remember(
    store: &Store,
    name: &Reference,
    platform: &Platform,
    id: &Digest,
) -> Result<(), StoreError> {
    store.records().put(&NewRecord::of_no_step(
        key(name, platform),
        &[],
        id.to_string().as_bytes(),
    ))?;
    Ok(())
}
