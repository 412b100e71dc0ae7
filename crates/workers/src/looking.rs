//! What workers have committed, as somebody looks at it who is none of them. Changes nothing, and asks nobody but the place of
//! their state.

use std::collections::{BTreeMap, BTreeSet};

use weir_engine::{Fold, PartitionInspection};
use weir_model::{ErrorKind, SeamError, SeamResult};
use weir_state::Bundles;

use crate::broker::{Committed, Place};
use crate::mark::Mark;

/// What is known of each partition by the state that is committed with it; nothing of those that have none. Blocks.
///
/// # Errors
/// `Corrupt` when state is damaged or gone: workers that commit meanwhile remove what they have replaced. Else as the place says.
pub fn inspect(
    bundles: &Bundles,
    committed: &BTreeMap<Place, Committed>,
) -> SeamResult<BTreeMap<Place, PartitionInspection>> {
    let bundle = |committed: &Committed| committed.metadata.parse::<Mark>().ok()?.bundle;
    let names: BTreeSet<String> = committed.values().filter_map(bundle).collect();
    let mut found = BTreeMap::new();
    for name in names {
        let parts = bundles.read(&name)?;
        for (place, _) in committed.iter().filter(|(_, committed)| bundle(committed).as_ref() == Some(&name)) {
            let Some(part) = parts.iter().find(|part| part.key == place.to_string()) else { continue };
            let corrupt = |error: weir_engine::EngineError| SeamError::new(ErrorKind::Corrupt, error.to_string());
            if let Some(partition) = Fold::inspect(&part.snapshot).map_err(corrupt)? {
                found.insert(place.clone(), partition);
            }
        }
    }
    Ok(found)
}
