//! Brokers that form one cluster. Refuses addresses beyond loopback.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};

use tempfile::TempDir;

use crate::BrokerError;
use crate::jars;
use crate::node::Node;

/// The ports of every broker. Each has an address of its own in 127/8, so nothing else can take the port while a broker is
/// down: they lie below the ports that the system hands out.
pub(crate) const CLIENT_PORT: u16 = 19_092;
pub(crate) const CONTROLLER_PORT: u16 = 19_093;
const CLUSTER_ID: &str = "weir-test-cluster-0000";
const LOG4J: &str = include_str!("../broker/log4j2.xml");

/// A cluster of brokers that are also its controllers. Dropping it ends them and removes their files.
pub struct Cluster {
    nodes: Vec<Node>,
    bootstrap: String,
    folder: TempDir,
}

impl Cluster {
    /// Starts `nodes` brokers (1 or 3) and waits until all serve.
    ///
    /// # Errors
    /// See [`BrokerError`]: each says what is missing and how to get it.
    pub fn start(nodes: usize) -> Result<Self, BrokerError> {
        Self::start_with(nodes, &[])
    }

    /// Starts `nodes` brokers with further lines of `server.properties`, `(key, value)`; a later key wins. `{host}` in a value
    /// is the broker's own address.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_with(nodes: usize, more: &[(&str, &str)]) -> Result<Self, BrokerError> {
        Self::launch(temporary_folder()?, &free_addresses(nodes), more, &[])
    }

    /// Starts a broker per address. `more` are further lines of `server.properties`, `prepare` further arguments with which a
    /// broker's folder is made ready.
    pub(crate) fn launch(
        folder: TempDir,
        addresses: &[Ipv4Addr],
        more: &[(&str, &str)],
        prepare: &[&str],
    ) -> Result<Self, BrokerError> {
        let jars = jars::fetch()?;
        let bootstrap: Vec<String> = addresses.iter().map(|address| format!("{address}:{CLIENT_PORT}")).collect();
        let mut cluster = Self { nodes: Vec::new(), bootstrap: bootstrap.join(","), folder };
        for id in 1..=addresses.len() {
            let home = cluster.folder.path().join(format!("broker-{id}"));
            let write =
                |name: &str, text: &str| fs::write(home.join(name), text).map_err(BrokerError::file(home.join(name)));
            fs::create_dir(&home).map_err(BrokerError::file(&home))?;
            write("log4j2.xml", LOG4J)?;
            write("server.properties", &properties(id, addresses, &home.join("data").to_string_lossy(), more))?;
            let node = Node::new(id, &jars, home);
            node.format(CLUSTER_ID, prepare)?;
            cluster.nodes.push(node);
        }
        // A broker is up only when a majority of controllers is: start them together.
        let waiting = cluster.nodes.iter().map(Node::launch).collect::<Result<Vec<_>, _>>()?;
        for (node, up) in cluster.nodes.iter().zip(&waiting) {
            node.wait(up)?;
        }
        Ok(cluster)
    }

    /// Where clients find it: `host:port`, several with commas.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// How many brokers it has, running or not.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The broker of this id; they count from 1.
    ///
    /// # Panics
    /// When there is no such broker.
    pub fn node(&self, id: usize) -> &Node {
        &self.nodes[id - 1]
    }
}

pub(crate) fn temporary_folder() -> Result<TempDir, BrokerError> {
    tempfile::Builder::new().prefix("weir-kafka-").tempdir().map_err(BrokerError::file(std::env::temp_dir()))
}

/// An address per broker in 127/8 on which nobody listens. Chosen at random, so that processes that start clusters at the
/// same time do not meet.
pub(crate) fn free_addresses(nodes: usize) -> Vec<Ipv4Addr> {
    loop {
        let random = RandomState::new().build_hasher().finish();
        let (b, c) = ((random >> 8) as u8, (random >> 16) as u8);
        let addresses: Vec<_> = (1..=nodes).map(|id| Ipv4Addr::new(127, b.max(1), c, id as u8)).collect();
        let free = |address: &Ipv4Addr| {
            TcpListener::bind((*address, CLIENT_PORT)).is_ok() && TcpListener::bind((*address, CONTROLLER_PORT)).is_ok()
        };
        if addresses.iter().all(free) {
            return addresses;
        }
    }
}

fn properties(id: usize, addresses: &[Ipv4Addr], data: &str, more: &[(&str, &str)]) -> String {
    let here = addresses[id - 1];
    let replicas = addresses.len().min(3);
    let quorum = addresses.len() / 2 + 1;
    let voters: Vec<_> =
        addresses.iter().enumerate().map(|(at, address)| format!("{}@{address}:{CONTROLLER_PORT}", at + 1)).collect();
    let mut text = format!(
        "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{here}:{CLIENT_PORT},CONTROLLER://{here}:{CONTROLLER_PORT}
advertised.listeners=PLAINTEXT://{here}:{CLIENT_PORT}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor={replicas}
min.insync.replicas={quorum}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={quorum}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={quorum}
",
        voters = voters.join(","),
    );
    text.push_str(SMALL);
    for (key, value) in more {
        text.push_str(&format!("{key}={}\n", value.replace("{host}", &here.to_string())));
    }
    text
}

/// Few threads and small buffers; and what a production broker does after many seconds is done after one, so that tests of
/// what happens then need not wait.
const SMALL: &str = "offsets.topic.num.partitions=3
transaction.state.log.num.partitions=3
num.network.threads=2
num.io.threads=2
background.threads=2
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=4194304
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
transaction.abort.timed.out.transaction.cleanup.interval.ms=200
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
";
