//! What holds for every connector, whatever its target.

use std::collections::BTreeSet;

use tenure_core::base::time::Timestamp;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Endpoint, Mode, NewAccount, Probe, ProofWorth, Reach, SeenAccount, TargetLogin,
};

use crate::places::{PATIENCE, fresh, reach};

/// A real server, and somebody who looks at it without the connector.
pub trait Site {
    /// A session that somebody opened.
    type Session;

    fn connector(&self) -> &dyn Connector;
    fn endpoint(&self) -> &Endpoint;
    /// The connector's login with the rights of a mode, and no others.
    fn login(&self, mode: Mode) -> &TargetLogin;
    /// A login that exists, and has less than the mode's rights.
    fn weaker(&self) -> &TargetLogin;
    /// A grant that is kept when an account is narrowed, and one that is taken.
    fn grants(&self) -> [String; 2];
    /// Whether a login may do what a grant allows.
    async fn may(&self, login: &TargetLogin, grant: &str) -> bool;
    /// Opens a session; none where sessions are nothing that the target has.
    async fn open(&self, login: &TargetLogin) -> Option<Self::Session>;
    async fn is_open(&self, session: &mut Self::Session) -> bool;
    /// Makes an account as people would.
    async fn by_people(&self, name: &str, secret: &str);
    /// So many accounts.
    async fn crowd(&self, number: usize);
    /// All that a connector could change, as text.
    async fn contents(&self) -> String;
    /// A key as this kind has them, of nobody.
    fn key(&self) -> String {
        "1".to_owned()
    }
    /// The name under which the catalogue has a login of the connector's; none where a secret has no name.
    fn seen_under(&self, own: &TargetLogin) -> Option<String> {
        Some(own.name.clone())
    }
}

/// Far away, and whole seconds.
fn later() -> Timestamp {
    Timestamp::from_secs(4_000_000_000)
}

fn secret(word: &str) -> Secret<String> {
    Secret::new(word.to_owned())
}

async fn probe(site: &impl Site, login: &TargetLogin) -> Probe {
    site.connector().probe(site.endpoint(), login, PATIENCE).await.unwrap()
}

async fn is_accepted(site: &impl Site, login: &TargetLogin) -> bool {
    probe(site, login).await == Probe::Accepted
}

async fn read(site: &impl Site, key: &str) -> Option<SeenAccount> {
    let reach = reach(site.endpoint(), site.login(Mode::Observe), Mode::Observe);
    site.connector().read(&reach, key).await.unwrap()
}

async fn make(site: &impl Site, name: &str, word: &str, grants: &[String]) -> Result<SeenAccount, ConnectorError> {
    let reach = reach(site.endpoint(), site.login(Mode::Issue), Mode::Issue);
    let account = NewAccount { name, secret: &secret(word), grants, ends_at: later(), mark: "idn_of_a_test" };
    site.connector().provision(&reach, &account).await
}

