//! Statements that clients have prepared, kept for all connections: a client of gRPC may use several. They are
//! forgotten when they are closed, or when there is no room and nobody has used them for long.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::grpc::{Code, Failure};
use super::message::Given;
use crate::stops::unguessable;

/// Bytes of all prepared statements and their parameters.
const BYTES_MAX: usize = 32 << 20;
/// What a statement takes besides its text and its parameters, roughly.
const STATEMENT_BYTES: usize = 1 << 10;
/// A statement that nobody has used for so long may be forgotten.
const REST_MAX: Duration = Duration::from_secs(600);

/// A prepared statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Prepared {
    pub(super) sql: String,
    /// How many placeholders it has.
    pub(super) placeholders: usize,
    /// The values of its placeholders, once they were sent.
    pub(super) parameters: Vec<Given>,
}

impl Prepared {
    fn bytes(&self) -> usize {
        let given = self.parameters.iter().map(|given| given.value.as_ref().map_or(0, String::len));
        STATEMENT_BYTES + self.sql.len() + given.sum::<usize>()
    }
}

/// All prepared statements.
#[derive(Debug, Default)]
pub(super) struct Statements(Mutex<HashMap<Bytes, (Prepared, Instant)>>);

impl Statements {
    fn all(&self) -> MutexGuard<'_, HashMap<Bytes, (Prepared, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a statement and returns its handle.
    pub(super) fn add(&self, statement: Prepared, now: Instant) -> Result<Bytes, Failure> {
        let mut all = self.all();
        make_room(&mut all, statement.bytes(), now)?;
        loop {
            let handle = Bytes::copy_from_slice(&unguessable().to_be_bytes());
            if !all.contains_key(&handle) {
                all.insert(handle.clone(), (statement, now));
                return Ok(handle);
            }
        }
    }

    /// The statement of a handle.
    pub(super) fn get(&self, handle: &Bytes, now: Instant) -> Result<Prepared, Failure> {
        let mut all = self.all();
        let (statement, used) = all.get_mut(handle).ok_or_else(unknown)?;
        *used = now;
        Ok(statement.clone())
    }

    /// Gives values to the placeholders of a statement.
    pub(super) fn bind(&self, handle: &Bytes, parameters: Vec<Given>, now: Instant) -> Result<(), Failure> {
        let mut all = self.all();
        let (mut statement, _) = all.remove(handle).ok_or_else(unknown)?;
        statement.parameters = parameters;
        make_room(&mut all, statement.bytes(), now)?;
        all.insert(handle.clone(), (statement, now));
        Ok(())
    }

    /// Forgets a statement.
    pub(super) fn close(&self, handle: &Bytes) {
        self.all().remove(handle);
    }
}

fn unknown() -> Failure {
    Failure::new(
        Code::NotFound,
        "there is no such prepared statement: it was closed, or not used for long; prepare it again",
    )
}

fn make_room(all: &mut HashMap<Bytes, (Prepared, Instant)>, bytes: usize, now: Instant) -> Result<(), Failure> {
    let taken = |all: &HashMap<Bytes, (Prepared, Instant)>| all.values().map(|(kept, _)| kept.bytes()).sum::<usize>();
    if taken(all) + bytes > BYTES_MAX {
        all.retain(|_, (_, used)| now.saturating_duration_since(*used) < REST_MAX);
    }
    if taken(all) + bytes <= BYTES_MAX {
        return Ok(());
    }
    let message = format!("prepared statements take more than {BYTES_MAX} bytes; close some");
    Err(Failure::new(Code::ResourceExhausted, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: usize) -> Prepared {
        Prepared { sql: " ".repeat(bytes), placeholders: 0, parameters: Vec::new() }
    }

    #[test]
    fn statements_that_are_used_have_their_room_and_others_make_room() {
        let (statements, now) = (Statements::default(), Instant::now());
        let large = BYTES_MAX / 2 - STATEMENT_BYTES;
        let first = statements.add(of(large), now).expect("there is room");
        let second = statements.add(of(large), now).expect("there is room");
        assert_eq!(statements.add(of(1), now).expect_err("it is full").code, Code::ResourceExhausted);
        let later = now + REST_MAX;
        assert_eq!(statements.get(&second, later), Ok(of(large)));
        statements.add(of(1), later).expect("the first has rested");
        assert_eq!(statements.get(&first, later).expect_err("it is forgotten").code, Code::NotFound);
        statements.close(&second);
        assert!(statements.get(&second, later).is_err());
    }

    #[test]
    fn values_are_kept_with_their_statement() {
        let (statements, now) = (Statements::default(), Instant::now());
        let handle = statements.add(of(1), now).expect("there is room");
        let given = vec![Given { value: Some("x".to_owned()) }];
        statements.bind(&handle, given.clone(), now).expect("it is there");
        assert_eq!(statements.get(&handle, now).map(|statement| statement.parameters), Ok(given.clone()));
        assert!(statements.bind(&Bytes::from_static(b"?"), given, now).is_err());
    }
}
