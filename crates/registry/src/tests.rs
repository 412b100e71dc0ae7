//! The registry as its clients see it: over HTTP, and over a restart.

mod python;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use expect_test::{Expect, expect};
use http_body_util::BodyExt;
use serde_json::json;
use tempfile::TempDir;
use tower::ServiceExt;
use weir_model::SchemaId;
use weir_schema::RegistryConfig;

use crate::{Client, NewSchema, Shelf, router};

struct Place {
    folder: TempDir,
    api: Router,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let api = router(Shelf::open(folder.path()).expect("a registry"));
        Self { folder, api }
    }

    fn restarted(self) -> Self {
        let Self { folder, api } = self;
        drop(api);
        let api = router(Shelf::open(folder.path()).expect("the registry again"));
        Self { folder, api }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).expect("a request");
        let response = self.api.clone().oneshot(request).await.expect("it answers");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        format!("{status} {}", String::from_utf8_lossy(&body))
    }

    async fn check(&self, method: &str, path: &str, body: &str, expected: Expect) {
        expected.assert_eq(&self.ask(method, path, body).await);
    }

    async fn register(&self, subject: &str, schema: &str) -> String {
        self.ask("POST", &format!("/subjects/{subject}/versions"), &json!({ "schema": schema }).to_string()).await
    }
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

const A: &str = r#"{"name":"a","type":"int"}"#;

