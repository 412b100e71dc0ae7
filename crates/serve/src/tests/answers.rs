//! What each resource answers, and what every answer has.

use weir_model::Guarantee;
use weir_observe::NewOutput;

use super::stage::{parts, start};
use crate::{ServeConfig, Server};
use weir_model::{Clock, ErrorKind, SystemClock};

#[tokio::test]
async fn status_says_which_weir_this_is() {
    let stage = start().await;
    let answer = stage.get("/api/v1/status").await;
    let json = answer.json();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!((&json["version"], &json["data"]), (&"0.1.0".into(), &"data".into()));
    assert!(json["uptime_s"].as_f64().is_some_and(|uptime| uptime >= 0.0));
    assert!(json["started_at"].as_str().is_some_and(|at| at.ends_with('Z')));
}

#[tokio::test]
async fn pipelines_are_shown_as_the_board_has_them() {
    let stage = start().await;
    assert_eq!(stage.get("/api/v1/pipelines").await.json(), serde_json::json!({ "pipelines": [] }));
    let output = NewOutput { name: "errors".to_owned(), kind: "table".to_owned(), guarantee: Guarantee::ExactlyOnce };
    stage.board.add("spark-logs", vec![output], SystemClock.now());
    let json = stage.get("/api/v1/pipelines").await.json();
    assert_eq!(json["pipelines"][0]["name"], "spark-logs");
    assert_eq!(json["pipelines"][0]["state"], "starting");
    assert_eq!(json["pipelines"][0]["outputs"][0]["balance"]["read"], 0);
}

#[tokio::test]
async fn probes_answer_with_reasons() {
    let stage = start().await;
    for probe in ["live", "ready", "startup"] {
        let answer = stage.get(&format!("/health/{probe}")).await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, serde_json::json!({ "status": "ok", "reasons": [] })),
            "{probe}"
        );
    }
    stage.health.starting("spark-logs", "pipeline spark-logs is restoring its state");
    for probe in ["ready", "startup"] {
        let answer = stage.get(&format!("/health/{probe}")).await;
        let expected =
            serde_json::json!({ "status": "not_ready", "reasons": ["pipeline spark-logs is restoring its state"] });
        assert_eq!((answer.status, answer.json()), (503, expected), "{probe}");
    }
    assert_eq!(stage.get("/health/live").await.status, 200);
}

