//! Connections by name: puts what they say into the sources and outputs that name them. Refuses to choose between two who
//! say the same: then everything stays as it is written, for [`crate::validate`] to find.

use std::collections::BTreeMap;

use weir_collect::{KafkaConfig, SourceConfig};
use weir_deliver::{KafkaOutput, OutputConfig};
use weir_kafka::{KafkaConnection, SaslConfig, TlsConfig};

use crate::config::{ConnectionConfig, PipelineConfig};

/// What a source or an output says about how brokers are reached.
struct Reach<'a> {
    connection: &'a mut Option<String>,
    brokers: &'a mut Vec<String>,
    tls: &'a mut Option<TlsConfig>,
    sasl: &'a mut Option<SaslConfig>,
    client: &'a mut BTreeMap<String, String>,
}

impl<'a> Reach<'a> {
    fn of_source(kafka: &'a mut KafkaConfig) -> Self {
        let KafkaConfig { connection, brokers, tls, sasl, client, .. } = kafka;
        Self { connection, brokers, tls, sasl, client }
    }

    fn of_output(kafka: &'a mut KafkaOutput) -> Self {
        let KafkaOutput { connection, brokers, tls, sasl, client, .. } = kafka;
        Self { connection, brokers, tls, sasl, client }
    }

    /// Takes what the connection says that it names.
    fn resolve(self, connections: &BTreeMap<String, ConnectionConfig>) {
        let named = self.connection.as_ref().and_then(|name| connections.get(name));
        let Some(ConnectionConfig::Kafka(named)) = named else { return };
        if !self.brokers.is_empty() || self.tls.is_some() || self.sasl.is_some() {
            return;
        }
        let KafkaConnection { brokers, tls, sasl, client } = named.clone();
        let own = std::mem::replace(self.client, client);
        self.client.extend(own);
        (*self.brokers, *self.tls, *self.sasl) = (brokers, tls, sasl);
        *self.connection = None;
    }
}

impl PipelineConfig {
    /// The same with what connections say in the sources and outputs that name them.
    pub(crate) fn connected(mut self) -> Self {
        let connections = &self.connections;
        for entry in self.sources.values_mut() {
            if let SourceConfig::Kafka(kafka) = &mut entry.source {
                Reach::of_source(kafka).resolve(connections);
            }
        }
        let outputs = self.outputs.iter_mut().map(|entry| &mut entry.output);
        for output in outputs.chain([&mut self.late, &mut self.dead_letters]) {
            if let OutputConfig::Kafka(kafka) = output {
                Reach::of_output(kafka).resolve(connections);
            }
        }
        self
    }
}
