//! DDSketch (Masson, Rim, Lee, VLDB 2019): quantiles with a relative error of at most 1%, in bounded memory, whatever
//! the order in which values and sketches are put together.
//!
//! Values are counted in bins whose bounds grow by a factor of at most 1.01/0.99. The bin of a value comes from its bits
//! and a cubic that approximates the logarithm (the mapping that Datadog's implementations call cubic interpolation):
//! only multiplications and additions, so that every machine computes the same bin.
//!
//! Layout of [`Sketch::write`], little endian: `zeros: u64`, then for the positive and the negative values
//! `lowest: i32`, `bins: u32`, and a `u64` per bin.

/// Beyond so many bins the bins of the smallest magnitudes are merged: 58 powers of two stay within the error.
pub(crate) const BINS_MAX: usize = 2048;
/// Bins per power of two: at least 0.7 / ln(1.01 / 0.99) = 34.9988, because the cubic is nowhere flatter against ln than 10/7.
const BINS_PER_DOUBLING: f64 = 35.0;
/// All bins lie between this and its negative: there are 2,046 powers of two.
const BIN_BOUND: i32 = 65_536;
/// Smaller magnitudes count as zero.
const SMALLEST: f64 = f64::MIN_POSITIVE;

/// Counts of values by magnitude, from which quantiles are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    zeros: u64,
    positive: Bins,
    negative: Bins,
}

impl Sketch {
    /// Counts a value. NaN is not a value; the infinities count as the largest magnitudes there are.
    #[inline]
    pub fn add(&mut self, value: f64) {
        if value >= SMALLEST {
            self.positive.add(bin_of(value), 1);
        } else if value <= -SMALLEST {
            self.negative.add(bin_of(-value), 1);
        } else if !value.is_nan() {
            self.zeros += 1;
        }
    }

    /// Counts what `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        self.zeros += other.zeros;
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
    }

    /// Counts what the sketch has counted that was written as `bytes`, without making it; `None` when they are none, and
    /// then it may have counted a part of them.
    pub fn merge_written(&mut self, bytes: &[u8]) -> Option<()> {
        let (zeros, rest) = bytes.split_first_chunk()?;
        let (positive, rest) = Written::split(rest)?;
        let (negative, rest) = Written::split(rest)?;
        if !rest.is_empty() {
            return None;
        }
        self.zeros += u64::from_le_bytes(*zeros);
        self.positive.merge_counts(positive.lowest, positive.counts())?;
        self.negative.merge_counts(negative.lowest, negative.counts())
    }

    /// The value below which the part `quantile` of the values lies; `None` if there are no values.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let (below, total) = (self.negative.total(), self.negative.total() + self.zeros + self.positive.total());
        let rank = (quantile * total.checked_sub(1)? as f64) as u64;
        Some(if rank < below {
            -self.negative.value_at(below - 1 - rank)
        } else if rank < below + self.zeros {
            0.0
        } else {
            self.positive.value_at(rank - below - self.zeros)
        })
    }

    /// The sketch as bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = self.zeros.to_le_bytes().to_vec();
        for bins in [&self.positive, &self.negative] {
            let used = bins.used();
            bytes.extend_from_slice(&(bins.lowest + used.start as i32).to_le_bytes());
            bytes.extend_from_slice(&(used.len() as u32).to_le_bytes());
            bins.counts[used].iter().for_each(|count| bytes.extend_from_slice(&count.to_le_bytes()));
        }
        bytes
    }

    /// A sketch from its bytes; `None` when they are none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (zeros, rest) = bytes.split_first_chunk()?;
        let (positive, rest) = Written::split(rest)?;
        let (negative, rest) = Written::split(rest)?;
        let (positive, negative) = (positive.to_bins(), negative.to_bins());
        rest.is_empty().then_some(Self { zeros: u64::from_le_bytes(*zeros), positive, negative })
    }

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        size_of::<Self>() + (self.positive.counts.capacity() + self.negative.counts.capacity()) * size_of::<u64>()
    }
}

/// Counts per bin, densely from the lowest to the highest that were seen.
#[derive(Clone, Debug, Default)]
struct Bins {
    lowest: i32,
    counts: Vec<u64>,
}

impl PartialEq for Bins {
    fn eq(&self, other: &Self) -> bool {
        let (own, others) = (self.used(), other.used());
        self.counts[own.clone()] == other.counts[others.clone()]
            && (own.is_empty() || self.lowest + own.start as i32 == other.lowest + others.start as i32)
    }
}

impl Eq for Bins {}

impl Bins {
    #[inline]
    fn add(&mut self, bin: i32, count: u64) {
        // A bin below `lowest` wraps around and is out of bounds too.
        match self.counts.get_mut(bin.wrapping_sub(self.lowest) as u32 as usize) {
            Some(own) => *own += count,
            None => self.add_outside(bin, count),
        }
    }

