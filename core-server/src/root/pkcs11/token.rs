//! Tokens: modules loaded once, sessions pooled and logged in, each use on a thread that may block and within a time-out.
//!
//! A token has a few sessions. One that hangs keeps as many threads, and nobody waits for it longer than the time-out;
//! other tokens have sessions of their own.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::RawAuthPin;
use tokio::sync::Semaphore;

use super::location::TokenAddress;
use crate::root::RootError;

/// Sessions of one token at once.
const SESSIONS: usize = 4;

/// Bytes of a PIN at most.
const MAXIMUM_PIN_BYTES: u64 = 256;

/// A library of the configuration, loaded when it is first needed.
#[derive(Debug)]
pub(super) struct Module {
    path: PathBuf,
    client: Mutex<Option<Pkcs11>>,
}

impl Module {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, client: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Loads the library, if it is not yet.
    ///
    /// # Errors
    /// If it is none, or does not start.
    pub(super) fn load(&self) -> Result<(), RootError> {
        self.client().map(drop)
    }

    fn client(&self) -> Result<Pkcs11, RootError> {
        let mut client = lock(&self.client);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let loaded = Pkcs11::new(&self.path).map_err(judge)?;
        match loaded.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => (),
            Err(error) => return Err(judge(error)),
        }
        tracing::info!(module = %self.path.display(), "PKCS#11 module loaded");
        Ok(client.insert(loaded).clone())
    }
}

/// A token in use.
#[derive(Debug)]
pub(super) struct Token {
    module: Arc<Module>,
    address: TokenAddress,
    timeout: Duration,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Session>>,
    refused_pin: Mutex<Option<PinStamp>>,
}

/// Tells a PIN file from the same file after a change.
type PinStamp = (Option<SystemTime>, u64);

impl Token {
    pub(super) fn new(module: Arc<Module>, address: TokenAddress, timeout: Duration) -> Self {
        let permits = Arc::new(Semaphore::new(SESSIONS));
        Self { module, address, timeout, permits, idle: Mutex::default(), refused_pin: Mutex::default() }
    }

    /// Whether nothing is lost when this is dropped and made anew.
    pub(super) fn is_forgettable(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1 && lock(&self.idle).is_empty() && lock(&self.refused_pin).is_none()
    }

