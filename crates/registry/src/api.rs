//! The HTTP API of the Confluent Schema Registry over a [`Shelf`]. Refuses to decide: [`Registry`](crate::Registry) does.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::{Change, Level, Mode, NewSchema, Refusal, Registry, SCHEMA_BYTES_MAX, Version};
use crate::shelf::Shelf;

/// The media type of answers.
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A request's body may be a schema in JSON, every character of it escaped.
const BODY_BYTES_MAX: usize = 6 * SCHEMA_BYTES_MAX + 65_536;

type Shared = Arc<Mutex<Shelf>>;
type Answer = Result<Value, Refusal>;

/// The API.
#[rustfmt::skip]
pub fn router(shelf: Shelf) -> Router {
    Router::new()
        .route("/", get(|| async { done(Ok(json!({}))) }))
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(lookup).delete(delete_subject))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version).delete(delete_version))
        .route("/subjects/{subject}/versions/{version}/schema", get(version_text))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(referenced_by))
        .route("/schemas/types", get(|| async { done(Ok(json!(["JSON", "PROTOBUF", "AVRO"]))) }))
        .route("/schemas/ids/{id}", get(schema))
        .route("/schemas/ids/{id}/schema", get(schema_text))
        .route("/schemas/ids/{id}/subjects", get(schema_subjects))
        .route("/schemas/ids/{id}/versions", get(schema_versions))
        .route("/config", get(global_level).put(set_global_level).delete(unset_global_level))
        .route("/config/{subject}", get(level).put(set_level).delete(unset_level))
        .route("/mode", get(global_mode).put(set_global_mode))
        .route("/mode/{subject}", get(mode).put(set_mode).delete(unset_mode))
        .route("/compatibility/subjects/{subject}/versions", post(compatibility))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(compatibility_with))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(Mutex::new(shelf)))
}

/// Answers at `listener` until `stop` is over, and then what was asked before.
///
/// # Errors
/// When connections can no longer be taken.
pub async fn serve(
    listener: tokio::net::TcpListener,
    shelf: Shelf,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(shelf)).with_graceful_shutdown(stop).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Asked {
    #[serde(deserialize_with = "flag")]
    deleted: bool,
    #[serde(deserialize_with = "flag")]
    permanent: bool,
    #[serde(deserialize_with = "flag")]
    verbose: bool,
    #[serde(deserialize_with = "flag")]
    default_to_global: bool,
    subject_prefix: String,
    /// How texts are shown: as they are, or `serialized`.
    format: String,
}

/// Yes or no, as clients write it: `true`, and Python's `True`.
fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    String::deserialize(deserializer).map(|word| word.eq_ignore_ascii_case("true"))
}

fn done(answer: Answer) -> Response {
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, json!({ "error_code": refusal.code, "message": refusal.message }))
        }
    };
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body.to_string()).into_response()
}

/// Asks, where nothing changes.
async fn ask(shelf: Shared, question: impl FnOnce(&Shelf) -> Answer + Send + 'static) -> Response {
    done(question(&shelf.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Decides and keeps, away from the threads that answer others: it waits for the disk.
async fn change(
    shelf: Shared,
    decide: impl FnOnce(&Shelf) -> Result<(Value, Vec<Change>), Refusal> + Send + 'static,
) -> Response {
    let work = move || {
        let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, changes) = decide(&shelf)?;
        shelf.keep(changes).map_err(|error| Refusal::unkept(&error))?;
        Ok(answer)
    };
    done(tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Refusal::unkept(&error.to_string()))))
}

/// A body; clients send it with several media types.
fn read<T: for<'de> Deserialize<'de>>(body: &str) -> Result<T, Refusal> {
    serde_json::from_str(body)
        .map_err(|error| Refusal { code: 422, message: format!("the body is not understood: {error}") })
}

/// A schema as it is asked for.
fn as_asked(registry: &Registry, schema: NewSchema, asked: &Asked) -> Result<NewSchema, Refusal> {
    match asked.format.as_str() {
        "serialized" => registry.serialized(&schema),
        _ => Ok(schema),
    }
}

fn shown(version: &Version) -> Value {
    serde_json::to_value(version).expect("a version is texts and numbers")
}

