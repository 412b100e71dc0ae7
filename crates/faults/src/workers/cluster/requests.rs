//! Requests on their way. What was sent arrives also when its client is dead by then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use weir_workers::{Committed, Outgoing, Place};

use super::group::Membership;
use super::transactions::Identity;
use super::{Answer, Cluster, Refused};
use crate::workers::clockwork::Agenda;

/// How long a request is on its way that is late, in milliseconds.
const LATE: (i64, i64) = (50, 9000);
/// How long it takes a client to see that a connection is broken.
const BREAKS: (i64, i64) = (5, 400);

/// What a producer asks for.
#[derive(Clone, Debug)]
pub(in super::super) enum Request {
    Init,
    Add { identity: Identity, places: Vec<Place>, offsets: bool },
    Produce { identity: Identity, place: Place, batch: u64, records: Arc<Vec<Outgoing>> },
    Offsets { identity: Identity, member: Membership, offsets: Arc<Vec<(Place, Committed)>> },
    End { identity: Identity, is_commit: bool },
}

/// What a client hears of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Heard {
    Answer(Result<Answer, Refused>),
    /// The connection is broken: it was done, or will never be.
    Broken,
}

/// Where an answer waits.
pub(in super::super) type Mailbox = Arc<Mutex<Option<Heard>>>;

impl Cluster {
    /// Sends a request of the producer `name`.
    pub(in super::super) fn send(&self, agenda: &mut Agenda, process: usize, name: &str, request: Request) -> Mailbox {
        let mailbox = Mailbox::default();
        let (weather, name, to) = (self.weather, name.to_owned(), Arc::clone(&mailbox));
        if agenda.random.percent(weather.lost) {
            breaks(agenda, process, to);
            return mailbox;
        }
        let is_late = agenda.random.percent(weather.late);
        let way = (0, weather.way_ms.max(1));
        let (from, until) = if is_late { LATE } else { way };
        let (pause, is_unanswered) = (agenda.millis(from, until), agenda.random.percent(weather.unanswered));
        agenda.after(pause, move |cluster, agenda| {
            if cluster.is_down(agenda.now) {
                return breaks(agenda, process, to);
            }
            let answer = cluster.serve(agenda, &name, &request);
            if is_unanswered {
                return breaks(agenda, process, to);
            }
            let pause = agenda.millis(way.0, way.1);
            arrives(agenda, process, to, pause, Heard::Answer(answer));
        });
        mailbox
    }

    pub(super) fn serve(&mut self, agenda: &mut Agenda, name: &str, request: &Request) -> Result<Answer, Refused> {
        match request {
            Request::Init => self.init(agenda, name),
            Request::Add { identity, places, offsets } => self.add(agenda, (name, *identity), places, *offsets),
            Request::Produce { identity, place, batch, records } => {
                self.produce((name, *identity), place, *batch, records)
            }
            Request::Offsets { identity, member, offsets } => self.commit_offsets((name, *identity), member, offsets),
            Request::End { identity, is_commit } => self.end(agenda, (name, *identity), *is_commit),
        }
    }
}

fn breaks(agenda: &mut Agenda, process: usize, to: Mailbox) {
    let pause = agenda.millis(BREAKS.0, BREAKS.1);
    arrives(agenda, process, to, pause, Heard::Broken);
}

fn arrives(agenda: &mut Agenda, process: usize, to: Mailbox, pause: Duration, heard: Heard) {
    agenda.after(pause, move |_, agenda| {
        *to.lock().unwrap_or_else(PoisonError::into_inner) = Some(heard);
        agenda.wake(process);
    });
}
