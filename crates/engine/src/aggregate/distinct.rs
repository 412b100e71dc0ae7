//! `count_distinct`, exact up to a limit, and `approx_distinct`, a HyperLogLog (Flajolet, Fusy, Gandouet, Meunier, 2007)
//! with the estimator of Ertl ("New cardinality estimation algorithms for HyperLogLog sketches", 2017), which needs no
//! tables. Both know values by hashes alone, and neither by the order in which they came.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, BooleanArray, Int64Array};

use super::value::Bytes;
use super::{Accumulator, each_value, only_state};

/// Distinct values in one group beyond which `count_distinct` is null.
pub(crate) const COUNT_DISTINCT_MAX: usize = 10_000;
/// Distinct values in one group up to which `approx_distinct` is exact. They take as much room as the registers.
pub(crate) const FEW_MAX: usize = 512;
/// Bits of a hash that choose the register: 4096 registers, a standard error of 1.04 / sqrt(4096) = 1.6%.
const REGISTER_BITS: u32 = 12;
const REGISTERS: usize = 1 << REGISTER_BITS;
/// The largest value of a register: all other bits of the hash are 0.
const RANK_MAX: usize = 64 - REGISTER_BITS as usize + 1;
/// 1 / (2 ln 2)
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// What is remembered of the distinct values of a group.
pub(crate) trait Distinct: Default + std::fmt::Debug + Send {
    fn add(&mut self, value: &Bytes<'_>);
    fn count(&self) -> Option<i64>;
    fn write(&self) -> Vec<u8>;
    /// Adds what [`Distinct::write`] wrote; `None` if it is damaged.
    fn merge(&mut self, state: &[u8]) -> Option<()>;
    /// Bytes besides its own.
    fn size(&self) -> usize;
}

/// The aggregate.
#[derive(Debug, Default)]
pub(crate) struct CountDistinct<D> {
    seen: Vec<D>,
}

impl<D: Distinct> Accumulator for CountDistinct<D> {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        self.seen.resize_with(total_groups, D::default);
        let values = &arguments[0];
        each_value(values, groups, filter, |group, row| self.seen[group].add(&Bytes::of(values, row)));
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.seen.resize_with(total_groups, D::default);
        let states: &BinaryArray = only_state(states)?;
        for (row, &group) in groups.iter().enumerate().filter(|(row, _)| states.is_valid(*row)) {
            let state = states.value(row);
            let merged = self.seen[group as usize].merge(state);
            merged.ok_or_else(|| format!("distinct values in {} bytes", state.len()))?;
        }
        Ok(())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        self.seen.resize_with(total_groups, D::default);
        let seen = std::mem::take(&mut self.seen);
        vec![Arc::new(seen.iter().map(|seen| Some(seen.write())).collect::<BinaryArray>())]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        self.seen.resize_with(total_groups, D::default);
        let seen = std::mem::take(&mut self.seen);
        Arc::new(seen.iter().map(Distinct::count).collect::<Int64Array>())
    }

    fn size(&self) -> usize {
        self.seen.iter().map(D::size).sum::<usize>() + self.seen.capacity() * size_of::<D>()
    }
}

/// The hashes of all values, as long as they are not too many. Written: the hashes in order, 16 bytes each, or one byte
/// when they were too many.
#[derive(Debug, Default)]
pub(crate) struct All {
    hashes: BTreeSet<u128>,
    too_many: bool,
}

impl All {
    fn insert(&mut self, hash: u128) {
        if !self.too_many {
            self.hashes.insert(hash);
            if self.hashes.len() > COUNT_DISTINCT_MAX {
                *self = Self { hashes: BTreeSet::new(), too_many: true };
            }
        }
    }
}

impl Distinct for All {
    fn add(&mut self, value: &Bytes<'_>) {
        self.insert(value.long_hash());
    }

    fn count(&self) -> Option<i64> {
        (!self.too_many).then_some(self.hashes.len() as i64)
    }

    fn write(&self) -> Vec<u8> {
        if self.too_many { vec![1] } else { self.hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect() }
    }

