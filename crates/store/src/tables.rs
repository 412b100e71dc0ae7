//! What the tables are at this moment, in memory: committed segments, segments that are written but not committed, and
//! rows that are in no file. Everything a query sees is taken from here under one lock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Fields, Schema, SchemaRef};
use weir_model::{EpochCommit, NewSegment, SeamResult};

use crate::catalog::{CatalogSegment, CatalogTable};
use crate::schema::{adapt, schema_of, time_column};
use crate::segment::Encoding;
use crate::snapshot::Pin;
use crate::tiers::{Buckets, Remote};
use crate::{SegmentRef, StoreSnapshot, TableConfig, TableSettings, TableSnapshot, Trouble};

/// A committed segment.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) row: CatalogSegment,
    pub(crate) segment: SegmentRef,
}

/// What one writer has not committed yet.
#[derive(Debug, Default)]
pub(crate) struct Uncommitted {
    /// Durable segments, in the order in which they were written.
    pub(crate) staged: Vec<(NewSegment, SegmentRef)>,
    /// Rows in no file.
    pub(crate) rows: Vec<RecordBatch>,
}

/// One table.
#[derive(Debug)]
pub(crate) struct Table {
    /// Grows with what is seen, committed or not.
    pub(crate) schema: SchemaRef,
    /// What a writer asked for.
    pub(crate) time_asked: Option<String>,
    /// What its owners have chosen.
    pub(crate) settings: Arc<TableSettings>,
    /// What the catalog says.
    time_kept: Option<String>,
    /// Whether the catalog knows the table.
    catalogued: bool,
    pub(crate) live: Vec<Live>,
    pub(crate) writers: BTreeMap<u64, Uncommitted>,
}

impl Table {
    fn new() -> Self {
        let schema = Arc::new(Schema::empty());
        let (settings, live, writers) = (Arc::default(), Vec::new(), BTreeMap::new());
        Self { schema, time_asked: None, settings, time_kept: None, catalogued: false, live, writers }
    }

    /// How segments of it are written; `name` is its own.
    pub(crate) fn encoding(&self, name: &str) -> Encoding {
        Encoding {
            table: name.to_owned(),
            schema: Arc::clone(&self.schema),
            time_column: self.time_column(),
            settings: Arc::clone(&self.settings),
        }
    }

    /// The column of event times.
    pub(crate) fn time_column(&self) -> Option<String> {
        self.time_kept.clone().or_else(|| time_column(self.schema.fields(), self.time_asked.as_deref()))
    }

    fn is_nothing(&self) -> bool {
        let unwritten = |writer: &Uncommitted| writer.staged.is_empty() && writer.rows.is_empty();
        !self.catalogued && self.live.is_empty() && self.writers.values().all(unwritten)
    }
}

/// A file to be deleted when nobody reads it and its grace is over.
#[derive(Clone, Debug)]
pub(crate) struct Grave {
    pub(crate) path: PathBuf,
    /// The path in the catalog; `None` for a file that was never committed, which needs no grace.
    pub(crate) relative: Option<String>,
    pub(crate) since: i64,
    pub(crate) pin: Arc<Pin>,
    pub(crate) buried: Buried,
}

/// What goes with a grave besides a file at its path.
#[derive(Clone, Debug)]
pub(crate) struct Buried {
    /// An object in a bucket.
    pub(crate) remote: Option<Arc<Remote>>,
    /// The search index: not when the segment has only moved.
    pub(crate) index: bool,
}

impl Buried {
    /// What goes with a segment that is part of no table any more.
    pub(crate) fn all_of(segment: &SegmentRef) -> Self {
        Self { remote: segment.remote.clone(), index: true }
    }
}

/// All tables.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) by_name: BTreeMap<String, Table>,
    pub(crate) graves: Vec<Grave>,
    pub(crate) troubles: Vec<Trouble>,
    last_writer: u64,
}

/// The segment of a catalog row under the data folder `folder`.
pub(crate) fn segment_ref(folder: &Path, row: &CatalogSegment) -> SegmentRef {
    SegmentRef {
        path: folder.join(&row.path),
        rows: row.rows,
        bytes: row.bytes,
        time_range: row.time_range,
        checksum: row.checksum,
        remote: None,
        pin: Arc::default(),
    }
}

impl Tables {
    /// The table called `name`, which need not exist yet.
    pub(crate) fn table(&mut self, name: &str) -> &mut Table {
        self.by_name.entry(name.to_owned()).or_insert_with(Table::new)
    }

    /// Makes the tables what the catalog says, besides what is not committed.
    pub(crate) fn load(
        &mut self,
        folder: &Path,
        tables: Vec<CatalogTable>,
        segments: Vec<CatalogSegment>,
        buckets: &dyn Buckets,
    ) {
        self.by_name.values_mut().for_each(|table| table.live.clear());
        self.troubles.clear();
        for row in tables {
            let table = self.table(&row.name);
            table.schema = schema_of(crate::schema::grow(row.schema.fields(), table.schema.fields()));
            table.time_kept = row.time_column;
            table.catalogued = true;
        }
        for row in segments {
            let mut segment = segment_ref(folder, &row);
            segment.remote = row.object.clone().map(|object| Arc::new(Remote::new(buckets, object)));
            match row.trouble.clone() {
                None => self.table(&row.table).live.push(Live { row, segment }),
                Some(reason) => self.troubles.push(trouble(&row, &segment, reason)),
            }
        }
    }

