//! PKCS#11 (6.1.37): the functions of PKCS#11 that need no token: C_Initialize, C_GetInfo, C_Finalize (Profiles 2.1
//! section 5.18). All others are told to be no functions of this server's.

use bytes::{BufMut, Bytes, BytesMut};
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::operation::{Operation, Pkcs11Request, Pkcs11Response};
use kmip_protocol::structures::Pkcs11Code;

use crate::context::Context;
use crate::fault::Fault;
use crate::streams::{State, Subject};

/// The offsets in `CK_FUNCTION_LIST_3_0`, counted from 1.
const C_INITIALIZE: Pkcs11Code = Pkcs11Code(1);
const C_FINALIZE: Pkcs11Code = Pkcs11Code(2);
const C_GET_INFO: Pkcs11Code = Pkcs11Code(3);

const CKR_OK: Pkcs11Code = Pkcs11Code(0);
const CKR_CRYPTOKI_NOT_INITIALIZED: Pkcs11Code = Pkcs11Code(0x190);

/// The version of the encoding of parameters (Profiles 2.1 section 5.18.1).
const ENCODING_VERSION: &[u8] = &[1];

/// Bytes of the text fields of `CK_INFO`.
const INFO_TEXT_BYTES: usize = 32;

pub(super) fn handle(context: &Context<'_>, request: &Pkcs11Request) -> Result<Pkcs11Response, Fault> {
    if request.interface.as_ref().is_some_and(|interface| interface != "PKCS 11") {
        let message = "there is no PKCS#11 interface of this name";
        return Err(Fault::new(ResultReason::Pkcs11InvalidInterface, message));
    }
    match request.function {
        C_INITIALIZE => initialize(context, request),
        C_GET_INFO => Ok(initialized(context, request, |_| Some(info()))),
        C_FINALIZE => Ok(initialized(context, request, |correlation| {
            context.service.streams.end(context, Operation::Pkcs11, correlation);
            None
        })),
        _ => {
            let message = "the PKCS#11 function is not supported";
            Err(Fault::new(ResultReason::Pkcs11InvalidFunction, message))
        }
    }
}

fn initialize(context: &Context<'_>, request: &Pkcs11Request) -> Result<Pkcs11Response, Fault> {
    if request.input_parameters.as_deref() != Some(ENCODING_VERSION) {
        let message = "PKCS#11 parameters are understood in version 1 of their encoding";
        return Err(Fault::new(ResultReason::Pkcs11CodecError, message));
    }
    let streams = &context.service.streams;
    let correlation = streams.begin(context, Subject::without_object(Operation::Pkcs11), State::Pkcs11, 0)?;
    Ok(Pkcs11Response { correlation_value: Some(correlation), ..answer(request, CKR_OK) })
}

/// Does something for a client that has initialized.
fn initialized(
    context: &Context<'_>,
    request: &Pkcs11Request,
    work: impl FnOnce(&Bytes) -> Option<Bytes>,
) -> Pkcs11Response {
    let streams = &context.service.streams;
    let correlation = request.correlation_value.as_ref();
    match correlation.filter(|known| streams.object_of(context, Operation::Pkcs11, known).is_ok()) {
        Some(correlation) => {
            Pkcs11Response { output_parameters: work(correlation), ..answer(request, CKR_OK) }
        }
        None => answer(request, CKR_CRYPTOKI_NOT_INITIALIZED),
    }
}

fn answer(request: &Pkcs11Request, return_code: Pkcs11Code) -> Pkcs11Response {
    Pkcs11Response {
        interface: request.interface.clone(),
        function: request.function,
        correlation_value: None,
        output_parameters: None,
        return_code,
    }
}

/// `CK_INFO`: version of PKCS#11, maker, flags, description, version of the library.
fn info() -> Bytes {
    const CRYPTOKI_VERSION: [u8; 2] = [2, 40];
    const LIBRARY_VERSION: [u8; 2] = [1, 0];
    let mut info = BytesMut::new();
    info.put_slice(&CRYPTOKI_VERSION);
    info.put_slice(&padded("Krypton"));
    info.put_u64(0);
    info.put_slice(&padded("Krypton key service"));
    info.put_slice(&LIBRARY_VERSION);
    info.freeze()
}

fn padded(text: &str) -> [u8; INFO_TEXT_BYTES] {
    let mut padded = [b' '; INFO_TEXT_BYTES];
    padded[..text.len()].copy_from_slice(text.as_bytes());
    padded
}