async fn subjects(State(shelf): State<Shared>, Query(asked): Query<Asked>) -> Response {
    ask(shelf, move |shelf| Ok(json!(shelf.registry().subjects(&asked.subject_prefix, asked.deleted)))).await
}

async fn versions(State(shelf): State<Shared>, Path(subject): Path<String>, Query(asked): Query<Asked>) -> Response {
    ask(shelf, move |shelf| Ok(json!(shelf.registry().versions(&subject, asked.deleted)?))).await
}

async fn register(State(shelf): State<Shared>, Path(subject): Path<String>, body: String) -> Response {
    change(shelf, move |shelf| {
        let (id, changes) = shelf.registry().register(&subject, read::<NewSchema>(&body)?)?;
        Ok((json!({ "id": id }), changes))
    })
    .await
}

async fn lookup(State(shelf): State<Shared>, Path(subject): Path<String>, body: String) -> Response {
    ask(shelf, move |shelf| Ok(shown(&shelf.registry().lookup(&subject, &read(&body)?)?))).await
}

async fn version(
    State(shelf): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    ask(shelf, move |shelf| {
        let registry = shelf.registry();
        let version = registry.version(&subject, &version, asked.deleted)?;
        let schema = as_asked(registry, version.schema, &asked)?;
        Ok(shown(&Version { schema, ..version }))
    })
    .await
}

async fn version_text(State(shelf): State<Shared>, Path((subject, version)): Path<(String, String)>) -> Response {
    let shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
    text(shelf.registry().version(&subject, &version, false).map(|version| version.schema.schema))
}

fn text(schema: Result<String, Refusal>) -> Response {
    match schema {
        Ok(text) => ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(refusal) => done(Err(refusal)),
    }
}

async fn referenced_by(State(shelf): State<Shared>, Path((subject, version)): Path<(String, String)>) -> Response {
    ask(shelf, move |shelf| {
        let version = shelf.registry().version(&subject, &version, false)?.version;
        Ok(json!(shelf.registry().referenced_by(&subject, version)))
    })
    .await
}

async fn schema(State(shelf): State<Shared>, Path(id): Path<String>, Query(asked): Query<Asked>) -> Response {
    ask(shelf, move |shelf| {
        let registry = shelf.registry();
        let schema = registry.schema(number(&id)?)?.clone();
        Ok(json!(as_asked(registry, schema, &asked)?))
    })
    .await
}

async fn schema_text(State(shelf): State<Shared>, Path(id): Path<String>) -> Response {
    let shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
    text(number(&id).and_then(|id| shelf.registry().schema(id).map(|schema| schema.schema.clone())))
}

async fn schema_subjects(State(shelf): State<Shared>, Path(id): Path<String>) -> Response {
    ask(shelf, move |shelf| {
        let mut subjects: Vec<String> =
            shelf.registry().used_by(number(&id)?)?.into_iter().map(|(subject, _)| subject).collect();
        subjects.dedup();
        Ok(json!(subjects))
    })
    .await
}

async fn schema_versions(State(shelf): State<Shared>, Path(id): Path<String>) -> Response {
    ask(shelf, move |shelf| {
        let used = shelf.registry().used_by(number(&id)?)?.into_iter();
        Ok(used.map(|(subject, version)| json!({ "subject": subject, "version": version })).collect())
    })
    .await
}

fn number(id: &str) -> Result<u32, Refusal> {
    id.parse().map_err(|_| Refusal { code: 404, message: "HTTP 404 Not Found".to_owned() })
}

async fn delete_subject(
    State(shelf): State<Shared>,
    Path(subject): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    change(shelf, move |shelf| {
        let (versions, changes) = shelf.registry().delete_subject(&subject, asked.permanent)?;
        Ok((json!(versions), changes))
    })
    .await
}

async fn delete_version(
    State(shelf): State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    change(shelf, move |shelf| {
        let (version, changes) = shelf.registry().delete_version(&subject, &version, asked.permanent)?;
        Ok((json!(version), changes))
    })
    .await
}

