//! Finds the files that a source reads. Refuses to open them.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::WalkDir;
use weir_model::{ErrorKind, EventTime, SeamError, SeamResult};

use super::identity::FileNumber;

/// A file that the patterns find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) number: FileNumber,
    /// Bytes on disk.
    pub(crate) size: u64,
    /// When it was last written to.
    pub(crate) modified: EventTime,
}

impl Found {
    pub(crate) fn of(path: PathBuf, metadata: &std::fs::Metadata) -> Self {
        let modified = metadata.mtime().saturating_mul(1_000_000).saturating_add(metadata.mtime_nsec() / 1_000);
        Self {
            path,
            number: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: EventTime::from_micros(modified),
        }
    }
}

/// What one look at the disk shows.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Each file once, in the order of the paths; one that has several names has the first of them.
    pub(crate) files: Vec<Found>,
    /// What cannot be read, with what to do about it.
    pub(crate) troubles: Vec<String>,
    /// Why each file that is named without a wildcard is not there.
    pub(crate) missing: Vec<String>,
    /// Why each pattern that found nothing found nothing.
    pub(crate) empty: Vec<String>,
}

/// The patterns of a source, read.
#[derive(Debug)]
pub(crate) struct Patterns {
    paths: Vec<Pattern>,
    exclude: Vec<Exclusion>,
}

#[derive(Debug)]
struct Pattern {
    text: String,
    /// The folder (or the file) where looking begins: the part before the first wildcard.
    base: PathBuf,
    /// `None` when there is no wildcard: the base is the file.
    matcher: Option<GlobMatcher>,
}

#[derive(Debug)]
struct Exclusion {
    matcher: GlobMatcher,
    by_name: bool,
}

const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

impl Patterns {
    /// Reads the patterns.
    pub(crate) fn new(source: &str, paths: &[String], exclude: &[String]) -> SeamResult<Self> {
        if paths.is_empty() {
            return Err(config(format!("source {source}: paths is empty, name at least one file or pattern")));
        }
        let paths = paths.iter().map(|text| Pattern::new(source, text)).collect::<SeamResult<_>>()?;
        let exclude = exclude.iter().map(|text| Exclusion::new(source, text)).collect::<SeamResult<_>>()?;
        Ok(Self { paths, exclude })
    }

    /// Looks at the disk.
    pub(crate) fn scan(&self) -> Scan {
        let mut scan = Scan::default();
        for pattern in &self.paths {
            let mut files = Vec::new();
            pattern.find(&mut files, &mut scan.troubles);
            let matched = files.len();
            files.retain(|file| !self.exclude.iter().any(|exclusion| exclusion.excludes(&file.path)));
            if files.is_empty() {
                let kind = if pattern.matcher.is_some() { &mut scan.empty } else { &mut scan.missing };
                kind.push(pattern.why_nothing(matched));
            }
            scan.files.append(&mut files);
        }
        scan.files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut seen = BTreeSet::new();
        scan.files.retain(|file| seen.insert(file.number));
        scan.troubles.sort();
        scan.troubles.dedup();
        scan
    }
}

impl Pattern {
    fn new(source: &str, text: &str) -> SeamResult<Self> {
        let written = text.strip_prefix("./").unwrap_or(text);
        if written.trim().is_empty() {
            return Err(config(format!("source {source}: paths holds an empty path")));
        }
        let Some(wildcard) = written.find(WILDCARDS) else {
            return Ok(Self { text: text.to_owned(), base: PathBuf::from(written), matcher: None });
        };
        let base = written[..wildcard].rfind('/').map_or("", |slash| &written[..=slash]);
        let base = PathBuf::from(if base.is_empty() { "." } else { base });
        Ok(Self { text: text.to_owned(), base, matcher: Some(glob(source, "paths", written)?) })
    }

