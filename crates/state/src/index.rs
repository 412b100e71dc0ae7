//! Where the runs of the last snapshot lie, so that the next one writes only what is new. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::manifest::{Piece, StoredRun};

/// A snapshot refers to no more objects than this besides its own; runs of the others are written again.
pub(crate) const OBJECTS_MAX: usize = 64;
/// Runs are written again when less than this share of their object is still in use.
const USED_PERCENT_MIN: u64 = 25;

/// What is known of the last snapshot of a pipeline.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Its name: never collected by the process that wrote or read it.
    pub(crate) last: Option<String>,
    pieces: HashMap<u64, Piece>,
    /// Whether the objects that these lie in are where new ones go, and may be named by them.
    may_be_named: bool,
    /// How long each object is, dead runs included.
    object_bytes: BTreeMap<String, u64>,
    /// The objects that each snapshot needs which this process wrote or read: manifests never change.
    needs: BTreeMap<String, BTreeSet<String>>,
}

impl Index {
    /// After the snapshot `name`, of these runs, was written or read; `lengths` are those of its objects, as far as they
    /// were not known before. `may_be_named` says whether the next snapshot may name these objects.
    pub(crate) fn after(
        &mut self,
        name: &str,
        runs: &[StoredRun],
        lengths: impl IntoIterator<Item = (String, u64)>,
        may_be_named: bool,
    ) {
        self.last = Some(name.to_owned());
        self.pieces = runs.iter().map(|run| (run.id, run.piece.clone())).collect();
        self.may_be_named = may_be_named;
        self.needs.insert(name.to_owned(), objects_of(name, if may_be_named { runs } else { &[] }));
        self.object_bytes.extend(lengths);
        let in_use = self.pieces.values().map(|piece| piece.object.as_str()).collect::<BTreeSet<_>>();
        self.object_bytes.retain(|object, _| in_use.contains(object.as_str()));
    }

    /// What the snapshot `name` needs, if that is known.
    pub(crate) fn needs(&self, name: &str) -> Option<&BTreeSet<String>> {
        self.needs.get(name)
    }

    /// What the snapshot `name` needs.
    pub(crate) fn learn(&mut self, name: &str, objects: BTreeSet<String>) {
        self.needs.insert(name.to_owned(), objects);
    }

    /// Nobody asks any more for snapshots that are not in `kept`.
    pub(crate) fn forget_all_but(&mut self, kept: &BTreeSet<&String>) {
        self.needs.retain(|name, _| kept.contains(name));
    }

    /// Where the run `id` of the last snapshot lies.
    pub(crate) fn piece(&self, id: u64) -> Option<&Piece> {
        self.pieces.get(&id)
    }

    /// The pieces of those of the runs `ids` that need not be written again.
    pub(crate) fn reusable(&self, ids: impl Iterator<Item = u64>) -> HashMap<u64, Piece> {
        if !self.may_be_named {
            return HashMap::new();
        }
        let mut by_object: BTreeMap<&str, Vec<(u64, &Piece)>> = BTreeMap::new();
        for (id, piece) in ids.filter_map(|id| Some((id, self.pieces.get(&id)?))) {
            by_object.entry(&piece.object).or_default().push((id, piece));
        }
        let mut objects: Vec<(u64, Vec<(u64, &Piece)>)> = by_object
            .into_iter()
            .filter_map(|(object, pieces)| {
                let used: u64 = pieces.iter().map(|(_, piece)| piece.bytes).sum();
                let all = self.object_bytes.get(object).copied().unwrap_or(0);
                (used * 100 >= all * USED_PERCENT_MIN).then_some((used, pieces))
            })
            .collect();
        // The largest stay where they are: writing the small ones again costs least.
        objects.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
        let few = if objects.len() > OBJECTS_MAX { OBJECTS_MAX / 2 } else { objects.len() };
        objects.into_iter().take(few).flat_map(|(_, pieces)| pieces).map(|(id, piece)| (id, piece.clone())).collect()
    }
}

/// The objects that hold the snapshot `name`: its own, and those of the runs that it names.
pub(crate) fn objects_of(name: &str, runs: &[StoredRun]) -> BTreeSet<String> {
    runs.iter().map(|run| run.piece.object.clone()).chain([name.to_owned()]).collect()
}
