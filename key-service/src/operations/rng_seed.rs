//! RNG Seed (6.1.50): offers bytes to the random number generator.
//!
//! Of the four answers that the specification leaves to the server, this one takes all the bytes (case CS-RNG-O-1). They
//! go no further than here: the generator is the operating system's, which seeds itself, and what one client sends must
//! not have a say in the keys of another.

use kmip_protocol::operation::{RngSeedRequest, RngSeedResponse};

use crate::fault::Fault;

pub(super) fn handle(request: &RngSeedRequest) -> Result<RngSeedResponse, Fault> {
    let data_length = i32::try_from(request.data.len());
    Ok(RngSeedResponse {
        data_length: data_length.map_err(|_| Fault::invalid_field("the seed is too long"))?,
    })
}
