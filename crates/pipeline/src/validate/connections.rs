//! Whether connections make sense, and whoever names one. Refuses to ask brokers.

use weir_collect::SourceConfig;
use weir_deliver::OutputConfig;

use super::Problem;
use crate::config::{ConnectionConfig, PipelineConfig};
use crate::nearest::nearest;

/// What of a source or an output says how brokers are reached.
struct Reach<'a> {
    /// The path to its keys.
    path: String,
    connection: &'a str,
    /// The keys that say what a connection says.
    own: [(&'static str, bool); 3],
}

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    for (name, connection) in &config.connections {
        let ConnectionConfig::Kafka(kafka) = connection;
        let wrong = kafka.problems().into_iter();
        problems.extend(wrong.map(|(key, message)| Problem::new(format!("connections.{name}.kafka.{key}"), message)));
    }
    for reach in reaches(config) {
        let name = reach.connection;
        if !config.connections.contains_key(name) {
            let names: Vec<&str> = config.connections.keys().map(String::as_str).collect();
            let hint = match (nearest(name, names.iter().copied()), &names[..]) {
                (Some(nearest), _) => format!("did you mean `{nearest}`?"),
                (None, []) => format!("add connections: {{ {name}: {{ kafka: {{ brokers: [...] }} }} }}"),
                (None, names) => format!("there are: {}", names.join(", ")),
            };
            let problem =
                Problem::new(format!("{}.connection", reach.path), format!("there is no connection `{name}`"));
            problems.push(problem.hint(hint).may_follow());
        }
        for (key, _) in reach.own.into_iter().filter(|(_, is_said)| *is_said) {
            let message = format!("`{key}` is said here, and the connection `{name}` says it too");
            let problem = Problem::new(format!("{}.{key}", reach.path), message);
            problems.push(problem.hint(format!("leave out `connection`, or move `{key}` to connections.{name}.kafka")));
        }
    }
}

/// Everybody who names a connection.
fn reaches(config: &PipelineConfig) -> Vec<Reach<'_>> {
    let mut reaches = Vec::new();
    for (name, entry) in &config.sources {
        let SourceConfig::Kafka(kafka) = &entry.source else { continue };
        let own = own(&kafka.brokers, kafka.tls.is_some(), kafka.sasl.is_some());
        let path = format!("sources.{name}.kafka");
        reaches.extend(kafka.connection.as_deref().map(|connection| Reach { path, connection, own }));
    }
    for (path, output) in config.all_outputs() {
        let OutputConfig::Kafka(kafka) = output else { continue };
        let own = own(&kafka.brokers, kafka.tls.is_some(), kafka.sasl.is_some());
        let path = format!("{path}.kafka");
        reaches.extend(kafka.connection.as_deref().map(|connection| Reach { path, connection, own }));
    }
    reaches
}

fn own(brokers: &[String], tls: bool, sasl: bool) -> [(&'static str, bool); 3] {
    [("brokers", !brokers.is_empty()), ("tls", tls), ("sasl", sasl)]
}
