//! The operations (KMIP 2.1 section 6): one file each for the payloads, one line each in the table below.

mod activate;
mod add_attribute;
mod adjust_attribute;
mod archive;
mod cancel;
mod certify;
mod check;
mod create;
mod create_key_pair;
mod create_split_key;
mod decrypt;
mod delegated_login;
mod delete_attribute;
mod derive_key;
mod destroy;
mod discover_versions;
mod encrypt;
mod export;
mod get;
mod get_attribute_list;
mod get_attributes;
mod get_constraints;
mod get_usage_allocation;
mod hash;
mod import;
mod interop;
mod join_split_key;
mod locate;
mod log;
mod login;
mod logout;
mod mac;
mod mac_verify;
mod modify_attribute;
mod notify;
mod obtain_lease;
mod ping;
mod pkcs11;
mod poll;
mod process;
mod put;
mod query;
mod query_asynchronous_requests;
mod re_certify;
mod re_key;
mod re_key_key_pair;
mod re_provision;
mod recover;
mod register;
mod revoke;
mod rng_retrieve;
mod rng_seed;
mod set_attribute;
mod set_constraints;
mod set_defaults;
mod set_endpoint_role;
mod sign;
mod signature_verify;
mod validate;

use kmip_ttlv::{Error, Reader, Writer};

pub use activate::*;
pub use add_attribute::*;
pub use adjust_attribute::*;
pub use archive::*;
pub use cancel::*;
pub use certify::*;
pub use check::*;
pub use create::*;
pub use create_key_pair::*;
pub use create_split_key::*;
pub use decrypt::*;
pub use delegated_login::*;
pub use delete_attribute::*;
pub use derive_key::*;
pub use destroy::*;
pub use discover_versions::*;
pub use encrypt::*;
pub use export::*;
pub use get::*;
pub use get_attribute_list::*;
pub use get_attributes::*;
pub use get_constraints::*;
pub use get_usage_allocation::*;
pub use hash::*;
pub use import::*;
pub use interop::*;
pub use join_split_key::*;
pub use locate::*;
pub use log::*;
pub use login::*;
pub use logout::*;
pub use mac::*;
pub use mac_verify::*;
pub use modify_attribute::*;
pub use notify::*;
pub use obtain_lease::*;
pub use ping::*;
pub use pkcs11::*;
pub use poll::*;
pub use process::*;
pub use put::*;
pub use query::*;
pub use query_asynchronous_requests::*;
pub use re_certify::*;
pub use re_key::*;
pub use re_key_key_pair::*;
pub use re_provision::*;
pub use recover::*;
pub use register::*;
pub use revoke::*;
pub use rng_retrieve::*;
pub use rng_seed::*;
pub use set_attribute::*;
pub use set_constraints::*;
pub use set_defaults::*;
pub use set_endpoint_role::*;
pub use sign::*;
pub use signature_verify::*;
pub use validate::*;

use crate::codec::Item;
pub use crate::enumeration::Operation;
use crate::tag;
use crate::version::Version;

macro_rules! operations {
    ($($name:ident: $request:ident, $response:ident;)*) => {
        /// A request payload.
        #[derive(Debug)]
        #[allow(clippy::large_enum_variant)]
        pub enum Request {
            $(
                #[doc = concat!("Of ", stringify!($name), ".")]
                $name($request),
            )*
        }

        /// A response payload.
        #[derive(Debug)]
        #[allow(clippy::large_enum_variant)]
        pub enum Response {
            $(
                #[doc = concat!("Of ", stringify!($name), ".")]
                $name($response),
            )*
        }

        $(
            impl From<$request> for Request {
                fn from(payload: $request) -> Self {
                    Self::$name(payload)
                }
            }

            impl From<$response> for Response {
                fn from(payload: $response) -> Self {
                    Self::$name(payload)
                }
            }

            impl TryFrom<Response> for $response {
                type Error = Response;

                fn try_from(response: Response) -> Result<Self, Response> {
                    match response {
                        Response::$name(payload) => Ok(payload),
                        other => Err(other),
                    }
                }
            }
        )*

        impl Request {
            /// The operation that the payload is of.
            pub fn operation(&self) -> Operation {
                match self {
                    $(Self::$name(_) => Operation::$name,)*
                }
            }

            /// Reads the Request Payload of `operation`; `None` if no row of the table has it.
            pub fn read(
                operation: Operation,
                reader: &mut Reader<'_>,
                version: Version,
            ) -> Option<Result<Self, Error>> {
                match operation {
                    $(Operation::$name => Some(
                        <$request>::read(reader, tag::REQUEST_PAYLOAD, version).map(Self::$name),
                    ),)*
                    Operation::Extension(_) => None,
                }
            }

            /// Writes the Request Payload.
            pub fn write(&self, writer: &mut Writer, version: Version) {
                match self {
                    $(Self::$name(payload) => payload.write(writer, tag::REQUEST_PAYLOAD, version),)*
                }
            }

            /// Whether the operation and everything that has to be told can be told to a peer of `version`.
            pub fn is_known(&self, version: Version) -> bool {
                self.operation().since().knows(version)
                    && match self {
                        $(Self::$name(payload) => payload.is_known(version),)*
                    }
            }
        }

        impl Response {
            /// The operation that the payload is of.
            pub fn operation(&self) -> Operation {
                match self {
                    $(Self::$name(_) => Operation::$name,)*
                }
            }

            /// Reads the Response Payload of `operation`; `None` if no row of the table has it.
            pub fn read(
                operation: Operation,
                reader: &mut Reader<'_>,
                version: Version,
            ) -> Option<Result<Self, Error>> {
                match operation {
                    $(Operation::$name => Some(
                        <$response>::read(reader, tag::RESPONSE_PAYLOAD, version).map(Self::$name),
                    ),)*
                    Operation::Extension(_) => None,
                }
            }

            /// Writes the Response Payload.
            pub fn write(&self, writer: &mut Writer, version: Version) {
                match self {
                    $(Self::$name(payload) => payload.write(writer, tag::RESPONSE_PAYLOAD, version),)*
                }
            }

            /// Whether the operation and everything that has to be told can be told to a peer of `version`.
            pub fn is_known(&self, version: Version) -> bool {
                self.operation().since().knows(version)
                    && match self {
                        $(Self::$name(payload) => payload.is_known(version),)*
                    }
            }
        }

        /// The operations of the table.
        pub static OPERATIONS: &[Operation] = &[$(Operation::$name,)*];
    };
}

