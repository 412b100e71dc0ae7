//! The extended protocol of a session: statements that are prepared, portals with their parameters, and what is said of them.

use std::collections::HashMap;

use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use weir_query::Parameter;

use super::message::{Severity, Target, Trouble};
use super::own::{self, Statement};
use super::parameters::{TEXT, of_parameter, oid_of_parameter, parameter};
use super::session::{Answer, Gone, Session, described, setting};
use super::trouble::{told, trouble};
use super::types::Format;

/// Statements and portals that a session may keep.
const KEPT_MAX: usize = 256;
/// A statement that was prepared.
#[derive(Clone)]
pub(super) struct Prepared {
    statement: Statement,
    /// What the client says of its parameters.
    declared: Vec<Option<DataType>>,
    /// The types of its parameters, as clients are told.
    oids: Vec<u32>,
    /// What a question answers; `None` for other statements.
    schema: Option<SchemaRef>,
}

/// A statement with its parameters, on its way.
pub(super) struct Portal {
    prepared: Prepared,
    parameters: Vec<Parameter>,
    formats: Vec<Format>,
    answer: Option<Answer>,
}

impl Session<'_> {
    pub(super) async fn parse(&mut self, name: String, sql: &str, types: &[u32]) -> Result<(), Trouble> {
        full(&self.statements, &name, "statements")?;
        let statement = match own::split(sql).as_slice() {
            [one] => own::read(one),
            several => {
                let message = format!("a prepared text has {} statements; it may have one", several.len());
                return Err(trouble(Severity::Error, "42601", message));
            }
        };
        let declared: Vec<Option<DataType>> = types.iter().map(|oid| of_parameter(*oid)).collect();
        let mut prepared = Prepared { statement, declared, oids: types.to_vec(), schema: None };
        if let Statement::Question(question) = &prepared.statement {
            self.may_ask()?;
            let described = self.shared.queries.describe(question, &prepared.declared).await;
            let described = described.map_err(|error| told(&error, question))?;
            for (index, data_type) in described.parameters.into_iter().enumerate() {
                let meant = data_type.as_ref().map_or(TEXT, oid_of_parameter);
                match prepared.oids.get_mut(index) {
                    // 0: the client leaves it open
                    Some(oid) if *oid != 0 => {}
                    Some(oid) => {
                        *oid = meant;
                        prepared.declared[index] = data_type;
                    }
                    None => {
                        prepared.oids.push(meant);
                        prepared.declared.push(data_type);
                    }
                }
            }
            prepared.schema = Some(described.schema);
        }
        self.statements.insert(name, prepared);
        self.replies.parsed();
        Ok(())
    }

    pub(super) fn bind(
        &mut self,
        name: String,
        statement: &str,
        formats: &[u16],
        values: &[Option<Bytes>],
        results: &[u16],
    ) -> Result<(), Trouble> {
        full(&self.portals, &name, "portals")?;
        let prepared =
            self.statements.get(statement).cloned().ok_or_else(|| unknown("statement", statement, "26000"))?;
        if values.len() != prepared.oids.len() {
            let message = format!("{} parameters are given, the statement has {}", values.len(), prepared.oids.len());
            return Err(trouble(Severity::Error, "08P01", message));
        }
        let columns = prepared.schema.as_ref().map_or(0, |schema| schema.fields().len());
        let (given, wanted) = (all_formats(formats, values.len())?, all_formats(results, columns)?);
        let read = values.iter().zip(given).enumerate().map(|(index, (value, format))| {
            let data_type = prepared.declared.get(index).cloned().flatten();
            let read = value.as_ref().map(|value| parameter(value, format, prepared.oids[index])).transpose();
            let value = read.map_err(|error| trouble(Severity::Error, "22P03", format!("${}: {error}", index + 1)))?;
            Ok(Parameter { value, data_type })
        });
        let parameters = read.collect::<Result<_, Trouble>>()?;
        self.portals.insert(name, Portal { prepared, parameters, formats: wanted, answer: None });
        self.replies.bound();
        Ok(())
    }

    pub(super) fn describe(&mut self, target: &Target) -> Result<(), Trouble> {
        let (prepared, formats) = match target {
            Target::Statement(name) => {
                let prepared = self.statements.get(name).ok_or_else(|| unknown("statement", name, "26000"))?;
                self.replies.parameters(&prepared.oids);
                (prepared, &[][..])
            }
            Target::Portal(name) => {
                let portal = self.portals.get(name).ok_or_else(|| unknown("portal", name, "34000"))?;
                (&portal.prepared, &portal.formats[..])
            }
        };
        match (&prepared.schema, &prepared.statement) {
            (Some(schema), _) => self.replies.columns(&described(schema, formats)),
            (None, Statement::Setting(name, _)) => self.replies.columns(&[setting(name)]),
            (None, _) => self.replies.no_rows(),
        }
        Ok(())
    }

    pub(super) async fn execute(&mut self, name: &str, rows: u32) -> Result<Result<(), Trouble>, Gone> {
        let Some(mut portal) = self.portals.remove(name) else { return Ok(Err(unknown("portal", name, "34000"))) };
        let Statement::Question(sql) = portal.prepared.statement.clone() else {
            let done = self.own(&portal.prepared.statement, false);
            self.portals.insert(name.to_owned(), portal);
            return Ok(done);
        };
        if let Err(trouble) = self.may_ask() {
            return Ok(Err(trouble));
        }
        let mut answer = match portal.answer.take() {
            Some(answer) => answer,
            None => match self.start(&sql, portal.parameters.clone()).await? {
                Ok(answer) => answer,
                Err(trouble) => return Ok(Err(trouble)),
            },
        };
        let ended = match self.stream(&mut answer, &portal.formats, rows).await? {
            Ok(ended) => ended,
            Err(trouble) => return Ok(Err(trouble)),
        };
        portal.answer = (!ended).then_some(answer);
        self.portals.insert(name.to_owned(), portal);
        Ok(Ok(()))
    }
}

/// An error if one more cannot be kept.
fn full<T>(kept: &HashMap<String, T>, name: &str, what: &str) -> Result<(), Trouble> {
    if kept.len() < KEPT_MAX || kept.contains_key(name) {
        return Ok(());
    }
    Err(trouble(Severity::Error, "53400", format!("a session keeps at most {KEPT_MAX} {what}; close some")))
}

fn unknown(what: &str, name: &str, code: &'static str) -> Trouble {
    trouble(Severity::Error, code, format!("there is no {what} \"{name}\""))
}

/// A format for each of `count` values: none said is text for all, one said is for all.
fn all_formats(said: &[u16], count: usize) -> Result<Vec<Format>, Trouble> {
    let read = |number: &u16| {
        Format::numbered(*number).ok_or_else(|| {
            trouble(Severity::Error, "08P01", format!("there is no format {number}; 0 is text, 1 binary"))
        })
    };
    match said {
        [] => Ok(vec![Format::Text; count]),
        [one] => Ok(vec![read(one)?; count]),
        all if all.len() == count => all.iter().map(read).collect(),
        all => {
            let message = format!("{} formats are said for {count} values", all.len());
            Err(trouble(Severity::Error, "08P01", message))
        }
    }
}
