//! How much a client that reads may have fetched before anybody takes it, and what is said where a batch does not fit. Refuses to
//! promise what batches become: they are unpacked by the client, each as a whole.

use rdkafka::config::ClientConfig;

/// The least that is fetched ahead per topic: less than a batch of a producer would stop the fetching.
const TOPIC_BUFFER_KIB_MIN: u64 = 1024;
/// What the client takes at most for it.
const TOPIC_BUFFER_KIB_MAX: u64 = 2_097_151;
/// How many bytes one answer of a broker has at most, as they are packed: between the least and the default of the client.
const FETCH_SETTING: &str = "fetch.max.bytes";
const FETCH_BYTES_MIN: u64 = 1 << 20;
const FETCH_BYTES_MAX: u64 = 50 << 20;

/// Lets the client of one of `topics` topics fetch its part of `buffer_bytes` ahead. Whoever says how much an answer may have is
/// left that.
pub fn fetch_ahead(settings: &mut ClientConfig, buffer_bytes: u64, topics: usize) {
    let part = buffer_bytes / topics.max(1) as u64;
    let kib = (part >> 10).clamp(TOPIC_BUFFER_KIB_MIN, TOPIC_BUFFER_KIB_MAX);
    settings.set("queued.max.messages.kbytes", kib.to_string());
    if settings.get(FETCH_SETTING).is_none() {
        // What is packed grows: no more is asked for at once than may be fetched ahead.
        settings.set(FETCH_SETTING, part.clamp(FETCH_BYTES_MIN, FETCH_BYTES_MAX).to_string());
    }
}

/// What is to be said, once, of a client that cannot unpack a batch of `topic` (`BadCompression`). It asks for the batch again
/// and again, and so for nothing behind it; of which partition it is it does not say.
pub fn cannot_unpack(topic: &str) -> String {
    format!(
        "{topic}: a batch of records cannot be unpacked: it is damaged, or becomes larger than the client may receive; its \
         partition waits there, others go on. `client: {{ receive.message.max.bytes: ... }}` lets larger ones in"
    )
}
