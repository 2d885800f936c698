use tenure_api::people::NewPerson;
use tenure_core::people::view::SavedViews;

use super::*;
use crate::access::departures;
use crate::log::seal::tests::{World, world};
use crate::matters::roles;

async fn named(world: &World, name: &str) -> Result<SavedView, OpError> {
    let ask = NewView { name: name.to_owned(), query: "state=active".to_owned(), team: None };
    save_view(&world.engine, &world.admin, ask).await
}

fn codes(refused: Result<SavedView, OpError>) -> Vec<String> {
    match refused {
        Err(OpError::Invalid(problems)) => problems.into_iter().map(|problem| problem.code).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_person_keeps_fifty_views_by_names_of_their_own() {
    let world = world().await;
    for n in 0..SavedViews::MOST {
        named(&world, &format!(" view {n} ")).await.unwrap();
    }
    assert_eq!(codes(named(&world, "one more").await), ["too_many"]);
    let all = views(&world.engine, &world.admin).await.unwrap().items;
    assert_eq!((all.len(), all[3].name.as_str()), (50, "view 3"));
    let first = all[0].id;
    delete_view(&world.engine, &world.admin, first).await.unwrap();
    assert!(matches!(delete_view(&world.engine, &world.admin, first).await, Err(OpError::NotFound(_))));
    assert_eq!(codes(named(&world, "view 3").await), ["name_taken"]);
    assert_eq!(codes(named(&world, "").await), ["name_unfit"]);
    assert_eq!(codes(named(&world, &"ö".repeat(View::LONGEST_NAME + 1)).await), ["name_unfit"]);
    named(&world, &"ö".repeat(View::LONGEST_NAME)).await.unwrap();
}

#[tokio::test]
async fn r113_whoever_is_erased_keeps_no_views() {
    let world = world().await;
    named(&world, "of Ada").await.unwrap();
    let other = NewPerson { name: "Kim".to_owned(), ..NewPerson::default() };
    let kim = roles::create_person(&world.engine, &world.admin, other).await.unwrap().record.id;
    // Of somebody without any there is nothing to erase.
    departures::erase_person(&world.engine, &world.admin, kim).await.unwrap();
    let me = world.admin.person_id().unwrap();
    departures::erase_person(&world.engine, &world.admin, me).await.unwrap();
    let row = world.engine.one::<SavedViews>(me).await.unwrap().unwrap();
    assert!(row.views.is_empty() && views(&world.engine, &world.admin).await.unwrap().items.is_empty());
}
