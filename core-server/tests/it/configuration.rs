//! The configuration file: the shipped example, and what is refused.

use std::path::Path;
use std::time::Duration;

use core_server::Config;
use core_server::config::{MemorySettings, PolicySettings, RequestLimits, RootSettings};
use core_server::policy::budget::BudgetSettings;
use key_service::audit_log::AuditSettings;
use key_service::store::StoreUrl;
use kmip_net::{IdentityRule, ServerLimits};

use crate::rig::Rig;

#[test]
fn the_example_is_sound_and_shows_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("krypton-core.example.toml");
    let config = Config::read(&path).unwrap();
    assert_eq!(config.limits, ServerLimits::default());
    assert_eq!(config.requests, RequestLimits::default());
    assert_eq!(config.memory, MemorySettings::default());
    assert_eq!(config.roots, RootSettings::default());
    assert_eq!(config.policy, PolicySettings::default());
    assert_eq!(config.budget, BudgetSettings::default());
    assert_eq!(config.identity, IdentityRule::default());
    assert_eq!(config.audit, AuditSettings::default());
    assert_eq!(config.store, StoreUrl::Embedded(None));
    assert_eq!(config.gateways.len(), 1);
    let text = std::fs::read_to_string(&path).unwrap();
    let [listen, admin] = [config.listen, config.admin_listen].map(|address| format!("\"{address}\""));
    assert!(text.contains(&listen) && text.contains(&admin));
}

#[test]
fn relative_paths_are_taken_from_the_folder_of_the_file() {
    let rig = Rig::stopped();
    let config = rig.config();
    assert_eq!(config.state_directory, rig.folder.path().join("state"));
    assert_eq!(config.software_directory(), rig.folder.path().join("state/l1"));
    assert_eq!(config.limits.idle_timeout, Duration::from_secs(300));
}

#[test]
fn what_means_nothing_is_refused() {
    let rig = Rig::stopped();
    for (more, named) in [
        ("listne = 1", "listne"),
        ("store = \"mysql://host\"", "store"),
        ("operator_unit = \"krypton-gateway\"", "operator_unit"),
        ("[requests]\nmaximum_plaintext_bytes = 2000000000\n[other]", "other"),
        ("[[gateway]]\nname = \"g\"\ntenants = [\"a/b\"]\n[x]", "x"),
        ("log = { format = \"xml\" }", "xml"),
    ] {
        let path = rig.write_config(more);
        let error = Config::read(&path).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains("core.toml"), "{more}: {error}");
    }
    let path = rig.folder.path().join("twice.toml");
    let gateway = "[[gateway]]\nname = \"both-gateway\"\ntenants = []\n";
    let text = std::fs::read_to_string(rig.write_config("")).unwrap();
    std::fs::write(&path, format!("{text}\n{gateway}")).unwrap();
    assert!(Config::read(&path).unwrap_err().to_string().contains("both-gateway"));
    std::fs::write(&path, format!("{text}\n[[gateway]]\nname = \"g\"\ntenants = [\"a/b\"]\n")).unwrap();
    assert!(Config::read(&path).unwrap_err().to_string().contains("a/b"));
}
