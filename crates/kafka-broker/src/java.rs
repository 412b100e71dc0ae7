//! Records written by Kafka's own producer in Java, as people who are not on our side of the wire write them. Refuses to be quick:
//! a program is started for it.

use std::io::Write;
use std::process::Stdio;

use crate::jars::tail;
use crate::{BrokerError, Cluster};

impl Cluster {
    /// Puts a record per key into a topic, with an empty value, by the console producer that comes with Kafka, and waits until
    /// all are stored. No key has a tab or the end of a line in it.
    ///
    /// # Errors
    /// `Program` when there is no Java, `Refused` with what the producer said.
    pub fn put_by_java(&self, topic: &str, keys: &[String]) -> Result<(), BrokerError> {
        let missing = |error| BrokerError::Program { program: "java", package: "openjdk-17-jre-headless", error };
        let mut producer = self
            .node(1)
            .java()
            .args(["org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", self.bootstrap(), "--topic", topic])
            .args(["--reader-property", "parse.key=true", "--reader-property", "key.separator=\t"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(missing)?;
        let lines: String = keys.iter().map(|key| format!("{key}\t\n")).collect();
        let mut input = producer.stdin.take().expect("it is piped");
        let written = input.write_all(lines.as_bytes());
        drop(input);
        let output = producer.wait_with_output().map_err(missing)?;
        let said = tail(&[output.stdout, output.stderr].concat());
        match written {
            Ok(()) if output.status.success() && !said.contains("ERROR") => Ok(()),
            Ok(()) => Err(BrokerError::Refused(said)),
            Err(error) => Err(BrokerError::Refused(format!("{error}: {said}"))),
        }
    }
}
