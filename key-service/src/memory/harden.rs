//! What a server does to its own process before it holds a secret.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// What [`harden_process`] achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardeningReport {
    /// The limit for core files is 0.
    pub core_dumps_disabled: bool,
    /// The process is not dumpable: processes of the same user can neither trace it nor read its memory.
    pub tracing_disabled: bool,
    /// How many bytes this process may lock; `None` is without limit. A process with `CAP_IPC_LOCK` has no limit anyway.
    pub memory_lock_limit_bytes: Option<u64>,
}

/// Forbids core dumps and tracing, and raises the soft limit on locked memory to the hard one. Call it first in `main`.
pub fn harden_process() -> HardeningReport {
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    let hard = getrlimit(Resource::Memlock).maximum;
    // A refusal leaves the old limit, which the report then shows.
    let _ = setrlimit(Resource::Memlock, Rlimit { current: hard, maximum: hard });
    HardeningReport {
        core_dumps_disabled: setrlimit(Resource::Core, no_core).is_ok(),
        tracing_disabled: set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok(),
        memory_lock_limit_bytes: getrlimit(Resource::Memlock).current,
    }
}
