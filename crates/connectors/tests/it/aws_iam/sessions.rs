//! Sessions of roles: ended one by one and together, and where a role has no room for that.

use super::*;

#[tokio::test]
async fn one_session_ends_and_the_others_of_its_role_go_on() {
    let site = Account::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let name = fresh("role");
    let id = role(&name).await;
    let (one, other) = (session_named(&name, "tnr_one"), session_named(&name, "tnr_other"));
    let later = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 1_200;
    let key = format!("session:{name}:tnr_one:{later}");
    assert!(site.connector().read(&end, &key).await.unwrap().unwrap().enabled);
    // What is left of those that are long over goes at the next end.
    let over = ("PolicyName", "tenure-sessions.1700000000.1.OLD");
    let nothing =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::x"}]}"#;
    must("PutRolePolicy", &[("RoleName", &name), over, ("PolicyDocument", nothing)]).await;
    for _ in 0..2 {
        let ending = site.connector().revoke(&end, &key).await.unwrap();
        assert!(ending.words.starts_with("PutRolePolicy tenure-sessions."), "{ending:?}");
        let seen = site.connector().read(&end, &key).await.unwrap().unwrap();
        assert!(!seen.enabled && seen.name == "tnr_one" && seen.ends_at.is_some(), "{seen:?}");
    }
    assert!(boto(Some(&one), LIST).unwrap_err().contains("AccessDenied"));
    assert_eq!(boto(Some(&other), LIST).as_deref(), Ok("1"));
    let left = must("ListRolePolicies", &[("RoleName", &name)]).await;
    assert!(!left.contains("OLD") && left.matches("<member>tenure-sessions.").count() == 1, "{left}");
    let account = site.connector().read(&end, &format!("role:{id}:{name}")).await.unwrap().unwrap();
    assert!(account.enabled && account.grants == ["INLINE people", "TRUST AWS *"], "our own policies are no grants");
    assert!(matches!(site.connector().hold(&end, &key).await, Err(ConnectorError::Unable(_))));
    assert!(matches!(site.connector().release(&end, &key).await, Err(ConnectorError::Unable(_))));
    // One that is over by itself is none, and one of a role that is gone neither.
    let over = format!("session:{name}:tnr_one:1700000000");
    assert_eq!(site.connector().read(&end, &over).await.unwrap(), None);
    assert!(site.connector().revoke(&end, &over).await.unwrap().words.contains("its end was at 2023-"));
    // Somebody who takes the denial away, or weakens it, lets it in again: that is seen.
    let (_, denial) = left.split_once("<member>tenure-sessions.").unwrap();
    let denial = format!("tenure-sessions.{}", denial.split_once('<').unwrap().0);
    must("PutRolePolicy", &[("RoleName", &name), ("PolicyName", &denial), ("PolicyDocument", nothing)]).await;
    assert!(site.connector().read(&end, &key).await.unwrap().unwrap().enabled);
    let gone = format!("session:{name}x:tnr_one:{later}");
    assert_eq!(site.connector().read(&end, &gone).await.unwrap(), None);
    assert!(site.connector().revoke(&end, &gone).await.unwrap().words.contains("no such account"));
    // Nor is one whose role was made anew by its name: the other one's sessions are let alone.
    let anew = format!("session:{name}:tnr_other:{later}:{id}");
    assert!(site.connector().read(&end, &anew).await.unwrap().unwrap().enabled);
    let others = format!("session:{name}:tnr_other:{later}:AROAOFANOTHER");
    assert_eq!(site.connector().read(&end, &others).await.unwrap(), None);
    assert!(site.connector().revoke(&end, &others).await.unwrap().words.contains("no such account"));
    assert_eq!(boto(Some(&other), LIST).as_deref(), Ok("1"));
}

