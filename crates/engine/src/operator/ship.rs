//! What stands where partitions are read in the place of a step whose keys have owners elsewhere: its rows are sent to
//! them as they are. And what stands in the place of a step that is elsewhere altogether. Neither remembers anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use weir_model::Compiler;

use super::{Operator, Outcome};
use crate::Effect;
use crate::compiled::{Compiled, Trouble};
use crate::halves::{Body, Sent};
use crate::keys::key_hashes;
use crate::rows::Rows;

/// Sends rows to the owners of their keys.
#[derive(Debug)]
pub(crate) struct Ship {
    /// The keys, by port.
    keys: Vec<Compiled>,
    rows: Vec<(usize, Rows, Vec<u64>)>,
    /// The columns that all owners have heard of, by port, if they need to.
    told: Option<Vec<BTreeSet<String>>>,
}

impl Ship {
    /// Sends rows by these keys, as expressions, by port.
    pub(crate) fn new(keys: Vec<Vec<String>>, compiler: &Arc<dyn Compiler>) -> Self {
        let keys = keys.into_iter().map(|texts| Compiled::new(texts, compiler.clone()));
        Self { keys: keys.collect(), rows: Vec::new(), told: None }
    }

    /// The same for a step whose results have the columns of all rows, also where an owner has none of them.
    pub(crate) fn telling_columns(keys: Vec<Vec<String>>, compiler: &Arc<dyn Compiler>) -> Self {
        let told = vec![BTreeSet::new(); keys.len()];
        Self { told: Some(told), ..Self::new(keys, compiler) }
    }

    /// Whether rows have columns that not all owners have heard of; they do by what is sent next.
    fn has_news(&mut self, port: usize, rows: &Rows) -> bool {
        let Some(told) = self.told.as_mut().map(|told| &mut told[port]) else { return false };
        let schema = rows.columns.schema();
        let of_a_type = schema.fields().iter().filter(|field| *field.data_type() != DataType::Null);
        of_a_type.filter(|field| told.insert(field.name().clone())).count() > 0
    }

    /// The hash of each row's keys.
    ///
    /// # Errors
    /// When they cannot be computed, or be keys.
    pub(crate) fn hashes(&mut self, port: usize, rows: &Rows) -> Result<Vec<u64>, Trouble> {
        let keys = self.keys[port].evaluate(&rows.columns)?;
        key_hashes(&keys, rows.len()).map_err(Trouble::Types)
    }

    pub(crate) fn add(&mut self, port: usize, rows: Rows, hashes: Vec<u64>) {
        self.rows.push((port, rows, hashes));
    }
}

impl Operator for Ship {
    fn take(&mut self, port: usize, rows: &Rows, _effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let hashes = self.hashes(port, rows)?;
        self.add(port, rows.clone(), hashes);
        Ok(Outcome::default())
    }

    fn open_rows(&self) -> u64 {
        self.unsent() as u64
    }

    fn unsent(&self) -> usize {
        self.rows.iter().map(|(_, rows, _)| rows.len()).sum()
    }

    fn send(&mut self) -> Vec<Sent> {
        let all = std::mem::take(&mut self.rows);
        let mut sent = Vec::new();
        for alike in all.chunk_by(|(left, ..), (right, ..)| left == right) {
            let mut hashes = alike.iter().flat_map(|(_, _, hashes)| hashes.iter().copied());
            for rows in Rows::joined(alike.iter().map(|(_, rows, _)| rows.clone()).collect()) {
                let hashes = hashes.by_ref().take(rows.len()).collect();
                let port = alike[0].0;
                sent.push(Sent { port, hashes, to_all: self.has_news(port, &rows), body: Body::Rows(rows) });
            }
        }
        sent
    }

    fn state_bytes(&self) -> usize {
        self.rows.iter().map(|(_, rows, hashes)| rows.columns.get_array_memory_size() + hashes.len() * 32).sum()
    }
}

/// A step that is elsewhere.
#[derive(Debug)]
pub(crate) struct Absent;

impl Operator for Absent {
    fn take(&mut self, _port: usize, _rows: &Rows, _effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        unreachable!("nothing flows to a step that is elsewhere")
    }
}
