//! Cloud access without a static key as its users meet it: AWS's stock client is the witness, and moto stands in for AWS,
//! with a reading of AWS's documentation where moto has none (xtask/peers/aws.py).

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::on_one;
use crate::targets::{described, mark};

/// AWS's stand-in, and what it is told.
struct Cloud {
    said: Value,
    ca: tempfile::NamedTempFile,
}

impl Cloud {
    fn new() -> Self {
        let said = described();
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), said["ca"].as_str().unwrap()).unwrap();
        Self { said, ca }
    }

    fn text(&self, what: &str) -> &str {
        self.said["aws_iam"][what].as_str().unwrap()
    }

    /// What the stock client says to a line of Python, by a key; `c(service)` is the client of a service.
    fn python(&self, key: &Value, line: &str) -> Result<String, String> {
        const CLIENT: &str = r"
import boto3, json, sys
key, url, ca = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
session = boto3.Session(profile_name=key['profile']) if 'profile' in key else boto3.Session(
    aws_access_key_id=key['access_key_id'], aws_secret_access_key=key['secret_access_key'],
    aws_session_token=key.get('session_token'))
c = lambda service: session.client(service, endpoint_url=url, verify=ca, region_name='us-east-1')
";
        let mut python = Command::new(self.text("python"));
        python.arg("-c").arg(format!("{CLIENT}{line}")).arg(key.to_string()).arg(self.text("url")).arg(self.ca.path());
        if let Some(config) = key["config"].as_str() {
            python.env("AWS_CONFIG_FILE", config);
        }
        let output = python.output().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned()),
        }
    }

    fn admin(&self, line: &str) -> String {
        let key = json!({"access_key_id": self.text("name"), "secret_access_key": self.text("secret")});
        self.python(&key, line).unwrap()
    }

    /// A role that an identity of an issuer's may assume, and a bucket that it may do anything with.
    fn role(&self, role: &str, issuer: &str, identities: &[&str]) {
        let provider = issuer.split_once("://").unwrap().1;
        let subjects = json!(identities);
        self.admin(&format!(
            r#"
iam, s3 = c('iam'), c('s3')
arn = 'arn:aws:iam::123456789012:oidc-provider/{provider}'
if arn not in [one['Arn'] for one in iam.list_open_id_connect_providers()['OpenIDConnectProviderList']]:
    iam.create_open_id_connect_provider(Url='https://{provider}', ClientIDList=['sts.amazonaws.com'], ThumbprintList=['0' * 40])
trust = {{'Version': '2012-10-17', 'Statement': [{{'Effect': 'Allow', 'Principal': {{'Federated': arn}},
    'Action': 'sts:AssumeRoleWithWebIdentity', 'Condition': {{
        'StringEquals': {{'{provider}:aud': 'sts.amazonaws.com', '{provider}:sub': {subjects}}},
        'StringLike': {{'sts:RoleSessionName': 'tnr_*'}}}}}}]}}
iam.create_role(RoleName='{role}', AssumeRolePolicyDocument=json.dumps(trust))
iam.put_role_policy(RoleName='{role}', PolicyName='all', PolicyDocument=json.dumps({{'Version': '2012-10-17',
    'Statement': [{{'Effect': 'Allow', 'Action': 's3:*', 'Resource': '*'}}]}}))
s3.create_bucket(Bucket='{role}')
s3.put_object(Bucket='{role}', Key='invoices.csv', Body=b'7')
"#
        ));
    }
}

/// The session in a login.
fn session(issued: &Value) -> Value {
    serde_json::from_str(issued["secret"].as_str().unwrap()).unwrap()
}

