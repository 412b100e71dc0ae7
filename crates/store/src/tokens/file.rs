//! The bytes of an index: written from what was gathered, and the header read back. The layout is described in the module.

use weir_disk::checksum_of;
use weir_model::SeamResult;

use crate::rollups;

use super::build::{Block, Builder, Column};
use super::need::Blocks;
use super::text::GRAMS;
use super::{BLOCK_ROWS, VERSION, VERSION_MIN, WORD_BITS_MIN};
use crate::settings::IndexKind;

const MAGIC: &[u8; 8] = b"weir-tok";
/// Magic, version, bytes of the header, checksum of the header.
pub(super) const PREFIX_BYTES: usize = 24;
/// A longer header is damage.
pub(super) const HEADER_BYTES_MAX: usize = 16 << 20;
/// Bytes of a word's place in the filter of one block.
pub(super) const LANE_BYTES: usize = 32;
/// Bytes of the checksum behind each row of filters.
pub(super) const ROW_CHECKSUM_BYTES: usize = 4;
/// Bytes of a piece's code.
pub(super) const CODE_BYTES: usize = 4;
/// Says that a column's pieces are not kept.
const NOT_KEPT: u32 = u32::MAX;
/// As in Parquet's split-block Bloom filters.
const SALTS: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// The segment that an index is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The size of its file.
    pub(crate) bytes: u64,
    /// XXH3-64 of its content.
    pub(crate) checksum: u64,
}

/// What the header says.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) rows: u64,
    /// Rows without an event time.
    pub(super) timeless: u64,
    pub(super) subject: Subject,
    pub(super) block_rows: usize,
    pub(super) blocks: usize,
    pub(super) columns: Vec<ColumnHeader>,
    pub(super) rollups: RollupsAt,
}

#[derive(Debug)]
pub(super) struct ColumnHeader {
    pub(super) name: String,
    /// Blocks that may always match.
    pub(super) open: Blocks,
    pub(super) grams: Option<GramsAt>,
    pub(super) words: Option<WordsAt>,
    pub(super) shapes: Option<ShapesAt>,
}

/// Where the list of shapes is; their rows follow it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShapesAt {
    pub(super) count: usize,
    pub(super) offset: u64,
    pub(super) list_bytes: usize,
    /// Of the rows.
    pub(super) places_bytes: usize,
    pub(super) checksum: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct GramsAt {
    pub(super) count: usize,
    pub(super) offset: u64,
    pub(super) checksum: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct WordsAt {
    pub(super) rows: u32,
    pub(super) offset: u64,
}

/// Where the list of rollups is; their streams follow it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RollupsAt {
    pub(super) offset: u64,
    pub(super) list_bytes: usize,
    pub(super) checksum: u64,
}

/// Bytes of a set of blocks.
pub(super) fn set_bytes(blocks: usize) -> usize {
    blocks.div_ceil(8)
}

/// Bytes of one row of filters with its checksum.
pub(super) fn row_bytes(blocks: usize) -> usize {
    blocks * LANE_BYTES + ROW_CHECKSUM_BYTES
}

/// The row of the transposed filters that a word lies in.
pub(super) fn row_of(hash: u64, rows: u32) -> u32 {
    (((hash >> 32) * u64::from(rows)) >> 32) as u32
}

/// The bits of a word inside of a block's lane.
pub(super) fn lane_of(hash: u64) -> [u8; LANE_BYTES] {
    let mut lane = [0; LANE_BYTES];
    for (salt, word) in SALTS.iter().zip(lane.chunks_exact_mut(4)) {
        let bit = (hash as u32).wrapping_mul(*salt) >> 27;
        word.copy_from_slice(&(1_u32 << bit).to_le_bytes());
    }
    lane
}

