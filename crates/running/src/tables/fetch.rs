//! A table from an URL: asked for as a whole, with the validators of the version that is there (RFC 9110, 13.1), so that one
//! that has not changed is not sent again.

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};

use crate::outward::{Asker, Endpoint, Unanswered};

/// Asks for a table again and again.
pub(super) struct Fetcher {
    url: String,
    asker: Asker,
    /// What the version that is there came with.
    validators: HeaderMap,
}

/// A version of the table.
pub(super) struct Fetched {
    pub(super) body: Bytes,
    validators: HeaderMap,
}

impl Fetcher {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, String> {
        Ok(Self { url: endpoint.url.clone(), asker: endpoint.asker()?, validators: HeaderMap::new() })
    }

    /// The table, unless it is the one that was taken last.
    ///
    /// # Errors
    /// When there is no answer, or one that cannot be taken.
    pub(super) async fn fetch(&self) -> Result<Option<Fetched>, String> {
        let answer = self.asker.get(&self.url, self.validators.clone()).await.map_err(Unanswered::message)?;
        if answer.status() == StatusCode::NOT_MODIFIED && !self.validators.is_empty() {
            return Ok(None);
        }
        let of = |given: HeaderName, asked: HeaderName| -> Option<(HeaderName, HeaderValue)> {
            Some((asked, answer.headers().get(given)?.clone()))
        };
        let validators = [of(ETAG, IF_NONE_MATCH), of(LAST_MODIFIED, IF_MODIFIED_SINCE)];
        let validators = validators.into_iter().flatten().collect();
        let body = self.asker.body(answer).await.map_err(Unanswered::message)?;
        Ok(Some(Fetched { body, validators }))
    }

    /// The version has become a table. One that has not is asked for again, so that its fault is told again.
    pub(super) fn took(&mut self, fetched: Fetched) {
        self.validators = fetched.validators;
    }
}
