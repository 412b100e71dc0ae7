//! What a Kafka or an HTTP endpoint says of itself that makes no sense. Refuses to ask it.

use weir_collect::SourceConfig;
use weir_decode::FormatConfig;
use weir_deliver::OutputConfig;

use super::Problem;
use crate::config::PipelineConfig;

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    for (name, entry) in &config.sources {
        if let SourceConfig::Kafka(kafka) = &entry.source {
            problems.extend(problems_of(&format!("sources.{name}.kafka"), kafka.problems()));
            let is_plain_json = matches!(&entry.format, FormatConfig::Json(json) if json.framing.is_none());
            if kafka.envelope.is_some() && !is_plain_json {
                let kind = entry.format.kind();
                let message =
                    format!("records in an envelope are JSON objects, and the format is `{kind}`: say `format: json`");
                problems.push(Problem::new(format!("sources.{name}.kafka.envelope"), message));
            }
        }
    }
    for (path, output) in config.all_outputs() {
        let wrong = match output {
            OutputConfig::Kafka(kafka) => kafka.problems(),
            OutputConfig::Http(http) => http.problems(),
            OutputConfig::Table(_) | OutputConfig::File(_) | OutputConfig::Stdout(_) => Vec::new(),
        };
        problems.extend(problems_of(&format!("{path}.{}", output.kind()), wrong));
    }
}

/// Problems below `path`. That nothing says the brokers may follow from a key that was misspelt.
fn problems_of(path: &str, wrong: Vec<(String, String)>) -> impl Iterator<Item = Problem> {
    wrong.into_iter().map(move |(key, message)| {
        let problem = Problem::new(format!("{path}.{key}"), message);
        if key == "brokers" { problem.may_follow() } else { problem }
    })
}
