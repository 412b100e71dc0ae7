//! `GET /api/v1/logs/tail`: rows as they come, as server-sent events. A client that is too slow for them is told how
//! many it missed; nobody waits for it, and what waits for it is bounded.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior};
use weir_query::QueryError;
use weir_query::logs::LogFilter;

use crate::app::App;
use crate::error::{ApiError, ApiResult, nearest};
use crate::follow::Follower;
use crate::input::params;
use crate::logs::{Asked, object};

/// How often a table is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long nothing is sent at most, so that both sides notice when the other is gone.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
/// Events that wait for one client; later rows are skipped.
const EVENTS_WAITING_MAX: usize = 2_000;
/// Bytes that wait for one client, counted in pieces of a KiB.
const KIB_WAITING_MAX: usize = 4 << 10;

/// An event, and the room it takes until it is sent.
type Event = (Bytes, Option<OwnedSemaphorePermit>);

/// The way to one client.
struct Outbox {
    events: mpsc::Sender<Event>,
    room: Arc<Semaphore>,
    /// Rows that the client has not got and was not told about.
    skipped: u64,
    last_sent: Instant,
}

impl Outbox {
    fn new() -> (Self, mpsc::Receiver<Event>) {
        let (events, waiting) = mpsc::channel(EVENTS_WAITING_MAX);
        let room = Arc::new(Semaphore::new(KIB_WAITING_MAX));
        (Self { events, room, skipped: 0, last_sent: Instant::now() }, waiting)
    }

    /// Sends an event if there is room for it.
    fn offer(&mut self, event: String) -> bool {
        let kib = u32::try_from(event.len().div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&self.room).try_acquire_many_owned(kib) else { return false };
        let sent = self.events.try_send((Bytes::from(event), Some(permit))).is_ok();
        if sent {
            self.last_sent = Instant::now();
        }
        sent
    }

    fn row(&mut self, row: &str) {
        let event = format!("event: row\ndata: {row}\n\n");
        // What was missed is said before what comes after it, and only when that comes.
        let both_fit = self.events.capacity() >= 2 && self.room.available_permits() > event.len().div_ceil(1 << 10);
        if (self.skipped > 0 && !(both_fit && self.tell_skipped())) || !self.offer(event) {
            self.skipped += 1;
        }
    }

    /// Whether the client knows of all rows that it has not got.
    fn tell_skipped(&mut self) -> bool {
        if self.skipped > 0 && self.offer(format!("event: skipped\ndata: {{\"rows\":{}}}\n\n", self.skipped)) {
            self.skipped = 0;
        }
        self.skipped == 0
    }

    fn keep_alive(&mut self) {
        if self.last_sent.elapsed() >= KEEP_ALIVE_EVERY {
            // Without room there is enough on its way to show that we live.
            let _full = self.offer(": still here\n\n".to_owned());
        }
    }
}

pub(crate) async fn get(State(app): State<Arc<App>>, uri: Uri) -> ApiResult<Response> {
    let place = Arc::clone(&app.tails).try_acquire_owned().map_err(|_| {
        let message = format!("{} live tails are open already", app.limits.tails_max);
        ApiError::unavailable("too_many_tails", message, Duration::from_secs(5)).hint("close another one first")
    })?;
    let asked: Asked = params(&uri)?;
    let (filter, name) = (asked.filter()?, asked.table);
    let mut tables = app.snapshot().await?.tables;
    let Some(table) = tables.remove(&name) else {
        let error = ApiError::new(StatusCode::NOT_FOUND, "unknown_table", format!("there is no table \"{name}\""));
        return Err(error.maybe_hint(nearest(&name, tables.keys().map(String::as_str))));
    };
    filter.compile(&table.schema)?;
    let follower = Follower::from_now(Some(&table));
    let (mut outbox, waiting) = Outbox::new();
    outbox.offer("retry: 2000\n\n".to_owned());
    tokio::spawn(async move {
        follow(app, name, filter, follower, outbox).await;
        drop(place);
    });
    let events = stream::unfold(waiting, async |mut waiting| {
        let (event, _room) = waiting.recv().await?;
        Some((Ok::<_, Infallible>(event), waiting))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(events)).into_response())
}

/// The rows that the client wants, each as a JSON object.
fn matching(filter: &LogFilter, batches: &[RecordBatch]) -> Result<Vec<String>, QueryError> {
    // All batches of one view have the schema of the table.
    let Some(first) = batches.first() else { return Ok(Vec::new()) };
    let compiled = filter.compile(&first.schema())?;
    let mut rows = Vec::new();
    for batch in batches {
        let batch = compiled.matching(batch)?;
        rows.extend((0..batch.num_rows()).map(|row| object(&batch, row)));
    }
    Ok(rows)
}

async fn look(app: &Arc<App>, name: &str) -> ApiResult<Option<weir_query::Table>> {
    Ok(app.snapshot().await?.tables.remove(name))
}

/// Looks at the table until the client is gone or the server stops.
async fn follow(app: Arc<App>, name: String, filter: LogFilter, mut follower: Follower, mut outbox: Outbox) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping = app.stopping.clone();
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = outbox.events.closed() => return,
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        let table = match look(&app, &name).await {
            Ok(table) => table,
            Err(error) => {
                tracing::warn!(table = name, error = error.message, "a live tail could not look at its table");
                continue;
            }
        };
        let looked = tokio::task::spawn_blocking({
            let (filter, mut follower) = (filter.clone(), std::mem::take(&mut follower));
            move || {
                let new = follower.look(table.as_ref());
                let rows = matching(&filter, &new.batches);
                (follower, rows, new.skipped)
            }
        });
        let Ok((next, rows, skipped)) = looked.await else { return };
        follower = next;
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(table = name, %error, "a live tail could not filter its rows");
                return;
            }
        };
        outbox.skipped += skipped;
        rows.iter().for_each(|row| outbox.row(row));
        outbox.tell_skipped();
        outbox.keep_alive();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_client_is_told_how_many_rows_it_missed_before_the_next_one() {
        let (mut outbox, mut waiting) = Outbox::new();
        for n in 0..EVENTS_WAITING_MAX + 5 {
            outbox.row(&n.to_string());
        }
        assert_eq!(outbox.skipped, 5);
        for n in 0..EVENTS_WAITING_MAX {
            let (event, _room) = waiting.recv().await.expect("it waits");
            assert_eq!(event, format!("event: row\ndata: {n}\n\n"));
        }
        outbox.row("\"next\"");
        let (told, _room) = waiting.recv().await.expect("it waits");
        assert_eq!(told, "event: skipped\ndata: {\"rows\":5}\n\n");
        let (next, _room) = waiting.recv().await.expect("it waits");
        assert_eq!(next, "event: row\ndata: \"next\"\n\n");
    }

    #[tokio::test]
    async fn large_rows_fill_the_outbox_by_their_bytes() {
        let (mut outbox, mut waiting) = Outbox::new();
        let large = "x".repeat(KIB_WAITING_MAX / 4 * 1_000);
        (0..10).for_each(|_| outbox.row(&large));
        assert_eq!(outbox.skipped, 6);
        drop(waiting.recv().await.expect("it waits"));
        outbox.row("1");
        assert_eq!(outbox.skipped, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_without_rows_hears_that_we_live() {
        let (mut outbox, mut waiting) = Outbox::new();
        outbox.keep_alive();
        assert!(waiting.try_recv().is_err());
        tokio::time::advance(KEEP_ALIVE_EVERY).await;
        outbox.keep_alive();
        assert_eq!(waiting.try_recv().expect("it waits").0, ": still here\n\n");
    }
}
