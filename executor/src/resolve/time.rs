//! The times of sources, for `SOURCE_DATE_EPOCH=context` and its like (B7-14).

use std::sync::Arc;
use std::time::Instant;

use gantry_solver::{
    CancelToken, Dated, Event, Events, Observer, Op, ResolveError, StepError, VertexId,
};

use crate::work::{Executor, Origin, without_password};

/// The internal vertex that tells of it; those after [`super::remote`]'s are far away.
const VERTEX: u32 = 12;

/// Finds out the times of sources for one build.
pub(crate) struct Times {
    pub(crate) executor: Arc<Executor>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) cancel: CancelToken,
    /// What the build context came from, if it lies elsewhere.
    pub(crate) context: Option<Arc<Origin>>,
    /// False for a dry run.
    pub(crate) may_fetch: bool,
}

impl Times {
    /// Returns the time of a source in seconds since 1970, if it has one.
    pub(super) async fn of(&self, source: &Dated) -> Result<Option<i64>, ResolveError> {
        let op = match source {
            Dated::Context => {
                let Some(origin) = self.context.clone() else { return Ok(None) };
                let executor = Arc::clone(&self.executor);
                return waited(move || executor.time_of(&origin)).await;
            }
            Dated::Git(git) => Op::Git(git.clone()),
            Dated::Http(http) => Op::Http(http.clone()),
        };
        if !self.may_fetch {
            return Err(ResolveError {
                message: "a dry run fetches nothing".to_owned(),
                source: None,
                hint: Some("Give the time in whole seconds since 1970".to_owned()),
            });
        }
        let (executor, observer) = (Arc::clone(&self.executor), Arc::clone(&self.observer));
        let cancel = self.cancel.clone();
        waited(move || fetch(&executor, &observer, &cancel, &op)).await
    }
}

/// Fetches a source, and tells of it as of a vertex. A build that uses it has it then.
fn fetch(
    executor: &Executor,
    observer: &Arc<dyn Observer>,
    cancel: &CancelToken,
    op: &Op,
) -> Result<Option<i64>, StepError> {
    let address = match op {
        Op::Git(git) => without_password(&git.remote),
        Op::Http(http) => without_password(&http.url),
        _ => String::new(),
    };
    let vertex = VertexId::internal(VERTEX);
    let tell = |event| observer.event(event);
    tell(Event::VertexAdded {
        vertex,
        kind: "internal".to_owned(),
        title: format!("[internal] resolve SOURCE_DATE_EPOCH source {address}"),
        inputs: Vec::new(),
    });
    tell(Event::Started { vertex });
    let started = Instant::now();
    let events = Events::new(Arc::clone(observer), vertex);
    let fetched = executor.fetch_source(op, &events, cancel);
    let time = fetched.and_then(|(_, origin)| executor.time_of(&origin));
    tell(match &time {
        Ok(_) => Event::Done { vertex, took: started.elapsed() },
        Err(error) if error.is_canceled() => Event::Canceled { vertex },
        Err(error) => {
            let (messages, exit_code) = (error.messages(), error.exit_code());
            Event::Failed { vertex, messages, exit_code }
        }
    });
    time
}

/// Does it on a thread that may wait.
async fn waited(
    work: impl FnOnce() -> Result<Option<i64>, StepError> + Send + 'static,
) -> Result<Option<i64>, ResolveError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(time)) => Ok(time),
        Ok(Err(error)) => Err(explained(&error)),
        Err(_) => Err(ResolveError {
            message: "the thread that looked for it has gone".to_owned(),
            source: None,
            hint: None,
        }),
    }
}

fn explained(error: &StepError) -> ResolveError {
    let hint = error.hint().map(str::to_owned);
    ResolveError { message: error.messages().join(": "), source: None, hint }
}
