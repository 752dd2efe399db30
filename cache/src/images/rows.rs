//! The rows behind images.

use std::collections::HashMap;

use gantry_image::{Digest, Platform, Reference};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};

use super::Image;
use crate::LayerId;
use crate::db::{WriteError, from_millis};
use crate::layers::ids_from_bytes;

const COLUMNS: &str = "id, manifest, platform, layers, size, created, stored, used, list";

fn image(row: &Row<'_>) -> rusqlite::Result<Image> {
    Ok(Image {
        id: parsed(row, 0)?,
        manifest: match row.get_ref(1)?.as_str_or_null()? {
            Some(_) => Some(parsed(row, 1)?),
            None => None,
        },
        platform: parsed::<Platform>(row, 2)?,
        layers: ids_from_bytes(row.get_ref(3)?.as_blob()?),
        size: row.get(4)?,
        created: row.get::<_, Option<i64>>(5)?.map(from_millis),
        stored: from_millis(row.get(6)?),
        last_used: from_millis(row.get(7)?),
        list: match row.get_ref(8)?.as_str_or_null()? {
            Some(_) => Some(parsed(row, 8)?),
            None => None,
        },
        lists: Vec::new(),
        within: None,
        names: Vec::new(),
    })
}

/// Reads a column that holds a value as text.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Image>> {
    let mut names: HashMap<String, Vec<Reference>> = HashMap::new();
    let mut lists: HashMap<String, Vec<(Reference, Digest)>> = HashMap::new();
    let mut statement =
        connection.prepare_cached("select name, image, list from names order by name")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (id, name): (String, Reference) = (row.get(1)?, parsed(row, 0)?);
        if row.get_ref(2)?.as_str_or_null()?.is_some() {
            lists.entry(id.clone()).or_default().push((name.clone(), parsed(row, 2)?));
        }
        names.entry(id).or_default().push(name);
    }
    let mut holders = HashMap::new();
    let mut statement = connection.prepare_cached(
        "select i.image, n.image from names n join index_images i on i.list = n.list \
         where i.image != n.image order by n.name desc",
    )?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        holders.insert(row.get::<_, String>(0)?, parsed(row, 1)?);
    }
    let mut statement = connection.prepare_cached(&format!("select {COLUMNS} from images"))?;
    let images = statement.query_map((), |row| {
        let mut image = image(row)?;
        let id: String = row.get(0)?;
        image.names = names.get(&id).cloned().unwrap_or_default();
        image.lists = lists.get(&id).cloned().unwrap_or_default();
        image.within = holders.get(&id).copied();
        Ok(image)
    })?;
    images.collect()
}

pub(super) fn by_id(connection: &Connection, id: &str) -> rusqlite::Result<Option<Image>> {
    let sql = format!("select {COLUMNS} from images where id = ?1");
    let found = connection.prepare_cached(&sql)?.query_row([id], image).optional()?;
    let Some(mut image) = found else { return Ok(None) };
    let mut statement =
        connection.prepare_cached("select name from names where image = ?1 order by name")?;
    let names = statement.query_map([id], |row| parsed(row, 0))?;
    image.names = names.collect::<rusqlite::Result<_>>()?;
    image.lists = super::lists::of_names(connection, id)?;
    image.within =
        connection.prepare_cached(WITHIN)?.query_row([id], |row| parsed(row, 1)).optional()?;
    Ok(Some(image))
}

/// The image whose index lists another one: its first name, and its ID.
const WITHIN: &str = "select n.name, n.image from index_images i join names n on n.list = i.list \
     where i.image = ?1 and n.image != ?1 order by n.name limit 1";

/// The name for whose sake an image stays that may have none itself.
pub(crate) fn within(connection: &Connection, id: &str) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached(WITHIN)?.query_row([id], |row| row.get(0)).optional()
}

/// What a text that names an image came to.
pub(super) enum Resolved {
    One(Box<Image>),
    None,
    Many(usize),
}