/// An account's whole life, each act twice.
pub async fn life(site: &impl Site) {
    let connector = site.connector();
    let issue = reach(site.endpoint(), site.login(Mode::Issue), Mode::Issue);
    let end = reach(site.endpoint(), site.login(Mode::End), Mode::End);
    let grants = site.grants();
    let [kept, dropped] = &grants;
    let name = fresh("tenure_life_");
    let (first, second) = ("first-Secret_0123456789", "second-Secret_0123456789");
    let as_first = TargetLogin { name: name.clone(), secret: secret(first) };
    let as_second = TargetLogin { name: name.clone(), secret: secret(second) };

    // Made, and the same when it is asked for again.
    assert!(!is_accepted(site, &as_first).await, "there is nobody of that name");
    let made = make(site, &name, first, &grants).await.unwrap();
    assert!(made.enabled && made.name == name, "{made:?}");
    assert!(grants.iter().all(|grant| made.grants.contains(grant)), "{:?}", made.grants);
    assert_eq!(make(site, &name, first, &grants).await.unwrap().key, made.key);
    assert_eq!(read(site, &made.key).await.unwrap().key, made.key);
    assert!(is_accepted(site, &as_first).await);
    assert!(site.may(&as_first, kept).await && site.may(&as_first, dropped).await);

    // Another secret: the old one is refused, its sessions are over.
    let mut session = site.open(&as_first).await;
    for _ in 0..2 {
        let ending = connector.rotate(&issue, &made.key, &secret(second)).await.unwrap();
        assert!(ending.sessions_left.unwrap_or(0) == 0, "{ending:?}");
    }
    assert!(!is_accepted(site, &as_first).await && is_accepted(site, &as_second).await);
    assert_closed(site, &mut session).await;

    // Held: refused, sessions over; released: let in again.
    let mut session = site.open(&as_second).await;
    for _ in 0..2 {
        let ending = connector.hold(&end, &made.key).await.unwrap();
        assert!(ending.sessions_left.unwrap_or(0) == 0, "{ending:?}");
        assert!(!read(site, &made.key).await.unwrap().enabled);
    }
    assert!(!is_accepted(site, &as_second).await);
    assert_closed(site, &mut session).await;
    for _ in 0..2 {
        connector.release(&end, &made.key).await.unwrap();
        assert!(read(site, &made.key).await.unwrap().enabled);
    }
    assert!(is_accepted(site, &as_second).await && site.may(&as_second, dropped).await);

    // Narrowed: one action is refused, beside one that is not.
    for _ in 0..2 {
        connector.narrow(&end, &made.key, std::slice::from_ref(kept)).await.unwrap();
        let left = read(site, &made.key).await.unwrap();
        assert!(left.grants.contains(kept) && !left.grants.contains(dropped), "{:?}", left.grants);
        assert!(site.may(&as_second, kept).await && !site.may(&as_second, dropped).await);
    }

    // Ended: refused, no session, not in the catalogue or not let in; a hold taken back revives nothing.
    let mut session = site.open(&as_second).await;
    for _ in 0..2 {
        let ending = connector.revoke(&end, &made.key).await.unwrap();
        assert!(ending.sessions_left.unwrap_or(0) == 0, "{ending:?}");
        assert!(read(site, &made.key).await.is_none_or(|account| !account.enabled));
    }
    assert_closed(site, &mut session).await;
    let Probe::Refused { words } = probe(site, &as_second).await else { panic!("it is let in") };
    assert!(!words.is_empty() && !words.contains(second), "{words}");
    let _ = connector.release(&end, &made.key).await;
    assert!(!is_accepted(site, &as_second).await);
    assert!(connector.hold(&end, &made.key).await.is_ok(), "what is gone is stopped");
}

async fn assert_closed<S: Site>(site: &S, session: &mut Option<S::Session>) {
    let can = site.connector().abilities().contains(&Ability::EndSessions);
    if let Some(session) = session {
        assert_eq!(site.is_open(session).await, !can, "a session and whether the connector says that it ends them");
    }
}

/// Nothing is written where only observing is allowed, and discovery tells all there is, in a stable order.
pub async fn observes(site: &impl Site) {
    let connector = site.connector();
    site.crowd(502).await;
    let people = fresh("peoples_");
    site.by_people(&people, "peoples-Secret_0123456789").await;
    let before = site.contents().await;
    let reach = reach(site.endpoint(), site.login(Mode::Observe), Mode::Observe);
    assert_eq!(connector.whoami(&reach).await.unwrap(), Vec::<String>::new());
    let (accounts, unseen) = all(connector, &reach).await;
    assert!(accounts.len() > 502, "{}", accounts.len());
    assert!(!(unseen.is_empty() && connector.blind_spots().is_empty()), "every target has a blind spot");
    // Others make and end accounts meanwhile: what is there both times comes in the same order.
    let (again, _) = all(connector, &reach).await;
    let common = |some: &[SeenAccount], others: &[SeenAccount]| -> Vec<String> {
        let others: BTreeSet<&String> = others.iter().map(|account| &account.key).collect();
        some.iter().map(|account| account.key.clone()).filter(|key| others.contains(key)).collect()
    };
    assert_eq!(common(&accounts, &again), common(&again, &accounts));
    assert!(common(&accounts, &again).len() > 502);
    let found = accounts.iter().find(|account| account.name == people).unwrap();
    assert!(found.enabled);
    if let Some(own) = site.seen_under(site.login(Mode::Observe)) {
        assert!(accounts.iter().any(|account| account.name == own), "our own login is among them");
    }
    assert_eq!(connector.read(&reach, &found.key).await.unwrap().as_ref().map(|account| &account.name), Some(&people));

    let new = NewAccount { name: "x", secret: &secret("y"), grants: &[], ends_at: later(), mark: "m" };
    let key = &found.key;
    assert!(matches!(connector.provision(&reach, &new).await, Err(ConnectorError::Unable(_))));
    assert!(matches!(connector.rotate(&reach, key, &secret("y")).await, Err(ConnectorError::Unable(_))));
    assert!(matches!(connector.hold(&reach, key).await, Err(ConnectorError::Unable(_))));
    assert!(matches!(connector.release(&reach, key).await, Err(ConnectorError::Unable(_))));
    assert!(matches!(connector.narrow(&reach, key, &[]).await, Err(ConnectorError::Unable(_))));
    assert!(matches!(connector.revoke(&reach, key).await, Err(ConnectorError::Unable(_))));
    assert_eq!(site.contents().await, before, "observing wrote something");
}

