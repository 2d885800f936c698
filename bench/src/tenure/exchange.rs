//! Token exchange (RFC 8693): an actor exchanges a live token that a principal had made out to it for one by which it
//! acts.

use anyhow::Result;
use serde_json::{Value, json};

use super::{ENVIRONMENT, ISSUED, RESOURCE, Tenure, To, now};
use crate::assertion::form;
use crate::http::{Api, text};
use crate::load::{Load, Measured};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

impl Tenure {
    /// Each workload exchanges the token of its own principal, with a fresh proof of its own, over and over.
    pub(super) async fn exchange(&self, load: Load) -> Result<Measured> {
        let handed = self.handed().await?;
        let sign = async |count: usize| {
            let asked = self.workloads.iter().zip(&handed).cycle().take(count);
            let signed = asked.map(|(actor, token)| {
                let assertion = actor.key.assertion(&actor.id, &self.issuer, now())?;
                let parameters =
                    [("grant_type", GRANT), ("subject_token", token), ("subject_token_type", ACCESS_TOKEN)];
                Ok(self.at_token_endpoint(&[], &form(&assertion, &parameters)))
            });
            signed.collect()
        };
        let to = To::Clear(self.address);
        self.look(to, sign(1).await?, "/act/sub").await?;
        self.prepared(load, to, ISSUED, sign).await
    }

    /// For each workload a principal of its own, and the token that this one had made out to it.
    async fn handed(&self) -> Result<Vec<String>> {
        let administrator = Api { address: self.address, authorization: Some(self.administrator.clone()) };
        let own = json!({
            "uri": self.issuer, "type": "tenure", "actions": ["delegate"], "application": text(&self.registrar.charter, "/application")?,
            "environment": ENVIRONMENT, "data_domains": [], "verification": "online", "when_unreachable": "deny",
        });
        let own = administrator.call("POST", "/v1/resources", &own).await?;
        let read = json!({ "actions": ["read"], "resource": self.resource });
        let mut tokens = Vec::with_capacity(self.workloads.len());
        for (n, actor) in self.workloads.iter().enumerate() {
            let facts = json!({
                "scope": [read, { "actions": ["delegate"], "resource": text(&own, "/id")? }],
                "delegates": [{ "actor": actor.id, "scope": [read], "onward": 0 }],
            });
            let principal = self.registrar.register(&format!("principal-{n}"), &facts).await?;
            let details: Value = json!([{ "type": "tenure_delegation", "actor": actor.id, "locations": [RESOURCE], "actions": ["read"] }]);
            let assertion = principal.key.assertion(&principal.id, &self.issuer, now())?;
            let parameters = [("grant_type", "client_credentials"), ("authorization_details", &details.to_string())];
            let asked = self.at_token_endpoint(&[], &form(&assertion, &parameters));
            tokens.push(self.token(To::Clear(self.address), &asked).await?);
        }
        Ok(tokens)
    }
}
