//! Reads outputs as anyone would. Refuses half a line, and a file that is not what the catalog says of it.

use std::path::Path;

use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use weir_disk::{checksum_of, read_file};
use weir_model::Vfs;
use weir_running::Shared;

use crate::pipeline::path_of;
use crate::scenario::Kind;
use crate::world::World;

/// The rows of an output.
pub(super) fn rows(world: &World, shared: &Shared, kind: Kind, name: &str) -> Result<Vec<Value>, String> {
    let path = path_of(world.root(), kind, name);
    let mut lines = Vec::new();
    match kind {
        Kind::Lines => {
            if world.disk.len(&path).is_ok() {
                lines = content(world, &path)?;
            }
        }
        Kind::Parts => {
            let files = world.disk.list(&path).map_err(|error| error.to_string())?;
            for (file, _) in files.iter().filter(|(file, _)| file.extension().is_some_and(|it| it == "parquet")) {
                parquet(&content(world, file)?, file, &mut lines)?;
            }
        }
        Kind::Table => {
            let snapshot = shared.store.snapshot().map_err(|error| error.full())?;
            if let Some(trouble) = snapshot.troubles.first() {
                return Err(format!("a segment was put aside: {trouble:?}"));
            }
            let Some(table) = snapshot.tables.get(name) else { return Ok(Vec::new()) };
            for segment in &table.segments {
                let bytes = content(world, &segment.path)?;
                if (bytes.len() as u64, checksum_of(&bytes)) != (segment.bytes, segment.checksum) {
                    return Err(format!("{} is not what the catalog says of it", segment.path.display()));
                }
                parquet(&bytes, &segment.path, &mut lines)?;
            }
            table.fresh.iter().for_each(|batch| weir_deliver::ndjson(batch, &mut lines));
        }
    }
    if !lines.is_empty() && !lines.ends_with(b"\n") {
        return Err(format!("{} ends with half a line", path.display()));
    }
    let text = String::from_utf8(lines).map_err(|error| format!("{}: {error}", path.display()))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{name}: {error}: {line}"))).collect()
}

fn content(world: &World, path: &Path) -> Result<Vec<u8>, String> {
    read_file(&world.disk, path).map_err(|error| error.full())
}

fn parquet(bytes: &[u8], path: &Path, lines: &mut Vec<u8>) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes));
    let reader = reader.and_then(|reader| reader.build()).map_err(|error| failed(&error))?;
    for batch in reader {
        weir_deliver::ndjson(&batch.map_err(|error| failed(&error))?, lines);
    }
    Ok(())
}