async fn all(connector: &dyn Connector, reach: &Reach<'_>) -> (Vec<SeenAccount>, Vec<String>) {
    let (mut accounts, mut unseen, mut after) = (Vec::new(), Vec::new(), None);
    let mut keys = BTreeSet::new();
    loop {
        let found = connector.discover(reach, after.as_deref()).await.unwrap();
        assert!(found.accounts.len() <= tenure_core::target::connector::MAX_FOUND);
        for account in found.accounts {
            assert!(keys.insert(account.key.clone()), "an account is told once");
            accounts.push(account);
        }
        unseen.extend(found.unseen);
        after = found.next;
        if after.is_none() {
            return (accounts, unseen);
        }
    }
}

/// A mode's rights are enough, one who has less is told what is missing, and in mode end nothing but canaries is made.
pub async fn rights(site: &impl Site) {
    let connector = site.connector();
    for mode in Mode::ALL {
        let reach = reach(site.endpoint(), site.login(*mode), *mode);
        assert_eq!(connector.whoami(&reach).await.unwrap(), Vec::<String>::new(), "{mode:?}");
        assert!(!connector.rights(*mode).is_empty());
    }
    for mode in [Mode::End, Mode::Issue] {
        let reach = reach(site.endpoint(), site.weaker(), mode);
        match connector.whoami(&reach).await {
            Ok(problems) => assert!(!problems.is_empty(), "{mode:?}: less than its rights are enough"),
            Err(error) => assert!(matches!(error, ConnectorError::Rejected(_) | ConnectorError::Unauthorized(_))),
        }
    }
    let end = reach(site.endpoint(), site.login(Mode::End), Mode::End);
    let name = fresh("tenure_canary_");
    let word = "canary-Secret_0123456789";
    let canary = NewAccount { name: &name, secret: &secret(word), grants: &[], ends_at: later(), mark: "canary" };
    let made = connector.provision(&end, &canary).await.unwrap();
    assert!(is_accepted(site, &TargetLogin { name: name.clone(), secret: secret(word) }).await);
    connector.revoke(&end, &made.key).await.unwrap();
    let able =
        NewAccount { name: &name, secret: &secret(word), grants: &site.grants(), ends_at: later(), mark: "canary" };
    assert!(matches!(connector.provision(&end, &able).await, Err(ConnectorError::Unable(_))));
    assert!(matches!(connector.rotate(&end, &made.key, &secret("y")).await, Err(ConnectorError::Unable(_))));
}

/// A name that people use stays theirs, whatever we are asked to make.
pub async fn taken(site: &impl Site) {
    let name = fresh("tenure_taken_");
    site.by_people(&name, "peoples-Secret_0123456789").await;
    let before = site.contents().await;
    assert_eq!(make(site, &name, "ours-Secret_0123456789", &site.grants()).await, Err(ConnectorError::Taken));
    assert_eq!(site.contents().await, before);
    let people = TargetLogin { name, secret: secret("peoples-Secret_0123456789") };
    assert!(is_accepted(site, &people).await);
}

/// The connector's own login is let alone.
pub async fn ourselves(site: &impl Site) {
    let end = reach(site.endpoint(), site.login(Mode::End), Mode::End);
    let (accounts, _) = all(site.connector(), &end).await;
    let own = site.seen_under(site.login(Mode::End)).unwrap();
    let own = accounts.iter().find(|account| account.name == own).unwrap();
    let unable =
        |result: Result<(), ConnectorError>| assert!(matches!(result, Err(ConnectorError::Unable(_))), "{result:?}");
    unable(site.connector().hold(&end, &own.key).await.map(|_| ()));
    unable(site.connector().narrow(&end, &own.key, &[]).await.map(|_| ()));
    unable(site.connector().revoke(&end, &own.key).await.map(|_| ()));
    assert_eq!(site.connector().whoami(&end).await.unwrap(), Vec::<String>::new());
}