on_one! {
    async fn r58_cloud_access_is_a_session_on_tenures_word_and_ends_alone(world: World) {
        let cloud = Cloud::new();
        let role = format!("exporter-{}", mark());
        let login = json!({"name": cloud.text("name"), "secret": cloud.text("secret")});
        let endpoint = json!({"url": cloud.text("url"), "ca": cloud.said["ca"]});
        let target = world.target_of("aws_iam", endpoint, &login, "aws", "issue").await;
        let uri = format!("aws://{role}");
        let read = [format!("ROLE arn:aws:iam::123456789012:role/{role}"), format!("ALLOW s3:ListBucket ON arn:aws:s3:::{role}")];
        let resource = world.resource_at(&uri, &target, json!({"read": read})).await;
        let worker = world.worker("exporter", &resource, |_| {}).await;
        let other = world.worker("auditor", &resource, |_| {}).await;
        let issuer = world.issuer("production");

        // What AWS can't check is refused before anybody asks it, with the way out.
        let refused = world.ask_login(&worker, &[("resource", &uri)]).await;
        assert!(refused.body.to_string().contains("sign-with"), "{:?}", refused.body);
        let with = json!({"signing_algorithm": "RS256"});
        world.post(&world.admin, &format!("/v1/resources/{resource}/sign-with"), with).await.expect(200);
        world.pass(3).await;

        // No role trusts the identity yet: AWS's word says so, and nothing stands.
        let awaited = world.ask_login(&worker, &[("resource", &uri), ("request_id", "early")]).await.expect(202);
        assert!(awaited.text("/trouble").contains("no such role"), "{:?}", awaited.body);
        cloud.role(&role, &issuer, &[&worker.id, &other.id]);

        let issued = world.ask_login(&worker, &[("resource", &uri), ("scope", "read")]).await.expect(200);
        let beside = world.ask_login(&other, &[("resource", &uri)]).await.expect(200);
        let (one, two) = (session(&issued.body), session(&beside.body));
        let ends = |time: &Value| time.as_str().unwrap()[..19].to_owned();
        assert_eq!(ends(&one["expiration"]), ends(&issued.body["expires_at"]), "no later than its credential");
        let who = cloud.python(&one, "print(c('sts').get_caller_identity()['Arn'])").unwrap();
        assert_eq!(who, format!("arn:aws:sts::123456789012:assumed-role/{role}/{}", issued.text("/name")));
        // It may list, as its grant says, and not read, as its role could.
        let list = format!("print(c('s3').list_objects_v2(Bucket='{role}')['KeyCount'])");
        let get = format!("c('s3').get_object(Bucket='{role}', Key='invoices.csv')");
        assert_eq!(cloud.python(&one, &list).as_deref(), Ok("1"));
        assert!(cloud.python(&one, &get).unwrap_err().contains("AccessDenied"));
        assert!(!world.text(&world.security, "/v1/log/export").await.contains(one["session_token"].as_str().unwrap()));

        // AWS's own way to get credentials from elsewhere, by the command line, with what it keeps between two runs.
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (key, config, cache) = (path("agent.key"), path("config"), path("cache.json"));
        let pkcs8 = STANDARD.encode(worker.key.0.to_pkcs8().unwrap().as_ref());
        std::fs::write(&key, format!("-----BEGIN PRIVATE KEY-----\n{pkcs8}\n-----END PRIVATE KEY-----\n")).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let get = format!(
            "{} target-login get --server {} --identity {} --key {key} --environment production --resource {uri} --format aws-credential-process --cache {cache}",
            env!("CARGO_BIN_EXE_tenure"), world.server.url, worker.id,
        );
        std::fs::write(&config, format!("[profile agent]\ncredential_process = {get}\n")).unwrap();
        let profile = json!({"profile": "agent", "config": config});
        let whose = format!("{list}; print(session.get_credentials().access_key)");
        let first = cloud.python(&profile, &whose).unwrap();
        assert!(first.starts_with("1\nASIA") && first == cloud.python(&profile, &whose).unwrap(), "{first}");
        assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o600);

        // One is revoked: everything is denied to it, and to nobody else.
        let id = issued.text("/login");
        let cut = json!({"target": {"type": "credential", "id": id}, "reason": "leaked"});
        world.post(&world.security, "/v1/revocations", cut).await.expect(201);
        let ended = world.until_ended(&id).await;
        assert_eq!(ended["outcome"]["state"], "ended_read_back", "{ended}");
        assert!(ended["outcome"]["words"].as_str().unwrap().contains("everything is denied to the session"), "{ended}");
        assert!(cloud.python(&one, &list).unwrap_err().contains("AccessDenied"));
        assert_eq!(cloud.python(&two, &list).as_deref(), Ok("1"));
        // The other ends by itself.
        world.pass(61 * 60).await;
        let ended = world.until_ended(&beside.text("/login")).await;
        assert!(ended["outcome"]["words"].as_str().unwrap().starts_with("its end was at"), "{ended}");
    }
}
