//! What sets of policies answer, and what they remember.

#![allow(clippy::unwrap_used)]

use std::cell::Cell;

use super::*;

const GATEWAY: Principal<'_> = Principal { role: Role::Gateway, name: "g1" };
const OPERATOR: Principal<'_> = Principal { role: Role::Operator, name: "olga" };

fn key<'a>(tenant: &'a str, service: &'a str) -> Resource<'a> {
    Resource::Key { unique_identifier: "l3", tenant, service, level: "L3", state: "Active" }
}

fn asked(principal: Principal<'static>, action: Action, resource: Resource<'static>) -> Question<'static> {
    Question { principal, action, resource }
}

fn policies(text: &str) -> Policies {
    Policies::new(text, "eu-1").unwrap()
}

fn verdict(policies: &Policies, question: &Question<'_>) -> Verdict {
    Verdict::clone(&policies.decide(question, Circumstances::default))
}

fn permits(policies: &Policies, question: &Question<'_>) -> bool {
    let first = verdict(policies, question);
    // Remembered answers are the same.
    assert_eq!(verdict(policies, question), first);
    first.is_permitted()
}

#[test]
fn the_built_in_policies_go_by_role() {
    let policies = Policies::built_in("eu-1").unwrap();
    assert!(policies.warnings().is_empty(), "{:?}", policies.warnings());
    let of_gateways =
        [Action::Wrap, Action::Unwrap, Action::Lease, Action::Derive, Action::Bury, Action::Read];
    let of_operators = [Action::Manage, Action::Rotate, Action::Destroy, Action::Revoke, Action::Read];
    for action in Action::ALL {
        let resource = key("acme", "default");
        let by_gateway = of_gateways.contains(&action);
        assert_eq!(permits(&policies, &asked(GATEWAY, action, resource)), by_gateway, "{action}");
        let by_operator = of_operators.contains(&action);
        assert_eq!(permits(&policies, &asked(OPERATOR, action, resource)), by_operator, "{action}");
    }
    for resource in [Resource::Region, Resource::Tenant("acme")] {
        assert!(permits(&policies, &asked(OPERATOR, Action::Manage, resource)));
    }
}

#[test]
fn nothing_is_permitted_by_nothing_and_forbid_goes_before_permit() {
    let wrap = asked(GATEWAY, Action::Wrap, key("acme", "default"));
    assert_eq!(verdict(&policies(""), &wrap).why, Why::NotPermitted);
    let both = policies(
        r#"@id("yes") permit (principal, action, resource);
           @id("no") forbid (principal, action, resource in Krypton::Service::"acme/billing");"#,
    );
    assert_eq!(verdict(&both, &wrap), Verdict { why: Why::Permitted, policies: vec!["yes".to_owned()] });
    let forbidden = verdict(&both, &asked(GATEWAY, Action::Wrap, key("acme", "billing")));
    assert_eq!(forbidden, Verdict { why: Why::Forbidden, policies: vec!["no".to_owned()] });
}

#[test]
fn scopes_narrow_to_tenants_services_keys_and_principals() {
    let policies = policies(
        r#"permit (principal == Krypton::Gateway::"g1", action in Krypton::Action::"use",
                   resource in Krypton::Tenant::"acme");
           permit (principal, action == Krypton::Action::"wrap", resource in Krypton::Service::"globex/mail");
           permit (principal == Krypton::Gateway::"g1", action == Krypton::Action::"lease",
                   resource == Krypton::Key::"l3-of-initech");
           permit (principal, action == Krypton::Action::"read", resource in Krypton::Region::"eu-1");"#,
    );
    let may = |action, resource| permits(&policies, &asked(GATEWAY, action, resource));
    assert!(may(Action::Wrap, key("acme", "default")) && may(Action::Unwrap, key("acme", "mail")));
    assert!(may(Action::Wrap, key("globex", "mail")));
    assert!(!may(Action::Wrap, key("globex", "default")) && !may(Action::Unwrap, key("globex", "mail")));
    let initech = |unique_identifier| Resource::Key {
        unique_identifier,
        tenant: "initech",
        service: "default",
        level: "L3",
        state: "Active",
    };
    // Of the same class, and told apart all the same.
    assert!(may(Action::Lease, initech("l3-of-initech")) && !may(Action::Lease, initech("another")));
    let other = Principal { role: Role::Gateway, name: "g2" };
    assert!(!permits(&policies, &asked(other, Action::Wrap, key("acme", "default"))));
    let operator_of_the_same_name = Principal { role: Role::Operator, name: "g1" };
    assert!(!permits(&policies, &asked(operator_of_the_same_name, Action::Wrap, key("acme", "default"))));
    assert!(may(Action::Read, Resource::Region) && may(Action::Read, key("initech", "default")));
}