operations! {
    Create: CreateRequest, CreateResponse;
    CreateKeyPair: CreateKeyPairRequest, CreateKeyPairResponse;
    Register: RegisterRequest, RegisterResponse;
    ReKey: ReKeyRequest, ReKeyResponse;
    DeriveKey: DeriveKeyRequest, DeriveKeyResponse;
    Certify: CertifyRequest, CertifyResponse;
    ReCertify: ReCertifyRequest, ReCertifyResponse;
    Locate: LocateRequest, LocateResponse;
    Check: CheckRequest, CheckResponse;
    Get: GetRequest, GetResponse;
    GetAttributes: GetAttributesRequest, GetAttributesResponse;
    GetAttributeList: GetAttributeListRequest, GetAttributeListResponse;
    AddAttribute: AddAttributeRequest, AddAttributeResponse;
    ModifyAttribute: ModifyAttributeRequest, ModifyAttributeResponse;
    DeleteAttribute: DeleteAttributeRequest, DeleteAttributeResponse;
    ObtainLease: ObtainLeaseRequest, ObtainLeaseResponse;
    GetUsageAllocation: GetUsageAllocationRequest, GetUsageAllocationResponse;
    Activate: ActivateRequest, ActivateResponse;
    Revoke: RevokeRequest, RevokeResponse;
    Destroy: DestroyRequest, DestroyResponse;
    Archive: ArchiveRequest, ArchiveResponse;
    Recover: RecoverRequest, RecoverResponse;
    Validate: ValidateRequest, ValidateResponse;
    Query: QueryRequest, QueryResponse;
    Cancel: CancelRequest, CancelResponse;
    Poll: PollRequest, PollResponse;
    Notify: NotifyRequest, NotifyResponse;
    Put: PutRequest, PutResponse;
    ReKeyKeyPair: ReKeyKeyPairRequest, ReKeyKeyPairResponse;
    DiscoverVersions: DiscoverVersionsRequest, DiscoverVersionsResponse;
    Encrypt: EncryptRequest, EncryptResponse;
    Decrypt: DecryptRequest, DecryptResponse;
    Sign: SignRequest, SignResponse;
    SignatureVerify: SignatureVerifyRequest, SignatureVerifyResponse;
    Mac: MacRequest, MacResponse;
    MacVerify: MacVerifyRequest, MacVerifyResponse;
    RngRetrieve: RngRetrieveRequest, RngRetrieveResponse;
    RngSeed: RngSeedRequest, RngSeedResponse;
    Hash: HashRequest, HashResponse;
    CreateSplitKey: CreateSplitKeyRequest, CreateSplitKeyResponse;
    JoinSplitKey: JoinSplitKeyRequest, JoinSplitKeyResponse;
    Import: ImportRequest, ImportResponse;
    Export: ExportRequest, ExportResponse;
    Log: LogRequest, LogResponse;
    Login: LoginRequest, LoginResponse;
    Logout: LogoutRequest, LogoutResponse;
    DelegatedLogin: DelegatedLoginRequest, DelegatedLoginResponse;
    AdjustAttribute: AdjustAttributeRequest, AdjustAttributeResponse;
    SetAttribute: SetAttributeRequest, SetAttributeResponse;
    SetEndpointRole: SetEndpointRoleRequest, SetEndpointRoleResponse;
    Pkcs11: Pkcs11Request, Pkcs11Response;
    Interop: InteropRequest, InteropResponse;
    ReProvision: ReProvisionRequest, ReProvisionResponse;
    SetDefaults: SetDefaultsRequest, SetDefaultsResponse;
    SetConstraints: SetConstraintsRequest, SetConstraintsResponse;
    GetConstraints: GetConstraintsRequest, GetConstraintsResponse;
    QueryAsynchronousRequests: QueryAsynchronousRequestsRequest, QueryAsynchronousRequestsResponse;
    Process: ProcessRequest, ProcessResponse;
    Ping: PingRequest, PingResponse;
}
