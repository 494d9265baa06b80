//! A worker dies between any two calls, and the redelivery finishes what it began.

use std::slice::from_ref;

use domain::job::Operation;
use tests::{Client, Deliveries, Home, LastStep, crash_after};

use super::scene::{Scene, Size, Traces, define_types};

/// The traces of a job of this action that is delivered once and meets no mishap.
async fn undisturbed(acme: &Client, deliveries: &Deliveries<'_>, operation: Operation) -> Traces {
    let scene = Scene::set(acme, deliveries, &format!("{operation:?} undisturbed"), operation, Size::OneChunk).await;
    deliveries.deliver(&scene.chunks[0]).await;
    scene.traces().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_each_step_the_redelivery_goes_on() {
    let home = Home::start().await;
    let deliveries = Deliveries::of(&home);
    let acme = home.acme().await;
    define_types(&acme).await;
    for operation in Operation::ALL {
        let undisturbed = undisturbed(&acme, &deliveries, operation).await;
        for last in LastStep::ALL {
            let tag = format!("{operation:?} {last:?}");
            let scene = Scene::set(&acme, &deliveries, &tag, operation, Size::OneChunk).await;
            crash_after(last, home.run.store(), &scene.chunks[0]).await;
            deliveries.deliver(&scene.chunks[0].again()).await;
            assert_eq!(scene.traces().await, undisturbed, "{tag}");
        }
    }
    home.run.stop().await;
}

/// The count of receives is approximate: a redelivery may look like the first delivery.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redelivery_that_looks_like_the_first_delivery_goes_on_too() {
    let home = Home::start().await;
    let deliveries = Deliveries::of(&home);
    let acme = home.acme().await;
    define_types(&acme).await;
    for operation in Operation::ALL {
        let undisturbed = undisturbed(&acme, &deliveries, operation).await;
        for last in LastStep::ALL {
            let tag = format!("{operation:?} {last:?}");
            let scene = Scene::set(&acme, &deliveries, &tag, operation, Size::OneChunk).await;
            crash_after(last, home.run.store(), &scene.chunks[0]).await;
            deliveries.deliver(&scene.chunks[0]).await;
            assert_eq!(scene.traces().await, undisturbed, "{tag}");
        }
    }
    home.run.stop().await;
}

/// The consumer itself dies, each time one wake later: with an answer on its way that it never sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_consumer_dies_the_redelivery_goes_on() {
    let home = Home::start().await;
    let deliveries = Deliveries::of(&home);
    let acme = home.acme().await;
    define_types(&acme).await;
    for operation in Operation::ALL {
        let undisturbed = undisturbed(&acme, &deliveries, operation).await;
        for wakes in 0.. {
            let tag = format!("{operation:?} {wakes}");
            let scene = Scene::set(&acme, &deliveries, &tag, operation, Size::OneChunk).await;
            let chunk = &scene.chunks[0];
            let was_done = deliveries.deliver_to_mortal(chunk, wakes).await;
            assert!(deliveries.hand_over(from_ref(&chunk.again())).await.is_empty(), "{tag}");
            assert_eq!(scene.traces().await, undisturbed, "{tag}");
            if was_done {
                break;
            }
        }
    }
    home.run.stop().await;
}

/// As above, with a second consumer of the same chunk at work while the first one dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_one_of_two_consumers_dies_the_other_goes_on() {
    let home = Home::start().await;
    let deliveries = Deliveries::of(&home);
    let acme = home.acme().await;
    define_types(&acme).await;
    for operation in Operation::ALL {
        let undisturbed = undisturbed(&acme, &deliveries, operation).await;
        for wakes in 1.. {
            let tag = format!("{operation:?} {wakes}");
            let scene = Scene::set(&acme, &deliveries, &tag, operation, Size::OneChunk).await;
            let chunk = &scene.chunks[0];
            let again = chunk.again();
            let (was_done, ()) = tokio::join!(deliveries.deliver_to_mortal(chunk, wakes), deliveries.deliver(&again));
            assert_eq!(scene.traces().await, undisturbed, "{tag}");
            if was_done {
                break;
            }
        }
    }
    home.run.stop().await;
}
