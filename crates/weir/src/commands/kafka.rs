//! `weir kafka topics apply FILE`: topics as a file says they should be.

use weir_kafka::{SaslConfig, TopicOutcome, TopicsFile};
use weir_model::Secret;
use weir_pipeline::{Input, load_yaml};

use crate::cli::{KafkaCommand, TopicsApplyArgs, TopicsCommand};
use crate::exit::Failure;

/// Runs the command.
///
/// # Errors
/// When the file is wrong, the brokers refuse something, or a topic is otherwise than the file says and stays so.
pub async fn run(command: &KafkaCommand) -> Result<(), Failure> {
    match command {
        KafkaCommand::Topics(TopicsCommand::Apply(args)) => apply(args).await,
    }
}

async fn apply(args: &TopicsApplyArgs) -> Result<(), Failure> {
    let label = args.file.display();
    let loaded = load_yaml::<TopicsFile>(Input::File(&args.file));
    let (mut file, _) = loaded.map_err(|diagnostics| {
        let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        Failure::refused(lines.join("\n"))
    })?;
    if !args.brokers.is_empty() {
        file.brokers.clone_from(&args.brokers);
    }
    if let Some(SaslConfig::Plain(login) | SaslConfig::ScramSha256(login) | SaslConfig::ScramSha512(login)) =
        &mut file.sasl
    {
        login.password = from_environment(&login.password)?;
    }
    let problems = file.problems();
    if !problems.is_empty() {
        let lines: Vec<String> = problems.iter().map(|(key, problem)| format!("{label}: {key}: {problem}")).collect();
        return Err(Failure::refused(lines.join("\n")));
    }
    let outcomes = file.apply(args.dry_run).await.map_err(|error| Failure::run(error.full()))?;
    let mut differs = 0;
    for (name, outcome) in &outcomes {
        let partitions = file.topics[name].partitions;
        let would = if args.dry_run { "would be " } else { "" };
        match outcome {
            TopicOutcome::Created => println!("{name}: {would}created with {partitions} partitions"),
            TopicOutcome::Grown { from } => println!("{name}: {would}grown from {from} to {partitions} partitions"),
            TopicOutcome::AsItIs => println!("{name}: is there"),
            TopicOutcome::Differs(differences) => {
                differs += 1;
                println!("{name}: is otherwise, and left as it is: {}", differences.join("; "));
            }
        }
    }
    if differs > 0 {
        return Err(Failure::run(format!("{differs} of {} topics are not as {label} says", outcomes.len())));
    }
    Ok(())
}

/// What `${env:NAME}` stands for; everything else as it is.
fn from_environment(secret: &Secret) -> Result<Secret, Failure> {
    let text = secret.expose();
    match text.strip_prefix("${env:").and_then(|rest| rest.strip_suffix('}')) {
        None => Ok(secret.clone()),
        Some(name) => std::env::var(name)
            .map(Secret::new)
            .map_err(|_| Failure::refused(format!("sasl: the environment has no {name}"))),
    }
}
