//! The database: connections, transactions, and patience with other processes.
//!
//! WAL with `synchronous=NORMAL`: readers never wait for writers, and a commit costs no `fsync`.
//! Every reader has a connection of its own (kept for the next one), writers of one process queue
//! at a mutex, and writers of several processes at `begin immediate`, which is retried here with
//! jitter: SQLite's own busy handler sleeps in lock step and starves the unlucky.

mod boot;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::StoreError;

pub(crate) use boot::check as check_boot;

/// How long a writer waits for the writers of other processes before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The database of one store, as one process uses it.
#[derive(Debug)]
pub(crate) struct Db {
    path: PathBuf,
    idle: Mutex<Idle>,
    writing: Mutex<()>,
}

/// Connections that nobody uses.
#[derive(Debug, Default)]
struct Idle {
    others: Vec<Connection>,
    /// The one that wrote last: what it has of the database in memory is still true, where each
    /// of the others has to read it again.
    writer: Option<Connection>,
}

/// What a connection is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Reading,
    Writing,
}

impl Db {
    /// Opens the database, making it or lifting it to today's format when `create` is set.
    pub(crate) fn open(root: &Path, path: PathBuf, create: bool) -> Result<Db, StoreError> {
        let db = Db { path, idle: Mutex::default(), writing: Mutex::new(()) };
        let connection = db.connect(create)?;
        schema::prepare(root, &db.path, connection).map(|connection| {
            locked(&db.idle).others.push(connection);
            db
        })
    }

    fn connect(&self, create: bool) -> Result<Connection, StoreError> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if create {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let connection = Connection::open_with_flags(&self.path, flags);
        let connection = connection.map_err(|e| StoreError::database(&self.path, e))?;
        let configure = |connection: &Connection| -> rusqlite::Result<()> {
            connection.busy_timeout(Duration::ZERO)?;
            // The last process to leave would write the log back, with an fsync, on the critical
            // path of its exit. `Store::sync` does it.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            // Else SQLite compiles a statement anew each time that other values are bound to it, in
            // case they make another plan the better one. Ours look rows up by their keys.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
            connection.set_prepared_statement_cache_capacity(64);
            // What stays in the log is read by whoever opens the store first, at 1 ms a MiB; and
            // each time that it is written back, steps wait for two `fsync`s. `Store::sync` does
            // it at the end of a build, so that 4 MiB are left by those that were killed.
            connection.execute_batch(
                "pragma synchronous = normal; pragma wal_autocheckpoint = 1024; \
                 pragma temp_store = memory",
            )
        };
        self.patiently(|| configure(&connection))?;
        Ok(connection)
    }

    /// Answers a question. `ask` may run more than once.
    pub(crate) fn read<T>(
        &self,
        mut ask: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let (connection, wrote) = self.connection(For::Reading)?;
        let answer = self.patiently(|| ask(&connection));
        self.give_back(connection, wrote);
        answer
    }

    /// Changes the database in one transaction, which `change` may abandon by failing.
    ///
    /// Nobody else's change happens meanwhile, in this process or another: what must appear or
    /// vanish together with its row (a layer's directory, say) is renamed in here.
    pub(crate) fn write<T>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        let queue = locked(&self.writing);
        let (mut connection, _) = self.connection(For::Writing)?;
        let result = self.write_on(&mut connection, change);
        self.give_back(connection, true);
        drop(queue);
        result
    }

    fn write_on<T>(
        &self,
        connection: &mut Connection,
        change: impl FnOnce(&Connection) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        begin(connection, &self.path)?;
        let result = change(connection).map_err(|error| error.at(&self.path));
        let result = result.and_then(|value| {
            let done = connection.prepare_cached("commit").and_then(|mut s| s.execute(()));
            done.map(|_| value).map_err(|e| StoreError::database(&self.path, e))
        });
        if result.is_err() && !connection.is_autocommit() {
            // A full disk may have rolled it back already; nothing else can be done here.
            let _ = connection.execute_batch("rollback");
        }
        result
    }

    /// Writes the log back into the database, if nobody else is in the way.
    pub(crate) fn checkpoint(&self) -> Result<(), StoreError> {
        let (connection, wrote) = self.connection(For::Writing)?;
        let done = connection.query_row("pragma wal_checkpoint(truncate)", (), |_| Ok(()));
        self.give_back(connection, wrote);
        match done {
            Err(e) if is_busy(&e) => Ok(()),
            other => other.map_err(|e| StoreError::database(&self.path, e)),
        }
    }

    /// Returns a connection, and whether it is the one that wrote last.
    fn connection(&self, purpose: For) -> Result<(Connection, bool), StoreError> {
        let mut idle = locked(&self.idle);
        let writer_first = purpose == For::Writing || idle.others.is_empty();
        if writer_first && let Some(writer) = idle.writer.take() {
            return Ok((writer, true));
        }
        if let Some(other) = idle.others.pop() {
            return Ok((other, false));
        }
        drop(idle);
        Ok((self.connect(false)?, false))
    }

    fn give_back(&self, connection: Connection, wrote: bool) {
        let mut idle = locked(&self.idle);
        let other = if wrote { idle.writer.replace(connection) } else { Some(connection) };
        idle.others.extend(other);
    }

    fn patiently<T>(&self, act: impl FnMut() -> rusqlite::Result<T>) -> Result<T, StoreError> {
        patiently(act).map_err(|e| StoreError::database(&self.path, e))
    }
}

fn begin(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let begin = || connection.prepare_cached("begin immediate")?.execute(()).map(drop);
    patiently(begin).map_err(|e| StoreError::database(path, e))
}

/// Runs `act` until nobody is in its way, or patience ends.
pub(super) fn patiently<T>(mut act: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let mut since = None;
    let mut pause = Duration::from_micros(200);
    loop {
        match act() {
            Err(error) if is_busy(&error) => {
                if since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    return Err(error);
                }
                // Between half and one and a half pauses, so that two waiters drift apart.
                std::thread::sleep(pause.mul_f64(0.5 + f64::from(random_byte()) / 255.0));
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as Code;
    matches!(error.sqlite_error_code(), Some(Code::DatabaseBusy | Code::DatabaseLocked))
}

fn random_byte() -> u8 {
    crate::owner::random::<1>()[0]
}

/// What ends a transaction early: SQLite's error, or ours.
#[derive(Debug)]
pub(crate) enum WriteError {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl WriteError {
    fn at(self, path: &Path) -> StoreError {
        match self {
            WriteError::Sql(error) => StoreError::database(path, error),
            WriteError::Store(error) => error,
        }
    }
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> WriteError {
        WriteError::Sql(error)
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> WriteError {
        WriteError::Store(error)
    }
}

/// Takes a mutex whose data stay valid even if a thread died holding it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Times are kept as milliseconds since 1970.
pub(crate) fn to_millis(time: std::time::SystemTime) -> i64 {
    match time.duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

/// The time that [`to_millis`] gave.
pub(crate) fn from_millis(millis: i64) -> std::time::SystemTime {
    let span = Duration::from_millis(millis.unsigned_abs());
    let epoch = std::time::UNIX_EPOCH;
    let time = if millis < 0 { epoch.checked_sub(span) } else { epoch.checked_add(span) };
    time.unwrap_or(epoch)
}

/// The present.
pub(crate) fn now() -> i64 {
    to_millis(std::time::SystemTime::now())
}