#[tokio::test]
async fn metrics_are_text_that_counts_requests_by_route_and_never_by_path() {
    let stage = start().await;
    stage.get("/api/v1/status").await;
    stage.get("/some/made-up/path").await;
    let answer = stage.get("/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    assert!(text.contains(r#"weir_http_requests_total{method="GET",route="/api/v1/status",status="200"} 1"#), "{text}");
    assert!(text.contains(r#"route="page""#) && !text.contains("made-up"), "{text}");
    let open = stage.ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text", b"").await;
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.text().ends_with("# EOF\n"));
}

#[tokio::test]
async fn an_unknown_route_of_the_api_is_a_json_error_that_names_the_nearest() {
    let stage = start().await;
    let answer = stage.get("/api/v1/pipeline").await;
    assert_eq!(answer.error(), (404, "unknown_route".to_owned()));
    assert_eq!(answer.json()["error"]["hint"], "did you mean /api/v1/pipelines?");
    assert_eq!(stage.get("/health/alive").await.json()["error"]["hint"], "did you mean /health/live?");
    assert_eq!(stage.get("/api").await.error(), (404, "unknown_route".to_owned()));
}

#[tokio::test]
async fn a_method_that_is_not_possible_is_a_json_error() {
    let stage = start().await;
    for (method, path) in
        [("DELETE", "/api/v1/status"), ("GET", "/api/v1/ingest/app"), ("POST", "/"), ("POST", "/logs")]
    {
        let answer = stage.ask(&format!("{method} {path} HTTP/1.1\r\nHost: localhost"), b"").await;
        assert_eq!(answer.error(), (405, "wrong_method".to_owned()), "{method} {path}");
    }
}

#[tokio::test]
async fn every_answer_tells_the_browser_what_it_may_not_do() {
    let stage = start().await;
    for path in ["/", "/api/v1/status", "/api/v1/nothing", "/metrics"] {
        let answer = stage.get(path).await;
        let policy = answer.header("content-security-policy").expect("there is a policy");
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe-eval"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    assert_eq!(stage.get("/api/v1/status").await.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn the_page_is_served_for_every_view() {
    let stage = start().await;
    for path in ["/", "/pipelines", "/logs?q=a%20b"] {
        let answer = stage.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")), "{path}");
    }
}

#[tokio::test]
async fn a_request_has_an_id_its_own_or_a_new_one() {
    let stage = start().await;
    let ask = async |id: &str| {
        let head = format!("GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {id}");
        stage.ask(&head, b"").await.header("x-request-id").map(str::to_owned).expect("every answer has one")
    };
    assert_eq!(ask("abc-1.2").await, "abc-1.2");
    assert_ne!(ask("a b\"c").await, "a b\"c");
    assert_ne!(ask(&"x".repeat(65)).await, "x".repeat(65));
    assert_ne!(ask("").await, ask("").await);
}

#[tokio::test]
async fn a_foreign_name_is_not_answered_and_a_foreign_page_may_not_post() {
    let stage = start().await;
    let rebound = stage.ask("GET /api/v1/status HTTP/1.1\r\nHost: evil.example:7280", b"").await;
    assert_eq!(rebound.error(), (403, "bad_host".to_owned()));
    let nameless = stage.ask("GET /api/v1/status HTTP/1.0\r\nAccept: */*", b"").await;
    assert_eq!(nameless.error(), (400, "bad_host".to_owned()));
    let forged = stage.post("/api/v1/ingest/app", "\r\nOrigin: http://evil.example", b"{}").await;
    assert_eq!(forged.error(), (403, "cross_origin".to_owned()));
    assert!(stage.ingest.taken.lock().expect("no test panics here").is_empty());
    let text = stage.scrape();
    assert!(text.contains(r#"weir_http_refused_total{reason="bad_host"} 2"#), "{text}");
    assert!(text.contains(r#"weir_http_refused_total{reason="cross_origin"} 1"#), "{text}");
}

#[tokio::test]
async fn it_does_not_listen_where_others_could_reach_it_unless_told_so() {
    let config = |allow_unauthenticated| ServeConfig {
        addr: std::net::SocketAddr::from(([0, 0, 0, 0], 0)),
        allow_unauthenticated,
        ..ServeConfig::default()
    };
    let refused = Server::bind(config(false), parts().state).await.expect_err("others could reach it");
    assert_eq!(refused.kind, ErrorKind::Config);
    assert!(refused.message.contains("--allow-unauthenticated") && refused.message.contains("0.0.0.0:0"), "{refused}");
    assert!(Server::bind(config(true), parts().state).await.is_ok());
}

#[tokio::test]
async fn a_taken_port_is_a_config_error_that_says_so() {
    let stage = start().await;
    let config = ServeConfig { addr: stage.addr, ..ServeConfig::default() };
    let refused = Server::bind(config, parts().state).await.expect_err("the port is taken");
    assert_eq!(refused.kind, ErrorKind::Config);
    assert!(refused.message.contains("another program listens there"), "{refused}");
}

#[tokio::test]
async fn every_route_that_is_suggested_is_there() {
    let stage = start().await;
    for route in crate::app::ROUTES {
        let answer = stage
            .ask(
                &format!(
                    "OPTIONS {} HTTP/1.1\r\nHost: localhost",
                    route.replace("{stream}", "app").replace("{table}", "t")
                ),
                b"",
            )
            .await;
        assert_eq!(answer.error(), (405, "wrong_method".to_owned()), "{route}");
    }
}

#[tokio::test]
async fn dead_letters_are_given_again_and_deleted_by_a_choice_that_makes_sense() {
    let stage = start().await;
    let kind = "\r\nContent-Type: application/json";
    let again = stage.post("/api/v1/dead-letters/replay", kind, b"{\"pipeline\":\"p\"}").await;
    assert_eq!((again.status, again.json()), (200, serde_json::json!({ "replayed": 0, "kept": [] })));
    let purged = stage.post("/api/v1/dead-letters/purge", kind, b"{}").await;
    assert_eq!((purged.status, purged.json()), (200, serde_json::json!({ "purged": 0 })));
    let wrong = stage.post("/api/v1/dead-letters/replay", kind, b"{\"from\":\"1969\"}").await;
    assert_eq!(wrong.error(), (400, "bad_choice".to_owned()));
    let unknown = stage.post("/api/v1/dead-letters/purge", kind, b"{\"everything\":true}").await;
    assert_eq!(unknown.error().0, 400, "a misspelt filter must not delete everything");
}

#[tokio::test]
async fn rows_are_deleted_by_those_who_show_that_they_may_and_counted_by_everybody() {
    let stage = start().await;
    let path = "/api/v1/tables/logs/delete";
    let kind = "\r\nContent-Type: application/json";
    let chosen = b"{\"where\":\"level = 'DEBUG'\"}";
    assert_eq!(stage.post(path, kind, chosen).await.error(), (401, "unauthorized".to_owned()));
    for wrong in ["the wor", "the word and more", "the Word", ""] {
        let head = format!("{kind}\r\nAuthorization: Bearer {wrong}");
        let refused = stage.post(path, &head, chosen).await.error();
        assert!(
            [(403, "forbidden".to_owned()), (401, "unauthorized".to_owned())].contains(&refused),
            "{wrong}: {refused:?}"
        );
    }
    let right = format!("{kind}\r\nAuthorization: Bearer the word");
    let deleted = stage.post(path, &right, chosen).await;
    assert_eq!((deleted.status, deleted.json()), (200, serde_json::json!({ "deleted": 3, "left": 4 })));
    let counted = stage.post(path, kind, b"{\"where\":\"true\",\"dry_run\":true}").await;
    assert_eq!((counted.status, counted.json()), (200, serde_json::json!({ "deleted": 0, "left": 4 })));
    let unsure = stage.post(path, &right, b"{}").await;
    assert_eq!(unsure.error().0, 400, "nothing is deleted without a condition");
}
