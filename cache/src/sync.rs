//! What makes new things survive a power failure: one `syncfs`, and never one `fsync` a file.
//!
//! Rows carry the epoch in which they were made. A sync ends the epoch, has the kernel write all
//! that came before, and then declares the rows of that epoch safe.

use std::path::PathBuf;

use fs_err as fs;

use crate::StoreError;
use crate::error::Context;
use crate::store::Inner;

impl Inner {
    /// The epoch that rows made in this transaction belong to.
    pub(crate) fn epoch(tx: &rusqlite::Connection) -> rusqlite::Result<i64> {
        tx.prepare_cached("select value from meta where name = 'epoch'")?
            .query_row((), |row| row.get(0))
    }

    /// See [`Store::sync`](crate::Store::sync).
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        const TABLES: [&str; 4] = ["blobs", "layers", "records", "images"];
        let unsynced = self.db.read(|connection| {
            let mut any = false;
            for table in TABLES {
                let sql = format!("select 1 from {table} where unsynced is not null");
                any |= connection.prepare_cached(&sql)?.exists(())?;
            }
            let grown = "select 1 from layers where grown is not null";
            Ok(any || connection.prepare_cached(grown)?.exists(())?)
        })?;
        if !unsynced {
            return Ok(());
        }
        // Rows that others add while we sync get the new epoch and stay unsynced.
        let epoch = self.db.write(|tx| {
            let epoch = Inner::epoch(tx)?;
            tx.execute("update meta set value = ?1 where name = 'epoch'", [epoch + 1])?;
            Ok(epoch)
        })?;
        let root = self.layout.root();
        let dir = fs::File::open(root).doing(|| format!("open `{}`", root.display()))?;
        rustix::fs::syncfs(&dir).doing(|| format!("sync `{}`", root.display()))?;
        self.db.write(|tx| {
            for table in TABLES {
                let sql = format!("update {table} set unsynced = null where unsynced <= ?1");
                tx.execute(&sql, [epoch])?;
            }
            tx.execute("update layers set grown = null where grown <= ?1", [epoch])?;
            tx.execute("update names set previous = null", ())?;
            Ok(())
        })?;
        self.db.checkpoint()
    }
}

/// From how many bytes on a file is worth a head start.
const LARGE: u64 = 4 << 20;

/// Has the kernel write a large file out while the next one is made: then the sync at the end waits
/// for less. In the background, and nothing depends on it.
pub(crate) fn head_start(file: PathBuf, size: u64) {
    if size < LARGE {
        return;
    }
    let write_out = move || fs::File::open(file).is_ok_and(|file| file.sync_data().is_ok());
    // Where there can be no thread, everything is written at the end.
    let _ = std::thread::Builder::new().name("head-start".to_owned()).spawn(write_out);
}