pub(super) fn resolve(connection: &Connection, text: &str) -> rusqlite::Result<Resolved> {
    let one = |id: &str| -> rusqlite::Result<Resolved> {
        Ok(by_id(connection, id)?.map_or(Resolved::None, |image| Resolved::One(Box::new(image))))
    };
    let named = |(id, list): (String, Option<String>)| -> rusqlite::Result<Resolved> {
        let found = one(&id)?;
        Ok(match found {
            Resolved::One(mut image) => {
                image.list = list.and_then(|list| list.parse().ok());
                Resolved::One(image)
            }
            other => other,
        })
    };
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_hex = !hex.is_empty()
        && hex.len() <= 64
        && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex && hex.len() == 64 {
        return one(&format!("sha256:{hex}"));
    }
    if let Ok(reference) = text.parse::<Reference>()
        && let Some(found) = by_name(connection, &reference)?
    {
        return named(found);
    }
    if !is_hex {
        return Ok(Resolved::None);
    }
    // `g` comes after all hex digits.
    let (from, to) = (format!("sha256:{hex}"), format!("sha256:{hex}g"));
    let mut statement =
        connection.prepare_cached("select id from images where id >= ?1 and id < ?2")?;
    let ids: Vec<String> =
        statement.query_map([from, to], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    match &ids[..] {
        [] => Ok(Resolved::None),
        [id] => one(id),
        many => Ok(Resolved::Many(many.len())),
    }
}

/// Finds the id of the image that a name stands for, and its index if it stands for one.
pub(super) fn by_name(
    connection: &Connection,
    reference: &Reference,
) -> rusqlite::Result<Option<(String, Option<String>)>> {
    let name = super::names::key(reference);
    let both = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let mut statement =
        connection.prepare_cached("select image, list from names where name = ?1")?;
    if let Some(found) = statement.query_row([&name], both).optional()? {
        return Ok(Some(found));
    }
    // `name@digest` also means an image that has a tag there and this manifest, or this index.
    let Some(digest) = reference.digest() else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "select n.image, case when n.list = ?1 then n.list end \
         from names n join images i on n.image = i.id \
         where (n.list = ?1 or i.manifest = ?1) and n.name >= ?2 and n.name < ?3 \
         order by n.list is not ?1 limit 1",
    )?;
    let (from, to) = (format!("{}:", reference.name()), format!("{};", reference.name()));
    statement.query_row((digest.to_string(), from, to), both).optional()
}

/// Sums the sizes of images up anew of which a layer has come that was not here before.
pub(crate) fn remeasure(tx: &Connection, layer: &LayerId) -> rusqlite::Result<()> {
    let mut images = tx.prepare_cached(
        "select i.id, i.layers from image_layers l join images i on i.id = l.image \
         where l.layer = ?1 and (select remote from layers where id = ?1) is not null",
    )?;
    let images = images.query_map([layer], |row| {
        Ok((row.get::<_, String>(0)?, ids_from_bytes(row.get_ref(1)?.as_blob()?)))
    })?;
    let mut size_of = tx.prepare_cached("select size from layers where id = ?1")?;
    for image in images.collect::<rusqlite::Result<Vec<_>>>()? {
        let sizes = image.1.iter().map(|id| size_of.query_row([id], |row| row.get(0)));
        let sizes = sizes.collect::<rusqlite::Result<Vec<Option<u64>>>>()?;
        if let Some(size) = sizes.into_iter().sum::<Option<u64>>() {
            tx.prepare_cached("update images set size = ?2 where id = ?1")?
                .execute((image.0, size))?;
        }
    }
    Ok(())
}

/// The images whose config or manifest a blob is.
pub(crate) fn naming_blob(tx: &Connection, digest: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        tx.prepare_cached("select id from images where id = ?1 or manifest = ?1")?;
    statement.query_map([digest], |row| row.get(0))?.collect()
}

/// Drops an image's rows. A name of it falls back to what it meant before, if that is there.
pub(crate) fn forget(tx: &Connection, id: &str) -> Result<(), WriteError> {
    tx.prepare_cached("delete from image_layers where image = ?1")?.execute([id])?;
    tx.prepare_cached("delete from images where id = ?1")?.execute([id])?;
    drop_dangling_names(tx)?;
    super::lists::forget_listing(tx, id)
}

/// Brings names back to an image that is there, and drops those for which there is none.
pub(crate) fn drop_dangling_names(tx: &Connection) -> Result<(), WriteError> {
    tx.prepare_cached(
        "update names set image = previous, previous = null, list = null \
         where image not in (select id from images) and previous in (select id from images)",
    )?
    .execute(())?;
    tx.prepare_cached("delete from names where image not in (select id from images)")?
        .execute(())?;
    Ok(())
}
