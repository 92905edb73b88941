//! The root `pkcs11:…`: a key in a token, named by an RFC 7512 URI. The key never leaves the token; L2s go in and out.
//!
//! AES-GCM by C_Encrypt and C_Decrypt works on the most tokens. The key is looked up for each use, so that one that was
//! deleted or forbidden is missed at once.

mod location;
mod token;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use key_service::crypto::{Entropy, SystemEntropy};
use key_service::memory::LockedMemory;
use zeroize::Zeroizing;

use super::{Plaintext, RootError, RootOfTrust};
use crate::openings::{Opened, Opening};
use location::{KeyName, Location, ModuleChoice, TokenAddress};
use token::{Module, Token, judge};

/// The format version of what a token sealed: other than those of the envelopes of software roots.
const FORMAT_VERSION: u8 = 0x11;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const TAG_BITS: u64 = 128;

/// The modules that the configuration allows, and the tokens that are in use.
#[derive(Debug)]
pub(super) struct Tokens {
    modules: BTreeMap<String, Arc<Module>>,
    timeout: Duration,
    tokens: Mutex<HashMap<TokenAddress, Arc<Token>>>,
}

impl Tokens {
    /// `modules`: the libraries that may be loaded, by name. `timeout`: for one use of a token, queueing included.
    pub(super) fn new(modules: &BTreeMap<String, PathBuf>, timeout: Duration) -> Self {
        let modules = modules.iter().map(|(name, path)| (name.clone(), Arc::new(Module::new(path.clone()))));
        Self { modules: modules.collect(), timeout, tokens: Mutex::default() }
    }

    /// The root at `location`. Nothing is loaded or asked yet.
    pub(super) fn root(&self, location: &str, memory: LockedMemory) -> Result<Pkcs11Root, RootError> {
        let unfit = |reason: &str| {
            tracing::warn!(location, reason, "the Key Value Location names no key of a token");
            RootError::UnknownLocation
        };
        let Location { token, key } = location::parse(location).map_err(unfit)?;
        let module = self.module(&token.module).map_err(unfit)?;
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let token = match tokens.get(&token) {
            Some(known) => Arc::clone(known),
            None => {
                tokens.retain(|_, token| !token.is_forgettable());
                let made = Arc::new(Token::new(module, token.clone(), self.timeout));
                Arc::clone(tokens.entry(token).or_insert(made))
            }
        };
        Ok(Pkcs11Root { token, key, memory, entropy: SystemEntropy::new() })
    }

    /// A client chooses among the modules that the configuration names; it brings none.
    fn module(&self, choice: &ModuleChoice) -> Result<Arc<Module>, &'static str> {
        let mut modules = self.modules.iter();
        let found = match choice {
            ModuleChoice::Only => match (modules.next(), modules.next()) {
                (Some((_, only)), None) => Some(only),
                (None, _) => return Err("roots.pkcs11_modules names no module"),
                _ => return Err("there are several modules: module-name has to tell which"),
            },
            ModuleChoice::Name(name) => self.modules.get(name),
            ModuleChoice::Path(path) => self.modules.values().find(|module| module.path() == path),
        };
        found.cloned().ok_or("the module is not one of roots.pkcs11_modules")
    }
}

/// Loads a library, to see whether it can be.
///
/// # Errors
/// If it cannot.
pub(super) fn load(path: &Path) -> Result<(), RootError> {
    Module::new(path.to_owned()).load()
}

/// One key in a token.
pub(super) struct Pkcs11Root {
    token: Arc<Token>,
    key: KeyName,
    memory: LockedMemory,
    entropy: SystemEntropy,
}

#[async_trait]
impl RootOfTrust for Pkcs11Root {
    async fn seal(&self, associated_data: &[u8], plaintext: &Arc<Plaintext>) -> Result<Bytes, RootError> {
        let nonce = self.nonce()?;
        let (key, associated_data, plaintext) =
            (self.key.clone(), associated_data.to_vec(), Arc::clone(plaintext));
        let seal = move |session: &Session| {
            let key = find(session, &key)?;
            seal_in(session, key, nonce, &associated_data, plaintext.expose())
        };
        self.token.work(seal).await
    }