    /// Works with a session of the token, logged in.
    ///
    /// # Errors
    /// What `work` answers; [`RootError::Unreachable`] also when there is no answer in time.
    pub(super) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Fn(&Session) -> Result<T, RootError> + Send + 'static,
    ) -> Result<T, RootError> {
        let unreachable = |what: &str| RootError::Unreachable(what.to_owned());
        let done = async {
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            let permit = permit.map_err(|_| unreachable("the token is given up"))?;
            let token = Arc::clone(self);
            let done = tokio::task::spawn_blocking(move || {
                // Kept however long the token takes, even when nobody waits any more.
                let _permit = permit;
                token.work_here(&work)
            });
            done.await.map_err(|_| unreachable("the work with the token has panicked"))?
        };
        let late = |_| Err(unreachable("the token does not answer in time"));
        tokio::time::timeout(self.timeout, done).await.unwrap_or_else(late)
    }

    fn work_here<T>(&self, work: &impl Fn(&Session) -> Result<T, RootError>) -> Result<T, RootError> {
        let pooled = lock(&self.idle).pop();
        if let Some(session) = pooled {
            let done = work(&session);
            let counts = match &done {
                Ok(_) => true,
                Err(RootError::Unreachable(_)) => false,
                // To a session that is logged out, keys are not there.
                Err(_) => self.is_logged_in(&session),
            };
            if counts {
                lock(&self.idle).push(session);
                return done;
            }
            // The token has been away, and the other sessions have ended too. Closed outside the lock.
            let others = std::mem::take(&mut *lock(&self.idle));
            drop((session, others));
        }
        let session = self.open()?;
        let done = work(&session);
        if !matches!(done, Err(RootError::Unreachable(_))) {
            lock(&self.idle).push(session);
        }
        done
    }

    fn open(&self) -> Result<Session, RootError> {
        let client = self.module.client()?;
        let session = client.open_ro_session(self.slot(&client)?).map_err(judge)?;
        self.log_in(&session)?;
        Ok(session)
    }

    fn slot(&self, client: &Pkcs11) -> Result<Slot, RootError> {
        let is_ours = |slot: &Slot| {
            // A slot that does not answer is somebody else's trouble.
            client.get_token_info(*slot).is_ok_and(|token| {
                let serial = self.address.serial.as_deref();
                token.label() == self.address.label
                    && serial.is_none_or(|serial| token.serial_number() == serial)
            })
        };
        let slots = client.get_slots_with_token().map_err(judge)?;
        let mut found = slots.into_iter().filter(is_ours);
        match (found.next(), found.next()) {
            (Some(slot), None) => Ok(slot),
            (None, _) => Err(RootError::Unreachable("no such token is there".to_owned())),
            _ => Err(RootError::Unreachable("several tokens have this label: name the serial".to_owned())),
        }
    }

    /// A PIN that was refused is not tried again until its file changes: tokens lock themselves after a few wrong ones.
    fn log_in(&self, session: &Session) -> Result<(), RootError> {
        let Some(path) = &self.address.pin_source else { return Ok(()) };
        let unreadable =
            |error: io::Error| RootError::Unreachable(format!("the PIN file cannot be read: {error}"));
        let (pin, stamp) = read_pin(path).map_err(unreadable)?;
        if *lock(&self.refused_pin) == Some(stamp) {
            let message = "the token has refused the PIN; it is tried again when its file has changed";
            return Err(RootError::Denied(message.to_owned()));
        }
        match session.login_with_raw(UserType::User, &pin) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) => {
                let error = judge(error);
                if matches!(error, RootError::Denied(_)) {
                    *lock(&self.refused_pin) = Some(stamp);
                }
                Err(error)
            }
        }
    }

    fn is_logged_in(&self, session: &Session) -> bool {
        let is_user = |state| matches!(state, SessionState::RoUser | SessionState::RwUser);
        self.address.pin_source.is_none()
            || session.get_session_info().is_ok_and(|session| is_user(session.session_state()))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(formatter)
    }
}

/// The first line of a file.
fn read_pin(path: &Path) -> io::Result<(RawAuthPin, PinStamp)> {
    // A client names the path: a pipe must not keep us waiting.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() || facts.len() > MAXIMUM_PIN_BYTES {
        return Err(io::Error::other("it is no short file"));
    }
    let mut pin = Vec::with_capacity(MAXIMUM_PIN_BYTES as usize + 1);
    file.take(MAXIMUM_PIN_BYTES).read_to_end(&mut pin)?;
    let end = pin.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(pin.len());
    pin.truncate(end);
    Ok((RawAuthPin::new(Box::new(pin)), (facts.modified().ok(), facts.len())))
}

/// What an error of a token means. Of the errors of a decryption itself, tokens give any for a wrong tag.
pub(super) fn judge(error: Error) -> RootError {
    use RvError::*;
    let Error::Pkcs11(code, function) = &error else {
        return RootError::Unreachable(error.to_string());
    };
    match code {
        DeviceError
        | DeviceRemoved
        | DeviceMemory
        | HostMemory
        | TokenNotPresent
        | TokenNotRecognized
        | SlotIdInvalid
        | SessionHandleInvalid
        | SessionClosed
        | SessionCount
        | CryptokiNotInitialized
        | UserNotLoggedIn => RootError::Unreachable(error.to_string()),
        KeyFunctionNotPermitted
        | KeyHandleInvalid
        | ObjectHandleInvalid
        | KeyTypeInconsistent
        | KeySizeRange
        | ActionProhibited
        | MechanismInvalid
        | PinIncorrect
        | PinInvalid
        | PinLenRange
        | PinExpired
        | PinLocked
        | UserPinNotInitialized => RootError::Denied(error.to_string()),
        _ if matches!(function, Function::Decrypt) => RootError::Damaged,
        _ => RootError::Unreachable(error.to_string()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
