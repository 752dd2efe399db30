//! Forgetting builds: those that are too old, too many or too large, and the logs that go with them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::linux::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use fs_err as fs;

use super::{BuildEntry, Builds, Retention, format, path_of};
use crate::error::Context;
use crate::store::Inner;
use crate::{LogId, StoreError};

pub(super) fn trim(
    inner: &Inner,
    retention: &Retention,
    now: SystemTime,
) -> Result<usize, StoreError> {
    let builds = Builds { inner }.list()?;
    let young = |build: &BuildEntry| {
        now.duration_since(build.started).is_ok_and(|age| age <= retention.age)
            // A clock that went back makes no build old.
            || build.started > now
    };
    let count = builds.iter().take(retention.count).take_while(|build| young(build)).count();
    let mut kept = fitting(inner, &builds[..count], retention.bytes)?;
    if kept < builds.len() {
        // Some more at once, so that not every build has to look for what goes.
        kept = kept.min(retention.count - retention.count / 10);
    }
    remove(inner, &builds[kept..])?;
    Ok(builds.len() - kept)
}

/// How many of the newest builds fit into so many bytes, with the logs that only builds name.
fn fitting(inner: &Inner, builds: &[BuildEntry], bytes: u64) -> Result<usize, StoreError> {
    let shared = logs_of_records(inner)?;
    let mut counted = HashSet::new();
    let mut total = 0;
    for (number, build) in builds.iter().enumerate() {
        let path = path_of(&inner.layout, build);
        total += size(&path);
        for log in logs_in(&path) {
            if !shared.contains(&log) && counted.insert(log) {
                total += size(&inner.layout.log(&log));
            }
        }
        if total > bytes {
            return Ok(number);
        }
    }
    Ok(builds.len())
}

pub(super) fn remove(inner: &Inner, builds: &[BuildEntry]) -> Result<(), StoreError> {
    let mut logs: HashMap<LogId, ()> = HashMap::new();
    for build in builds {
        let path = path_of(&inner.layout, build);
        logs.extend(logs_in(&path).into_iter().map(|log| (log, ())));
        unlink(&path)?;
    }
    if logs.is_empty() {
        return Ok(());
    }
    let (records, others) = (logs_of_records(inner)?, format::logs_named(&inner.layout));
    for log in logs.keys().filter(|log| !records.contains(log) && !others.contains(log)) {
        unlink(&inner.layout.log(log))?;
    }
    Ok(())
}

fn logs_in(path: &Path) -> Vec<LogId> {
    let bytes = fs::read(path).unwrap_or_default();
    format::decode(&bytes).map(|(logs, _)| logs).unwrap_or_default()
}

fn logs_of_records(inner: &Inner) -> Result<HashSet<LogId>, StoreError> {
    inner.db.read(|connection| {
        let mut statement =
            connection.prepare_cached("select distinct log from records where log is not null")?;
        statement.query_map((), |row| row.get(0))?.collect()
    })
}

fn size(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |metadata| metadata.st_blocks() * 512)
}

fn unlink(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.doing(|| format!("remove `{}`", path.display())),
    }
}
