//! The members of a region and the changes of its chain, in tables beside the records.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connections::{Connections, describe};
use crate::port::{Changed, MemberRow, Region, RegionChange, Standing, StoreError};

/// How long to wait before the connection for news is made again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// Numbers a change: what, by tenant and identifier.
pub(super) const TELL: &str = "SELECT krypton_tell_region($1, $2)";

/// The columns of a change.
pub(super) fn columns<'a>(changed: impl Iterator<Item = (&'a str, &'a str)>) -> (Vec<&'a str>, Vec<&'a str>) {
    changed.unzip()
}

/// What several Cores share.
pub(super) struct PostgresRegion {
    connections: Arc<Connections>,
    news: Arc<Notify>,
    listener: JoinHandle<()>,
}

impl PostgresRegion {
    /// Begins to listen for news.
    pub(super) fn new(connections: Arc<Connections>, config: Config, tls: MakeRustlsConnect) -> Self {
        let news = Arc::new(Notify::new());
        let listener = tokio::spawn(listen(config, tls, Arc::clone(&news)));
        Self { connections, news, listener }
    }
}

impl Drop for PostgresRegion {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

#[async_trait]
impl Region for PostgresRegion {
    async fn join(&self, instance: &str, membership: Duration, lease: Duration) -> Result<u64, StoreError> {
        let sql = "SELECT krypton_join($1, $2, $3)";
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&instance, &milliseconds(membership), &milliseconds(lease)];
        // Joined twice under one name, where the first attempt was carried out after all, it is refused.
        let rows = self.connections.query(sql, &parameters).await?;
        Ok(number(rows.first().map_or(0, |row| row.get(0))))
    }

    async fn renew(&self, instance: &str, applied: u64) -> Result<Option<u64>, StoreError> {
        let applied = i64::try_from(applied).unwrap_or(i64::MAX);
        let rows = self.connections.query("SELECT krypton_renew($1, $2)", &[&instance, &applied]).await?;
        Ok(rows.first().and_then(|row| row.get::<_, Option<i64>>(0)).map(number))
    }

    async fn leave(&self, instance: &str, lease: Duration) -> Result<(), StoreError> {
        // Rounded up: a lease may not end here before it does.
        let lease = milliseconds(lease + Duration::from_nanos(999_999));
        self.connections.query("SELECT krypton_leave($1, $2)", &[&instance, &lease]).await?;
        Ok(())
    }

    async fn tell(&self, changed: &[Changed]) -> Result<(), StoreError> {
        let (tenants, identifiers) =
            columns(changed.iter().map(|one| (&*one.tenant, &*one.unique_identifier)));
        self.connections.query(TELL, &[&tenants, &identifiers]).await?;
        Ok(())
    }

    async fn changes(&self, after: u64) -> Result<Vec<RegionChange>, StoreError> {
        let sql = "SELECT sequence, tenants, identifiers FROM krypton_changes WHERE sequence > $1 ORDER BY sequence";
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let rows = self.connections.query(sql, &[&after]).await?;
        let change = |row: &tokio_postgres::Row| {
            let (tenants, identifiers): (Vec<String>, Vec<String>) = (row.get(1), row.get(2));
            let changed = tenants.into_iter().zip(identifiers);
            let changed = changed.map(|(tenant, unique_identifier)| Changed {
                tenant: tenant.into(),
                unique_identifier: unique_identifier.into(),
            });
            RegionChange { sequence: number(row.get(0)), changed: changed.collect() }
        };
        Ok(rows.iter().map(change).collect())
    }

    async fn standing(&self) -> Result<Standing, StoreError> {
        let sql = "SELECT r.last, m.instance, m.beat, m.applied, m.membership_milliseconds, m.lease_milliseconds \
                   FROM krypton_region r LEFT JOIN krypton_members m ON true";
        let rows = self.connections.query(sql, &[]).await?;
        let last = rows.first().map_or(0, |row| number(row.get(0)));
        let member = |row: &tokio_postgres::Row| {
            let time = |column: usize| Duration::from_millis(number(row.get(column)));
            Some(MemberRow {
                instance: row.get::<_, Option<String>>(1)?.into(),
                beat: number(row.get(2)),
                applied: number(row.get(3)),
                membership: time(4),
                lease: time(5),
            })
        };
        Ok(Standing { last, members: rows.iter().filter_map(member).collect() })
    }

    async fn forget(&self, instance: &str, beat: u64) -> Result<(), StoreError> {
        let beat = i64::try_from(beat).unwrap_or(i64::MAX);
        self.connections.query("SELECT krypton_forget_member($1, $2)", &[&instance, &beat]).await?;
        Ok(())
    }

    async fn forget_changes(&self) -> Result<(), StoreError> {
        self.connections.query("SELECT krypton_forget_changes()", &[]).await?;
        Ok(())
    }

    async fn news(&self) {
        self.news.notified().await;
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn number(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Listens for news on a connection of its own, made again whenever it breaks. There may be news each time it is made: what
/// was told meanwhile is lost.
async fn listen(config: Config, tls: MakeRustlsConnect, news: Arc<Notify>) {
    loop {
        if let Err(error) = listen_once(&config, &tls, &news).await {
            tracing::warn!(error, "news of the other Cores are not told; they are looked for instead");
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

async fn listen_once(config: &Config, tls: &MakeRustlsConnect, news: &Notify) -> Result<(), String> {
    let (client, mut connection) = config.connect(tls.clone()).await.map_err(|error| describe(&error))?;
    let listening = client.batch_execute("LISTEN krypton_region");
    tokio::pin!(listening);
    let mut is_listening = false;
    loop {
        let message = std::future::poll_fn(|context| connection.poll_message(context));
        tokio::select! {
            listens = &mut listening, if !is_listening => {
                listens.map_err(|error| describe(&error))?;
                is_listening = true;
                news.notify_one();
            }
            message = message => match message {
                Some(Ok(AsyncMessage::Notification(_))) => news.notify_one(),
                Some(Ok(_)) => (),
                Some(Err(error)) => return Err(describe(&error)),
                None => return Err("the connection has ended".to_owned()),
            },
        }
    }
}
