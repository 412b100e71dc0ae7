//! Tokens by which a client says who it is (OAUTHBEARER, RFC 7628). Refuses to fetch them: who has the right to writes them to a
//! file and renews them there.

use std::error::Error;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A token in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenLogin {
    /// The file that holds the token (a JWT), such as one that Kubernetes projects. It is read again before the token expires.
    pub token_file: String,
}

/// What the payload of a token says.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    /// Seconds since 1970.
    exp: f64,
}

/// The token in the file `path`.
///
/// # Errors
/// When it cannot be read, or is no token with `sub` and `exp`.
pub fn token_in(path: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
    let path = path.ok_or("no token_file is named")?;
    let text = std::fs::read_to_string(path).map_err(|error| format!("token_file {path} cannot be read: {error}"))?;
    parsed(text.trim()).map_err(|reason| format!("token_file {path} holds no token: {reason}").into())
}

fn parsed(token: &str) -> Result<OAuthToken, String> {
    let payload = token.split('.').nth(1).ok_or("a token has parts with a point between them")?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).map_err(|error| error.to_string())?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|error| error.to_string())?;
    Ok(OAuthToken {
        token: token.to_owned(),
        principal_name: claims.sub,
        // Whole milliseconds; what is beyond 64 bits is for ever.
        lifetime_ms: (claims.exp * 1_000.0) as i64,
    })
}
