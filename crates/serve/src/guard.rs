//! Who may talk to a server without passwords: browsers only from its own page, and only under a name that is its own.
//! It stops DNS rebinding (a foreign name that resolves to this machine) and forged posts; it is no authentication.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use crate::error::{ApiError, ApiResult};

/// The names that this server answers to.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) bound: IpAddr,
    pub(crate) allowed_hosts: Vec<String>,
}

impl Guard {
    /// Checks a request before anything looks at it.
    pub(crate) fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> ApiResult<()> {
        let host = self.check_host(uri, headers)?;
        if method.is_safe() { Ok(()) } else { check_origin(headers, &host) }
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> ApiResult<Authority> {
        let mut named = headers.get_all(header::HOST).iter();
        let (first, second) = (named.next(), named.next());
        let host = match (uri.authority(), first, second) {
            (_, _, Some(_)) => None,
            (Some(authority), _, None) => Some(authority.clone()),
            (None, Some(value), None) => value.to_str().ok().and_then(|text| text.parse::<Authority>().ok()),
            (None, None, None) => None,
        };
        let host =
            host.ok_or_else(|| ApiError::bad_request("bad_host", "the request needs exactly one valid Host header"))?;
        if self.is_own(host.host()) {
            return Ok(host);
        }
        let message = format!("this server does not answer to the name \"{}\"", host.host());
        Err(ApiError::new(StatusCode::FORBIDDEN, "bad_host", message)
            .hint("use localhost or the address it listens on, or add the name to its allowed hosts"))
    }

    fn is_own(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            // Rebinding needs a name; where every address is bound, every address is its own.
            return address.is_loopback() || address == self.bound || self.bound.is_unspecified();
        }
        let name = bare.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost"
            || name.ends_with(".localhost")
            || self.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name))
    }
}

/// Browsers name the page that posts. Programs that are no browsers send neither header.
fn check_origin(headers: &HeaderMap, host: &Authority) -> ApiResult<()> {
    let foreign = |what: &str| {
        let message = format!("a page of another site may not post here ({what})");
        Err(ApiError::new(StatusCode::FORBIDDEN, "cross_origin", message))
    };
    let own_site = |site: &HeaderValue| ["same-origin", "none"].iter().any(|own| site == own);
    if let Some(site) = headers.get("sec-fetch-site").filter(|site| !own_site(site)) {
        return foreign(&format!("Sec-Fetch-Site: {}", String::from_utf8_lossy(site.as_bytes())));
    }
    for origin in headers.get_all(header::ORIGIN) {
        let authority =
            origin.to_str().ok().and_then(|text| text.parse::<Uri>().ok()).and_then(|uri| uri.authority().cloned());
        if authority.as_ref() != Some(host) {
            return foreign(&format!("Origin: {}", String::from_utf8_lossy(origin.as_bytes())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn check(bound: IpAddr, method: Method, pairs: &[(&'static str, &'static str)]) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let guard = Guard { bound, allowed_hosts: vec!["weir.example".to_owned()] };
        guard.check(&method, &Uri::from_static("/"), &headers).map_err(|error| error.code.into_owned())
    }

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn it_answers_to_its_own_names_and_addresses_only() {
        for own in [
            "localhost",
            "LOCALHOST:7280",
            "weir.localhost:1",
            "127.0.0.1:7280",
            "[::1]:7280",
            "weir.example",
            "localhost.",
        ] {
            assert_eq!(check(HOME, Method::GET, &[("host", own)]), Ok(()), "{own}");
        }
        for foreign in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.5", "", "a b"] {
            assert_eq!(check(HOME, Method::GET, &[("host", foreign)]), Err("bad_host".to_owned()), "{foreign}");
        }
        assert_eq!(check(HOME, Method::GET, &[]), Err("bad_host".to_owned()));
        assert_eq!(
            check(HOME, Method::GET, &[("host", "localhost"), ("host", "localhost")]),
            Err("bad_host".to_owned())
        );
    }

    #[test]
    fn where_every_address_is_bound_every_address_is_its_own_but_no_name() {
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        assert_eq!(check(any, Method::GET, &[("host", "10.1.2.3:7280")]), Ok(()));
        assert_eq!(check(any, Method::GET, &[("host", "evil.example")]), Err("bad_host".to_owned()));
    }

    #[test]
    fn only_its_own_page_may_post_from_a_browser() {
        let host = ("host", "localhost:7280");
        for own in
            [&[host][..], &[host, ("origin", "http://localhost:7280")], &[host, ("sec-fetch-site", "same-origin")]]
        {
            assert_eq!(check(HOME, Method::POST, own), Ok(()), "{own:?}");
        }
        for foreign in [
            [host, ("origin", "http://evil.example")],
            [host, ("origin", "null")],
            [host, ("origin", "http://localhost:9999")],
            [host, ("sec-fetch-site", "cross-site")],
            [host, ("sec-fetch-site", "same-site")],
        ] {
            assert_eq!(check(HOME, Method::POST, &foreign), Err("cross_origin".to_owned()), "{foreign:?}");
            assert_eq!(check(HOME, Method::GET, &foreign), Ok(()), "reading is stopped by the browser itself");
        }
    }
}
