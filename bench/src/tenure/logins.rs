//! Logins just in time at a PostgreSQL (R58): asked for by many workloads, and ended all at once by a cut.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{ENVIRONMENT, FORM, Tenure, Workload, employ, now};
use crate::assertion::form;
use crate::cpu::Group;
use crate::http::{Api, Connection, request, text};
use crate::load::{Load, Measured, Operation, run};
use crate::logins::GROUP;

/// The most items that a page has.
const PAGE: usize = 200;
const URI: &str = "postgres://bench";

/// Workloads that may have logins at a target.
pub struct LoginUsers {
    target: String,
    application: String,
    security: Api,
    workloads: Vec<Workload>,
}

impl Tenure {
    fn administrator(&self) -> Api {
        Api { address: self.address, authorization: Some(self.administrator.clone()) }
    }

    /// A target of a kind, with its connector's login: from then on it is looked through.
    pub async fn target(
        &self,
        second: &Api,
        (kind, mode): (&str, &str),
        endpoint: &Value,
        login: &Value,
    ) -> Result<String> {
        let admin = self.administrator();
        let scope = json!({ "scope": [{ "actions": ["read"], "resource": self.resource }] });
        let connector = self.registrar.register(&format!("connector-{kind}"), &scope).await?;
        let target = json!({
            "name": format!("bench-{kind}"), "kind": kind, "endpoint": endpoint, "mode": mode, "identity": connector.id,
            "owner": self.owner, "environment": ENVIRONMENT, "scan_every": "1h", "claim_within": "1h",
        });
        let target = text(&admin.call("POST", "/v1/targets", &target).await?, "/id")?.to_owned();
        second.call("POST", &format!("/v1/targets/{target}/confirm"), &json!({})).await?;
        admin.call("POST", &format!("/v1/targets/{target}/login"), login).await?;
        Ok(target)
    }

    /// Another administrator, who confirms what the first one does.
    pub async fn second(&self) -> Result<Api> {
        let facts = json!({ "name": "Second", "roles": ["administrator"] });
        Ok(employ(&self.administrator(), &facts).await?.1)
    }

    /// How a look through a target's accounts came out, once it is over.
    pub async fn scanned(&self, target: &str) -> Result<Option<Value>> {
        let target = self.administrator().call("GET", &format!("/v1/targets/{target}"), &Value::Null).await?;
        ensure!(target.pointer("/trouble").is_none_or(Value::is_null), "the target can't be looked through: {target}");
        Ok(target.get("scanned").filter(|scanned| !scanned.is_null()).cloned())
    }

    /// A target with its connector's login, a resource there, and so many workloads, in an application of their own, that
    /// may read it.
    pub async fn login_users(&self, endpoint: &Value, login: &Value, workloads: usize) -> Result<LoginUsers> {
        let admin = self.administrator();
        // As long as there is one administrator, nobody else has to confirm a role.
        let (_, security) = employ(&admin, &json!({ "name": "Security", "roles": ["security"] })).await?;
        let second = self.second().await?;
        let teams = admin.call("GET", "/v1/teams", &Value::Null).await?;
        let application =
            json!({ "name": "logins", "owner": self.owner, "removal_group": text(&teams, "/items/0/id")? });
        let application = text(&admin.call("POST", "/v1/applications", &application).await?, "/id")?.to_owned();
        let target = self.target(&second, ("postgresql", "issue"), endpoint, login).await?;
        let resource = json!({
            "uri": URI, "type": "database", "actions": ["read"], "application": application, "environment": ENVIRONMENT,
            "data_domains": [], "verification": "online", "when_unreachable": "deny",
        });
        let resource = text(&admin.call("POST", "/v1/resources", &resource).await?, "/id")?.to_owned();
        let path = format!("/v1/resources/{resource}");
        let mapping = json!({ "logins": { "target": target, "actions": { "read": [format!("MEMBER OF {GROUP}")] } }, "purpose": "the bench" });
        let opened = admin.call("PATCH", &path, &mapping).await?;
        let opened = text(&opened, "/id")?;
        let read = second.call("GET", &format!("/v1/requests/{opened}"), &Value::Null).await?;
        let vote = json!({ "content_hash": text(&read, "/content_hash")? });
        second.call("POST", &format!("/v1/requests/{opened}/approve"), &vote).await?;
        let facts = json!({
            "application": application, "credential_types": ["access_token", "login"],
            "scope": [{ "actions": ["read"], "resource": resource }],
        });
        let mut users = LoginUsers { target, application, security, workloads: Vec::with_capacity(workloads) };
        for n in 0..workloads {
            users.workloads.push(self.registrar.register(&format!("login-user-{n}"), &facts).await?);
        }
        Ok(users)
    }