/// Who doesn't let us in tells us nothing of anybody else, and nothing of our secret gets into what is said of it.
pub async fn unauthorized(site: &impl Site) {
    const WRONG: &str = "a-Wrong_secret_0123456789";
    let login = TargetLogin { name: site.login(Mode::Issue).name.clone(), secret: secret(WRONG) };
    let reach = reach(site.endpoint(), &login, Mode::Issue);
    let connector = site.connector();
    let key = &site.key();
    let mut errors = vec![
        connector.whoami(&reach).await.unwrap_err(),
        connector.discover(&reach, None).await.unwrap_err(),
        connector.read(&reach, key).await.unwrap_err(),
        connector.hold(&reach, key).await.unwrap_err(),
        connector.revoke(&reach, key).await.unwrap_err(),
        connector.rotate(&reach, key, &secret("new-Secret_0123456789")).await.unwrap_err(),
    ];
    errors.push(make(&Wrong(site, &login), "nobody", "new-Secret_0123456789", &[]).await.unwrap_err());
    for error in errors {
        assert!(matches!(error, ConnectorError::Unauthorized(_)), "{error:?}");
        let said = format!("{error} {error:?} {reach:?} {connector:?}");
        assert!(!said.contains(WRONG) && !said.contains("new-Secret"), "{said}");
    }
}

/// A site whose connector has another login.
struct Wrong<'a, S>(&'a S, &'a TargetLogin);

impl<S: Site> Site for Wrong<'_, S> {
    type Session = S::Session;
    fn connector(&self) -> &dyn Connector {
        self.0.connector()
    }
    fn endpoint(&self) -> &Endpoint {
        self.0.endpoint()
    }
    fn login(&self, _mode: Mode) -> &TargetLogin {
        self.1
    }
    fn weaker(&self) -> &TargetLogin {
        self.1
    }
    fn grants(&self) -> [String; 2] {
        self.0.grants()
    }
    async fn may(&self, login: &TargetLogin, grant: &str) -> bool {
        self.0.may(login, grant).await
    }
    async fn open(&self, login: &TargetLogin) -> Option<S::Session> {
        self.0.open(login).await
    }
    async fn is_open(&self, session: &mut S::Session) -> bool {
        self.0.is_open(session).await
    }
    async fn by_people(&self, name: &str, secret: &str) {
        self.0.by_people(name, secret).await;
    }
    async fn crowd(&self, number: usize) {
        self.0.crowd(number).await;
    }
    async fn contents(&self) -> String {
        self.0.contents().await
    }
}

/// Names and secrets that a dialect could trip over are made, used and ended as they are, or refused; nothing else
/// comes of them.
pub async fn hostile_names(site: &impl Site, names: &[&str]) {
    let end = reach(site.endpoint(), site.login(Mode::End), Mode::End);
    // What every dialect has to take or to refuse, beside its own.
    let huge = "x".repeat(4_096);
    let everywhere = ["a\\b\\", "a\"b\"", "a'b''", "a`b", "\\'; --", "\u{202e}dab", "a\u{301}", "%s$1{}", &huge];
    for name in names.iter().chain(&everywhere) {
        let word = "it's \\a \"Secret\"; -- $1 %s ü";
        match make(site, name, word, &[]).await {
            Ok(made) => {
                assert_eq!(made.name, *name);
                let login = TargetLogin { name: (*name).to_owned(), secret: secret(word) };
                assert!(is_accepted(site, &login).await, "{name}");
                site.connector().revoke(&end, &made.key).await.unwrap();
                assert!(!is_accepted(site, &login).await, "{name}");
            }
            Err(ConnectorError::Misconfigured(_) | ConnectorError::Rejected(_)) => {}
            Err(error) => panic!("{name}: {error:?}"),
        }
    }
    let grants = ["x' OR 1=1 --", "ALL; DROP", "\u{0}", ""].map(str::to_owned);
    for grant in &grants {
        let made = make(site, &fresh("tenure_bad_"), "a-Secret_0123456789", std::slice::from_ref(grant)).await;
        assert!(made.is_err(), "{grant:?}: {made:?}");
    }
    assert!(matches!(site.connector().proof(), ProofWorth::Refusal | ProofWorth::ReadBack | ProofWorth::Word));
}
