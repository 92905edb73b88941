//! Recover (6.1.42): brings an archived object back. One that is not archived stays as it is.

use kmip_protocol::attribute::AttributeType;
use kmip_protocol::operation::{RecoverRequest, RecoverResponse};

use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: RecoverRequest,
) -> Result<RecoverResponse, Fault> {
    let record = context.object(request.unique_identifier.as_ref()).await?;
    if record.attribute(AttributeType::ArchiveDate).is_some() {
        let mut recovered = Record::clone(&record);
        recovered.remove(AttributeType::ArchiveDate);
        context.replace(recovered);
    }
    Ok(RecoverResponse { unique_identifier: record.unique_identifier.clone() })
}
