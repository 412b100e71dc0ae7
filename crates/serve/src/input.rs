//! What requests carry besides bodies of records: parameters and JSON, read strictly, with errors in the one shape.

use axum::extract::Query;
use axum::http::Uri;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, ApiResult};

/// The parameters of an address. Unknown ones are an error where the type says so.
pub(crate) fn params<T: DeserializeOwned>(uri: &Uri) -> ApiResult<T> {
    let read = Query::<T>::try_from_uri(uri);
    read.map(|Query(params)| params).map_err(|error| {
        use std::error::Error;
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        ApiError::bad_request("bad_parameter", format!("the parameters of {} are wrong: {cause}", uri.path()))
    })
}

/// A body that is one JSON value.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> ApiResult<T> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request("bad_json", format!("the body is not what it should be: {error}")))
}