    /// Each of them asks for so many logins.
    pub async fn logins(&self, users: &LoginUsers, each: usize, load: Load, database: Group) -> Result<Measured> {
        let path = format!("/env/{ENVIRONMENT}/logins");
        let signed = users.workloads.iter().cycle().take(users.workloads.len() * each).map(|workload| {
            let assertion = workload.key.assertion(&workload.id, &self.issuer, now())?;
            let form = form(&assertion, &[("resource", URI)]);
            Ok(request("POST", &path, self.address, &[FORM], form.as_bytes()))
        });
        let requests = signed.collect::<Result<Vec<_>>>()?;
        // The first one says what is wrong with all of them; the target may have to be looked through before it.
        let (first, requests) = requests.split_first().context("nobody is to ask for a login")?;
        let reply = Connection::open(self.address).await?.exchange(first).await?;
        ensure!(reply.status == 200, "the first login was answered {}", reply.summary());
        let operation = Operation {
            address: self.address,
            request: &|n| requests.get(n).map(Vec::as_slice),
            expected: "\"secret\"",
            server: self.group(),
            database: Some(database),
        };
        run(load, &operation).await
    }

    /// Cuts their application.
    pub async fn cut_logins(&self, users: &LoginUsers) -> Result<()> {
        let cut = json!({ "target": { "type": "application", "id": users.application }, "reason": "the bench" });
        users.security.call("POST", "/v1/revocations", &cut).await.map(drop)
    }

    /// Whether a login of theirs is there, or isn't known to be gone.
    pub async fn has_logins(&self, users: &LoginUsers) -> Result<bool> {
        for state in ["ending", "standing", "asked"] {
            let path = format!("/v1/logins?target={}&state={state}&limit={PAGE}", users.target);
            let page = users.security.call("GET", &path, &Value::Null).await?;
            if items(&page)?.iter().any(is_work) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many ends of theirs were proved, and those that weren't.
    pub async fn ended_logins(&self, users: &LoginUsers) -> Result<(usize, Vec<Value>)> {
        let (mut proved, mut others) = (0, Vec::new());
        let mut after = String::new();
        loop {
            let path = format!("/v1/logins?target={}&state=ended&limit={PAGE}{after}", users.target);
            let page = users.security.call("GET", &path, &Value::Null).await?;
            for login in items(&page)?.iter().filter(|login| is_work(login)) {
                match login.pointer("/outcome/state").and_then(Value::as_str) {
                    Some("refused_verified") => proved += 1,
                    _ => others.push(login.clone()),
                }
            }
            match page.get("next").and_then(Value::as_str) {
                Some(next) => after = format!("&after={next}"),
                None => return Ok((proved, others)),
            }
        }
    }
}

fn items(page: &Value) -> Result<&Vec<Value>> {
    page.get("items").and_then(Value::as_array).context("the list has no items")
}

/// Whether it isn't a canary, beside which others are proved.
fn is_work(login: &Value) -> bool {
    login.get("purpose").and_then(Value::as_str) == Some("work")
}
