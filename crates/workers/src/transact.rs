//! How a transaction is made: again, by another producer of the name, where it is given up before anybody was asked to commit it;
//! and never again where somebody was. The same over brokers and in a simulation: [`Transacting`] is what their clients do. Refuses
//! to use a producer again after anything whose outcome is not known.

use std::time::Duration;

use weir_kafka::Progress;
use weir_model::{ErrorKind, SeamError, SeamResult, planted};

use crate::broker::Transaction;

/// How often a transaction is made until one is not given up because a broker is lost in the middle of it.
const TRANSACTIONS_MAX: usize = 5;

/// The one producer of a worker, as the making of a transaction needs it.
pub trait Transacting {
    /// How much time has passed since some moment that stays the same.
    fn elapsed(&self) -> Duration;

    /// After a commit that took longer the producer is not used again: the client may have sent it twice, and the second one can
    /// hit a later transaction.
    fn prompt(&self) -> Duration;

    /// Whether the producer has lost a broker since it was made. It may go on asking that one for what others do by now.
    fn lost_a_broker(&self) -> bool;

    /// Ends what transactions that were given up may have left. Nothing of a granted one is undecided then, or it would be aborted.
    ///
    /// # Errors
    /// As the brokers say.
    fn end_leftovers(&mut self) -> SeamResult<()>;

    /// Begins a transaction, and puts its records. Whether the brokers have all of them; not, when one is lost meanwhile.
    ///
    /// # Errors
    /// `Unknown` when nobody knows what came of it, or as the brokers say.
    fn fill(&mut self, transaction: &Transaction) -> SeamResult<bool>;

    /// Remembers how far this transaction, which has offsets, has come; also for the next producers of the name. No offsets of
    /// others can be undecided then: it is looked before.
    fn remember(&mut self, progress: Progress, of: &Transaction);

    /// Whether the offsets of the last transaction that had some are decided; so too where nobody knows of one. Nothing, when the
    /// brokers do not say it.
    fn is_settled(&mut self) -> Option<bool>;

    /// Has the last transaction that had offsets decided, if it is known what became of it; whether it is.
    ///
    /// # Errors
    /// `Unknown` when the brokers do not do it.
    fn settle(&mut self) -> SeamResult<bool>;

    /// Makes the offsets part of the transaction. Whether they are, or else nobody says so in time.
    ///
    /// # Errors
    /// `Retry` when they are refused and the transaction is aborted; `Unknown` when nobody knows.
    fn offsets(&mut self, transaction: &Transaction) -> SeamResult<bool>;

    /// Asks the brokers to commit.
    ///
    /// # Errors
    /// `Unknown`: even where a client would abort, its word may have been heard, and only the answer lost.
    fn end(&mut self) -> SeamResult<()>;

    /// Another producer of the name, after which nothing of this one is undecided: what was not asked to be committed is aborted.
    ///
    /// # Errors
    /// `Unknown` when the brokers give none in time, or as they say.
    fn begin_anew(&mut self) -> SeamResult<()>;
}

/// What became of a transaction.
enum Outcome {
    Committed,
    /// It is given up, before anybody was asked to commit it.
    GivenUp(&'static str),
}

/// Makes a transaction true. One in the middle of which a broker is lost is made again by another producer of the name: nobody has
/// asked to commit it, and that one aborts it. If the group has moved meanwhile, the brokers refuse it as any other.
///
/// # Errors
/// `Retry` when nothing of it happened, `Unknown` when nobody knows.
pub fn commit(producer: &mut impl Transacting, transaction: &Transaction) -> SeamResult<()> {
    let started = producer.elapsed();
    if producer.lost_a_broker() {
        producer.begin_anew()?;
    }
    let mut given_up = "";
    for _ in 0..TRANSACTIONS_MAX {
        match make(producer, transaction)? {
            Outcome::Committed => return after(producer, started),
            Outcome::GivenUp(why) => {
                tracing::info!(why, "a transaction is given up and made again");
                given_up = why;
                if !planted!(GivenUpKept) {
                    producer.begin_anew()?;
                }
            }
        }
    }
    Err(SeamError::new(ErrorKind::Retry, format!("of {TRANSACTIONS_MAX} transactions none was made: {given_up}")))
}

fn make(producer: &mut impl Transacting, transaction: &Transaction) -> SeamResult<Outcome> {
    // Should this one be aborted, with records or offsets in it, that would take back what is granted and not decided. How long
    // that may be so no clock tells: the brokers may have been away while there was nothing to commit.
    match producer.is_settled() {
        Some(true) => {}
        Some(false) if producer.settle()? => {}
        Some(false) => {
            return Err(SeamError::new(ErrorKind::Retry, "the brokers have not decided the transaction before"));
        }
        None => return Ok(Outcome::GivenUp("the brokers do not say whether the one before is decided")),
    }
    producer.end_leftovers()?;
    let is_filled = producer.fill(transaction)?;
    if !is_filled || producer.lost_a_broker() {
        // It may go on asking that one who answers for the group.
        return Ok(Outcome::GivenUp("a broker was lost in the middle of it"));
    }
    producer.remember(Progress::Begun, transaction);
    if !producer.offsets(transaction)? {
        return Ok(Outcome::GivenUp("nobody says whether the offsets are part of it"));
    }
    producer.remember(Progress::Asked, transaction);
    match producer.end() {
        Err(_) if planted!(CommitMadeAgain) => return Ok(Outcome::GivenUp("nobody says whether it is committed")),
        ended => ended?,
    }
    producer.remember(Progress::Granted, transaction);
    Ok(Outcome::Committed)
}

/// After a commit that began then.
fn after(producer: &mut impl Transacting, started: Duration) -> SeamResult<()> {
    let took = producer.elapsed().saturating_sub(started);
    if took > producer.prompt() && !planted!(SlowProducerKept) {
        tracing::warn!(?took, "a transaction took long: its producer is made anew");
        // It is committed; but without another producer nothing more can be.
        producer.begin_anew()?;
    }
    Ok(())
}
