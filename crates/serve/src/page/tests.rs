//! How a bundle is served, on one made here; the real one is whatever was built.

use http_body_util::BodyExt;

use super::*;

static BUNDLE: &[File] = &[
    File {
        path: "/assets/app-1a2b.js",
        content_type: "text/javascript; charset=utf-8",
        etag: "\"js\"",
        bytes: b"let a = 1",
        gzip: Some(b"zip"),
    },
    File {
        path: "/index.html",
        content_type: "text/html; charset=utf-8",
        etag: "\"page\"",
        bytes: b"<page>",
        gzip: None,
    },
];

fn asked(path: &str, pairs: &[(header::HeaderName, &'static str)]) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, HeaderValue::from_static(value));
    }
    respond(BUNDLE, path, &headers)
}

fn text(response: Response) -> String {
    let body = futures::executor::block_on(response.into_body().collect()).expect("it is in memory").to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

#[test]
fn a_file_is_served_as_what_it_is() {
    let response = asked("/assets/app-1a2b.js", &[]);
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
    assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
    assert_eq!(text(response), "let a = 1");
}

#[test]
fn those_who_take_gzip_get_it() {
    let response = asked("/assets/app-1a2b.js", &[(header::ACCEPT_ENCODING, "br;q=1.0, gzip")]);
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    assert_eq!(text(response), "zip");
    assert_eq!(text(asked("/assets/app-1a2b.js", &[(header::ACCEPT_ENCODING, "gzip;q=0")])), "let a = 1");
}

#[test]
fn a_browser_that_has_it_is_told_so() {
    for tags in ["\"page\"", "\"old\", W/\"page\"", "*"] {
        let response = asked("/", &[(header::IF_NONE_MATCH, tags)]);
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{tags}");
        assert_eq!(text(response), "");
    }
    assert_eq!(asked("/", &[(header::IF_NONE_MATCH, "\"old\"")]).status(), StatusCode::OK);
}

#[test]
fn every_view_is_the_page_and_a_missing_file_is_missing() {
    for view in ["/", "/logs", "/pipelines/spark-logs"] {
        let response = asked(view, &[]);
        assert_eq!(
            (response.headers()[header::CACHE_CONTROL].clone(), text(response)),
            (HeaderValue::from_static("no-cache"), "<page>".to_owned())
        );
    }
    for missing in ["/assets/old.js", "/favicon.ico", "/assets/../index.html"] {
        let missing_status = asked(missing, &[]).status();
        assert!(missing_status == StatusCode::NOT_FOUND, "{missing} {missing_status}");
    }
}

#[test]
fn a_binary_without_a_page_says_how_to_build_it() {
    assert!(text(respond(&[], "/", &HeaderMap::new())).contains("cargo xtask web"));
}