    /// A writer's place in a table.
    pub(crate) fn add_writer(&mut self, table: &str, config: &TableConfig) -> u64 {
        self.last_writer += 1;
        let writer = self.last_writer;
        let table = self.table(table);
        if table.time_asked.is_none() {
            table.time_asked.clone_from(&config.time_column);
        }
        table.writers.insert(writer, Uncommitted::default());
        writer
    }

    /// What a writer has not committed.
    pub(crate) fn uncommitted(&mut self, table: &str, writer: u64) -> &mut Uncommitted {
        self.table(table).writers.entry(writer).or_default()
    }

    /// Forgets what a writer has not committed; its files go to the graves.
    pub(crate) fn forget(&mut self, table: &str, writer: u64) {
        let Uncommitted { staged, .. } = std::mem::take(self.uncommitted(table, writer));
        self.graves.extend(staged.into_iter().map(|(_, segment)| Grave {
            path: segment.path.clone(),
            relative: None,
            since: 0,
            buried: Buried::all_of(&segment),
            pin: segment.pin,
        }));
    }

    /// Widens a table's schema to `fields`.
    pub(crate) fn widen(&mut self, table: &str, fields: Fields) {
        let table = self.table(table);
        if table.schema.fields() != &fields {
            table.schema = schema_of(fields);
        }
    }

    /// The catalog knows the table, with at least these columns.
    pub(crate) fn declared(&mut self, name: &str, fields: &Fields, time: Option<&str>) {
        let grown = crate::schema::grow(self.table(name).schema.fields(), fields);
        self.widen(name, grown);
        let table = self.table(name);
        table.catalogued = true;
        table.time_kept =
            table.time_kept.take().or_else(|| time.map(ToOwned::to_owned)).or_else(|| table.time_column());
    }

    /// The time columns of the tables that a commit writes to.
    pub(crate) fn time_columns(&self, commit: &EpochCommit) -> BTreeMap<String, String> {
        let segments = commit.prepared.values().flat_map(|prepared| &prepared.segments);
        segments
            .filter_map(|segment| Some((segment.table.clone(), self.by_name.get(&segment.table)?.time_column()?)))
            .collect()
    }

    /// After the catalog has committed: its segments belong to their tables, in one step. `ids` are those that the
    /// catalog gave to their paths.
    pub(crate) fn committed(
        &mut self,
        folder: &Path,
        commit: &EpochCommit,
        ids: &BTreeMap<String, i64>,
    ) -> SeamResult<()> {
        for new in commit.prepared.values().flat_map(|prepared| &prepared.segments) {
            let Some(&id) = ids.get(&new.path) else { continue };
            let row = CatalogSegment {
                id,
                table: new.table.clone(),
                path: new.path.clone(),
                rows: new.rows,
                bytes: new.bytes,
                checksum: new.checksum,
                time_range: new.time_range,
                pipeline: commit.pipeline.clone(),
                epoch: commit.epoch.0,
                trouble: None,
                object: None,
            };
            let seen = crate::schema::schema_from_text(&new.schema)?;
            let table = self.table(&new.table);
            let mut segment = segment_ref(folder, &row);
            for writer in table.writers.values_mut() {
                if let Some(at) = writer.staged.iter().position(|(staged, _)| staged.path == new.path) {
                    // The same pin: readers that saw it uncommitted still hold it.
                    segment = writer.staged.remove(at).1;
                }
            }
            let grown = crate::schema::grow(table.schema.fields(), seen.fields());
            table.time_kept = table.time_column().or_else(|| time_column(&grown, None));
            table.catalogued = true;
            table.live.push(Live { row, segment });
            self.widen(&new.table, grown);
        }
        Ok(())
    }

    /// Takes a committed segment out of its table because something is wrong with its file.
    pub(crate) fn put_aside(&mut self, path: &Path, reason: &str) -> Option<(i64, Trouble)> {
        for table in self.by_name.values_mut() {
            if let Some(at) = table.live.iter().position(|live| live.segment.path == path) {
                let live = table.live.remove(at);
                let trouble = trouble(&live.row, &live.segment, reason.to_owned());
                self.troubles.push(trouble.clone());
                return Some((live.row.id, trouble));
            }
        }
        None
    }

    /// Everything that a query may see, of this moment.
    pub(crate) fn snapshot(&self) -> SeamResult<StoreSnapshot> {
        let mut tables = BTreeMap::new();
        for (name, table) in &self.by_name {
            if table.is_nothing() || table.schema.fields().is_empty() {
                continue;
            }
            let staged = table.writers.values().flat_map(|writer| &writer.staged).map(|(_, segment)| segment);
            let fresh = table.writers.values().flat_map(|writer| &writer.rows);
            let snapshot = TableSnapshot {
                name: name.clone(),
                schema: Arc::clone(&table.schema),
                time_column: table.time_column(),
                segments: table.live.iter().map(|live| &live.segment).chain(staged).cloned().collect(),
                fresh: fresh.map(|batch| adapt(batch, &table.schema)).collect::<SeamResult<_>>()?,
            };
            tables.insert(name.clone(), snapshot);
        }
        Ok(StoreSnapshot { tables, troubles: self.troubles.clone() })
    }
}

fn trouble(row: &CatalogSegment, segment: &SegmentRef, reason: String) -> Trouble {
    let (table, path) = (row.table.clone(), segment.path.clone());
    Trouble { table, path, rows: row.rows, time_range: row.time_range, reason }
}
