//! `weir registry`: a schema registry with the API of Confluent's, until it is told to stop.

use crate::cli::RegistryArgs;
use crate::exit::Failure;
use crate::registry::Serving;
use crate::signals;

/// Runs the command.
///
/// # Errors
/// When the folder or the address cannot be used.
pub async fn run(args: &RegistryArgs) -> Result<(), Failure> {
    let serving = Serving::start(&args.data, args.listen, args.allow_unauthenticated).await?;
    eprintln!("The schema registry is up: http://{}  (data in {})", serving.address, args.data.display());
    signals::stop().await;
    serving.stop().await;
    Ok(())
}
