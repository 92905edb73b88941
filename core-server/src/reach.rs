//! What a Gateway reaches by the configuration: tenants, and services of them. The outer wall: no policy opens it.

use std::collections::HashSet;

use bytestring::ByteString;

use crate::config::GatewaySettings;

/// Tenants, and which of their services.
#[derive(Debug, Default)]
pub struct Reach {
    tenants: HashSet<ByteString>,
    /// `None`: all. Names alone stand for services of any of the tenants.
    services: Option<HashSet<String>>,
}

impl Reach {
    /// What the section of a Gateway says.
    pub fn of(settings: &GatewaySettings) -> Self {
        Self {
            tenants: settings.tenants.iter().map(|tenant| tenant.as_str().into()).collect(),
            services: settings.services.as_ref().map(|services| services.iter().cloned().collect()),
        }
    }

    /// Whether a service of a tenant is within reach.
    pub fn includes(&self, tenant: &str, service: &str) -> bool {
        let is_named = |services: &HashSet<String>| {
            services.contains(service) || services.contains(&format!("{tenant}/{service}"))
        };
        self.tenants.contains(tenant) && self.services.as_ref().is_none_or(is_named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(services: Option<&[&str]>) -> Reach {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Reach::of(&GatewaySettings {
            name: "g".to_owned(),
            tenants: owned(&["acme", "globex"]),
            services: services.map(owned),
            budget: None,
        })
    }

    #[test]
    fn nothing_is_reached_but_what_is_named() {
        let all = reach(None);
        assert!(all.includes("acme", "mail") && all.includes("globex", "default"));
        assert!(!all.includes("initech", "mail") && !Reach::default().includes("acme", "mail"));
        let some = reach(Some(&["mail", "acme/billing"]));
        assert!(some.includes("acme", "mail") && some.includes("globex", "mail"));
        assert!(some.includes("acme", "billing") && !some.includes("globex", "billing"));
        assert!(!some.includes("acme", "default") && !some.includes("initech", "mail"));
        assert!(!reach(Some(&[])).includes("acme", "mail"));
    }
}
