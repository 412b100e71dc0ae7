//! The content of a file, whatever it is packed in: plain, gzip or zstd, told by its first bytes and not by its name.
//! Refuses to hold more than a decompressor's window.

use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

/// Windows over 8 MiB are refused: each open archive would hold that much memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// How much of a compressed file is read at once.
const COMPRESSED_READ_BYTES: usize = 64 << 10;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    /// By the magic bytes: RFC 1952 2.3.1; RFC 8878 3.1.1 (frames) and 3.1.2 (skippable frames).
    fn of(first: &[u8]) -> Self {
        match first {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    pub(crate) fn is_compressed(self) -> bool {
        self != Self::Plain
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// An open file, read as what it contains. Gzip may have several members and zstd several frames, as when archives
/// are appended to each other.
pub(crate) enum Content {
    Plain(File),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
    Zstd(Box<ZstdDecoder<'static, BufReader<File>>>),
}

impl Content {
    /// Opens a file at `offset` of its content. In a compressed file everything before is decompressed again.
    pub(crate) fn open(path: &Path, offset: u64) -> Result<Self> {
        let mut file = File::open(path)?;
        let packing = packing_of(&mut file)?;
        file.seek(SeekFrom::Start(if packing.is_compressed() { 0 } else { offset }))?;
        let mut content = match packing {
            Packing::Plain => return Ok(Self::Plain(file)),
            Packing::Gzip => {
                Self::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(COMPRESSED_READ_BYTES, file))))
            }
            Packing::Zstd => {
                let mut decoder = ZstdDecoder::with_buffer(BufReader::with_capacity(COMPRESSED_READ_BYTES, file))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Self::Zstd(Box::new(decoder))
            }
        };
        let passed = std::io::copy(&mut (&mut content).take(offset), &mut std::io::sink())?;
        if passed < offset {
            let message = format!("its content has only {passed} bytes, but was read up to byte {offset} before");
            return Err(Error::new(ErrorKind::InvalidData, message));
        }
        Ok(content)
    }

    pub(crate) fn packing(&self) -> Packing {
        match self {
            Self::Plain(_) => Packing::Plain,
            Self::Gzip(_) => Packing::Gzip,
            Self::Zstd(_) => Packing::Zstd,
        }
    }

    /// Appends what comes next to `buffer`, up to `bytes`; less only at the end, or before an error. A plain file is read
    /// into the buffer's spare room as it is, without clearing it first.
    pub(crate) fn append(&mut self, bytes: u64, buffer: &mut Vec<u8>) -> Result<usize> {
        match self {
            Self::Plain(file) => file.take(bytes).read_to_end(buffer),
            Self::Gzip(_) | Self::Zstd(_) => self.take(bytes).read_to_end(buffer),
        }
    }

    /// The open file itself.
    pub(crate) fn file(&self) -> &File {
        match self {
            Self::Plain(file) => file,
            Self::Gzip(decoder) => decoder.get_ref().get_ref(),
            Self::Zstd(decoder) => decoder.get_ref().get_ref(),
        }
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

fn packing_of(file: &mut File) -> Result<Packing> {
    let mut first = Vec::with_capacity(4);
    file.take(4).read_to_end(&mut first)?;
    Ok(Packing::of(&first))
}

/// How a file is packed, and the first bytes of its content: `bytes` of them, or fewer if it is shorter or damaged.
pub(crate) fn head(path: &Path, bytes: usize) -> Result<(Packing, Vec<u8>)> {
    let content = Content::open(path, 0)?;
    let packing = content.packing();
    let mut head = Vec::with_capacity(bytes);
    // A damaged archive is reported when it is read; here what can be had of it is enough.
    let _ = content.take(bytes as u64).read_to_end(&mut head);
    Ok((packing, head))
}

/// How far back the last line end of a file is looked for.
const LAST_LINE_BYTES_MAX: u64 = 64 << 10;

/// Where the last whole line of a file's content ends.
pub(crate) fn end_of_lines(path: &Path) -> Result<u64> {
    let mut content = Content::open(path, 0)?;
    let Content::Plain(file) = &mut content else { return std::io::copy(&mut content, &mut std::io::sink()) };
    let size = file.metadata()?.len();
    let from = size.saturating_sub(LAST_LINE_BYTES_MAX);
    let mut last = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(size - from).read_to_end(&mut last)?;
    Ok(memchr::memrchr(b'\n', &last).map_or(if from == 0 { 0 } else { size }, |at| from + at as u64 + 1))
}
