//! Archive (6.1.4): sets an object aside. It stays where it is, but has to be recovered before it is used or served.

use kmip_protocol::attribute::Attribute;
use kmip_protocol::operation::{ArchiveRequest, ArchiveResponse};

use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: ArchiveRequest,
) -> Result<ArchiveResponse, Fault> {
    let record = context.live_object(request.unique_identifier.as_ref()).await?;
    let mut archived = Record::clone(&record);
    archived.set(Attribute::ArchiveDate(context.service.clock.now()));
    context.replace(archived);
    Ok(ArchiveResponse { unique_identifier: record.unique_identifier.clone() })
}
