//! The restricted profile: what is refused, to whom, and what Query says about it.

use core_server::profile::{PROFILE, Role};
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::*;

use crate::client::*;
use crate::rig::Rig;

#[tokio::test]
async fn get_of_key_material_is_refused_to_everybody() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    for party in [&operator, &rig.gateway("acme-gateway")] {
        for key in [&chain.l1, &chain.l2, &chain.l3] {
            assert_eq!(party.refused(get(key)).await, ResultReason::PermissionDenied);
        }
    }
}

#[tokio::test]
async fn each_role_keeps_to_its_own() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    let denied = ResultReason::PermissionDenied;
    assert_eq!(gateway.refused(create([link(&chain.l2)])).await, denied);
    assert_eq!(gateway.refused(register(l1_attributes("acme", "software:x"), None)).await, denied);
    assert_eq!(gateway.activate(&chain.l3).await.unwrap_err().reason, denied);
    assert_eq!(gateway.destroy(&chain.l3).await.unwrap_err().reason, denied);
    let compromise = RevocationReasonCode::KeyCompromise;
    assert_eq!(gateway.revoke(&chain.l3, compromise).await.unwrap_err().reason, denied);
    assert_eq!(operator.wrap(&chain.l3, &object(), b"x").await.unwrap_err().reason, denied);
    assert_eq!(operator.unwrap(&chain.l3, &object(), b"x").await.unwrap_err().reason, denied);
    assert_eq!(operator.refused(ObtainLeaseRequest { unique_identifier: named(&chain.l3) }).await, denied);
    assert_eq!(operator.state(&chain.l3).await, State::Active);
}

#[tokio::test]
async fn strangers_are_refused_everything() {
    let rig = Rig::start().await;
    let chain = rig.operator().provision("acme").await;
    let strangers = [
        rig.party("acme", "app"),
        rig.party("krypton-gateway", "unheard-of"),
        rig.party("krypton-operators", "olga"),
        rig.party("", "olga"),
    ];
    for stranger in &strangers[..3] {
        let requests: Vec<Request> = vec![
            PingRequest {}.into(),
            DiscoverVersionsRequest { protocol_versions: Vec::new() }.into(),
            query().into(),
            locate([]).into(),
            get(&chain.l3).into(),
            wrap(&chain.l3, &object(), b"x").into(),
            create([link(&chain.l1)]).into(),
            DestroyRequest { unique_identifier: named(&chain.l3) }.into(),
        ];
        for answer in stranger.batch(&requests).await {
            assert_eq!(answer.unwrap_err().reason, ResultReason::PermissionDenied);
        }
    }
}

fn query() -> QueryRequest {
    QueryRequest {
        query_functions: vec![QueryFunction::QueryOperations, QueryFunction::QueryObjects],
        object_groups: None,
    }
}

#[tokio::test]
async fn query_tells_what_the_profile_allows() {
    let rig = Rig::start().await;
    for (party, role) in [(rig.operator(), Role::Operator), (rig.gateway("acme-gateway"), Role::Gateway)] {
        let answer = party.ask::<QueryResponse>(query()).await.unwrap();
        let expected: Vec<Operation> =
            PROFILE.iter().filter(|row| row.roles.contains(&role)).map(|row| row.operation).collect();
        assert_eq!(answer.operations, expected);
        assert_eq!(answer.object_types, [ObjectType::SymmetricKey]);
        party.call(PingRequest {}).await.unwrap();
        party.call(DiscoverVersionsRequest { protocol_versions: Vec::new() }).await.unwrap();
    }
}
