//! What is remembered of a build.

use gantry_cache::{BuildEntry, BuildId, LogId, Store, StoreError};
use gantry_solver::Why;
use serde::{Deserialize, Serialize};

use super::recorder::micros;

/// Everything that is remembered of one build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildRecord {
    /// Where the context came from: a path, an address without password, or `-`.
    pub context: String,
    /// The Dockerfile's name.
    pub dockerfile: String,
    /// The stage that was asked for.
    pub target: Option<String>,
    /// The platform that was built for, once it was known.
    pub platform: Option<String>,
    /// Names of the build arguments that were given. Never their values.
    pub args: Vec<String>,
    /// Names that the image was to get.
    pub tags: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// What failed, with its causes.
    pub error: Option<String>,
    /// The image that was made.
    pub image: Option<String>,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// Part of that: comparing what is taken from stages.
    pub digesting_us: u64,
    /// Part of that: waiting, at the end, for layers to be hashed.
    pub hashing_us: u64,
    /// Part of that: outputs.
    pub exporting_us: u64,
    /// What was read, run and written, in the order in which it began.
    pub steps: Vec<StepRecord>,
}

/// How a build ended, if it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It has a result.
    #[default]
    Completed,
    /// It failed.
    Error,
    /// It was canceled.
    Canceled,
    /// Its process was killed, and nobody knows how far it came.
    Killed,
    /// It runs. The history has none of these.
    Running,
}

impl Outcome {
    /// Whether it is known what became of the steps: the build has ended by itself.
    #[must_use]
    pub fn is_end(self) -> bool {
        !matches!(self, Outcome::Killed | Outcome::Running)
    }

    /// The word for it, as `docker buildx history` has it, which knows no killed ones.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Completed => "Completed",
            Outcome::Error => "Error",
            Outcome::Canceled => "Canceled",
            Outcome::Killed => "Killed",
            Outcome::Running => "Running",
        }
    }
}

/// What became of one step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepRecord {
    /// Its title, such as `[build 2/5] RUN make`.
    pub title: String,
    /// What it does, in one word: `run`, `copy`, …, `internal`, `export`.
    pub kind: String,
    /// How it ended.
    pub status: StepStatus,
    /// When it began, in microseconds after the build.
    pub started_us: u64,
    /// How long it took, in microseconds; nothing for what the cache had.
    pub took_us: u64,
    /// Its content key, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its log, in hex; of a cached step, what it printed when it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Why the cache did not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// What failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The positions of the steps that it is made from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<usize>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// The cache had it.
    Cached,
    /// It ran, or was read.
    #[default]
    Ran,
    /// It failed.
    Failed,
    /// It was stopped.
    Canceled,
}

impl StepStatus {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            StepStatus::Cached => "cached",
            StepStatus::Ran => "ran",
            StepStatus::Failed => "failed",
            StepStatus::Canceled => "canceled",
        }
    }
}

impl StepRecord {
    /// Whether it is a step of the Dockerfile, which a build counts.
    #[must_use]
    pub fn is_instruction(&self) -> bool {
        matches!(self.kind.as_str(), "run" | "copy" | "make-dir")
    }

    /// The name of its log.
    #[must_use]
    pub fn log_id(&self) -> Option<LogId> {
        self.log.as_deref()?.parse().ok()
    }
}

/// A build of the history, or one that runs.
#[derive(Debug, Clone)]
pub struct PastBuild {
    /// Its name and when it began.
    pub entry: BuildEntry,
    /// What happened.
    pub record: BuildRecord,
}

/// The history can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The store failed, or there is no such build.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no build at all.
    #[error("There is no build in the history")]
    Empty,
    /// A record is none.
    #[error("The record of the build `{id}` is damaged")]
    Damaged {
        /// The build.
        id: BuildId,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl PastBuild {
    /// Finds a build: by the beginning of its ID, by `^1` for the one before the last, or the last.
    /// One that runs is found by its ID only.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn find(store: &Store, name: Option<&str>) -> Result<Self, HistoryError> {
        let entry = match name {
            Some(name) => match store.builds().resolve(name) {
                Err(error @ StoreError::NoSuchBuild { .. }) if !name.is_empty() => {
                    let running = Self::running(store)?;
                    let named = |past: &Self| past.entry.id.to_string().starts_with(name);
                    return running.into_iter().find(named).ok_or(error.into());
                }
                other => other?,
            },
            None => *store.builds().list()?.first().ok_or(HistoryError::Empty)?,
        };
        Self::read(store, entry)?.ok_or(HistoryError::Empty)
    }

    /// Lists the builds that run, the newest first, with what was asked of them and the time that
    /// they have taken so far. Builds that have run nothing yet are missing.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn running(store: &Store) -> Result<Vec<Self>, HistoryError> {
        let mut running = Vec::new();
        for (entry, bytes) in store.builds().running()? {
            let record: BuildRecord = serde_json::from_slice(&bytes)
                .map_err(|source| HistoryError::Damaged { id: entry.id, source })?;
            let took = entry.started.elapsed().unwrap_or_default();
            let (outcome, error, took_us) = (Outcome::Running, None, micros(took));
            running.push(Self { entry, record: BuildRecord { outcome, error, took_us, ..record } });
        }
        running.sort_by_key(|past| std::cmp::Reverse((past.entry.started, past.entry.id)));
        Ok(running)
    }

    /// Reads what is remembered of a build; `None` if it was forgotten meanwhile.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn read(store: &Store, entry: BuildEntry) -> Result<Option<Self>, HistoryError> {
        let Some(bytes) = store.builds().read(&entry)? else { return Ok(None) };
        let record = serde_json::from_slice(&bytes)
            .map_err(|source| HistoryError::Damaged { id: entry.id, source })?;
        Ok(Some(Self { entry, record }))
    }
}
