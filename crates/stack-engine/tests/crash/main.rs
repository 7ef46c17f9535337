//! Kills an apply at every journal record and requires that nothing is lost, doubled or orphaned.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cloud;
mod dying;
mod session;

use cloud::Cloud;
use session::{Ended, Session};

const FIRST: &str = r#"
resource "fake_server" "kept" {
  name = "kept"
  size = 1
}
resource "fake_server" "replaced" {
  name = "old"
  size = 1
}
resource "fake_server" "swapped" {
  name = "old"
  size = 1
  lifecycle {
    create_before_destroy = true
  }
}
resource "fake_server" "removed" {
  name = "gone"
  size = fake_server.kept.size
}
provider "inside" {
  server = fake_server.replaced.id
}
resource "inside_file" "conf" {
  path = "/etc/conf"
  text = "one ${fake_server.kept.id}"
}
resource "stack_data" "note" {
  input = fake_server.swapped.id
}
output "server" {
  value = fake_server.replaced.id
}
"#;

const SECOND: &str = r#"
resource "fake_server" "kept" {
  name = "kept"
  size = 2
}
resource "fake_server" "replaced" {
  name = "new"
  size = 1
}
resource "fake_server" "swapped" {
  name = "new"
  size = 1
  lifecycle {
    create_before_destroy = true
  }
}
resource "fake_server" "added" {
  name = "added"
  size = 3
}
provider "inside" {
  server = fake_server.replaced.id
}
resource "inside_file" "conf" {
  path = "/etc/conf"
  text = "two ${fake_server.kept.id}"
}
resource "inside_file" "more" {
  path = "/etc/more"
  text = "more"
}
resource "stack_data" "note" {
  input = fake_server.swapped.id
}
output "server" {
  value = fake_server.replaced.id
}
"#;

/// What must hold after a complete apply, whatever happened before.
async fn settled(session: &Session, configuration: &str, point: &str) {
    session.assert_state_is_cloud(point);
    let again = session.apply(configuration, None).await;
    assert_eq!(
        again,
        Ended::NothingToDo,
        "{point}: a second apply has something to do"
    );
    assert_eq!(session.cloud.doubles(), Vec::<String>::new(), "{point}");
}

/// Records that come at the same moment share a write, so the number of writes varies from run to run; an apply that
/// needs fewer than this would not have journalled what it did.
const FEWEST_POINTS: usize = 6;

async fn every_point(prepare: &[&str], configuration: &str, name: &str) -> usize {
    let mut points = 0;
    for writes in 0..200 {
        let session = Session::new();
        for step in prepare {
            assert_eq!(
                session.apply(step, None).await,
                Ended::Applied,
                "{name}: preparation"
            );
        }
        let point = format!("{name}, killed after {writes} writes");
        match session.apply(configuration, Some(writes)).await {
            Ended::Killed => {
                points += 1;
                let resumed = session.apply(configuration, None).await;
                assert_ne!(resumed, Ended::Killed, "{point}");
                settled(&session, configuration, &point).await;
                session.destroy(None).await;
                assert_eq!(
                    session.cloud.everything(),
                    Vec::<String>::new(),
                    "{point}: left after destroy"
                );
            }
            Ended::Applied | Ended::NothingToDo => return points,
        }
    }
    panic!("{name} never completes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_record_of_the_first_apply() {
    let points = every_point(&[], FIRST, "first apply").await;
    println!("crash points of the first apply: {points}");
    assert!(points >= FEWEST_POINTS, "only {points} points");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_record_of_an_apply_with_all_kinds_of_action() {
    let points = every_point(&[FIRST], SECOND, "second apply").await;
    println!("crash points of the second apply: {points}");
    assert!(points >= FEWEST_POINTS, "only {points} points");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_record_of_a_destroy() {
    let mut points = 0;
    for writes in 0..200 {
        let session = Session::new();
        assert_eq!(session.apply(SECOND, None).await, Ended::Applied);
        let point = format!("destroy, killed after {writes} writes");
        let ended = session.destroy(Some(writes)).await;
        if ended == Ended::Killed {
            points += 1;
            session.destroy(None).await;
        }
        assert_eq!(session.cloud.everything(), Vec::<String>::new(), "{point}");
        session.assert_state_is_cloud(&point);
        if ended != Ended::Killed {
            println!("crash points of a destroy: {points}");
            assert!(points >= 5, "only {points} points");
            return;
        }
    }
    panic!("a destroy never completes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_makes_no_second_object() {
    let session = Session::new();
    session.cloud.lose_answers(3);
    assert_eq!(session.apply(FIRST, None).await, Ended::Applied);
    settled(&session, FIRST, "lost answers").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_removed_by_somebody_else_takes_its_objects_along() {
    let session = Session::new();
    assert_eq!(session.apply(FIRST, None).await, Ended::Applied);
    session.cloud.remove_server("old");
    assert_eq!(session.apply(FIRST, None).await, Ended::Applied);
    settled(&session, FIRST, "container gone").await;
}

#[test]
fn the_fake_cloud_makes_one_object_for_a_token() {
    let cloud = Cloud::default();
    let first = cloud.create_server("l", "t", "n", 1);
    assert_eq!(cloud.create_server("l", "t", "n", 1), first);
    assert_eq!(cloud.everything().len(), 1);
}
