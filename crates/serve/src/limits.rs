//! Every limit of the server in one place, with its default. Limits of questions are said in `query`.

use std::time::Duration;

use weir_collect::BodyLimits;

/// What a client may do at most, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte of a request, or the start of the connection, to the end of its headers.
    pub header_time_max: Duration,
    /// Between two pieces of a request's body.
    pub body_idle_max: Duration,
    /// From the headers of a request to the head of its answer.
    pub request_time_max: Duration,
    /// Between two requests on one connection.
    pub keep_alive_idle_max: Duration,
    /// How long a client may leave an answer unread, a streaming one too.
    pub write_stall_max: Duration,
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once from one address; loopback is exempt.
    pub connections_per_address_max: usize,
    /// Bytes of the head of a request.
    pub head_bytes_max: usize,
    /// Headers of a request.
    pub headers_max: usize,
    /// Bytes of a body as it comes over the wire.
    pub body_bytes_max: usize,
    /// Bytes of all bodies together that are being received or waiting to become durable.
    pub bodies_bytes_max: usize,
    /// Compressed bodies that are unpacked at once; others wait.
    pub unpacking_max: usize,
    /// What a body may be after decompression, and its records.
    pub body: BodyLimits,
    /// Live tails at once.
    pub tails_max: usize,
    /// How long open requests may take to end after the server was told to stop.
    pub shutdown_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_time_max: Duration::from_secs(10),
            body_idle_max: Duration::from_secs(15),
            request_time_max: Duration::from_secs(60),
            keep_alive_idle_max: Duration::from_secs(60),
            write_stall_max: Duration::from_secs(60),
            connections_max: 1024,
            connections_per_address_max: 128,
            head_bytes_max: 64 << 10,
            headers_max: 100,
            body_bytes_max: 16 << 20,
            bodies_bytes_max: 256 << 20,
            unpacking_max: 4,
            body: BodyLimits::default(),
            tails_max: 64,
            shutdown_time_max: Duration::from_secs(3),
        }
    }
}
