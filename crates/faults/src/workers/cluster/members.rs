//! What clients do in the background while their worker is busy: they join, say that they are alive, hear who gets what. A
//! process that is frozen does none of it.

use std::collections::VecDeque;
use std::time::Duration;

use weir_workers::Event;

use super::Cluster;
use super::group::{Beat, Given, Joined, Membership};
use crate::workers::clockwork::Agenda;

/// A member of the group, as its client has it.
#[derive(Debug)]
pub(in super::super) struct Client {
    process: usize,
    instance: String,
    generation: i64,
    member: Option<u64>,
    stage: Stage,
    heard: Duration,
    /// What the worker has not asked for yet.
    pub(in super::super) events: VecDeque<Event>,
    /// Another one has its name.
    pub(in super::super) is_fenced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Out,
    Waiting,
    Given,
    /// The worker has to let go.
    Revoking,
}

impl Client {
    /// Who it is now, which is not always who it was when partitions were given.
    pub(in super::super) fn membership(&self) -> Membership {
        let member = self.member.unwrap_or(0);
        Membership { instance: self.instance.clone(), generation: self.generation, member, is_said: true }
    }

    fn loses(&mut self, agenda: &mut Agenda) {
        self.member = None;
        self.generation = -1;
        if self.stage == Stage::Given {
            self.events.push_back(Event::Revoked { lost: true });
            self.stage = Stage::Revoking;
        } else if self.stage == Stage::Waiting {
            self.stage = Stage::Out;
        }
        agenda.wake(self.process);
    }
}

impl Cluster {
    /// A client joins the group; returns its number.
    pub(in super::super) fn enter(&mut self, agenda: &mut Agenda, process: usize, instance: &str) -> u64 {
        self.clients_ever += 1;
        let number = self.clients_ever;
        let client = Client {
            process,
            instance: instance.to_owned(),
            generation: -1,
            member: None,
            stage: Stage::Out,
            heard: agenda.now,
            events: VecDeque::new(),
            is_fenced: false,
        };
        self.clients.insert(number, client);
        beats(agenda, number, Duration::from_millis(1));
        number
    }

    /// The worker has let go of everything.
    pub(in super::super) fn lets_go(&mut self, agenda: &mut Agenda, number: u64) {
        if let Some(client) = self.clients.get_mut(&number) {
            client.stage = Stage::Out;
            beats(agenda, number, Duration::from_millis(1));
        }
    }

    /// What a member gets is on its way to it.
    pub(super) fn give(&mut self, agenda: &mut Agenda, given: Given) {
        let pause = agenda.millis(1, 30);
        agenda.after(pause, move |cluster, agenda| {
            let Some(client) = cluster.clients.get_mut(&given.client) else { return };
            if client.stage != Stage::Waiting || client.member != Some(given.member) {
                return;
            }
            client.stage = Stage::Given;
            client.generation = given.generation;
            client.heard = agenda.now;
            client.events.push_back(Event::Assigned(given.places));
            agenda.wake(client.process);
        });
    }

    /// What a client does in the background, once.
    fn background(&mut self, agenda: &mut Agenda, number: u64) {
        let is_down = self.is_down(agenda.now);
        let Some(client) = self.clients.get_mut(&number) else { return };
        if client.is_fenced {
            return;
        }
        if is_down {
            if agenda.now.saturating_sub(client.heard) > self.group.session && client.member.is_some() {
                agenda.tell(format!("client {number} has heard nothing for a session"));
                client.loses(agenda);
            }
            return;
        }
        if client.stage == Stage::Out {
            client.stage = Stage::Waiting;
            client.heard = agenda.now;
            match self.group.join(&client.instance, number, client.member, agenda.now) {
                Joined::Later { member } => client.member = Some(member),
                Joined::AsBefore(given) => {
                    client.member = Some(given.member);
                    agenda.tell(format!("client {number} is {} as before", client.instance));
                    self.give(agenda, given);
                }
            }
            return;
        }
        let Some(member) = client.member else { return };
        // Who waits for the others is heard all the same.
        let waits = client.stage == Stage::Waiting;
        let beat = self.group.beat(&client.instance, member, client.generation, agenda.now);
        match beat {
            Beat::Fenced => {
                client.is_fenced = true;
                agenda.wake(client.process);
            }
            Beat::Unknown if waits => {
                if !self.group.knows(&client.instance, member) {
                    client.loses(agenda);
                }
            }
            Beat::Unknown => client.loses(agenda),
            Beat::Rejoin if client.stage == Stage::Given => {
                client.events.push_back(Event::Revoked { lost: false });
                client.stage = Stage::Revoking;
                agenda.wake(client.process);
            }
            Beat::Fine | Beat::Rejoin => {}
        }
        client.heard = agenda.now;
    }
}

/// The heartbeat of a client, as long as there is one.
fn beats(agenda: &mut Agenda, number: u64, pause: Duration) {
    agenda.after(pause, move |cluster, agenda| {
        let Some(client) = cluster.clients.get(&number) else { return };
        let frozen = agenda.frozen_for(client.process);
        if frozen > Duration::ZERO {
            let late = agenda.millis(0, 20);
            return beats(agenda, number, frozen + late);
        }
        cluster.background(agenda, number);
        let every = cluster.group.session.as_millis() as i64 / 5;
        let pause = agenda.millis(every / 2, every);
        beats(agenda, number, pause);
    });
}
