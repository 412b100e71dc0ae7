//! The page: the files that were built into the binary, with everything a browser needs to keep them. It reads no disk.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A file of the page, as the build script found it.
struct File {
    /// Its path in the bundle, beginning with `/`.
    path: &'static str,
    content_type: &'static str,
    etag: &'static str,
    bytes: &'static [u8],
    /// Compressed with gzip, where that made it smaller.
    gzip: Option<&'static [u8]>,
}

/// Sorted by path.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// The names of the files stay the same from one build to the next, so that a browser has to ask whether its copy is
/// still good; the answer is short.
const ASK_AGAIN: &str = "no-cache";

/// What is shown when the binary was built without a page.
const NO_PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Weir</title>\
<h1>Weir is running</h1><p>This binary was built without its page. Build it with <code>cargo xtask web</code>, then build \
the binary again.<p>The API is there all the same: <a href=\"/api/v1/status\">status</a>, \
<a href=\"/api/v1/pipelines\">pipelines</a>, <a href=\"/metrics\">metrics</a>.\n";

/// The file at `path`. The page finds its own way by path, so that every path without a file ending is the page.
pub(crate) fn get(path: &str, headers: &HeaderMap) -> Response {
    respond(FILES, path, headers)
}

fn respond(files: &'static [File], path: &str, headers: &HeaderMap) -> Response {
    if let Some(file) = find(files, path) {
        return file.answer(headers);
    }
    let is_view = !path.rsplit('/').next().unwrap_or_default().contains('.');
    match find(files, "/index.html") {
        Some(index) if is_view => index.answer(headers),
        None if is_view => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], NO_PAGE).into_response(),
        _ => (StatusCode::NOT_FOUND, format!("there is no {path} here\n")).into_response(),
    }
}

fn find(files: &'static [File], path: &str) -> Option<&'static File> {
    files.binary_search_by(|file| file.path.cmp(path)).ok().map(|at| &files[at])
}

impl File {
    fn answer(&'static self, headers: &HeaderMap) -> Response {
        let gzip = self.gzip.filter(|_| lists(headers, header::ACCEPT_ENCODING, "gzip"));
        let known = lists(headers, header::IF_NONE_MATCH, self.etag) || lists(headers, header::IF_NONE_MATCH, "*");
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            Response::new(Body::from(gzip.unwrap_or(self.bytes)))
        };
        let answer = response.headers_mut();
        answer.insert(header::ETAG, HeaderValue::from_static(self.etag));
        answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(ASK_AGAIN));
        if !known {
            answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
            if gzip.is_some() {
                answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        response
    }
}

/// Whether a header that is a list has `wanted` in it; weak tags count as the same, `;q=0` as absent.
fn lists(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(
        |item| {
            let mut parts = item.split(';').map(str::trim);
            let is_it = parts.next().is_some_and(|item| item.trim_start_matches("W/") == wanted);
            is_it && !parts.any(|weight| ["q=0", "q=0.0", "q=0.00", "q=0.000"].contains(&weight))
        },
    )
}

#[cfg(test)]
mod tests;