#[tokio::test]
async fn a_schema_has_one_number_in_all_subjects_and_keeps_it_over_a_restart() {
    let place = Place::new();
    assert_eq!(place.register("s-value", &record(A)).await, r#"200 {"id":1}"#);
    assert_eq!(place.register("s-value", &record(&format!("{A} "))).await, r#"200 {"id":1}"#, "blanks say nothing");
    assert_eq!(place.register("other", &record(A)).await, r#"200 {"id":1}"#);
    assert_eq!(place.register("third", "\"string\"").await, r#"200 {"id":2}"#);
    let place = place.restarted();
    place.check("GET", "/subjects", "", expect![[r#"200 ["other","s-value","third"]"#]]).await;
    place.check("GET", "/schemas/ids/2", "", expect![[r#"200 {"schema":"\"string\""}"#]]).await;
    place
        .check(
            "GET",
            "/schemas/ids/1/versions",
            "",
            expect![[r#"200 [{"subject":"other","version":1},{"subject":"s-value","version":1}]"#]],
        )
        .await;
    place
        .check(
            "GET",
            "/subjects/third/versions/latest",
            "",
            expect![[r#"200 {"id":2,"schema":"\"string\"","subject":"third","version":1}"#]],
        )
        .await;
    place.check("GET", "/subjects/third/versions/1/schema", "", expect![[r#"200 "string""#]]).await;
    assert_eq!(place.register("fourth", "\"int\"").await, r#"200 {"id":3}"#);
}

#[tokio::test]
async fn what_is_not_there_has_the_codes_that_clients_know() {
    let place = Place::new();
    place.register("s", &record(A)).await;
    place
        .check(
            "GET",
            "/subjects/x/versions",
            "",
            expect![[r#"404 {"error_code":40401,"message":"Subject 'x' not found."}"#]],
        )
        .await;
    place
        .check(
            "GET",
            "/subjects/s/versions/7",
            "",
            expect![[r#"404 {"error_code":40402,"message":"Version 7 not found."}"#]],
        )
        .await;
    place
        .check("GET", "/schemas/ids/7", "", expect![[r#"404 {"error_code":40403,"message":"Schema 7 not found"}"#]])
        .await;
    place
        .check(
            "POST",
            "/subjects/s",
            r#"{"schema":"\"int\""}"#,
            expect![[r#"404 {"error_code":40403,"message":"Schema not found"}"#]],
        )
        .await;
    place.check("GET", "/config/s", "", expect![[r#"404 {"error_code":40408,"message":"Subject 's' does not have subject-level compatibility configured"}"#]]).await;
    place.check("PUT", "/config", r#"{"compatibility":"SOME"}"#, expect![[r#"422 {"error_code":42203,"message":"Invalid compatibility level SOME. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"}"#]]).await;
    place.check("POST", "/subjects/s/versions", r#"{"schema":"{"}"#, expect![[r#"422 {"error_code":42201,"message":"Invalid schema: not an Avro schema: EOF while parsing an object at line 1 column 1"}"#]]).await;
    place.check("GET", "/subjects/s/versions/zero", "", expect![[r#"422 {"error_code":42202,"message":"The specified version 'zero' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""}"#]]).await;
}

#[tokio::test]
async fn levels_say_what_a_new_version_must_be_able_to_do() {
    let place = Place::new();
    place.register("s", &record(A)).await;
    let with_default = record(&format!(r#"{A},{{"name":"b","type":"int","default":0}}"#));
    let without = record(&format!(r#"{A},{{"name":"b","type":"int"}}"#));
    expect![[r#"409 {"error_code":409,"message":"Schema being registered is incompatible with an earlier schema for subject \"s\" (Backward): version 1: the new schema cannot read the old: field \"b\": the writer has no such field, and there is no default"}"#]]
        .assert_eq(&place.register("s", &without).await);
    let asked = json!({ "schema": without }).to_string();
    place.check("POST", "/compatibility/subjects/s/versions/latest?verbose=true", &asked, expect![[r#"200 {"is_compatible":false,"messages":["version 1: the new schema cannot read the old: field \"b\": the writer has no such field, and there is no default"]}"#]]).await;
    place
        .check("PUT", "/config/s", r#"{"compatibility":"FORWARD"}"#, expect![[r#"200 {"compatibility":"FORWARD"}"#]])
        .await;
    assert_eq!(place.register("s", &without).await, r#"200 {"id":2}"#);
    place.ask("PUT", "/config/s", r#"{"compatibility":"FULL"}"#).await;
    assert!(place.register("s", &record("")).await.starts_with("409"));
    assert_eq!(place.register("s", &with_default).await, r#"200 {"id":3}"#);
    place.check("GET", "/subjects/s/versions", "", expect!["200 [1,2,3]"]).await;
    place.ask("PUT", "/config/s", r#"{"compatibility":"NONE"}"#).await;
    assert_eq!(place.register("s", "\"int\"").await, r#"200 {"id":4}"#);
    // Each can be read by the next, and the last not by the first: only the transitive level sees it.
    for (level, expected) in [("BACKWARD", 200), ("BACKWARD_TRANSITIVE", 409)] {
        let place = Place::new();
        place.ask("PUT", "/config", &json!({ "compatibility": level }).to_string()).await;
        place.register("t", &record("")).await;
        place.register("t", &record(r#"{"name":"a","type":"int","default":1}"#)).await;
        let last = place.register("t", &record(A)).await;
        assert!(last.starts_with(&expected.to_string()), "{level}: {last}");
    }
}

#[tokio::test]
async fn json_schemas_are_compared_by_what_they_require_and_allow() {
    let place = Place::new();
    let register = async |schema: serde_json::Value| {
        let body = json!({ "schemaType": "JSON", "schema": schema.to_string() });
        place.ask("POST", "/subjects/j/versions", &body.to_string()).await
    };
    let closed = |properties: serde_json::Value, required: serde_json::Value| json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    let first = closed(json!({ "a": { "type": "integer" } }), json!(["a"]));
    assert_eq!(register(first).await, r#"200 {"id":1}"#);
    let wider = closed(json!({ "a": { "type": "number" }, "b": { "type": "string" } }), json!([]));
    assert_eq!(register(wider).await, r#"200 {"id":2}"#);
    let narrower = closed(json!({ "a": { "type": "integer" } }), json!(["a"]));
    expect![[r#"409 {"error_code":409,"message":"Schema being registered is incompatible with an earlier schema for subject \"j\" (Backward): version 2: the new schema cannot read the old: field \"a\": number is not integer; version 2: the new schema cannot read the old: field \"b\": the reader allows no such property; version 2: the new schema cannot read the old: the reader requires \"a\", the writer does not"}"#]]
        .assert_eq(&register(closed(json!({ "a": { "type": "integer" } }), json!(["a", "a"]))).await);
    assert_eq!(register(narrower).await, r#"200 {"id":1}"#, "what is registered already stays");
    place.check("GET", "/schemas/ids/2", "", expect![[r#"200 {"schema":"{\"additionalProperties\":false,\"properties\":{\"a\":{\"type\":\"number\"},\"b\":{\"type\":\"string\"}},\"required\":[],\"type\":\"object\"}","schemaType":"JSON"}"#]]).await;
}

#[tokio::test]
async fn deletion_hides_first_and_a_number_is_never_given_twice() {
    let place = Place::new();
    place.register("s", &record(A)).await;
    place.check("DELETE", "/subjects/s?permanent=true", "", expect![[r#"404 {"error_code":40405,"message":"Subject 's' was not deleted first before being permanently deleted"}"#]]).await;
    place.check("DELETE", "/subjects/s", "", expect!["200 [1]"]).await;
    place.check("GET", "/subjects", "", expect!["200 []"]).await;
    place.check("GET", "/subjects?deleted=true", "", expect![[r#"200 ["s"]"#]]).await;
    place.check("GET", "/schemas/ids/1", "", expect![[r#"200 {"schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}"}"#]]).await;
    place.check("DELETE", "/subjects/s?permanent=true", "", expect!["200 [1]"]).await;
    place.register("s", "\"long\"").await;
    place.check("GET", "/subjects/s/versions", "", expect!["200 [2]"]).await;
    place.check("PUT", "/mode", r#"{"mode":"READONLY"}"#, expect![[r#"200 {"mode":"READONLY"}"#]]).await;
    place
        .check(
            "POST",
            "/subjects/s/versions",
            r#"{"schema":"\"int\""}"#,
            expect![[r#"422 {"error_code":42205,"message":"Subject s is in read-only mode"}"#]],
        )
        .await;
}

#[tokio::test]
async fn a_client_gets_a_schema_with_its_references_and_waits_for_what_is_not_there_yet() {
    let place = Place::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let served = tokio::spawn(axum::serve(listener, place.api.clone()).into_future());
    let config = RegistryConfig { wait: weir_model::DurationText::secs(20), ..RegistryConfig::at(url) };
    let client = std::sync::Arc::new(Client::new(&config).expect("a client"));
    // It is asked for before it is there.
    let early = tokio::spawn({
        let client = std::sync::Arc::clone(&client);
        async move { client.schema(SchemaId(2)).await }
    });
    place.register("money", r#"{"type":"record","name":"Money","fields":[{"name":"cents","type":"long"}]}"#).await;
    let order = NewSchema {
        schema: r#"{"type":"record","name":"Order","fields":[{"name":"price","type":"Money"}]}"#.to_owned(),
        schema_type: "AVRO".to_owned(),
        references: vec![crate::Reference { name: "Money".to_owned(), subject: "money".to_owned(), version: 1 }],
    };
    assert_eq!(client.register("a/b order", &order).await.expect("registered").id, 2);
    let schema = early.await.expect("it ends").expect("it came");
    assert_eq!((schema.references.len(), &*schema.references[0].name), (1, "Money"));
    place.check("DELETE", "/subjects/money/versions/1", "", expect![[r#"422 {"error_code":42206,"message":"One or more references exist to the schema of version 1 of subject money"}"#]]).await;
    served.abort();
    // What it knows it never asks for again.
    assert_eq!(client.schema(SchemaId(2)).await.expect("known").text, schema.text);
}

#[tokio::test]
async fn what_is_missing_is_said_at_once_until_it_is_asked_for_again() {
    let place = Place::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = {
        let requests = Arc::clone(&requests);
        axum::middleware::from_fn(move |request: Request, next: Next| {
            requests.fetch_add(1, Ordering::Relaxed);
            next.run(request)
        })
    };
    let _served = tokio::spawn(axum::serve(listener, place.api.clone().layer(counted)).into_future());
    let config = RegistryConfig { wait: weir_model::DurationText::secs(3), ..RegistryConfig::at(&url) };
    let client = Client::new(&config).expect("a client");
    let reason = client.schema(SchemaId(1)).await.expect_err("it is not there");
    assert_eq!(reason, format!("registry {url}/ answers 404: Schema 1 not found (waited 3s)"));
    let before = requests.load(Ordering::Relaxed);
    assert!(before > 1, "{before}");
    assert_eq!(client.schema(SchemaId(1)).await.expect_err("still"), reason);
    assert_eq!(requests.load(Ordering::Relaxed), before, "nobody was asked again");
    place.register("s", "\"int\"").await;
    loop {
        // The memory of it passes after as long as was waited.
        if client.schema(SchemaId(1)).await.is_ok() {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn two_processes_do_not_decide_at_once() {
    let folder = TempDir::new().expect("a folder");
    let mut first = Shelf::open(folder.path()).expect("a registry");
    first.keep(vec![crate::Change::Level { subject: None, level: None }]).expect("kept");
    assert!(Shelf::open(folder.path()).is_err());
}
