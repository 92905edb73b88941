//! The tables: made and brought up to date by numbered SQL files, each applied once.

use tokio_postgres::{Client, Transaction};

use super::connections::describe;
use crate::record::INDEX_VERSION;

/// The files, in order: only ever add to them.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_records.sql"),
    include_str!("migrations/0002_region.sql"),
    include_str!("migrations/0003_whole_pages.sql"),
    include_str!("migrations/0004_walk.sql"),
    include_str!("migrations/0005_all_changes.sql"),
    include_str!("migrations/0006_own_columns.sql"),
];

/// Taken while the tables are brought up to date, so that servers that start together do it once: "krypton" in ASCII.
const LOCK: i64 = 0x6b_7279_7074_6f6e;

/// Brings the tables up to date.
///
/// # Errors
/// If they are of a later version, somebody else's, or cannot be changed.
pub(super) async fn prepare(client: &mut Client, owner: &str) -> Result<(), String> {
    let transaction = client.transaction().await.map_err(|error| describe(&error))?;
    migrate(&transaction).await?;
    claim(&transaction, owner).await?;
    transaction.commit().await.map_err(|error| describe(&error))
}

async fn migrate(transaction: &Transaction<'_>) -> Result<(), String> {
    let run = async |sql: &str| transaction.batch_execute(sql).await.map_err(|error| describe(&error));
    run(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await?;
    // Looked for first: a role that may not make tables can use those that are there.
    let known = "SELECT to_regclass('krypton_migrations') IS NOT NULL";
    let known = transaction.query_one(known, &[]).await.map_err(|error| describe(&error))?;
    if !known.get::<_, bool>(0) {
        run("CREATE TABLE krypton_migrations (number bigint PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())")
            .await?;
    }
    let applied = "SELECT coalesce(max(number), 0) FROM krypton_migrations";
    let applied: i64 = transaction.query_one(applied, &[]).await.map_err(|error| describe(&error))?.get(0);
    let applied = usize::try_from(applied).unwrap_or(usize::MAX);
    if applied > MIGRATIONS.len() {
        return Err(format!(
            "its tables are of version {applied}; this version of Krypton knows {}",
            MIGRATIONS.len()
        ));
    }
    for (number, migration) in
        MIGRATIONS.iter().enumerate().skip(applied).map(|(index, file)| (index + 1, file))
    {
        run(migration).await?;
        run(&format!("INSERT INTO krypton_migrations (number) VALUES ({number})")).await?;
        tracing::info!(number, "tables brought up to date");
    }
    Ok(())
}

/// Whose store it is: the first that opens it says so.
async fn claim(transaction: &Transaction<'_>, owner: &str) -> Result<(), String> {
    let index_version = i64::try_from(INDEX_VERSION).unwrap_or(i64::MAX);
    let found = "SELECT owner, index_version FROM krypton_store";
    let found = transaction.query_opt(found, &[]).await.map_err(|error| describe(&error))?;
    let Some(found) = found else {
        let insert = "INSERT INTO krypton_store (owner, index_version) VALUES ($1, $2)";
        transaction.execute(insert, &[&owner, &index_version]).await.map_err(|error| describe(&error))?;
        return Ok(());
    };
    let (found_owner, found_index): (String, i64) = (found.get(0), found.get(1));
    if found_owner != owner {
        return Err(format!("the database is the store of a {found_owner}, and this is a {owner}"));
    }
    if found_index != index_version {
        return Err(format!(
            "its index is of version {found_index}; this version of Krypton knows {index_version}"
        ));
    }
    Ok(())
}