/// The index of `subject`, as a file.
///
/// # Errors
/// When rollups cannot be written as Arrow, which is a mistake of ours.
pub(crate) fn encode(builder: Builder, subject: Subject) -> SeamResult<Vec<u8>> {
    let kind = builder.kind();
    let timeless = builder.timeless();
    let (columns, rollups, rows) = builder.finish();
    let (list, streams) = rollups::encode(rollups, subject.bytes)?;
    let blocks = usize::try_from(rows.div_ceil(BLOCK_ROWS as u64)).unwrap_or(usize::MAX);
    let names: usize = columns.iter().map(|column| column.name.len()).sum();
    let header_bytes = 58 + names + columns.len() * (2 + set_bytes(blocks) + 20 + 12 + 28);
    let begin = PREFIX_BYTES + header_bytes;
    let budget = kind.bytes_max(subject.bytes).saturating_sub(begin);
    let sections = sections(&columns, rows, budget, kind);

    let mut header = Vec::with_capacity(header_bytes);
    put(&mut header, &rows.to_le_bytes());
    put(&mut header, &timeless.to_le_bytes());
    put(&mut header, &subject.bytes.to_le_bytes());
    put(&mut header, &subject.checksum.to_le_bytes());
    put(&mut header, &(BLOCK_ROWS as u32).to_le_bytes());
    put(&mut header, &(columns.len() as u16).to_le_bytes());
    let mut offset = begin as u64;
    for (column, section) in columns.iter().zip(&sections) {
        let name = column.name.as_bytes();
        put(&mut header, &u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
        put(&mut header, name);
        put(&mut header, &open_bits(&column.blocks));
        let count = section.grams.as_ref().map_or(NOT_KEPT, |(count, _)| *count);
        let grams = section.grams.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        put(&mut header, &count.to_le_bytes());
        put(&mut header, &offset.to_le_bytes());
        put(&mut header, &checksum_of(grams).to_le_bytes());
        offset += grams.len() as u64;
        put(&mut header, &section.rows.to_le_bytes());
        put(&mut header, &offset.to_le_bytes());
        offset += section.words.len() as u64;
        let Shaped { count, list, places } = &section.shapes;
        put(&mut header, &count.to_le_bytes());
        put(&mut header, &offset.to_le_bytes());
        put(&mut header, &(list.len() as u32).to_le_bytes());
        put(&mut header, &(places.len() as u32).to_le_bytes());
        put(&mut header, &checksum_of(list).to_le_bytes());
        offset += (list.len() + places.len()) as u64;
    }
    put(&mut header, &offset.to_le_bytes());
    put(&mut header, &(list.len() as u32).to_le_bytes());
    put(&mut header, &checksum_of(&list).to_le_bytes());
    assert_eq!(header.len(), header_bytes, "the header is as long as was said");

    let mut file = Vec::with_capacity(usize::try_from(offset).unwrap_or(0));
    put(&mut file, MAGIC);
    put(&mut file, &VERSION.to_le_bytes());
    put(&mut file, &(header_bytes as u32).to_le_bytes());
    put(&mut file, &checksum_of(&header).to_le_bytes());
    put(&mut file, &header);
    for section in &sections {
        put(&mut file, section.grams.as_ref().map_or(&[][..], |(_, bytes)| bytes));
        put(&mut file, &section.words);
        put(&mut file, &section.shapes.list);
        put(&mut file, &section.shapes.places);
    }
    put(&mut file, &list);
    put(&mut file, &streams);
    Ok(file)
}

fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(bytes);
}

fn open_bits(blocks: &[Block]) -> Vec<u8> {
    let mut bits = vec![0; set_bytes(blocks.len())];
    for (at, _) in blocks.iter().enumerate().filter(|(_, block)| block.open) {
        bits[at / 8] |= 1 << (at % 8);
    }
    bits
}

/// What is written of a column.
struct Section {
    /// How many, and their bytes; `None` when they are not kept.
    grams: Option<(u32, Vec<u8>)>,
    /// Rows of the filters; 0 when words are not kept.
    rows: u32,
    words: Vec<u8>,
    shapes: Shaped,
}

/// Shapes of a column, and their rows.
struct Shaped {
    /// [`NOT_KEPT`] when they are not kept.
    count: u32,
    list: Vec<u8>,
    places: Vec<u8>,
}

