//! What pipelines choose about the tables that they write: put together, and told to the store before anything runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_deliver::OutputConfig;
use weir_model::{ErrorKind, SeamError, SeamResult, Secret};
use weir_store::{Store, TableSettings};

use crate::running::{Job, TierBuckets};

/// Sets what `jobs` choose about the tables that they write, and how their buckets are reached. Tables that nobody of them
/// writes stay as they were.
///
/// # Errors
/// `Config` when two of them want the same table kept differently; else as the disk says.
pub(crate) fn settle<'a>(store: &Store, jobs: impl IntoIterator<Item = &'a Job>) -> SeamResult<()> {
    let jobs: Vec<&Job> = jobs.into_iter().collect();
    store.set_buckets(Arc::new(TierBuckets::new(keys(&jobs))));
    let chosen = chosen(jobs)?;
    // Every table of a pipeline is told, also those of which nothing is chosen: it may have been before.
    let changed = chosen.into_iter().filter(|(table, settings)| store.settings(table) != *settings);
    let changed: BTreeMap<String, TableSettings> = changed.collect();
    if changed.is_empty() { Ok(()) } else { store.settle(&changed) }
}

/// The options of each bucket, its keys among them.
fn keys(jobs: &[&Job]) -> BTreeMap<String, BTreeMap<String, Secret>> {
    let outputs = jobs.iter().flat_map(|job| job.all_outputs());
    let tables = outputs.filter_map(|output| match &output.output {
        OutputConfig::Table(table) => Some(table),
        OutputConfig::File(_) | OutputConfig::Stdout(_) | OutputConfig::Kafka(_) | OutputConfig::Http(_) => None,
    });
    tables.flat_map(|table| &table.tiers).map(|tier| (tier.url.clone(), tier.options.clone())).collect()
}

fn chosen<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> SeamResult<BTreeMap<String, TableSettings>> {
    let mut chosen: BTreeMap<String, (String, TableSettings)> = BTreeMap::new();
    for job in jobs {
        for output in job.all_outputs() {
            let OutputConfig::Table(table) = &output.output else { continue };
            let (who, settings) = (format!("{}, output {}", job.plan.pipeline, output.name), table.settings());
            match chosen.get(&table.name) {
                Some((other, there)) if *there != settings && !is_nothing(there) && !is_nothing(&settings) => {
                    let message = format!(
                        "the table {} is kept differently by {other} and by {who}: say the same in both, or in one of them only",
                        table.name
                    );
                    return Err(SeamError::new(ErrorKind::Config, message));
                }
                Some(_) if is_nothing(&settings) => {}
                _ => drop(chosen.insert(table.name.clone(), (who, settings))),
            }
        }
    }
    Ok(chosen.into_iter().map(|(table, (_, settings))| (table, settings)).collect())
}

fn is_nothing(settings: &TableSettings) -> bool {
    *settings == TableSettings::default()
}
