//! The targets that connectors are tested against: real servers on 127.0.0.1, each with TLS and an administrator's
//! password, gone when the task ends.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Signal, getuid};
use serde_json::{Value, json};

use crate::peers;
use crate::postgres::{Durability, Postgres, Tls};
use crate::process::{Server, abandoned, free_port};
use crate::workspace::{Workspace, output};

mod nats;
mod scim;
mod webhook;

/// The secret of every administrator there: the servers live for one run, on this machine.
const SECRET: &str = "of-a-test's-administrator";
/// The environment variable that says where they are described.
pub const VARIABLE: &str = "TENURE_TEST_TARGETS";

/// Running targets. Stop them with [`Targets::stop`]; dropped, they are killed and their folder removed.
pub struct Targets {
    folder: PathBuf,
    servers: Vec<Server>,
    postgres: Option<Postgres>,
}

impl Targets {
    /// Starts all of them at once, in a new folder under `peers`.
    pub async fn start(workspace: &Workspace, peers: &Path) -> Result<Self> {
        for left in abandoned(peers, "targets-") {
            let _ = fs::remove_dir_all(left);
        }
        let folder = peers.join(format!("targets-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut targets = Self { folder: folder.clone(), servers: Vec::new(), postgres: None };
        certificates(&folder)?;
        let bao = peers::openbao(peers)?;
        let (
            postgres,
            mariadb,
            redis,
            ldap,
            rabbitmq,
            openbao,
            mosquitto,
            aws_iam,
            github,
            gitlab,
            scim,
            nats,
            webhook,
        ) = tokio::join!(
            Box::pin(postgresql(peers, &folder)),
            Box::pin(mariadb(&folder)),
            Box::pin(redis(&folder)),
            Box::pin(ldap(workspace, &folder)),
            Box::pin(rabbitmq(&folder)),
            Box::pin(openbao(&bao, &folder)),
            Box::pin(mosquitto(&folder)),
            Box::pin(aws_iam(workspace, peers, &folder)),
            Box::pin(github(workspace, peers, &folder)),
            Box::pin(gitlab(workspace, peers, &folder)),
            Box::pin(scim::start(peers, &folder)),
            Box::pin(nats::start(peers, &folder)),
            Box::pin(webhook::start(workspace, peers, &folder)),
        );
        let (postgres, at_postgres) = postgres?;
        targets.postgres = Some(postgres);
        let mut described = serde_json::Map::from_iter([("postgresql".to_owned(), at_postgres)]);
        for (name, started) in [
            ("mariadb", mariadb),
            ("redis", redis),
            ("ldap", ldap),
            ("rabbitmq", rabbitmq),
            ("openbao", openbao),
            ("mosquitto", mosquitto),
            ("aws_iam", aws_iam),
            ("github", github),
            ("gitlab", gitlab),
            ("scim", scim),
            ("nats", nats),
            ("webhook", webhook),
        ] {
            let (servers, place) = started.with_context(|| format!("starting {name}"))?;
            targets.servers.extend(servers);
            described.insert(name.to_owned(), place);
        }
        described.insert("ca".to_owned(), fs::read_to_string(folder.join("ca.pem"))?.into());
        described.insert("other_ca".to_owned(), fs::read_to_string(folder.join("other-ca.pem"))?.into());
        fs::write(targets.description(), Value::Object(described).to_string())?;
        Ok(targets)
    }

    /// The file that says where they are and how to log in.
    pub fn description(&self) -> PathBuf {
        self.folder.join("targets.json")
    }

    /// Stops them and removes their folder.
    pub async fn stop(mut self) -> Result<()> {
        for server in std::mem::take(&mut self.servers).into_iter().rev() {
            server.stop(Signal::TERM).await?;
        }
        match self.postgres.take() {
            Some(postgres) => postgres.stop().await,
            None => Ok(()),
        }
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        self.servers.clear();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

type Started = Result<(Vec<Server>, Value)>;

/// An authority, a certificate of it for this machine, and an authority that has nothing to do with either.
fn certificates(folder: &Path) -> Result<()> {
    let openssl = |arguments: &[&str]| {
        output(Command::new("openssl").current_dir(folder).args(arguments).stdin(Stdio::null())).map(|_| ())
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"];
    for name in ["ca", "other-ca"] {
        let subject = format!("/CN=tests {name}");
        let (to, secret) = (format!("{name}.pem"), format!("{name}.key"));
        let made = ["req", "-x509", "-days", "2", "-subj", &subject, "-out", &to, "-keyout", &secret];
        openssl(&[&made[..], &key[..]].concat())?;
    }
    let request = ["req", "-subj", "/CN=localhost", "-out", "server.csr", "-keyout", "server.key"];
    openssl(&[&request[..], &key[..]].concat())?;
    fs::write(folder.join("server.ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")?;
    openssl(&[
        "x509",
        "-req",
        "-days",
        "2",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-extfile",
        "server.ext",
        "-out",
        "server.pem",
    ])
}

async fn postgresql(peers: &Path, folder: &Path) -> Result<(Postgres, Value)> {
    let tls = Tls { certificate: folder.join("server.pem"), key: folder.join("server.key") };
    let postgres = Postgres::start_with_passwords(peers, Durability::Fast, &tls, SECRET).await?;
    let port = postgres.port();
    Ok((
        postgres,
        json!({ "url": format!("postgres://localhost:{port}/postgres"), "name": "postgres", "secret": SECRET }),
    ))
}

async fn mariadb(folder: &Path) -> Started {
    let home = home(folder, "mariadb")?;
    let data = home.join("data");
    let user = if getuid().is_root() { "--user=root" } else { "--skip-name-resolve" };
    let mut install = Command::new("mariadb-install-db");
    install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", user]);
    install.arg(format!("--datadir={}", data.display()));
    let mut install = tokio::process::Command::from(install);
    let installed = install.stdin(Stdio::null()).output().await?;
    anyhow::ensure!(installed.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&installed.stderr));
    let secret = SECRET.replace('\'', "''");
    // One statement a line: the server reads no other.
    let init = home.join("init.sql");
    fs::write(
        &init,
        format!(
            "CREATE USER 'administrator'@'%' IDENTIFIED BY '{secret}';\n\
             GRANT ALL ON *.* TO 'administrator'@'%' WITH GRANT OPTION;\n\
             DELETE FROM mysql.global_priv WHERE User IN ('root', '');\nFLUSH PRIVILEGES;\n"
        ),
    )?;
    let port = free_port()?;
    let mut command = Command::new("mariadbd");
    command.args([
        "--no-defaults",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--innodb-flush-log-at-trx-commit=0",
        user,
    ]);
    for (option, path) in [
        ("datadir", &data),
        ("socket", &home.join("socket")),
        ("pid-file", &home.join("pid")),
        ("init-file", &init),
        ("ssl-ca", &folder.join("ca.pem")),
        ("ssl-cert", &folder.join("server.pem")),
        ("ssl-key", &folder.join("server.key")),
    ] {
        command.arg(format!("--{option}={}", path.display()));
    }
    command.arg(format!("--port={port}"));
    let server = listening("MariaDB", command, &home, port).await?;
    let place = json!({ "url": format!("mariadb://localhost:{port}"), "name": "administrator", "secret": SECRET });
    Ok((vec![server], place))
}

async fn redis(folder: &Path) -> Started {
    let home = home(folder, "redis")?;
    let port = free_port()?;
    let users = home.join("users.acl");
    fs::write(&users, format!("user default off\nuser administrator on >{SECRET} ~* &* +@all\n"))?;
    let mut command = Command::new("redis-server");
    command.current_dir(&home).args(["--port", "0", "--bind", "127.0.0.1", "--save", "", "--tls-auth-clients", "no"]);
    command.args(["--tls-port", &port.to_string()]).arg("--aclfile").arg(&users);
    for (option, file) in
        [("--tls-cert-file", "server.pem"), ("--tls-key-file", "server.key"), ("--tls-ca-cert-file", "ca.pem")]
    {
        command.arg(option).arg(folder.join(file));
    }
    let server = listening("Redis", command, &home, port).await?;
    let place = json!({ "url": format!("rediss://localhost:{port}"), "name": "administrator", "secret": SECRET });
    Ok((vec![server], place))
}

async fn ldap(workspace: &Workspace, folder: &Path) -> Started {
    const BASE: &str = "dc=acme,dc=example";
    let home = home(folder, "ldap")?;
    // The rights that the connector says it needs, for the logins that its tests have.
    let mut rights = String::new();
    for (login, file) in [("observe", "observe.conf"), ("end", "end.conf"), ("issue", "end.conf")] {
        let file = workspace.root.join("crates/connectors/src/ldap").join(file);
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        rights.push_str(&text.replace("LOGIN", &format!("cn={login},ou=connectors,{BASE}")).replace("BASE", BASE));
    }
    fs::create_dir_all(home.join("data"))?;
    let port = free_port()?;
    let at = |name: &str| folder.join(name).display().to_string();
    let configuration = format!(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\n\
         modulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload ppolicy\n\
         pidfile {home}/pid\nTLSCACertificateFile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n\
         sizelimit 500\n\
         database mdb\nmaxsize 268435456\nsuffix \"dc=acme,dc=example\"\nrootdn \"cn=administrator,dc=acme,dc=example\"\n\
         rootpw \"{SECRET}\"\ndirectory {home}/data\ndbnosync\noverlay ppolicy\n\
         {rights}\
         access to attrs=userPassword by self write by anonymous auth by * none\n\
         access to * by users read by * none\n",
        at("ca.pem"),
        at("server.pem"),
        at("server.key"),
        home = home.display(),
    );
    let file = home.join("slapd.conf");
    fs::write(&file, configuration)?;
    let mut command = Command::new("slapd");
    command.arg("-f").arg(&file).args(["-h", &format!("ldaps://127.0.0.1:{port}"), "-d", "0"]);
    let server = listening("slapd", command, &home, port).await?;
    let place = json!({
        "url": format!("ldaps://localhost:{port}"),
        "name": "cn=administrator,dc=acme,dc=example",
        "secret": SECRET,
        "base": "dc=acme,dc=example",
    });
    Ok((vec![server], place))
}

async fn rabbitmq(folder: &Path) -> Started {
    let home = home(folder, "rabbitmq")?;
    let (amqp, management, names, distribution) = (free_port()?, free_port()?, free_port()?, free_port()?);
    let at = |name: &str| folder.join(name).display().to_string();
    fs::write(
        home.join("rabbitmq.conf"),
        format!(
            "listeners.tcp = none\nlisteners.ssl.default = 127.0.0.1:{amqp}\n\
             ssl_options.cacertfile = {ca}\nssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n\
             ssl_options.verify = verify_none\n\
             management.ssl.ip = 127.0.0.1\nmanagement.ssl.port = {management}\nmanagement.ssl.cacertfile = {ca}\n\
             management.ssl.certfile = {certificate}\nmanagement.ssl.keyfile = {key}\n\
             default_user = administrator\ndefault_pass = {SECRET}\ndefault_user_tags.administrator = true\n\
             loopback_users = none\ncollect_statistics_interval = 1000\n",
            ca = at("ca.pem"),
            certificate = at("server.pem"),
            key = at("server.key"),
        ),
    )?;
    fs::write(home.join("plugins"), "[rabbitmq_management].\n")?;
    let mut epmd = Command::new("epmd");
    epmd.args(["-port", &names.to_string(), "-address", "127.0.0.1"]);
    let epmd = Server::spawn("epmd", epmd, &home.join("epmd.log"))?;
    let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
    command
        .current_dir(&home)
        .env("HOME", &home)
        .env("ERL_EPMD_PORT", names.to_string())
        .env("RABBITMQ_NODENAME", format!("tenure{}@localhost", std::process::id()))
        .env("RABBITMQ_DIST_PORT", distribution.to_string())
        .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("plugins"))
        .env("RABBITMQ_MNESIA_BASE", home.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", home.join("logs"))
        .env("RABBITMQ_LOGS", "-")
        .env("RABBITMQ_PID_FILE", home.join("pid"));
    let server = listening("RabbitMQ", command, &home, management).await?;
    let place = json!({
        "url": format!("https://localhost:{management}"),
        "amqp": amqp,
        "name": "administrator",
        "secret": SECRET,
    });
    Ok((vec![epmd, server], place))
}

async fn openbao(bao: &Path, folder: &Path) -> Started {
    let home = home(folder, "openbao")?;
    let (plain, tls) = (free_port()?, free_port()?);
    let at = |name: &str| folder.join(name).display().to_string();
    fs::write(
        home.join("bao.hcl"),
        format!(
            "listener \"tcp\" {{\n  address = \"127.0.0.1:{tls}\"\n  tls_cert_file = \"{}\"\n  tls_key_file = \"{}\"\n}}\n",
            at("server.pem"),
            at("server.key"),
        ),
    )?;
    let mut command = Command::new(bao);
    command.current_dir(&home).env("HOME", &home).args(["server", "-dev", "-dev-no-store-token"]);
    command.arg(format!("-dev-root-token-id={SECRET}")).arg(format!("-dev-listen-address=127.0.0.1:{plain}"));
    command.arg("-config").arg(home.join("bao.hcl"));
    let server = listening("OpenBao", command, &home, tls).await?;
    Ok((vec![server], json!({ "url": format!("https://localhost:{tls}"), "name": "", "secret": SECRET })))
}

async fn mosquitto(folder: &Path) -> Started {
    const PLUGIN: &str = "mosquitto_dynamic_security.so";
    let home = home(folder, "mosquitto")?;
    let port = free_port()?;
    let plugin = fs::read_dir("/usr/lib")?.flatten().map(|folder| folder.path().join(PLUGIN)).find(|it| it.is_file());
    let plugin = plugin.with_context(|| format!("mosquitto has no {PLUGIN}"))?;
    let clients = home.join("clients.json");
    let mut init = Command::new("mosquitto_ctrl");
    output(init.args(["dynsec", "init"]).arg(&clients).args(["administrator", SECRET]).stdin(Stdio::null()))?;
    let file = home.join("mosquitto.conf");
    fs::write(
        &file,
        format!(
            "listener {port} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nallow_anonymous false\n\
             plugin {}\nplugin_opt_config_file {}\n{}",
            folder.join("ca.pem").display(),
            folder.join("server.pem").display(),
            folder.join("server.key").display(),
            plugin.display(),
            clients.display(),
            if getuid().is_root() { "user root\n" } else { "" },
        ),
    )?;
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(&file);
    let server = listening("Mosquitto", command, &home, port).await?;
    let place = json!({ "url": format!("mqtts://localhost:{port}"), "name": "administrator", "secret": SECRET });
    Ok((vec![server], place))
}

/// What stands in for AWS: three calls are let in by anybody's key, which make an administrator; from then on it checks
/// signatures and policies, and tokens of identity providers.
async fn aws_iam(workspace: &Workspace, peers: &Path, folder: &Path) -> Started {
    const SET_UP: &str = r#"
import boto3, sys
iam = boto3.client("iam", endpoint_url=sys.argv[1], verify=sys.argv[2], region_name="us-east-1",
                   aws_access_key_id="anybody", aws_secret_access_key="anybody")
iam.create_user(UserName="administrator")
everything = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
iam.put_user_policy(UserName="administrator", PolicyName="everything", PolicyDocument=everything)
key = iam.create_access_key(UserName="administrator")["AccessKey"]
print(key["AccessKeyId"], key["SecretAccessKey"])
"#;
    let home = home(folder, "aws_iam")?;
    let programs = peers.join("venv-targets/bin");
    let port = free_port()?;
    let mut command = Command::new(programs.join("python3"));
    command
        .arg(workspace.root.join("xtask/peers/aws.py"))
        .current_dir(&home)
        .env("INITIAL_NO_AUTH_ACTION_COUNT", "3")
        .args(["-H", "127.0.0.1", "-p"]);
    command.arg(port.to_string()).args(["-c"]).arg(folder.join("server.pem")).arg("-k").arg(folder.join("server.key"));
    let server = listening("moto", command, &home, port).await?;
    let url = format!("https://localhost:{port}");
    let mut set_up = tokio::process::Command::new(programs.join("python3"));
    set_up.args(["-c", SET_UP, &url]).arg(folder.join("ca.pem")).stdin(Stdio::null());
    let done = set_up.output().await?;
    anyhow::ensure!(done.status.success(), "moto's set-up: {}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8(done.stdout)?;
    let (name, secret) = said.trim().split_once(' ').context("moto's set-up said no key")?;
    Ok((vec![server], json!({ "url": url, "name": name, "secret": secret, "python": programs.join("python3") })))
}

/// What stands in for GitHub: its answers are held against GitHub's published description.
async fn github(workspace: &Workspace, peers: &Path, folder: &Path) -> Started {
    let (server, url) = stand_in(workspace, peers, folder, "github", &[&peers::github_description(peers)]).await?;
    Ok((vec![server], json!({ "url": url })))
}

/// What stands in for GitLab.
async fn gitlab(workspace: &Workspace, peers: &Path, folder: &Path) -> Started {
    let (server, url) = stand_in(workspace, peers, folder, "gitlab", &[]).await?;
    Ok((vec![server], json!({ "url": format!("{url}/api/v4"), "python": peers.join("venv-targets/bin/python3") })))
}

/// Starts a stand-in of our own in Node, from beside the packages that it uses.
async fn stand_in(
    workspace: &Workspace,
    peers: &Path,
    folder: &Path,
    name: &str,
    more: &[&Path],
) -> Result<(Server, String)> {
    let home = home(folder, name)?;
    let port = free_port()?;
    let script = home.join(format!("{name}.mjs"));
    fs::copy(workspace.root.join("xtask/peers").join(format!("{name}.mjs")), &script)?;
    std::os::unix::fs::symlink(peers.join("node_modules"), home.join("node_modules"))?;
    let mut command = Command::new("node");
    command.arg(script).arg(port.to_string()).arg(folder.join("server.pem")).arg(folder.join("server.key")).args(more);
    let server = listening(name, command, &home, port).await?;
    Ok((server, format!("https://localhost:{port}")))
}

fn home(folder: &Path, name: &str) -> Result<PathBuf> {
    let home = folder.join(name);
    fs::create_dir_all(&home)?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755))?;
    Ok(home)
}

/// Starts a server and waits until it listens.
async fn listening(name: &str, command: Command, home: &Path, port: u16) -> Result<Server> {
    let mut server = Server::spawn(name, command, &home.join("log"))?;
    server.until(async || TcpStream::connect(("127.0.0.1", port)).is_ok()).await?;
    Ok(server)
}

/// Starts them, says where they are, and stops them when somebody ends the task.
///
/// # Errors
/// One doesn't start.
pub async fn keep(workspace: &Workspace, peers: &Path) -> Result<()> {
    let targets = Targets::start(workspace, peers).await?;
    eprintln!("{VARIABLE}={}", targets.description().display());
    tokio::signal::ctrl_c().await?;
    targets.stop().await
}

/// What the programs are called, and the packages of Debian that have them.
pub const PACKAGES: [(&str, &str); 5] = [
    ("mariadbd", "mariadb-server"),
    ("redis-server", "redis-server"),
    ("slapd", "slapd"),
    ("rabbitmq-server", "rabbitmq-server"),
    ("mosquitto", "mosquitto"),
];

/// Whether a program is installed.
pub fn is_installed(program: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/usr/local/bin"].iter().any(|folder| Path::new(folder).join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::must;

    #[test]
    fn certificates_are_made_and_vouched_for_by_one_authority_alone() {
        let folder = tempfile::tempdir().unwrap();
        certificates(folder.path()).unwrap();
        let vouches = |ca: &str| {
            let mut verify = Command::new("openssl");
            must(verify.current_dir(folder.path()).args(["verify", "-CAfile", ca, "server.pem"]).stderr(Stdio::null()))
        };
        assert!(vouches("ca.pem").is_ok() && vouches("other-ca.pem").is_err());
    }
}
