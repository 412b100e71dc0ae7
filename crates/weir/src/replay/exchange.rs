//! What a replay found is put in the place of what is shown, or taken back: by the Weir that has the data folder.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use weir_model::{Epoch, ErrorKind, SeamError, SeamResult};
use weir_serve::{ReplaySwap, ReplaySwapped, Replays, SwappedTable};
use weir_store::{Store, Swap, SwapWay, TableSwap, digests};

use super::record::{Record, TableRecord};
use super::{Folder, refused, rows, way_of};

/// The replays in the data folder of a store.
#[derive(Clone)]
pub(crate) struct StoredReplays {
    store: Arc<Store>,
}

impl StoredReplays {
    /// Those beside `store`, which this process writes to.
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// Blocks.
    fn exchange(&self, asked: &ReplaySwap) -> SeamResult<ReplaySwapped> {
        let way = way_of(&asked.way)
            .ok_or_else(|| refused(format!("the way is `in` or `out`, and not \"{}\"", asked.way.escape_debug())))?;
        let folder = Folder::of(self.store.path(), &asked.pipeline)?;
        let record = Record::read(&folder)?;
        if record.id != asked.id {
            return Err(refused(format!(
                "the last replay of {} is {}, and not {}",
                asked.pipeline, record.id, asked.id
            )));
        }
        if let (Some(why), SwapWay::In) = (&record.refusal, way) {
            return Err(refused(format!("{} cannot be swapped in: {why}", record.id)));
        }
        let tables = record.tables.iter().filter(|table| !table.is_equal());
        let tables = tables.map(|table| of_table(&folder, table, way)).collect::<SeamResult<Vec<_>>>()?;
        let swap = Swap { id: record.id.clone(), pipeline: record.pipeline.clone(), since: Epoch(record.since), way };
        let swapped = self.store.swap(&swap, tables)?;
        let told = swapped.into_iter().map(|of| SwappedTable { table: of.table, gone: of.gone, come: of.come });
        Ok(ReplaySwapped { id: record.id, tables: told.collect() })
    }
}

fn of_table(folder: &Folder, table: &TableRecord, way: SwapWay) -> SeamResult<TableSwap<'static>> {
    let (gone, come) = match way {
        SwapWay::In => (&table.gone, &table.come),
        SwapWay::Out => (&table.come, &table.gone),
    };
    let mut go: HashMap<u128, u64> = HashMap::new();
    for batch in rows::read(folder, gone)? {
        digests(&batch?)?.into_iter().for_each(|digest| *go.entry(digest).or_default() += 1);
    }
    let (schema, come) = rows::read_with_schema(folder, come)?;
    Ok(TableSwap { table: table.table.clone(), schema, time: table.time.clone(), go, come: Box::new(come) })
}

#[async_trait]
impl Replays for StoredReplays {
    async fn swap(&self, asked: ReplaySwap) -> SeamResult<ReplaySwapped> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || this.exchange(&asked)).await;
        done.unwrap_or_else(|error| Err(SeamError::caused(ErrorKind::Closed, "the exchange of rows failed", error)))
    }
}