async fn compatibility(
    state: State<Shared>,
    Path(subject): Path<String>,
    asked: Query<Asked>,
    body: String,
) -> Response {
    compatible(state, subject, None, asked, body).await
}

async fn compatibility_with(
    state: State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    asked: Query<Asked>,
    body: String,
) -> Response {
    compatible(state, subject, Some(version), asked, body).await
}

async fn compatible(
    State(shelf): State<Shared>,
    subject: String,
    version: Option<String>,
    Query(asked): Query<Asked>,
    body: String,
) -> Response {
    ask(shelf, move |shelf| {
        let faults = shelf.registry().compatibility(&subject, version.as_deref(), &read(&body)?)?;
        let mut answer = json!({ "is_compatible": faults.is_empty() });
        if asked.verbose {
            answer["messages"] = json!(faults);
        }
        Ok(answer)
    })
    .await
}

async fn global_level(State(shelf): State<Shared>) -> Response {
    ask(shelf, |shelf| Ok(json!({ "compatibilityLevel": shelf.registry().level(None, true)? }))).await
}

async fn level(State(shelf): State<Shared>, Path(subject): Path<String>, Query(asked): Query<Asked>) -> Response {
    ask(shelf, move |shelf| {
        Ok(json!({ "compatibilityLevel": shelf.registry().level(Some(&subject), asked.default_to_global)? }))
    })
    .await
}

async fn set_global_level(State(shelf): State<Shared>, body: String) -> Response {
    put_level(shelf, None, body).await
}

async fn set_level(State(shelf): State<Shared>, Path(subject): Path<String>, body: String) -> Response {
    put_level(shelf, Some(subject), body).await
}

async fn put_level(shelf: Shared, subject: Option<String>, body: String) -> Response {
    change(shelf, move |_| {
        let body: Value = read(&body)?;
        let word = body["compatibility"].as_str().unwrap_or_default().to_owned();
        let level: Level =
            serde_json::from_value(json!(word.to_uppercase())).map_err(|_| Refusal::wrong_level(&word))?;
        Ok((json!({ "compatibility": level }), vec![Change::Level { subject, level: Some(level) }]))
    })
    .await
}

async fn unset_global_level(State(shelf): State<Shared>) -> Response {
    change(shelf, |shelf| {
        let before = shelf.registry().level(None, true)?;
        Ok((json!(before), vec![Change::Level { subject: None, level: None }]))
    })
    .await
}

async fn unset_level(State(shelf): State<Shared>, Path(subject): Path<String>) -> Response {
    change(shelf, move |shelf| {
        let before = shelf.registry().level(Some(&subject), false)?;
        Ok((json!(before), vec![Change::Level { subject: Some(subject), level: None }]))
    })
    .await
}

async fn global_mode(State(shelf): State<Shared>) -> Response {
    ask(shelf, |shelf| Ok(json!({ "mode": shelf.registry().mode(None) }))).await
}

async fn mode(State(shelf): State<Shared>, Path(subject): Path<String>) -> Response {
    ask(shelf, move |shelf| Ok(json!({ "mode": shelf.registry().mode(Some(&subject)) }))).await
}

async fn set_global_mode(State(shelf): State<Shared>, body: String) -> Response {
    put_mode(shelf, None, body).await
}

async fn set_mode(State(shelf): State<Shared>, Path(subject): Path<String>, body: String) -> Response {
    put_mode(shelf, Some(subject), body).await
}

async fn put_mode(shelf: Shared, subject: Option<String>, body: String) -> Response {
    change(shelf, move |_| {
        let body: Value = read(&body)?;
        let mode: Mode = serde_json::from_value(body["mode"].clone())
            .map_err(|_| Refusal::wrong_mode(body["mode"].as_str().unwrap_or_default()))?;
        Ok((json!({ "mode": mode }), vec![Change::Mode { subject, mode: Some(mode) }]))
    })
    .await
}

async fn unset_mode(State(shelf): State<Shared>, Path(subject): Path<String>) -> Response {
    change(shelf, move |shelf| {
        let before = shelf.registry().mode(Some(&subject));
        Ok((json!({ "mode": before }), vec![Change::Mode { subject: Some(subject), mode: None }]))
    })
    .await
}
