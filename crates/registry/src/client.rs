//! Asks a registry: for schemas by their number, which never change and are kept for ever, and to register new ones.
//! Refuses to wait longer than it was told to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Certificate, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use weir_model::{ErrorKind, KnownSchema, ReferencedSchema, SchemaId, SchemaLanguage, SeamError, SeamResult};
use weir_schema::{RegistryAuth, RegistryConfig};

use crate::core::{NewSchema, REFERENCES_MAX, Version};

/// The first pause between two attempts; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// No more schemas are kept than this; beyond it all are asked for again.
const KEPT_MAX: usize = 10_000;

/// A schema that was registered.
#[derive(Clone, Debug, Deserialize)]
pub struct Registered {
    /// Its number.
    pub id: u32,
}

/// Asks one registry.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    urls: Vec<Url>,
    auth: Option<RegistryAuth>,
    wait: Duration,
    known: Mutex<HashMap<SchemaId, Arc<KnownSchema>>>,
    /// What was asked for in vain, until when it is not asked for again, and why.
    missing: Mutex<HashMap<SchemaId, (Instant, String)>>,
}

/// Why a request has no answer.
#[derive(Debug)]
struct Unanswered {
    reason: String,
    /// Whether it is of no use to try again.
    is_final: bool,
    /// Whether there is nothing of that name.
    is_missing: bool,
}

impl Unanswered {
    fn new(reason: String, is_final: bool) -> Self {
        Self { reason, is_final, is_missing: false }
    }
}

