//! `weir query` and `weir search`: one question, one answer. An instance that is up on the data folder is asked, since it has the freshest
//! rows; without one the folder is read as it is committed.

use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use http_body_util::BodyExt;
use weir_query::encode::{Encoder, Format, Summary};
use weir_query::logs::StagedSearch;
use weir_query::{Limits, QueryEngine, QueryResult, RunOptions, Search};
use weir_store::Store;

use crate::cli::{AnswerArgs, QueryArgs, QueryFormat, SearchArgs};
use crate::client::Client;
use crate::exit::Failure;
use crate::running::TierBuckets;

/// The longest question that is read from standard input; the gate refuses much shorter ones.
const QUESTION_BYTES_MAX: u64 = 1 << 20;

/// Runs the command.
///
/// # Errors
/// When there is no data, the question is refused, or the answer cannot be had or written.
pub async fn run(args: &QueryArgs) -> Result<(), Failure> {
    let sql = if args.sql == "-" { read_question()? } else { args.sql.clone() };
    ask(&Question::Sql(&sql), &args.answer).await
}

/// Runs `weir search`.
///
/// # Errors
/// As [`run`].
pub async fn search(args: &SearchArgs) -> Result<(), Failure> {
    let search = Search::parse(&args.search).map_err(|error| Failure::refused(error.to_string()))?;
    ask(&Question::Search(StagedSearch { table: args.table.clone(), search, from: None, to: None }), &args.answer).await
}

async fn ask(question: &Question<'_>, how: &AnswerArgs) -> Result<(), Failure> {
    let max_rows = (how.limit > 0).then_some(how.limit as u64);
    let options = RunOptions { max_rows, timeout: Some(how.timeout.std()), ..RunOptions::default() };
    answer(&how.data, question, options, how.format).await
}

/// Asks the data folder `data` in SQL and writes the answer to standard output.
pub(super) async fn ask_sql(data: &Path, sql: &str, options: RunOptions, format: QueryFormat) -> Result<(), Failure> {
    answer(data, &Question::Sql(sql), options, format).await
}

async fn answer(data: &Path, question: &Question<'_>, options: RunOptions, format: QueryFormat) -> Result<(), Failure> {
    let mut out = Answer { format: encoding(format), encoder: None };
    let (schema, summary) = each_batch(data, question, options, &mut |schema, batch| out.batch(schema, batch)).await?;
    out.end(&schema, &summary)
}

/// What is asked.
enum Question<'a> {
    Sql(&'a str),
    Search(StagedSearch),
}

impl Question<'_> {
    async fn of(&self, engine: &QueryEngine, options: RunOptions) -> Result<QueryResult, Failure> {
        let result = match self {
            Self::Sql(sql) => engine.run(sql, options).await,
            Self::Search(search) => engine.search(search, options).await,
        };
        result.map_err(|error| Failure::run(error.to_string()))
    }

    /// The same as a request: its path and its body.
    fn request(&self, options: &RunOptions) -> (&'static str, serde_json::Value) {
        let limit = options.max_rows;
        match self {
            Self::Sql(sql) => ("/api/v1/sql?format=arrow", serde_json::json!({ "sql": sql, "limit": limit })),
            Self::Search(StagedSearch { table, search, .. }) => {
                let body = serde_json::json!({ "table": table, "search": search.text(), "limit": limit });
                ("/api/v1/search?format=arrow", body)
            }
        }
    }
}

/// The rows of an answer that is small.
pub(super) async fn rows(data: &Path, sql: &str) -> Result<Vec<RecordBatch>, Failure> {
    let mut batches = Vec::new();
    each_batch(data, &Question::Sql(sql), RunOptions::default(), &mut |_, batch| {
        batches.push(batch.clone());
        Ok(())
    })
    .await?;
    Ok(batches)
}

/// Takes a batch of an answer.
type Take<'a> = &'a mut dyn FnMut(&SchemaRef, &RecordBatch) -> Result<(), Failure>;

async fn each_batch(
    data: &Path,
    question: &Question<'_>,
    options: RunOptions,
    take: Take<'_>,
) -> Result<(SchemaRef, Summary), Failure> {
    match Client::of(data)? {
        Some(client) => ask_instance(&client, question, &options, take).await,
        None => ask_folder(data, question, options, take).await,
    }
}