/// The inline policies of a role that are ours.
async fn ours(role: &str) -> Vec<String> {
    let told = must("ListRolePolicies", &[("RoleName", role)]).await;
    let names = told.split("<member>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned());
    names.filter(|name| name.starts_with("tenure-")).collect()
}

fn session_key(role: &str, name: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    format!("session:{role}:{name}:{}", now + 1_200)
}

#[tokio::test]
async fn sessions_of_one_role_end_together_and_their_denials_share_policies() {
    let site = Account::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let (name, elsewhere) = (fresh("role"), fresh("elsewhere"));
    role(&name).await;
    role(&elsewhere).await;
    let sessions: Vec<Value> = (0..3).map(|number| session_named(&name, &format!("tnr_{number}"))).collect();
    let other = session_named(&name, "tnr_other");
    let batches = site.connector().batches().unwrap();
    let mut keys: Vec<String> = (0..20).map(|number| session_key(&name, &format!("tnr_{number}"))).collect();
    keys.push(session_key(&elsewhere, "tnr_0"));
    keys.push(format!("session:{name}:tnr_over:1700000000"));
    keys.push("none".to_owned());
    let gone = batches.revoke_all(&end, &keys).await;
    assert_eq!(gone.len(), keys.len());
    for (key, gone) in keys.iter().zip(&gone).take(21) {
        let (ending, seen) = gone.as_ref().unwrap();
        let seen = seen.as_ref().unwrap();
        assert!(ending.words.starts_with("PutRolePolicy tenure-sessions.") && seen.key == *key && !seen.enabled);
    }
    assert!(gone[21].as_ref().is_ok_and(|(ending, seen)| ending.words.contains("its end was") && seen.is_none()));
    assert!(matches!(gone[22], Err(ConnectorError::Misconfigured(_))));
    assert_eq!(ours(&name).await.len(), 2, "one of twenty denials, and a place that is kept");
    for session in &sessions {
        assert!(boto(Some(session), LIST).unwrap_err().contains("AccessDenied"));
    }
    assert_eq!(boto(Some(&other), LIST).as_deref(), Ok("1"));
    // One after the other: small policies are put together, and none of what they deny is lost.
    let one_by_one: Vec<String> = (0..9).map(|number| session_key(&name, &format!("tnr_a{number}"))).collect();
    for key in &one_by_one {
        site.connector().revoke(&end, key).await.unwrap();
    }
    assert!(ours(&name).await.len() <= 5, "{:?}", ours(&name).await);
    for key in [&keys[0], &keys[19], &one_by_one[0], &one_by_one[6], &one_by_one[8]] {
        assert!(!site.connector().read(&end, key).await.unwrap().unwrap().enabled, "{key}");
    }
    assert_eq!(boto(Some(&other), LIST).as_deref(), Ok("1"));
    // Where only observing is allowed nothing is written.
    let observe = reach(&site.endpoint, site.login(Mode::Observe), Mode::Observe);
    let before = ours(&name).await;
    let said = batches.revoke_all(&observe, &keys[..2]).await;
    assert!(said.iter().all(|said| matches!(said, Err(ConnectorError::Unable(_)))), "{said:?}");
    assert_eq!(ours(&name).await, before);
}

#[tokio::test]
async fn where_a_role_has_no_room_all_of_its_older_sessions_end() {
    let site = Account::start().await;
    let end = reach(&site.endpoint, site.login(Mode::End), Mode::End);
    let name = fresh("role");
    role(&name).await;
    let (first, second, third) =
        (session_named(&name, "tnr_1"), session_named(&name, "tnr_2"), session_named(&name, "tnr_3"));
    site.connector().revoke(&end, &session_key(&name, "tnr_1")).await.unwrap();
    assert_eq!(boto(Some(&third), LIST).as_deref(), Ok("1"));
    // Its people's policies take what is left.
    let fill = async |bytes: usize| {
        let bucket = "x".repeat(bytes);
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::{bucket}"}}]}}"#
        );
        action("PutRolePolicy", &[("RoleName", &name), ("PolicyName", "large"), ("PolicyDocument", &policy)]).await.0
    };
    let mut bytes = 9_900;
    while fill(bytes).await != 200 {
        bytes -= 50;
    }
    let key = session_key(&name, "tnr_2");
    let ending = site.connector().revoke(&end, &key).await.unwrap();
    assert!(
        ending.words.contains("no room for one denial more") && ending.words.contains("all of its sessions"),
        "{ending:?}"
    );
    // The denial of the first one made room for that of the second.
    assert!(!site.connector().read(&end, &key).await.unwrap().unwrap().enabled);
    for session in [&first, &second, &third] {
        assert!(
            boto(Some(session), LIST).unwrap_err().contains("AccessDenied"),
            "more end than were to, and none fewer"
        );
    }
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(boto(Some(&session_named(&name, "tnr_4")), LIST).as_deref(), Ok("1"), "those that begin since go on");
    // Not even for the place of that: then it is said that it can't be ended.
    let full = fresh("full");
    role(&full).await;
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::{}"}}]}}"#,
        "x".repeat(9_950)
    );
    must("PutRolePolicy", &[("RoleName", &full), ("PolicyName", "large"), ("PolicyDocument", &policy)]).await;
    let said = site.connector().revoke(&end, &session_key(&full, "tnr_1")).await;
    assert!(matches!(&said, Err(ConnectorError::Rejected(why)) if why.starts_with("LimitExceeded")), "{said:?}");
}