    async fn unseal(
        &self,
        associated_data: &[u8],
        sealed: &[u8],
        opening: &Arc<Opening>,
    ) -> Result<Opened, RootError> {
        if sealed.len() <= 1 + NONCE_BYTES + TAG_BYTES || sealed[0] != FORMAT_VERSION {
            return Err(RootError::Damaged);
        }
        let (key, memory) = (self.key.clone(), self.memory.clone());
        let (associated_data, sealed) = (associated_data.to_vec(), sealed.to_vec());
        let opening = Arc::clone(opening);
        let unseal = move |session: &Session| {
            let key = find(session, &key)?;
            opening.make(|| Ok(memory.store(&unseal_in(session, key, &associated_data, &sealed)?)?))
        };
        self.token.work(unseal).await
    }

    async fn probe(&self) -> Result<(), RootError> {
        let (key, nonce) = (self.key.clone(), self.nonce()?);
        let prove = move |session: &Session| {
            let key = find(session, &key)?;
            judge_key(session, key)?;
            let sealed = seal_in(session, key, nonce, CANARY, CANARY)?;
            // Nobody can have damaged this one: the token fails.
            let failed = || RootError::Unreachable("the token does not decrypt what it encrypted".to_owned());
            match unseal_in(session, key, CANARY, &sealed) {
                Ok(opened) if *opened == CANARY => Ok(()),
                Ok(_) | Err(RootError::Damaged) => Err(failed()),
                Err(error) => Err(error),
            }
        };
        self.token.work(prove).await
    }

    fn home(&self) -> String {
        self.token.to_string()
    }
}

/// What a probe encrypts.
const CANARY: &[u8] = b"krypton: is the root there?";

impl Pkcs11Root {
    fn nonce(&self) -> Result<[u8; NONCE_BYTES], RootError> {
        let mut nonce = [0; NONCE_BYTES];
        let failed = |error: key_service::crypto::CryptoError| RootError::Unreachable(error.to_string());
        self.entropy.fill(&mut nonce).map_err(failed)?;
        Ok(nonce)
    }
}

/// The one AES key of that name.
fn find(session: &Session, name: &KeyName) -> Result<ObjectHandle, RootError> {
    let mut template = vec![
        Attribute::Token(true),
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
    ];
    template.extend(name.label.as_ref().map(|label| Attribute::Label(label.clone().into_bytes())));
    template.extend(name.id.as_ref().map(|id| Attribute::Id(id.clone())));
    match session.find_objects(&template).map_err(judge)?.as_slice() {
        [only] => Ok(*only),
        [] => Err(RootError::Denied("the token has no such AES key".to_owned())),
        _ => Err(RootError::Denied("the token has several such keys: which is meant?".to_owned())),
    }
}

/// A key that can be taken out of its token is no root of trust.
fn judge_key(session: &Session, key: ObjectHandle) -> Result<(), RootError> {
    let asked = [AttributeType::Sensitive, AttributeType::Extractable];
    let attributes = session.get_attributes(key, &asked).map_err(judge)?;
    let stays = attributes.contains(&Attribute::Sensitive(true));
    if stays && attributes.contains(&Attribute::Extractable(false)) {
        return Ok(());
    }
    Err(RootError::Denied(
        "the key can be taken out of the token: it has to be sensitive and not extractable".to_owned(),
    ))
}

fn seal_in(
    session: &Session,
    key: ObjectHandle,
    mut nonce: [u8; NONCE_BYTES],
    associated_data: &[u8],
    plaintext: &[u8],
) -> Result<Bytes, RootError> {
    let encrypt = |nonce: &mut [u8]| -> Result<Vec<u8>, Error> {
        let parameters = GcmParams::new(nonce, associated_data, TAG_BITS.into())?;
        session.encrypt(&Mechanism::AesGcm(parameters), key, plaintext)
    };
    let ciphertext = encrypt(&mut nonce).map_err(judge)?;
    // Some tokens make the nonce themselves, and put it into the place of ours.
    Ok([&[FORMAT_VERSION][..], &nonce, &ciphertext].concat().into())
}

fn unseal_in(
    session: &Session,
    key: ObjectHandle,
    associated_data: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, RootError> {
    let (nonce, ciphertext) = sealed[1..].split_at(NONCE_BYTES);
    let mut nonce = nonce.to_vec();
    let parameters = GcmParams::new(&mut nonce, associated_data, TAG_BITS.into());
    let mechanism = Mechanism::AesGcm(parameters.map_err(judge)?);
    session.decrypt(&mechanism, key, ciphertext).map(Zeroizing::new).map_err(judge)
}