fn encoding(format: QueryFormat) -> Format {
    match format {
        QueryFormat::Table => Format::Table,
        QueryFormat::Json => Format::Json,
        QueryFormat::Ndjson => Format::Ndjson,
        QueryFormat::Csv => Format::Csv { formula_safe: false },
        QueryFormat::Arrow => Format::Arrow,
        QueryFormat::Parquet => Format::Parquet,
    }
}

fn read_question() -> Result<String, Failure> {
    let mut text = String::new();
    let read = io::stdin().lock().take(QUESTION_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::refused(format!("standard input: {error}")))?;
    Ok(text)
}

async fn ask_folder(
    data: &Path,
    question: &Question<'_>,
    options: RunOptions,
    take: Take<'_>,
) -> Result<(SchemaRef, Summary), Failure> {
    let store = Store::open_read_only(data)?;
    store.set_buckets(Arc::new(TierBuckets::default()));
    let limits = Limits { timeout: options.timeout.unwrap_or(Limits::default().timeout), ..Limits::for_machine() };
    let engine = QueryEngine::new(store, limits)?;
    let mut result = question.of(&engine, options).await?;
    let schema = Arc::clone(result.schema());
    while let Some(batch) = result.next().await {
        take(&schema, &batch.map_err(|error| Failure::run(error.to_string()))?)?;
    }
    Ok((schema, Summary::of(&result)))
}

async fn ask_instance(
    client: &Client,
    question: &Question<'_>,
    options: &RunOptions,
    take: Take<'_>,
) -> Result<(SchemaRef, Summary), Failure> {
    let started = Instant::now();
    let (path, body) = question.request(options);
    let answer = client.post_json(path, &body).await?;
    let address = client.address();
    let broken =
        |error: &dyn std::fmt::Display| Failure::run(format!("the answer of http://{address} ends early: {error}"));
    let (mut body, mut decoder, mut rows) = (answer.into_body(), StreamDecoder::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        let mut chunk = Buffer::from(chunk);
        while let Some(batch) = decoder.decode(&mut chunk).map_err(|error| broken(&error))? {
            rows += batch.num_rows() as u64;
            take(&batch.schema(), &batch)?;
        }
    }
    let schema = decoder.schema();
    decoder.finish().map_err(|error| broken(&error))?;
    let schema = schema.ok_or_else(|| broken(&"it has no columns"))?;
    Ok((schema, Summary { rows, elapsed: started.elapsed(), ..Summary::default() }))
}

/// What is written to standard output, in any format.
struct Answer {
    format: Format,
    encoder: Option<Encoder<io::BufWriter<io::Stdout>>>,
}

impl Answer {
    fn encoder(
        &mut self,
        schema: &arrow::datatypes::SchemaRef,
    ) -> Result<&mut Encoder<io::BufWriter<io::Stdout>>, Failure> {
        if self.encoder.is_none() {
            let is_binary = matches!(self.format, Format::Arrow | Format::Parquet);
            if is_binary && io::stdout().is_terminal() {
                return Err(Failure::refused("columns are not for a terminal: redirect them into a file"));
            }
            let out = io::BufWriter::new(io::stdout());
            self.encoder = Some(Encoder::new(self.format, schema, out).map_err(written)?);
        }
        Ok(self.encoder.as_mut().expect("it was made just now"))
    }

    fn batch(
        &mut self,
        schema: &arrow::datatypes::SchemaRef,
        batch: &arrow::array::RecordBatch,
    ) -> Result<(), Failure> {
        self.encoder(schema)?.batch(batch).map_err(written)
    }

    fn end(mut self, schema: &arrow::datatypes::SchemaRef, summary: &Summary) -> Result<(), Failure> {
        self.encoder(schema)?;
        let encoder = self.encoder.take().expect("it was made just now");
        encoder.finish(summary).and_then(|mut out| out.flush()).map_err(written)?;
        for warning in &summary.warnings {
            eprintln!("warning: {warning}");
        }
        Ok(())
    }
}

fn written(error: io::Error) -> Failure {
    Failure::run(format!("the answer cannot be written: {error}"))
}
