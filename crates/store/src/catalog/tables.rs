//! Tables and their segments in the catalog.

use arrow::datatypes::{Fields, Schema, SchemaRef};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use weir_model::{NewSegment, SeamResult};

use super::Catalog;
use crate::schema::{grow, schema_from_bytes, schema_from_text, schema_of, schema_to_bytes, time_column};
use crate::tables::Buried;
use crate::tiers::{Object, Place};

/// A table as the catalog has it.
#[derive(Clone, Debug)]
pub(crate) struct CatalogTable {
    pub(crate) name: String,
    pub(crate) schema: SchemaRef,
    pub(crate) time_column: Option<String>,
}

/// A segment as the catalog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CatalogSegment {
    pub(crate) id: i64,
    pub(crate) table: String,
    /// Relative to the data folder.
    pub(crate) path: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) checksum: u64,
    pub(crate) time_range: Option<(i64, i64)>,
    pub(crate) pipeline: String,
    pub(crate) epoch: u64,
    /// Why it is not read.
    pub(crate) trouble: Option<String>,
    /// Where it lies if not in the data folder.
    pub(crate) object: Option<Object>,
}

/// Name, schema, time column.
type TableRow = (String, Vec<u8>, Option<String>);

const COLUMNS: &str =
    "id, table_name, path, rows, bytes, checksum, time_min, time_max, pipeline, epoch, trouble, lies_at";

fn segment(row: &Row<'_>) -> rusqlite::Result<CatalogSegment> {
    let (min, max): (Option<i64>, Option<i64>) = (row.get(6)?, row.get(7)?);
    Ok(CatalogSegment {
        id: row.get(0)?,
        table: row.get(1)?,
        path: row.get(2)?,
        rows: row.get::<_, i64>(3)?.cast_unsigned(),
        bytes: row.get::<_, i64>(4)?.cast_unsigned(),
        checksum: row.get::<_, i64>(5)?.cast_unsigned(),
        time_range: min.zip(max),
        pipeline: row.get(8)?,
        epoch: row.get::<_, i64>(9)?.cast_unsigned(),
        trouble: row.get(10)?,
        object: object_of(row.get(11)?),
    })
}

impl Catalog {
    /// All tables and all segments, in the order in which segments were committed; both of the same moment.
    pub(crate) fn load(&mut self) -> SeamResult<(Vec<CatalogTable>, Vec<CatalogSegment>)> {
        let path = self.path.clone();
        let mut load = || -> rusqlite::Result<(Vec<TableRow>, Vec<CatalogSegment>)> {
            let transaction = self.connection.transaction()?;
            let tables = transaction
                .prepare("SELECT name, schema, time_column FROM tables ORDER BY name")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<Result<_, _>>()?;
            let segments = transaction
                .prepare(&format!("SELECT {COLUMNS} FROM segments ORDER BY place, id"))?
                .query_map([], segment)?
                .collect::<Result<_, _>>()?;
            Ok((tables, segments))
        };
        let (tables, segments) = load().map_err(|error| super::catalog_error("read", &path, error))?;
        let tables = tables
            .into_iter()
            .map(|(name, schema, time_column)| {
                Ok(CatalogTable { name, schema: schema_from_bytes(&schema)?, time_column })
            })
            .collect::<SeamResult<_>>()?;
        Ok((tables, segments))
    }

