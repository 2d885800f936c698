//! Attacks.
use serde_json::Value;
use crate::world::World;
/// Every event so far but the records of refusals.
pub async fn changes(world: &World) -> Vec<Value> {
    world.events().await.into_iter().filter(|event| !event["kind"].as_str().unwrap().starts_with("access.refused")).collect()
}
