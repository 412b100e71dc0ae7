//! The registries of the sources, asked from a thread that may wait.

use tokio::runtime::Handle;
use weir_model::{Decoder, SchemaId, SeamResult};
use weir_registry::Client;

use crate::share::Share;

/// Who knows the schemas that records name, by source.
pub(crate) struct Schemas {
    clients: Vec<Option<Client>>,
    runtime: Handle,
}

impl Schemas {
    pub(crate) fn of(share: &Share, runtime: Handle) -> SeamResult<Self> {
        let client = |source: &crate::SharedSource| source.format.registry().map(Client::new).transpose();
        Ok(Self { clients: share.sources.iter().map(client).collect::<SeamResult<_>>()?, runtime })
    }

    /// Teaches `decoder` the schemas of these ids, or why they cannot be had.
    pub(crate) fn teach(&self, source: usize, decoder: &mut dyn Decoder, wanted: Vec<SchemaId>) {
        for id in wanted {
            let schema = match &self.clients[source] {
                None => Err("the format has no registry".to_owned()),
                Some(client) => self.runtime.block_on(client.schema(id)),
            };
            decoder.learn(id, schema.as_deref().map_err(String::as_str));
        }
    }
}