    fn merge(&mut self, state: &[u8]) -> Option<()> {
        let (hashes, rest) = state.as_chunks::<16>();
        hashes.iter().for_each(|hash| self.insert(u128::from_le_bytes(*hash)));
        match rest {
            [] => Some(()),
            [1] if hashes.is_empty() => {
                *self = Self { hashes: BTreeSet::new(), too_many: true };
                Some(())
            }
            _ => None,
        }
    }

    fn size(&self) -> usize {
        self.hashes.len() * 24
    }
}

/// A HyperLogLog that keeps the hashes themselves while they are few. Written: the hashes in order, 8 bytes each, or a
/// byte and the registers.
#[derive(Debug)]
pub(crate) enum Approx {
    /// In ascending order.
    Few(Vec<u64>),
    Registers(Box<[u8; REGISTERS]>),
}

impl Default for Approx {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Approx {
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64) {
        match self {
            Self::Few(hashes) => {
                if let Err(place) = hashes.binary_search(&hash) {
                    hashes.insert(place, hash);
                    if hashes.len() > FEW_MAX {
                        self.registers();
                    }
                }
            }
            Self::Registers(registers) => note(registers, hash),
        }
    }

    fn registers(&mut self) -> &mut [u8; REGISTERS] {
        if let Self::Few(hashes) = self {
            let mut registers = Box::new([0; REGISTERS]);
            hashes.iter().for_each(|hash| note(&mut registers, *hash));
            *self = Self::Registers(registers);
        }
        match self {
            Self::Registers(registers) => registers,
            Self::Few(_) => unreachable!("it has just been turned into registers"),
        }
    }
}

/// The register of a hash keeps the longest run of zeros after the bits that chose it.
fn note(registers: &mut [u8; REGISTERS], hash: u64) {
    let register = &mut registers[(hash >> (64 - REGISTER_BITS)) as usize];
    let rank = ((hash << REGISTER_BITS) | 1 << (REGISTER_BITS - 1)).leading_zeros() as u8 + 1;
    *register = rank.max(*register);
}

impl Distinct for Approx {
    fn add(&mut self, value: &Bytes<'_>) {
        self.insert(value.hash());
    }

    fn count(&self) -> Option<i64> {
        Some(match self {
            Self::Few(hashes) => hashes.len() as i64,
            Self::Registers(registers) => estimate(registers).round() as i64,
        })
    }

    fn write(&self) -> Vec<u8> {
        match self {
            Self::Few(hashes) => hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect(),
            Self::Registers(registers) => [&[REGISTER_BITS as u8], &registers[..]].concat(),
        }
    }

    fn merge(&mut self, state: &[u8]) -> Option<()> {
        match state.as_chunks::<8>() {
            (hashes, []) => hashes.iter().for_each(|hash| self.insert(u64::from_le_bytes(*hash))),
            (_, [_]) => {
                let (bits, others) = state.split_first()?;
                let others: &[u8; REGISTERS] = others.try_into().ok()?;
                if u32::from(*bits) != REGISTER_BITS || others.iter().any(|rank| usize::from(*rank) > RANK_MAX) {
                    return None;
                }
                self.registers().iter_mut().zip(others).for_each(|(own, other)| *own = (*own).max(*other));
            }
            _ => return None,
        }
        Some(())
    }

    fn size(&self) -> usize {
        match self {
            Self::Few(hashes) => hashes.capacity() * 8,
            Self::Registers(_) => REGISTERS,
        }
    }
}

/// Ertl's algorithm 6: additions, multiplications and square roots only, so that every machine says the same.
fn estimate(registers: &[u8; REGISTERS]) -> f64 {
    let mut counts = [0_u32; RANK_MAX + 1];
    registers.iter().for_each(|rank| counts[usize::from(*rank)] += 1);
    let all = REGISTERS as f64;
    let mut sum = all * tau(1.0 - f64::from(counts[RANK_MAX]) / all);
    for count in counts[1..RANK_MAX].iter().rev() {
        sum = 0.5 * (sum + f64::from(*count));
    }
    sum += all * sigma(f64::from(counts[0]) / all);
    ALPHA * all * all / sum
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut factor, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * factor;
        factor += factor;
        if sum == before {
            return sum;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut factor, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        factor *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * factor;
        if sum == before {
            return sum / 3.0;
        }
    }
}
