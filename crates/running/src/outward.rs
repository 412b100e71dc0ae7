//! How others are asked over HTTP: one request at a time, with a limit for how long and for how much. Follows no redirects,
//! takes no proxy from the environment and connects to no address of the link itself (where clouds keep their metadata).
//!
//! Which URL is asked is said in the configuration alone; a value of a record is never more than a part of its path or
//! query.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url};
use weir_model::Secret;

/// Who is asked, and within which limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `http://` or `https://`.
    pub url: String,
    /// Headers of every request: who we are, for example.
    pub headers: Vec<(String, Secret)>,
    /// How long a request may take, with its whole answer.
    pub timeout: Duration,
    /// How many bytes an answer may have.
    pub body_max: u64,
}

/// Asks one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    client: Client,
    body_max: u64,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// Another time there may be one: nobody there, too slow, 429, 5xx.
    Down(String),
    /// It is always like this: what is asked is refused, or the answer cannot be taken.
    Refused(String),
}

impl Unanswered {
    pub(crate) fn message(self) -> String {
        match self {
            Self::Down(message) | Self::Refused(message) => message,
        }
    }
}

impl Endpoint {
    /// The URL without what could be a secret in it.
    pub(crate) fn shown(&self) -> String {
        Url::parse(&self.url).map_or_else(|_| "an URL that is none".to_owned(), |url| shown(&url))
    }

    /// Somebody who asks it.
    ///
    /// # Errors
    /// When the URL or a header is none.
    pub(crate) fn asker(&self) -> Result<Asker, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let failed = |what: &str| format!("the header {name}: its {what} is none that HTTP has");
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| failed("name"))?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| failed("value"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Guarded))
            .timeout(self.timeout)
            .default_headers(headers)
            .user_agent("weir")
            .build();
        let client = client.map_err(|error| format!("no HTTP client can be made: {}", full(&error)))?;
        Ok(Asker { client, body_max: self.body_max })
    }
}

impl Asker {
    /// What GET with these headers gives; the caller looks at its status.
    pub(crate) async fn get(&self, url: &str, headers: HeaderMap) -> Result<Response, Unanswered> {
        let url = Url::parse(url).map_err(|error| Unanswered::Refused(format!("the URL: {error}")))?;
        // A name is looked at when it is resolved; what is no name is not.
        let host = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
        if let Some(address) = host.and_then(|host| host.parse::<IpAddr>().ok()).filter(|address| !is_allowed(*address))
        {
            return Err(Unanswered::Refused(format!("{}: {address} is not asked", shown(&url))));
        }
        let place = shown(&url);
        let answer = self.client.get(url).headers(headers).send().await;
        answer.map_err(|error| Unanswered::Down(format!("{place}: {}", full(&error.without_url()))))
    }

    /// The body of an answer that is as it should be.
    pub(crate) async fn body(&self, mut answer: Response) -> Result<Bytes, Unanswered> {
        let place = shown(answer.url());
        let status = answer.status();
        if !status.is_success() {
            let message = format!("{place}: answered {status}");
            let may_pass = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
            return Err(if may_pass { Unanswered::Down(message) } else { Unanswered::Refused(message) });
        }
        let too_much = || Unanswered::Refused(format!("{place}: the answer has more than {} bytes", self.body_max));
        if answer.content_length().is_some_and(|length| length > self.body_max) {
            return Err(too_much());
        }
        let mut body = BytesMut::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if (body.len() + chunk.len()) as u64 > self.body_max => return Err(too_much()),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body.freeze()),
                Err(error) => return Err(Unanswered::Down(format!("{place}: {}", full(&error.without_url())))),
            }
        }
    }
}

/// Resolves names to addresses that may be asked.
#[derive(Debug)]
struct Guarded;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| is_allowed(address.ip())).collect();
            if allowed.is_empty() {
                return Err(format!("{} has no address that is asked", name.as_str()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of somebody: not of the link, of a group, or of nobody.
fn is_allowed(address: IpAddr) -> bool {
    /// Where a cloud keeps its metadata, although it looks like any other address of a private network.
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address {
        IpAddr::V4(v4) => !(v4.is_link_local() || v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast()),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_allowed(IpAddr::V4(v4)),
            None => !(v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast() || v6 == METADATA),
        },
    }
}

/// A URL without credentials and without its query.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// An error with its causes.
fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_link_and_of_nobody_are_not_asked() {
        for refused in [
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "::",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
        ] {
            assert!(!is_allowed(refused.parse().expect("an address")), "{refused}");
        }
        for allowed in ["127.0.0.1", "10.1.2.3", "93.184.216.34", "::1", "2001:db8::1"] {
            assert!(is_allowed(allowed.parse().expect("an address")), "{allowed}");
        }
    }

    #[test]
    fn what_is_shown_of_a_url_holds_no_secret() {
        let endpoint =
            |url: &str| Endpoint { url: url.to_owned(), headers: Vec::new(), timeout: Duration::MAX, body_max: 1 };
        let url = "https://me:secret@host.example:8443/teams?token=secret#secret";
        assert_eq!(endpoint(url).shown(), "https://host.example:8443/teams");
        assert_eq!(endpoint("teams.csv").shown(), "an URL that is none");
    }
}