#[test]
fn what_looks_at_the_moment_is_asked_each_time_and_nothing_else_is() {
    let policies = policies(
        r#"permit (principal, action == Krypton::Action::"wrap", resource) when { context.state == "Active" };
           permit (principal, action == Krypton::Action::"unwrap", resource) when { context.hour < 12 };
           forbid (principal, action == Krypton::Action::"unwrap", resource)
             when { context.unwraps_last_minute > 100 };"#,
    );
    let calls = Cell::new(0);
    let at = |action, epoch, unwraps_last_minute| {
        let question = asked(GATEWAY, action, key("acme", "default"));
        let circumstances = || {
            calls.set(calls.get() + 1);
            Circumstances { epoch, unwraps_last_minute, wraps_last_minute: 0 }
        };
        policies.decide(&question, circumstances).is_permitted()
    };
    assert!(at(Action::Wrap, 0, 0) && at(Action::Wrap, 50_000, 0));
    assert_eq!(calls.get(), 0);
    assert!(at(Action::Unwrap, 0, 0) && !at(Action::Unwrap, 50_000, 0) && at(Action::Unwrap, 0, 100));
    assert!(!at(Action::Unwrap, 0, 101));
    assert_eq!(calls.get(), 4);
}

/// Answers that are remembered are those that would be given anew, at every moment.
#[test]
fn a_span_is_answered_as_each_of_its_moments() {
    let text = r#"permit (principal, action, resource) when { context.state == "Active" && context.weekday < 6 };
        permit (principal, action, resource) when { context.wraps_last_minute > 10 || 3 == context.hour };
        permit (principal, action == Krypton::Action::"wrap", resource) unless { context.epoch >= 86400 };
        forbid (principal, action, resource) when { context.unwraps_last_minute >= 5 && context.epoch != 7200 };
        forbid (principal, action, resource) when { context.unwraps_last_minute * context.hour == 12 };
        forbid (principal, action, resource) when { context.weekday == 4 && 9223372036854775807 + context.hour > 0 };"#;
    let remembering = policies(text);
    let question = asked(GATEWAY, Action::Wrap, key("acme", "default"));
    let mut seen = HashSet::new();
    let grid = (0..14 * 24).flat_map(|hour| [-1, 0, 1].map(|second| hour * 3_600 + second));
    for epoch in grid {
        for (unwraps_last_minute, wraps_last_minute) in [(0, 0), (4, 10), (4, 11), (5, 11), (6, 0)] {
            let now = Circumstances { epoch, unwraps_last_minute, wraps_last_minute };
            let told = remembering.decide(&question, || now);
            let whole = PolicySet::from_policies(remembering.policies.iter().map(|read| read.policy.clone()));
            let anew = remembering.evaluate(&whole.unwrap(), &question, &now);
            // Which of several forbids is named may differ.
            assert_eq!(told.is_permitted(), anew.is_permitted(), "{now:?}: {told:?}, {anew:?}");
            seen.insert((told.why == Why::Failed, told.is_permitted()));
        }
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn policies_of_every_kind_are_heard() {
    let kinds = ["context.level == \"L3\"", "context.hour < 24", "context.epoch + 0 < 9"];
    let of_kind = |effect: &str, kind: usize| {
        let condition = kinds[kind];
        format!("@id(\"{effect} {kind}\") {effect} (principal, action, resource) when {{ {condition} }};\n")
    };
    let question = asked(GATEWAY, Action::Wrap, key("acme", "default"));
    for permitting in 0..kinds.len() {
        let permit = of_kind("permit", permitting);
        assert!(permits(&policies(&permit), &question), "{permitting}");
        for forbidding in 0..kinds.len() {
            let both = policies(&(permit.clone() + &of_kind("forbid", forbidding)));
            let denied = verdict(&both, &question);
            assert_eq!((denied.why, denied.policies), (Why::Forbidden, vec![format!("forbid {forbidding}")]));
        }
    }
}

#[test]
fn a_policy_that_fails_denies() {
    let policies = policies(
        r#"permit (principal, action, resource);
           @id("overflow") forbid (principal, action == Krypton::Action::"wrap", resource)
             when { context.epoch * 9223372036854775807 > 0 };"#,
    );
    let question = asked(GATEWAY, Action::Wrap, key("acme", "default"));
    let later = || Circumstances { epoch: 4, ..Circumstances::default() };
    let verdict = policies.decide(&question, later);
    assert_eq!(*verdict, Verdict { why: Why::Failed, policies: vec!["overflow".to_owned()] });
}

#[test]
fn what_does_not_fit_the_schema_is_refused() {
    let refused = |text: &str| Policies::new(text, "eu-1").err().unwrap();
    assert!(matches!(refused("permit (principal"), PolicyError::Unparsable(_)));
    assert!(matches!(
        refused("permit (principal == ?principal, action, resource);"),
        PolicyError::Template(_)
    ));
    for text in [
        r#"permit (principal, action == Krypton::Action::"unwarp", resource);"#,
        r#"permit (principal == Krypton::User::"x", action, resource);"#,
        r#"permit (principal, action == Krypton::Action::"wrap", resource) when { context.minute == 3 };"#,
        r#"permit (principal, action == Krypton::Action::"wrap", resource) when { context.hour == "3" };"#,
    ] {
        assert!(matches!(refused(text), PolicyError::Invalid(_)), "{text}");
    }
    let twice =
        r#"@id("a") permit (principal, action, resource); @id("a") forbid (principal, action, resource);"#;
    assert_eq!(refused(twice), PolicyError::Duplicate("a".to_owned()));
}

#[test]
fn questions_fit_the_schema() {
    let schema = (*SCHEMA_OF_CEDAR).as_ref().unwrap();
    assert_eq!(schema.by_action.len(), Action::ALL.len());
    let policies = policies("permit (principal, action, resource);");
    for (principal, action, resource) in [
        (GATEWAY, Action::Wrap, key("acme", "default")),
        (GATEWAY, Action::Bury, Resource::Region),
        (OPERATOR, Action::Manage, Resource::Tenant("acme")),
        (OPERATOR, Action::Manage, Resource::Service { tenant: "acme", service: "mail" }),
        (OPERATOR, Action::Read, key("acme", "")),
    ] {
        let question = asked(principal, action, resource);
        let (request, entities) = policies.in_cedar(&question, &Circumstances::default()).unwrap();
        let context = request.context().unwrap().clone();
        let (principal, action, resource) =
            (request.principal().unwrap(), request.action().unwrap(), request.resource().unwrap());
        Request::new(principal.clone(), action.clone(), resource.clone(), context, Some(&schema.schema))
            .unwrap();
        let placed = entities.iter().filter(|entity| entity.uid().type_name().basename() != "Action");
        Entities::from_entities(placed.cloned(), Some(&schema.schema)).unwrap();
    }
}

#[test]
fn slices_hold_what_may_matter_and_no_more() {
    let text: String = (0..1_000)
        .map(|tenant| format!("permit (principal, action, resource in Krypton::Tenant::\"t{tenant}\");\n"))
        .collect();
    let policies = policies(&text);
    let slice = policies.slice(&GATEWAY, Action::Wrap, Some("t7"));
    let counted =
        (slice.steady.num_of_policies(), slice.in_spans.num_of_policies(), slice.each_time.num_of_policies());
    assert_eq!(counted, (1, 0, 0));
    assert!(permits(&policies, &asked(GATEWAY, Action::Wrap, key("t7", "default"))));
    assert!(!permits(&policies, &asked(GATEWAY, Action::Wrap, key("t1000", "default"))));
}
