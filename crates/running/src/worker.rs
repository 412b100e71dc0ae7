//! A pipeline as one of several workers: gives it its name, its thread and the place of its state. Decides nothing.

use std::io::ErrorKind as IoErrorKind;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;
use weir_disk::{disk_error, publish, read_file};
use weir_model::{ErrorKind, SeamError, SeamResult, Vfs};
use weir_observe::PipelineHandle;
use weir_workers::{MachinePace, Share, Surroundings};

use super::Shared;
use super::patience::Stopping;
use super::task::Finish;

/// Works until it is told to stop.
pub(super) async fn run(
    share: &Share,
    shared: &Shared,
    handle: &Arc<PipelineHandle>,
    stopping: &Stopping,
) -> SeamResult<Finish> {
    let own = shared.folder.path().join("workers").join(handle.name());
    let instance = match &share.sharing.instance {
        Some(instance) => instance.clone(),
        None => identity(&**shared.folder.vfs(), &own)?,
    };
    let around = Surroundings {
        compiler: Arc::clone(&shared.compiler),
        clock: Arc::clone(&shared.clock),
        pace: Arc::new(MachinePace::new()),
        handle: Arc::clone(handle),
        bundles: share.bundles(Arc::clone(shared.folder.vfs()), &own.join("cache"))?,
        runtime: tokio::runtime::Handle::current(),
    };
    shared.health.started(handle.name());
    let (ended, end) = oneshot::channel();
    let (share, stopping) = (share.clone(), stopping.clone());
    // Clients of Kafka block, and so does a worker: it has a thread that is no one else's.
    let work = move || {
        // Registries are asked on it.
        let _entered = around.runtime.enter();
        let _ = ended.send(weir_workers::run(&share, &instance, &around, &|| stopping.is_asked()));
    };
    std::thread::Builder::new()
        .name(format!("{}-worker", handle.name()))
        .spawn(work)
        .map_err(|error| SeamError::caused(ErrorKind::Closed, "no thread for the worker", error))?;
    let gone = |_| SeamError::new(ErrorKind::Closed, "the worker has died; its last words are in the log");
    end.await.map_err(gone)?.map(|()| Finish::Stopped)
}

/// The name of this worker: made once, kept with the data, so that it is the same after every start.
fn identity(vfs: &dyn Vfs, folder: &Path) -> SeamResult<String> {
    let path = folder.join("instance");
    match vfs.len(&path) {
        Ok(_) => String::from_utf8(read_file(vfs, &path)?)
            .map_err(|error| SeamError::caused(ErrorKind::Corrupt, format!("{} is damaged", path.display()), error)),
        Err(error) if error.kind() == IoErrorKind::NotFound => {
            vfs.create_folder(folder).map_err(|error| disk_error("create", folder, error))?;
            let name = format!("weir-{}", vfs.unused_name());
            publish(vfs, &path, name.as_bytes())?;
            Ok(name)
        }
        Err(error) => Err(disk_error("look at", &path, error)),
    }
}
