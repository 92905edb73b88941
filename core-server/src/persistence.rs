//! Opens the store that the configuration names, and makes certain what lies beside it.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use key_service::port::Store;
use key_service::store::{self, Purpose, StoreMetrics, StoreSettings};

use crate::config::Config;
use crate::server::StartError;

/// Opens the store, in the state folder where it is a file. Takes its time while a store that was not closed is
/// checked.
pub(crate) async fn open(config: &Config, metrics: StoreMetrics) -> Result<Arc<dyn Store>, StartError> {
    let folder = &config.state_directory;
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(StartError::State)?;
    if !config.store.is_durable() {
        tracing::warn!(store = %config.store, "the chain is kept in memory only: it ends with the process");
    }
    let settings = StoreSettings { metrics, ..StoreSettings::new(folder.clone(), Purpose::Core) };
    Ok(store::open(&config.store, &settings).await?)
}

/// Makes the name of a file in its folder certain: without that, a file that was synchronized may be gone after a power failure.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