impl Client {
    /// A client of the registry at `config`. Asks nothing yet.
    ///
    /// # Errors
    /// When a URL or the file of certificates is wrong.
    pub fn new(config: &RegistryConfig) -> SeamResult<Self> {
        let wrong = |message: String| SeamError::new(ErrorKind::Config, message);
        let url = |text: &String| match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
            Ok(_) | Err(_) => {
                Err(wrong(format!("registry url \"{text}\" is none; expected one such as http://host:8081")))
            }
        };
        let urls = config.urls.iter().map(url).collect::<SeamResult<Vec<_>>>()?;
        if urls.is_empty() {
            return Err(wrong("the registry has no urls; add one such as http://host:8081".to_owned()));
        }
        let mut http = reqwest::Client::builder().timeout(config.timeout.std());
        if let Some(file) = &config.ca_file {
            let pem = std::fs::read(file).map_err(|error| wrong(format!("ca_file {file} cannot be read: {error}")))?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .map_err(|error| wrong(format!("ca_file {file} holds no certificates in PEM: {error}")))?;
            http = http.tls_certs_merge(certificates);
        }
        let http = http.build().map_err(|error| wrong(format!("no client of the registry: {error}")))?;
        Ok(Self {
            http,
            urls,
            auth: config.auth.clone(),
            wait: config.wait.std(),
            known: Mutex::default(),
            missing: Mutex::default(),
        })
    }

    /// The schema of this number with all that it refers to. What is not there is waited for, as long as the configuration
    /// says; after that it is not asked for again for as long.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn schema(&self, id: SchemaId) -> Result<Arc<KnownSchema>, String> {
        if let Some(known) = lock(&self.known).get(&id) {
            return Ok(Arc::clone(known));
        }
        let asked_at = Instant::now();
        if let Some((until, reason)) = lock(&self.missing).get(&id)
            && asked_at < *until
        {
            return Err(reason.clone());
        }
        let deadline = asked_at + self.wait;
        let mut pause = PAUSE_MIN;
        loop {
            match self.fetch(id).await {
                Ok(schema) => {
                    let schema = Arc::new(schema);
                    let mut known = lock(&self.known);
                    if known.len() >= KEPT_MAX {
                        known.clear();
                    }
                    known.insert(id, Arc::clone(&schema));
                    lock(&self.missing).remove(&id);
                    return Ok(schema);
                }
                Err(unanswered) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if unanswered.is_final || left.is_zero() {
                        let reason = format!("{} (waited {:?})", unanswered.reason, self.wait);
                        lock(&self.missing).insert(id, (Instant::now() + self.wait, reason.clone()));
                        return Err(reason);
                    }
                    tracing::warn!(schema = id.0, reason = unanswered.reason, "a schema is waited for");
                    tokio::time::sleep(pause.min(left)).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn fetch(&self, id: SchemaId) -> Result<KnownSchema, Unanswered> {
        let found: NewSchema = self.get(&["schemas", "ids", &id.0.to_string()]).await?;
        let Some(language) = SchemaLanguage::from_word(&found.schema_type) else {
            let reason = format!("its schemaType {} is not known", found.schema_type);
            return Err(Unanswered::new(reason, true));
        };
        let references = self.references(&found).await?;
        Ok(KnownSchema { language, text: found.schema.as_str().into(), references })
    }

    /// Everything that a schema refers to, each before those that refer to it.
    async fn references(&self, schema: &NewSchema) -> Result<Vec<ReferencedSchema>, Unanswered> {
        // A stack of what is still to be asked for (`None`), and of what follows once that is there.
        let mut found: Vec<ReferencedSchema> = Vec::new();
        let mut open: Vec<(crate::core::Reference, Option<String>)> =
            schema.references.iter().rev().map(|reference| (reference.clone(), None)).collect();
        let mut asked = 0;
        while let Some((reference, text)) = open.pop() {
            if let Some(text) = text {
                found.push(ReferencedSchema { name: reference.name, text: text.into() });
                continue;
            }
            if found.iter().any(|known| known.name == reference.name) {
                continue;
            }
            asked += 1;
            if asked > REFERENCES_MAX {
                let reason = format!("it refers to more than {REFERENCES_MAX} others");
                return Err(Unanswered::new(reason, true));
            }
            let version = reference.version.to_string();
            let path = ["subjects", &reference.subject, "versions", &version];
            let version: Version = self.get(&path).await?;
            open.push((reference, Some(version.schema.schema)));
            open.extend(version.schema.references.into_iter().rev().map(|inner| (inner, None)));
        }
        Ok(found)
    }

    /// Registers `schema` under a subject, which may have it already.
    ///
    /// # Errors
    /// `Config` when it is refused, `Retry` when the registry cannot be reached.
    pub async fn register(&self, subject: &str, schema: &NewSchema) -> SeamResult<Registered> {
        let body = serde_json::to_string(schema).expect("a schema is texts");
        let path = ["subjects", subject, "versions"];
        let request = |url: Url| self.http.post(url).header("content-type", "application/json").body(body.clone());
        self.send(&path, request).await.map_err(|unanswered| {
            let kind = if unanswered.is_final { ErrorKind::Config } else { ErrorKind::Retry };
            SeamError::new(kind, format!("the schema is not registered as {subject}: {}", unanswered.reason))
        })
    }

    /// The newest version of a subject; `None` when it has none.
    ///
    /// # Errors
    /// `Retry` when the registry cannot be reached.
    pub async fn latest(&self, subject: &str) -> SeamResult<Option<Version>> {
        match self.get(&["subjects", subject, "versions", "latest"]).await {
            Ok(version) => Ok(Some(version)),
            Err(unanswered) if unanswered.is_missing => Ok(None),
            Err(unanswered) => Err(SeamError::new(ErrorKind::Retry, unanswered.reason)),
        }
    }

    async fn get<T: for<'de> Deserialize<'de>>(&self, path: &[&str]) -> Result<T, Unanswered> {
        self.send(path, |url| self.http.get(url)).await
    }

    /// Sends a request to one registry after the other until one answers.
    async fn send<T: for<'de> Deserialize<'de>>(
        &self,
        path: &[&str],
        request: impl Fn(Url) -> RequestBuilder,
    ) -> Result<T, Unanswered> {
        let mut last = None;
        for base in &self.urls {
            let mut url = base.clone();
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty().extend(path);
            }
            let mut request = request(url).header("accept", "application/vnd.schemaregistry.v1+json, application/json");
            request = match &self.auth {
                None => request,
                Some(RegistryAuth::Basic(basic)) => request.basic_auth(&basic.username, Some(basic.password.expose())),
                Some(RegistryAuth::Bearer(bearer)) => request.bearer_auth(bearer.token.expose()),
            };
            match answered(base, request).await {
                Ok(answer) => return Ok(answer),
                Err(unanswered) => last = Some(unanswered),
            }
        }
        Err(last.expect("there is a url at least"))
    }
}

async fn answered<T: for<'de> Deserialize<'de>>(base: &Url, request: RequestBuilder) -> Result<T, Unanswered> {
    let failed = |error: reqwest::Error| {
        let reason = format!("registry {base} does not answer: {}", full(&error.without_url()));
        Unanswered::new(reason, false)
    };
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let body = response.bytes().await.map_err(failed)?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|error| {
            Unanswered::new(format!("registry {base} answers what is not understood: {error}"), false)
        });
    }
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = told["message"].as_str().unwrap_or_default();
    Err(Unanswered {
        reason: format!("registry {base} answers {}: {message}", status.as_u16()),
        is_final: matches!(status, StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY),
        is_missing: status == StatusCode::NOT_FOUND,
    })
}

/// An error with its causes.
fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