    #[cold]
    fn add_outside(&mut self, bin: i32, count: u64) {
        if self.counts.is_empty() {
            self.lowest = bin;
        }
        let highest = bin.max(self.lowest + self.counts.len() as i32 - 1);
        let floor = highest - (BINS_MAX as i32 - 1);
        self.raise(floor);
        let bin = bin.max(floor);
        if bin < self.lowest {
            // Some room below, so that a falling sequence does not move the bins each time.
            let room = (self.lowest - bin + 16).min(self.lowest - floor);
            self.counts.splice(0..0, std::iter::repeat_n(0, room as usize));
            self.lowest -= room;
        }
        let index = (bin - self.lowest) as usize;
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += count;
    }

    /// Merges the bins below `floor` into it.
    fn raise(&mut self, floor: i32) {
        if floor <= self.lowest || self.counts.is_empty() {
            return;
        }
        let below = ((floor - self.lowest) as usize).min(self.counts.len());
        let merged: u64 = self.counts.drain(..below).sum();
        self.lowest = floor;
        match self.counts.first_mut() {
            Some(first) => *first += merged,
            None => self.counts.push(merged),
        }
    }

    fn merge(&mut self, other: &Self) {
        let used = other.used();
        let lowest = other.lowest + used.start as i32;
        self.merge_counts(lowest, other.counts[used].iter().copied()).expect("bins that exist have numbers");
    }

    /// Adds the counts of the bins from `lowest` on; `None` when there are no bins of such numbers.
    fn merge_counts(
        &mut self,
        lowest: i32,
        counts: impl DoubleEndedIterator<Item = u64> + ExactSizeIterator,
    ) -> Option<()> {
        let highest = lowest.checked_add(i32::try_from(counts.len()).ok()?)?;
        let from = usize::try_from(i64::from(lowest) - i64::from(self.lowest)).ok();
        if let Some(own) = from.and_then(|from| self.counts.get_mut(from..from + counts.len())) {
            own.iter_mut().zip(counts).for_each(|(own, count)| *own += count);
            return Some(());
        }
        // From the top, so that the floor is known before anything is merged into it.
        for (bin, count) in (lowest..highest).rev().zip(counts.rev()) {
            if count > 0 {
                self.add(bin, count);
            }
        }
        Some(())
    }

    /// The indices from the first to the last bin that holds something.
    fn used(&self) -> std::ops::Range<usize> {
        let Some(first) = self.counts.iter().position(|count| *count > 0) else { return 0..0 };
        let last = self.counts.iter().rposition(|count| *count > 0).unwrap_or(first);
        first..last + 1
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// A value within 1% of the one with this rank, counted from the smallest.
    fn value_at(&self, rank: u64) -> f64 {
        let mut seen = 0;
        for (count, bin) in self.counts.iter().zip(self.lowest..) {
            seen += count;
            if seen > rank {
                return value_of(bin);
            }
        }
        unreachable!("the rank {rank} is below the total {seen}")
    }
}

/// Bins as they are written.
struct Written<'a> {
    lowest: i32,
    counts: &'a [[u8; 8]],
}

impl<'a> Written<'a> {
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (lowest, rest) = bytes.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let len = u32::from_le_bytes(*len) as usize;
        let (counts, rest) = rest.split_at_checked(len.checked_mul(8)?).filter(|_| len <= BINS_MAX)?;
        let (counts, _) = counts.as_chunks();
        let lowest = i32::from_le_bytes(*lowest);
        ((-BIN_BOUND..BIN_BOUND).contains(&lowest)).then_some((Self { lowest, counts }, rest))
    }

    fn counts(&self) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator {
        self.counts.iter().map(|bytes| u64::from_le_bytes(*bytes))
    }

    fn to_bins(&self) -> Bins {
        Bins { lowest: self.lowest, counts: self.counts().collect() }
    }
}

/// The bin of a positive, normal value. Grows with the value.
#[inline]
fn bin_of(value: f64) -> i32 {
    let bits = value.min(f64::MAX).to_bits();
    let exponent = (bits >> 52) as i32 - 1023;
    let s = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52) - 1.0;
    // log2(1 + s), about: 0 at 0 and 1 at 1.
    let log = ((6.0 / 35.0 * s - 3.0 / 5.0) * s + 10.0 / 7.0) * s;
    let bin = (f64::from(exponent) + log) * BINS_PER_DOUBLING;
    // Rounds down; the sum is far from the limits of i32, and positive after the shift.
    (bin + f64::from(BIN_BOUND)) as i32 - BIN_BOUND
}

/// The value whose relative distance to both bounds of `bin` is smallest.
fn value_of(bin: i32) -> f64 {
    let (low, high) = (lower_bound(bin), lower_bound(bin + 1));
    2.0 * low / (1.0 + low / high)
}

/// The smallest value in `bin` or a higher one, found by halving the bits of all floats: positive floats are ordered
/// like their bits.
fn lower_bound(bin: i32) -> f64 {
    let (mut low, mut high) = (SMALLEST.to_bits(), f64::MAX.to_bits());
    while low < high {
        let middle = low + (high - low) / 2;
        if bin_of(f64::from_bits(middle)) < bin { low = middle + 1 } else { high = middle }
    }
    f64::from_bits(low)
}
