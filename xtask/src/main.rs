//! The project's one toolbox: checks, benchmarks, generated files. It builds nothing that users run.

mod bench;
mod ci;
mod kafka;
mod kills;
mod planted;
mod seeds;
mod shell;
mod sim;
mod state;
mod tally;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci                    every check and test, as the README's test command runs them
  ci --list             what ci would run
  tidy                  the rules of the tree that no compiler checks
  bench a [OPTIONS]     workload A: one-minute windows over a JSON file, all-in, checked
  bench ak [OPTIONS]    workload A from topic to topic of a real Kafka, exactly once, checked
  bench b [OPTIONS]     workload B: windows of 10 s sliding by 1 s, the same way
  bench c [OPTIONS]     workload C: sessions 30 s apart, the same way
      --file NDJSON       read this file instead of generating one
      --rows N            rows to generate (default 1000000)
      --seed S            seed of the generator (default 1)
      --runs N            take the best of N runs (default 3)
      --epoch D           a checkpoint every D (default 10s)
      --tasks N           threads that read and decode (default: what the pipeline takes of itself)
      --out DIR           keep the results there
      --json              print one JSON object instead of a table
  bench rivals [--only NAMES] [--rows N] [--file NDJSON] [--runs N]
                        workload A by Weir, DuckDB, DataFusion, clink, bytewax, Spark and Flink (from PyPI)
  bench nexmark [--events N] [--rate R] [--only QUERIES] [--runs N] [--seed S]
                        the queries of Nexmark over events made in memory, beside what Flink is published to do
  bench scaling [OPTIONS]
                        workload A with one task and with several (--tasks, default 2), in turn
  bench settings [--rows N] [--only SETTINGS] [--runs N]
                        what the settings of a table cost and bring, row for row and question for question
  bench delays [--rate N] [--seconds N]
                        how long records take from topic to topic of a real Kafka
  bench emission [--rate N] [--seconds N]
                        how long results wait when rows come live
  bench ingest [--rate N] [--seconds N]
                        how long a client waits until what it posts is on disk
  bench counts          instructions per row of the core loop, into bench/history (needs valgrind)
  seeds [OPTIONS]       random streams against the oracles, in a fast build that checks itself
      --cases N           streams per oracle (default 10000)
      --seed S            the streams of this seed (default: new ones)
  sim [OPTIONS]         the running pipeline with faults: crashes, torn writes, failing and full disks, flipped bits
      --seed N            this seed; a failure is shrunk and shown whole
      --seeds N           so many (default 1000)
      --from N            beginning with this one (default 0)
      --of workers        workers that share a pipeline, over simulated brokers, instead of a pipeline alone
      --planted all       plant the bugs of docs/planted-bugs.md, one after the other: each must be found
  kills [OPTIONS]       the binary, killed under load and at system calls: nothing lost, nothing twice (needs strace)
      --kills N           kills at random moments (default 30)
      --only SCRIPT       system calls of one script only: run, up, 'replay --apply', 'replay --undo',
                          'replay --apply at a server', backup, restore
      --every K           a kill at every K-th system call that changes what is on disk, one life each (default 40; 0: none)
      --jobs J            so many of these lives side by side (default 4)
      --seed S            the moments of this seed (default 1)
      --release           kill the binary of a release
  nightly               what takes too long for every change: 200,000 streams per oracle, 50,000 seeds of workers, 300 kills,
                        a kill at every call
  nightly kafka [--ids N] [--kills N]
                        workers over a real Kafka: 1,000,000 ids and 100 kills, passed through and counted; and each of
                        three brokers dies
  nightly spark         a real Spark with the configuration of examples/spark, through Kafka into tables
  state rocksdb         keys in RocksDB, held to the suite of every keyed state (wants librocksdb-dev and libclang-dev)
  kafka fetch           put the jars of the tests' Kafka into the cache
  kafka up [3]          run the tests' Kafka (one broker, or 3) until Enter is pressed
  reference             write docs/reference anew from the types
  web                   build the page into web/dist (needs node and npm)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["ci", "--list"] => ci::list(),
        ["ci"] => ci::run(),
        ["tidy"] => tidy::run(),
        ["bench", words @ ..] => bench::run(words),
        ["seeds", options @ ..] => seeds::run(options),
        ["sim", options @ ..] => sim::run(options),
        ["kills", words @ ..] => kills::run(words),
        ["nightly"] => seeds::nightly().and(sim::nightly()).and_then(|()| kills::nightly()),
        ["nightly", "kafka", rest @ ..] => kafka::nightly(rest),
        ["nightly", "spark"] => kafka::spark(),
        ["state", "rocksdb"] => state::rocksdb(),
        ["kafka", "fetch"] => kafka::fetch(),
        ["kafka", "up"] => kafka::up(1),
        ["kafka", "up", "3"] => kafka::up(3),
        ["reference"] => {
            shell::step("reference", "cargo", &["test", "-p", "weir-pipeline", "reference"], &[("UPDATE_EXPECT", "1")])
        }
        ["web"] => ci::build_page(),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("no such command: {}\n\n{USAGE}", arguments.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