/// Shapes of each column, in at most a quarter of `budget`, and the bytes that they take.
fn shaped(columns: &[Column], rows: u64, budget: usize, kind: IndexKind) -> (Vec<Shaped>, usize) {
    let mut left = budget / 4;
    let shapes = columns.iter().map(|column| {
        let none = || (NOT_KEPT, Vec::new(), Vec::new());
        let (count, list, places) = column.shapes.encode(rows, kind == IndexKind::Full, left).unwrap_or_else(none);
        left -= list.len() + places.len();
        Shaped { count, list, places }
    });
    let shapes: Vec<Shaped> = shapes.collect();
    (shapes, budget / 4 - left)
}

/// Shapes and pieces of all columns first, in at most three quarters of the budget; what is left is shared by the words. Small
/// columns get all that they want before large ones share the rest.
fn sections(columns: &[Column], rows: u64, budget: usize, kind: IndexKind) -> Vec<Section> {
    let blocks = usize::try_from(rows.div_ceil(BLOCK_ROWS as u64)).unwrap_or(usize::MAX);
    let (shapes, mut used) = shaped(columns, rows, budget, kind);
    let mut grams: Vec<Option<(u32, Vec<u8>)>> =
        columns.iter().map(|column| Some(gram_section(&column.blocks))).collect();
    let sizes: Vec<usize> = grams.iter().flatten().map(|(_, bytes)| bytes.len()).collect();
    for at in smallest_first(&sizes) {
        if used + sizes[at] <= budget / 4 * 3 {
            used += sizes[at];
        } else {
            grams[at] = None;
        }
    }
    let row = row_bytes(blocks);
    let most = |column: &Column| column.blocks.iter().filter(|block| !block.open).map(|block| block.words.len()).max();
    let most: Vec<usize> = columns.iter().map(|column| most(column).unwrap_or(0)).collect();
    let rows_for = |words: usize, bits: usize| (words * bits).div_ceil(LANE_BYTES * 8);
    let mut rows = vec![0; columns.len()];
    let (mut left, mut waiting) = ((budget - used) / row, columns.len());
    for at in smallest_first(&most) {
        let share = (left / waiting).min(rows_for(most[at], kind.word_bits()));
        rows[at] = if share < rows_for(most[at], WORD_BITS_MIN) { 0 } else { share };
        left -= rows[at];
        waiting -= 1;
    }
    let made = grams.into_iter().zip(columns).zip(rows).zip(shapes).map(|(((grams, column), rows), shapes)| {
        let words = word_section(&column.blocks, rows as u32);
        Section { grams, rows: rows as u32, words, shapes }
    });
    made.collect()
}

/// The places of `sizes`, by size.
fn smallest_first(sizes: &[usize]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..sizes.len()).collect();
    places.sort_by_key(|&at| sizes[at]);
    places
}

fn gram_section(blocks: &[Block]) -> (u32, Vec<u8>) {
    let stride = set_bytes(blocks.len());
    let mut places: Vec<Option<u32>> = vec![None; GRAMS];
    for gram in blocks.iter().flat_map(|block| &block.grams) {
        places[*gram as usize] = Some(0);
    }
    let (mut codes, mut count) = (Vec::new(), 0);
    for (gram, place) in places.iter_mut().enumerate().filter(|(_, place)| place.is_some()) {
        put(&mut codes, &(gram as u32).to_le_bytes());
        *place = Some(count);
        count += 1;
    }
    let sets = codes.len();
    codes.resize(sets + count as usize * stride, 0);
    for (at, block) in blocks.iter().enumerate() {
        for gram in &block.grams {
            let place = places[*gram as usize].expect("every piece has a place") as usize;
            codes[sets + place * stride + at / 8] |= 1 << (at % 8);
        }
    }
    (count, codes)
}

fn word_section(blocks: &[Block], rows: u32) -> Vec<u8> {
    let row = row_bytes(blocks.len());
    let mut filters = vec![0; row * rows as usize];
    if rows == 0 {
        return filters;
    }
    for (at, block) in blocks.iter().enumerate() {
        for &hash in &block.words {
            let from = row_of(hash, rows) as usize * row + at * LANE_BYTES;
            filters[from..from + LANE_BYTES].iter_mut().zip(lane_of(hash)).for_each(|(byte, bits)| *byte |= bits);
        }
    }
    for row in filters.chunks_exact_mut(row) {
        let (lanes, checksum) = row.split_at_mut(blocks.len() * LANE_BYTES);
        checksum.copy_from_slice(&row_checksum(lanes));
    }
    filters
}

