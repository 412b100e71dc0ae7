//! The one producer of its name. When it is made, whatever an earlier one of the name left undecided is decided. Refuses to say
//! what was sent: that is for those who use it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, Producer};
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::outage::{leaders_away, until_given_up};
use crate::{Hearing, Introduction, client_of, flush, kind_of, let_go};

/// How long the client may take to be connected with a broker before it is told to begin.
const CONNECTED_WITHIN: Duration = Duration::from_secs(2);
/// How long the brokers may take to end what was begun while one of them is away. What they cannot end then, they end when
/// they have given that one up.
const ENDED_EARLY_WITHIN: Duration = Duration::from_millis(300);
/// How long it is waited for that once they have given it up, before another client asks: each asks only twice in a second.
const ENDED_SOON_WITHIN: Duration = Duration::from_millis(150);
/// How many clients ask so.
const ASKING_SOON_MAX: usize = 4;
/// Records that take longer may wait for a broker that is gone. It is looked then, and again after so long.
const STALLED: Duration = Duration::from_millis(200);
const LOOKED_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// So long the client is listened to for the reason why the brokers give no transaction.
const REASON_WITHIN: Duration = Duration::from_millis(100);
/// For so long everything is heard that the client has to say; without any time it would be one thing only.
const HEARD_WITHIN: Duration = Duration::from_millis(1);

/// A transactional producer, replaced by another of its name when it cannot be relied on.
pub struct Transactional {
    settings: ClientConfig,
    introduction: Introduction,
    /// A topic that it writes to.
    topic: String,
    within: Duration,
    producer: Arc<BaseProducer<Hearing>>,
    hearing: Hearing,
}

impl Transactional {
    /// Makes it. `settings` say its name, `topic` is one that it writes to; the brokers may take `within` for an answer.
    ///
    /// # Errors
    /// `Config` when a setting is wrong, or as the brokers say.
    pub fn open(settings: ClientConfig, introduction: Introduction, topic: &str, within: Duration) -> SeamResult<Self> {
        let (producer, hearing) = begin(&settings, introduction, topic, (within, &BTreeSet::new()))?;
        Ok(Self { settings, introduction, topic: topic.to_owned(), within, producer, hearing })
    }

    /// The client.
    pub fn producer(&self) -> &Arc<BaseProducer<Hearing>> {
        &self.producer
    }

    /// What the client hears.
    pub fn hearing(&self) -> &Hearing {
        &self.hearing
    }

    /// Whether the client has lost a broker since it was made. It may go on asking that one for what others do by now.
    pub fn lost_a_broker(&self) -> bool {
        self.producer.poll(HEARD_WITHIN);
        self.hearing.lost_a_broker()
    }

    /// Waits until the brokers have everything that the client was given, but not when one of them is lost meanwhile:
    /// whether they have it.
    ///
    /// # Errors
    /// As [`flush`].
    pub fn flush(&self, within: Duration) -> KafkaResult<bool> {
        let (started, mut looked) = (Instant::now(), STALLED);
        let lost = || {
            if !self.hearing.lost_a_broker() && started.elapsed() >= looked {
                self.hearing.lose(leaders_away(self.producer.client(), &self.topic));
                looked = started.elapsed() + LOOKED_AGAIN_AFTER;
            }
            self.hearing.lost_a_broker()
        };
        flush(&self.producer, within, lost)
    }

    /// Another producer of the name takes the place of this one: what was begun and not committed is aborted, and brokers that
    /// were lost are given up by the others when this returns, so that nobody is asked who is not there.
    ///
    /// # Errors
    /// As [`Transactional::open`].
    pub fn anew(&mut self) -> SeamResult<()> {
        self.producer.poll(HEARD_WITHIN);
        let lost = self.hearing.lost_brokers();
        let (producer, hearing) = begin(&self.settings, self.introduction, &self.topic, (self.within, &lost))?;
        self.hearing = hearing;
        let_go(std::mem::replace(&mut self.producer, producer));
        Ok(())
    }
}

fn begin(
    settings: &ClientConfig,
    introduction: Introduction,
    topic: &str,
    (within, lost): (Duration, &BTreeSet<String>),
) -> SeamResult<(Arc<BaseProducer<Hearing>>, Hearing)> {
    let mut client = Client::connect(settings, introduction, topic, within)?;
    let mut begun = false;
    if !lost.is_empty() {
        begun = client.begins(ENDED_EARLY_WITHIN.min(within))?;
        until_given_up(client.producer.client(), topic, (lost, within));
        for _ in 0..ASKING_SOON_MAX {
            if begun {
                break;
            }
            let next = Client::connect(settings, introduction, topic, within)?;
            let_go(std::mem::replace(&mut client, next));
            begun = client.begins(ENDED_SOON_WITHIN.min(within))?;
        }
    }
    if !begun {
        client.producer.init_transactions(within).map_err(|error| client.refused(error))?;
    }
    let Client { producer, hearing } = client;
    // Those that were lost on the way here are not asked any more.
    producer.poll(HEARD_WITHIN);
    hearing.forget_lost();
    Ok((Arc::new(producer), hearing))
}

/// A client that has not begun yet.
struct Client {
    producer: BaseProducer<Hearing>,
    hearing: Hearing,
}

impl Client {
    fn connect(settings: &ClientConfig, introduction: Introduction, topic: &str, within: Duration) -> SeamResult<Self> {
        let hearing = Hearing::default();
        let producer: BaseProducer<Hearing> = client_of(settings, hearing.clone())?;
        introduction.of(|time| producer.poll(time));
        // A client that is not connected yet, or does not know the brokers, looks for who answers for its name only after half a
        // second. If nobody answers, that is said when it begins.
        let _ = producer.client().fetch_metadata(Some(topic), CONNECTED_WITHIN.min(within));
        Ok(Self { producer, hearing })
    }

    /// Whether it has begun within this time. If not, it may be told so again.
    fn begins(&self, within: Duration) -> SeamResult<bool> {
        match self.producer.init_transactions(within) {
            Ok(()) => Ok(true),
            Err(error) if kind_of(&error) == ErrorKind::Retry => Ok(false),
            Err(error) => Err(self.refused(error)),
        }
    }

    fn refused(&self, error: KafkaError) -> SeamError {
        self.producer.poll(REASON_WITHIN);
        self.hearing.seam_error("the brokers give no transaction", error)
    }
}
