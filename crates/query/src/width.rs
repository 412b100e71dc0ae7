//! How many rows a plan puts into a batch: fewer where rows are wide, since every operator has some batches at hand that nobody
//! counts. It looks at what the catalog says, and opens no file.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, TableScan};

use crate::table::ScannedTable;

/// Rows of a batch, where they are narrow: the default of DataFusion.
const ROWS_MAX: u64 = 8_192;
/// Fewer would cost more than they save.
const ROWS_MIN: u64 = 256;
/// Bytes that a batch has about at most.
const BATCH_BYTES: u64 = 4 << 20;
/// Rows take about so many times more memory than room in a file.
const PACKED: u64 = 8;

/// The rows of a batch, of the widest table that is scanned.
pub(crate) fn batch_rows(plan: &LogicalPlan) -> Result<ConfigNonZeroUsize> {
    let mut widest = 0;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            widest = widest.max(row_bytes(scan));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let rows = BATCH_BYTES.checked_div(widest).unwrap_or(ROWS_MAX);
    ConfigNonZeroUsize::try_new(rows.clamp(ROWS_MIN, ROWS_MAX) as usize)
}

/// About what a row takes in memory, of the segment with the widest rows; 0 where only columns of a fixed width are read.
fn row_bytes(scan: &TableScan) -> u64 {
    let is_fixed = |kind: &DataType| kind.primitive_width().is_some() || *kind == DataType::Boolean;
    if scan.projected_schema.fields().iter().all(|field| is_fixed(field.data_type())) {
        return 0;
    }
    let Ok(provider) = source_as_provider(&scan.source) else { return 0 };
    let Some(table) = provider.downcast_ref::<ScannedTable>() else { return 0 };
    let widths = table.table.segments.iter().map(|segment| segment.bytes.saturating_mul(PACKED) / segment.rows.max(1));
    widths.max().unwrap_or(0)
}
