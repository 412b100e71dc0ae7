//! Which settings of the client only those know that read, or only those that write. Somebody who says settings once for both
//! is not told by each client that it does not know the other one's. Refuses to judge a value.

use rdkafka::config::ClientConfig;

/// What only consumers know, by librdkafka's own list.
pub(crate) const READING: [&str; 31] = [
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "check.crcs",
    "consume.callback.max.messages",
    "coordinator.query.interval.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.protocol.type",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "offset.store.method",
    "offset.store.path",
    "offset.store.sync.interval.ms",
    "partition.assignment.strategy",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "session.timeout.ms",
];

/// What only producers know.
pub(crate) const WRITING: [&str; 26] = [
    "acks",
    "batch.num.messages",
    "batch.size",
    "compression.codec",
    "compression.level",
    "compression.type",
    "delivery.report.only.error",
    "delivery.timeout.ms",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "linger.ms",
    "message.send.max.retries",
    "message.timeout.ms",
    "partitioner",
    "produce.offset.report",
    "queue.buffering.backpressure.threshold",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queuing.strategy",
    "request.required.acks",
    "request.timeout.ms",
    "retries",
    "sticky.partitioning.linger.ms",
    "transaction.timeout.ms",
    "transactional.id",
];

/// The same settings without those that only producers know.
#[must_use]
pub fn for_reading(settings: &ClientConfig) -> ClientConfig {
    without(settings, &WRITING)
}

/// The same settings without those that only consumers know.
#[must_use]
pub fn for_writing(settings: &ClientConfig) -> ClientConfig {
    without(settings, &READING)
}

fn without(settings: &ClientConfig, names: &[&str]) -> ClientConfig {
    let mut settings = settings.clone();
    names.iter().for_each(|name| _ = settings.remove(name));
    settings
}
