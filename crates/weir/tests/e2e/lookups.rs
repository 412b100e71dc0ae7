//! Steps that ask others over HTTP, in the real binary: a whole table, and rows one by one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::harness::{Place, said};

/// Answers requests by their paths, and keeps the paths.
struct Directory {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Directory {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = seen.clone();
                std::thread::spawn(move || answer(stream, &seen));
            }
        });
        Self { url, asked }
    }
}

fn answer(mut stream: TcpStream, asked: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    asked.lock().unwrap().push(path.clone());
    let (status, body) = match path.as_str() {
        "/teams" => ("200 OK", "[{\"id\": \"web\", \"team\": \"blue\"}, {\"id\": \"db\", \"team\": \"red\"}]"),
        "/users/1" => ("200 OK", "{\"name\": \"Ann\", \"age\": 40}"),
        "/users/2" => ("200 OK", "{\"name\": \"Ben\"}"),
        "/users/4" => ("403 Forbidden", ""),
        _ => ("404 Not Found", ""),
    };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).unwrap();
}

const INPUT: &str = r#"{"user":1,"service":"web","n":1}
{"user":2,"service":"db","n":2}
{"user":1,"service":"none","n":3}
{"user":3,"service":"web","n":4}
{"user":4,"service":"web","n":5}
{"service":"web","n":6}
"#;

fn pipeline(url: &str, on_failure: &str) -> String {
    format!(
        "name: lookups\n\
         sources: {{ app: {{ file: {{ paths: [in.ndjson], follow: false }}, format: json, schema: {{ user: int64, service: string, n: int64 }} }} }}\n\
         steps:\n\
         \x20 - enrich:\n\
         \x20     table:\n\
         \x20       http_lookup: {{ url: '{url}/users/{{id}}', on_failure: {on_failure} }}\n\
         \x20       schema: {{ age: int64 }}\n\
         \x20     on: {{ user: id }}\n\
         \x20     take: [name, age]\n\
         \x20 - enrich: {{ table: {{ http: {{ url: '{url}/teams' }} }}, on: {{ service: id }}, take: [team] }}\n\
         outputs: [ {{ table: t }} ]\n"
    )
}

#[test]
fn rows_get_what_is_asked_for_by_key_and_from_a_table_that_an_url_gives() {
    let (place, directory) = (Place::new(), Directory::start());
    place.write("in.ndjson", INPUT);
    let file = place.write("p.yaml", pipeline(&directory.url, "dead_letter"));
    let output = place.run(&file, &[]);
    assert!(!output.status.success() && said(&output).contains("1 keys were asked for in vain"), "{}", said(&output));
    assert!(!said(&output).contains("DOES NOT BALANCE"), "{}", said(&output));
    let rows = place.query("SELECT n, name, age, team FROM t ORDER BY n");
    let rows: Vec<String> =
        rows.iter().map(|row| format!("{} {} {} {}", row["n"], row["name"], row["age"], row["team"])).collect();
    let expected = [
        "1 \"Ann\" 40 \"blue\"",
        "2 \"Ben\" null \"red\"",
        "3 \"Ann\" 40 null",
        "4 null null \"blue\"",
        "6 null null \"blue\"",
    ];
    assert_eq!(rows, expected);
    let dead = place.query("SELECT reason, payload FROM dead_letters");
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0]["reason"].as_str().unwrap().ends_with("/users/4: answered 403 Forbidden"), "{dead:?}");
    assert_eq!(dead[0]["payload"], "{\"user\":4,\"service\":\"web\",\"n\":5}");
    let mut asked = directory.asked.lock().unwrap().clone();
    asked.sort_unstable();
    assert_eq!(asked, ["/teams", "/users/1", "/users/2", "/users/3", "/users/4"], "each once");
}

#[test]
fn who_is_not_there_at_all_costs_rows_their_columns_and_nothing_else() {
    let (place, directory) = (Place::new(), Directory::start());
    place.write("in.ndjson", INPUT);
    // Nobody listens at the port of a listener that is gone.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text =
        pipeline(&directory.url, "keep").replace(&format!("{}/users", directory.url), &format!("http://{gone}/users"));
    let file = place.write("p.yaml", text);
    let output = place.run(&file, &[]);
    assert!(said(&output).contains("4 keys were asked for in vain"), "{}", said(&output));
    assert_eq!(place.number("SELECT count(*) FROM t WHERE name IS NULL"), 6);
    assert_eq!(place.number("SELECT count(team) FROM t"), 5);
}
