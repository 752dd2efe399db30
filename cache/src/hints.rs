//! Hints: small texts that whoever keeps them could find out again.

use rusqlite::OptionalExtension;

use crate::Store;

impl Store {
    /// Returns what was remembered under a name, if it can be read.
    pub fn hint(&self, name: &str) -> Option<String> {
        let ask = |connection: &rusqlite::Connection| {
            let mut statement =
                connection.prepare_cached("select value from meta where name = ?1")?;
            statement.query_row([key(name)], |row| row.get(0)).optional()
        };
        self.inner.db.read(ask).ok().flatten()
    }

    /// Remembers a text under a name, or forgets it. Where that fails, nothing is lost.
    pub fn set_hint(&self, name: &str, text: Option<&str>) {
        let _ = self.inner.db.write(|tx| {
            let name = key(name);
            match text {
                Some(text) => {
                    tx.prepare_cached("insert or replace into meta values (?1, ?2)")?
                        .execute((name, text))?;
                }
                None => {
                    tx.prepare_cached("delete from meta where name = ?1")?.execute([name])?;
                }
            }
            Ok(())
        });
    }
}

fn key(name: &str) -> String {
    format!("hint {name}")
}