    /// Creates a table with these columns, or makes room for them in the one there is.
    pub(crate) fn declare(&mut self, table: &str, fields: &Fields, time: Option<&str>) -> SeamResult<()> {
        let path = self.path.clone();
        let failed = |error| super::catalog_error("write", &path, error);
        let transaction = self.connection.transaction().map_err(failed)?;
        make_room(&transaction, table, fields, time)?.map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    /// Writes down why a segment is not read; `None` takes it back.
    pub(crate) fn set_trouble(&mut self, id: i64, reason: &str) -> SeamResult<()> {
        self.connection
            .execute("UPDATE segments SET trouble = ?2 WHERE id = ?1", params![id, reason])
            .map_err(|error| self.error("write", error))?;
        Ok(())
    }

    /// A segment is that object from now on; what it was goes to the graves. Whether it is still part of its table.
    pub(crate) fn moved(
        &mut self,
        old: &CatalogSegment,
        object: &Object,
        (grave, buried): (&str, &Buried),
        now: i64,
    ) -> SeamResult<bool> {
        let path = self.path.clone();
        let mut moved = || -> rusqlite::Result<bool> {
            let transaction = self.connection.transaction()?;
            let update = "UPDATE segments SET lies_at = ?2 WHERE id = ?1";
            if transaction.execute(update, params![old.id, text_of(Some(object))])? == 0 {
                return Ok(false);
            }
            let was = buried.remote.as_ref().map(|remote| &remote.object);
            bury(&transaction, grave, was, buried.index, now)?;
            transaction.commit()?;
            Ok(true)
        };
        moved().map_err(|error| super::catalog_error("write", &path, error))
    }

    /// Puts `new` in the place of the segments `old`, whose files go to the graves; returns its id, or `None` when
    /// one of the old ones is gone and nothing happened.
    pub(crate) fn replace(
        &mut self,
        old: &[CatalogSegment],
        new: &NewSegment,
        level: i64,
        now: i64,
    ) -> SeamResult<Option<i64>> {
        let path = self.path.clone();
        let mut replace = || -> rusqlite::Result<Option<i64>> {
            let transaction = self.connection.transaction()?;
            let mut place = i64::MAX;
            for segment in old {
                let at: Option<i64> = transaction
                    .query_row("DELETE FROM segments WHERE id = ?1 RETURNING place", [segment.id], |row| row.get(0))
                    .optional()?;
                let Some(at) = at else { return Ok(None) };
                place = place.min(at);
                bury(&transaction, &segment.path, segment.object.as_ref(), true, now)?;
            }
            let newest = old.iter().map(|segment| (segment.epoch, segment.pipeline.as_str())).max().unwrap_or((0, ""));
            let id = insert(&transaction, new, (newest.1, newest.0), level, Some(place))?;
            transaction.commit()?;
            Ok(Some(id))
        };
        replace().map_err(|error| super::catalog_error("write", &path, error))
    }

    /// Puts each new segment in the place of its old one, or nothing; the old files go to the graves. The commits that the
    /// old ones belong to have the new ones. Returns the ids of the new ones, or `None` when one of the old ones is gone and
    /// nothing happened.
    pub(crate) fn exchange(
        &mut self,
        changes: &[(CatalogSegment, Option<&NewSegment>)],
        now: i64,
    ) -> SeamResult<Option<Vec<Option<i64>>>> {
        let path = self.path.clone();
        let mut exchange = || -> rusqlite::Result<Option<Vec<Option<i64>>>> {
            let transaction = self.connection.transaction()?;
            let Some(ids) = exchange_in(&transaction, changes, now)? else { return Ok(None) };
            transaction.commit()?;
            Ok(Some(ids))
        };
        exchange().map_err(|error| super::catalog_error("write", &path, error))
    }
}

/// As [`Catalog::exchange`], as a part of more.
pub(super) fn exchange_in(
    transaction: &Transaction<'_>,
    changes: &[(CatalogSegment, Option<&NewSegment>)],
    now: i64,
) -> rusqlite::Result<Option<Vec<Option<i64>>>> {
    let mut ids = Vec::new();
    for (old, new) in changes {
        let there: Option<(i64, i64)> = transaction
            .query_row("DELETE FROM segments WHERE id = ?1 RETURNING place, level", [old.id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((place, level)) = there else { return Ok(None) };
        bury(transaction, &old.path, old.object.as_ref(), true, now)?;
        let owner = (old.pipeline.as_str(), old.epoch);
        ids.push(new.map(|new| insert(transaction, new, owner, level, Some(place))).transpose()?);
    }
    Ok(Some(ids))
}

/// An object as the catalog holds it. One that cannot be read was written by a newer Weir: its rows are out of reach, and asking
/// for them says so.
pub(super) fn object_of(text: Option<String>) -> Option<Object> {
    let unknown = |text: String| Object { place: Place { url: text, ..Place::default() }, name: String::new() };
    text.map(|text| serde_json::from_str(&text).unwrap_or_else(|_| unknown(text)))
}

/// The same, to be written.
fn text_of(object: Option<&Object>) -> Option<String> {
    object.and_then(|object| serde_json::to_string(object).ok())
}

/// Remembers that a file is not part of any table since `now`, nor this object, and whether its index goes too.
pub(super) fn bury(
    transaction: &Transaction<'_>,
    path: &str,
    object: Option<&Object>,
    index: bool,
    now: i64,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR REPLACE INTO graves (path, since, object, with_index) VALUES (?1, ?2, ?3, ?4)",
        params![path, now, text_of(object), index],
    )?;
    Ok(())
}

/// Adds a segment, after all others of its table unless `place` says where.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    new: &NewSegment,
    (pipeline, epoch): (&str, u64),
    level: i64,
    place: Option<i64>,
) -> rusqlite::Result<i64> {
    let (time_min, time_max) = (new.time_range.map(|range| range.0), new.time_range.map(|range| range.1));
    transaction.execute(
        "INSERT INTO segments (table_name, path, place, rows, bytes, checksum, time_min, time_max, level, pipeline, epoch)
         VALUES (?1, ?2, -1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            new.table,
            new.path,
            new.rows.cast_signed(),
            new.bytes.cast_signed(),
            new.checksum.cast_signed(),
            time_min,
            time_max,
            level,
            pipeline,
            epoch.cast_signed(),
        ],
    )?;
    let id = transaction.last_insert_rowid();
    transaction.execute("UPDATE segments SET place = ?2 WHERE id = ?1", params![id, place.unwrap_or(id)])?;
    Ok(id)
}

/// Makes room in the table for the columns of `new`, creating the table if needed.
pub(super) fn widen(
    transaction: &Transaction<'_>,
    new: &NewSegment,
    time: Option<&str>,
) -> SeamResult<rusqlite::Result<()>> {
    let seen = schema_from_text(&new.schema)?;
    make_room(transaction, &new.table, seen.fields(), time)
}

fn make_room(
    transaction: &Transaction<'_>,
    table: &str,
    seen: &Fields,
    time: Option<&str>,
) -> SeamResult<rusqlite::Result<()>> {
    let found: rusqlite::Result<Option<Vec<u8>>> =
        transaction.query_row("SELECT schema FROM tables WHERE name = ?1", [table], |row| row.get(0)).optional();
    let old = match found {
        Err(error) => return Ok(Err(error)),
        Ok(None) => schema_of(Fields::empty()),
        Ok(Some(bytes)) => schema_from_bytes(&bytes)?,
    };
    let grown = grow(old.fields(), seen);
    if grown == *old.fields() {
        return Ok(Ok(()));
    }
    let bytes = schema_to_bytes(&Schema::new(grown.clone()))?;
    // A table that has a time column keeps it.
    let written = transaction.execute(
        "INSERT INTO tables (name, schema, time_column) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET schema = ?2, time_column = COALESCE(time_column, ?3)",
        params![table, bytes, time.map(ToOwned::to_owned).or_else(|| time_column(&grown, None))],
    );
    Ok(written.map(|_| ()))
}