/// What follows the lanes of a row.
pub(super) fn row_checksum(lanes: &[u8]) -> [u8; ROW_CHECKSUM_BYTES] {
    (checksum_of(lanes) as u32).to_le_bytes()
}

/// How long the header is, and its checksum; or why this is no index that can be read.
pub(super) fn parse_prefix(prefix: &[u8; PREFIX_BYTES]) -> Result<(usize, u64), String> {
    let mut bytes = Bytes(prefix);
    if bytes.take(MAGIC.len()) != Some(&MAGIC[..]) {
        return Err("it does not begin like an index".to_owned());
    }
    let parsed = (|| Some((bytes.u32()?, bytes.u32()?, bytes.u64()?)))();
    let (version, length, checksum) = parsed.ok_or_else(|| "it is too short".to_owned())?;
    if !(VERSION_MIN..=VERSION).contains(&version) {
        return Err(format!("it has version {version} and this weir knows version {VERSION}"));
    }
    if length as usize > HEADER_BYTES_MAX {
        return Err(format!("its header would have {length} bytes"));
    }
    Ok((length as usize, checksum))
}

/// The header, which has been compared with its checksum, of a file of `length` bytes.
pub(super) fn parse_header(header: &[u8], length: u64) -> Option<Header> {
    let mut bytes = Bytes(header);
    let (rows, timeless) = (bytes.u64()?, bytes.u64()?);
    let subject = Subject { bytes: bytes.u64()?, checksum: bytes.u64()? };
    let block_rows = bytes.u32()? as usize;
    if block_rows == 0 {
        return None;
    }
    let blocks = usize::try_from(rows.div_ceil(block_rows as u64)).ok()?;
    let is_inside = |offset: u64, bytes: usize| offset.checked_add(bytes as u64).is_some_and(|end| end <= length);
    let mut columns = Vec::new();
    for _ in 0..bytes.u16()? {
        let name = bytes.u16()? as usize;
        let name = String::from_utf8(bytes.take(name)?.to_vec()).ok()?;
        let open = Blocks::from_bytes(bytes.take(set_bytes(blocks))?, blocks);
        let (count, offset, checksum) = (bytes.u32()?, bytes.u64()?, bytes.u64()?);
        let grams = (count != NOT_KEPT).then_some(GramsAt { count: count as usize, offset, checksum });
        let (rows, offset) = (bytes.u32()?, bytes.u64()?);
        let words = (rows > 0).then_some(WordsAt { rows, offset });
        let grams_fit = grams
            .is_none_or(|at| at.count <= GRAMS && is_inside(at.offset, at.count * (CODE_BYTES + set_bytes(blocks))));
        let words_fit = words
            .is_none_or(|at| row_bytes(blocks).checked_mul(rows as usize).is_some_and(|all| is_inside(at.offset, all)));
        let (count, offset, list_bytes) = (bytes.u32()?, bytes.u64()?, bytes.u32()? as usize);
        let (places_bytes, checksum) = (bytes.u32()? as usize, bytes.u64()?);
        let shapes = ShapesAt { count: count as usize, offset, list_bytes, places_bytes, checksum };
        let shapes = (count != NOT_KEPT).then_some(shapes);
        let shapes_fit =
            shapes.is_none_or(|at| at.count <= at.list_bytes && is_inside(at.offset, at.list_bytes + at.places_bytes));
        if !grams_fit || !words_fit || !shapes_fit {
            return None;
        }
        columns.push(ColumnHeader { name, open, grams, words, shapes });
    }
    let (offset, list_bytes, checksum) = (bytes.u64()?, bytes.u32()? as usize, bytes.u64()?);
    let rollups = RollupsAt { offset, list_bytes, checksum };
    (bytes.0.is_empty() && is_inside(offset, list_bytes)).then_some(Header {
        rows,
        timeless,
        subject,
        block_rows,
        blocks,
        columns,
        rollups,
    })
}

/// Bytes that are read from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