    fn find(&self, files: &mut Vec<Found>, troubles: &mut Vec<String>) {
        let Some(matcher) = &self.matcher else { return self.find_one(files, troubles) };
        if matches!(self.base.try_exists(), Ok(false)) {
            return;
        }
        for entry in WalkDir::new(&self.base).follow_links(true) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    troubles.extend(trouble(&error));
                    continue;
                }
            };
            let path = without_dot(entry.path());
            if !entry.file_type().is_file() || !matcher.is_match(path) {
                continue;
            }
            match entry.metadata() {
                Ok(metadata) => files.push(Found::of(path.to_owned(), &metadata)),
                Err(error) => troubles.extend(trouble(&error)),
            }
        }
    }

    fn find_one(&self, files: &mut Vec<Found>, troubles: &mut Vec<String>) {
        match std::fs::metadata(&self.base) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) => files.push(Found::of(self.base.clone(), &metadata)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => troubles.push(cannot_read(&self.base, &error)),
        }
    }

    fn why_nothing(&self, excluded: usize) -> String {
        let text = &self.text;
        if excluded > 0 {
            return format!("all {excluded} files that match \"{text}\" are excluded");
        }
        if self.matcher.is_none() && self.base.is_dir() {
            let folder = text.trim_end_matches('/');
            return format!("\"{text}\" is a folder: write \"{folder}/**/*\" to read the files in it");
        }
        match missing_folder(&self.base, self.matcher.is_some()) {
            Some(folder) => format!("no file matches \"{text}\": the folder {} does not exist", folder.display()),
            None if self.matcher.is_none() => format!("no file matches \"{text}\": it does not exist"),
            None => format!("no file matches \"{text}\""),
        }
    }
}

/// The first folder on the way to `base` that does not exist.
fn missing_folder(base: &Path, base_is_folder: bool) -> Option<PathBuf> {
    let folder = if base_is_folder { base } else { base.parent()? };
    let mut way: Vec<&Path> = folder.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
    way.reverse();
    let missing = way.into_iter().find(|path| matches!(path.try_exists(), Ok(false)))?;
    // Put together anew: without a slash at its end.
    Some(missing.components().collect())
}

impl Exclusion {
    fn new(source: &str, text: &str) -> SeamResult<Self> {
        let written = text.strip_prefix("./").unwrap_or(text);
        Ok(Self { matcher: glob(source, "exclude", written)?, by_name: !written.contains('/') })
    }

    fn excludes(&self, path: &Path) -> bool {
        match path.file_name() {
            Some(name) if self.by_name => self.matcher.is_match(name),
            _ => self.matcher.is_match(path),
        }
    }
}

fn glob(source: &str, key: &str, text: &str) -> SeamResult<GlobMatcher> {
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| {
        config(format!("source {source}: {key} holds \"{text}\", which is no pattern: {}", error.kind()))
    })
}

fn without_dot(path: &Path) -> &Path {
    match path.components().next() {
        Some(Component::CurDir) => path.strip_prefix(".").unwrap_or(path),
        _ => path,
    }
}

/// What cannot be read on the way. A link that leads back to a folder above it is no trouble: what it leads to is
/// found there. A file that was removed in between is none either.
fn trouble(error: &walkdir::Error) -> Option<String> {
    let path = error.path()?;
    match error.io_error() {
        Some(cause) if cause.kind() == std::io::ErrorKind::NotFound => None,
        Some(cause) => Some(cannot_read(path, cause)),
        None => None,
    }
}

/// Says that `path` cannot be read, why, and what to do.
pub(crate) fn cannot_read(path: &Path, cause: &std::io::Error) -> String {
    let advice = match cause.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "let the user that runs Weir read it (and enter its folders), or exclude it"
        }
        _ => "repair it, or exclude it",
    };
    format!("{} cannot be read: {cause}; {advice}", path.display())
}

fn config(message: String) -> SeamError {
    SeamError::new(ErrorKind::Config, message)
}
