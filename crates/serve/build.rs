//! Makes the page part of the binary: lists the files of `web/dist` with their types, tags and compressed forms. An
//! empty or missing folder is fine. It builds no page.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() {
    let dist = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../web/dist");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    // Watching a folder that does not exist yet would run this script on every build.
    let watched = if dist.exists() { dist.clone() } else { dist.join("..") };
    println!("cargo::rerun-if-changed={}", watched.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    list(&dist, &mut files);
    let mut entries: Vec<(String, String)> =
        files.iter().enumerate().map(|(n, file)| entry(&dist, &out, n, file)).collect();
    entries.sort();
    let list: String = entries.into_iter().map(|(_, entry)| entry).collect();
    fs::write(out.join("page.rs"), format!("&[{list}]")).expect("the output folder is writable");
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        println!("cargo::rerun-if-changed={}", path.display());
        if path.is_dir() { list(&path, files) } else { files.push(path) }
    }
}

/// The path in the bundle, and the source text of the entry.
fn entry(dist: &Path, out: &Path, number: usize, file: &Path) -> (String, String) {
    let inside = file.strip_prefix(dist).expect("it was found there").to_string_lossy().replace('\\', "/");
    let path = format!("/{inside}");
    let bytes = fs::read(file).expect("a file that was listed can be read");
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let etag = format!("\"{:016x}\"", hasher.finish());
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&bytes).expect("memory is writable");
    let gzip = gzip.finish().expect("memory is writable");
    let smaller = if gzip.len() < bytes.len() * 9 / 10 {
        let name = out.join(format!("page-{number}.gz"));
        fs::write(&name, gzip).expect("the output folder is writable");
        format!("Some(include_bytes!({:?}))", name)
    } else {
        "None".to_owned()
    };
    let content_type = content_type(&path);
    let source = file.canonicalize().expect("it exists");
    let entry = format!(
        "File {{ path: {path:?}, content_type: {content_type:?}, etag: {etag:?}, bytes: include_bytes!({source:?}), gzip: {smaller} }},"
    );
    (path, entry)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
