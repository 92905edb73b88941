//! Opens the store that the configuration names.

use std::sync::Arc;

use key_service::durable_files;
use key_service::port::Store;
use key_service::store::{self, Purpose, StoreMetrics, StoreSettings};

use crate::config::Config;
use crate::server::StartError;

/// Opens the store, in the state folder where it is a file. Takes its time while a store that was not closed is
/// checked.
pub(crate) async fn open(config: &Config, metrics: StoreMetrics) -> Result<Arc<dyn Store>, StartError> {
    let folder = &config.state_directory;
    durable_files::make_folder(folder).map_err(StartError::State)?;
    if !config.store.is_durable() {
        tracing::warn!(store = %config.store, "the chain is kept in memory only: it ends with the process");
    }
    let settings = StoreSettings { metrics, ..StoreSettings::new(folder.clone(), Purpose::Core) };
    Ok(store::open(&config.store, &settings).await?)
}
