//! A queue delivers a message at least once: more deliveries leave the same traces as one.

use std::slice::from_ref;

use domain::job::Operation;
use futures_util::future::join_all;
use tests::{Deliveries, Delivery, Home};

use super::scene::{Scene, Size, define_types};

/// How the chunks of a job come to the consumers.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Each chunk again before the next one.
    TwiceInARow,
    /// All chunks, and all of them again when the job has ended.
    AgainAfterTheEnd,
    /// Each chunk to two consumers at the same moment, as if the queue had forgotten that it was delivered.
    TwoConsumersAtOnce,
    /// Everything to four consumers at the same moment, counted as different deliveries.
    FourConsumersAtOnce,
    /// The same message twice in one batch.
    TwiceInOneBatch,
    /// The last chunk first, and received before by a consumer that did nothing.
    BackwardsAndLate,
}

async fn deliver(deliveries: &Deliveries<'_>, chunks: &[Delivery], way: Way) {
    match way {
        Way::TwiceInARow => {
            for chunk in chunks {
                deliveries.deliver(chunk).await;
                deliveries.deliver(&chunk.again()).await;
            }
        }
        Way::AgainAfterTheEnd => {
            for chunk in chunks.iter().cloned().chain(chunks.iter().map(Delivery::again)) {
                deliveries.deliver(&chunk).await;
            }
        }
        Way::TwoConsumersAtOnce => {
            for chunk in chunks {
                tokio::join!(deliveries.deliver(chunk), deliveries.deliver(chunk));
            }
        }
        Way::FourConsumersAtOnce => {
            let all = |chunk: &Delivery| [chunk.clone(), chunk.again(), chunk.again().again(), chunk.clone()];
            let all: Vec<_> = chunks.iter().flat_map(all).collect();
            join_all(all.iter().map(|chunk| deliveries.deliver(chunk))).await;
        }
        Way::TwiceInOneBatch => {
            let batch: Vec<_> = chunks.iter().flat_map(|chunk| [chunk.clone(), chunk.clone()]).collect();
            assert!(deliveries.hand_over(&batch).await.is_empty());
        }
        Way::BackwardsAndLate => {
            for chunk in chunks.iter().rev() {
                deliveries.deliver(&chunk.again()).await;
            }
        }
    }
}

/// For each action: a job that is delivered this way leaves the same traces as one that is delivered once.
async fn leaves_the_traces_of_one_delivery(way: Way) {
    let home = Home::start().await;
    let deliveries = Deliveries::of(&home);
    let acme = home.acme().await;
    define_types(&acme).await;
    for operation in Operation::ALL {
        let once = Scene::set(&acme, &deliveries, &format!("{operation:?} once"), operation, Size::TwoChunks).await;
        for chunk in &once.chunks {
            assert!(deliveries.hand_over(from_ref(chunk)).await.is_empty());
        }
        assert!(once.succeeded().await >= 1, "{operation:?}");

        let more = Scene::set(&acme, &deliveries, &format!("{operation:?} more"), operation, Size::TwoChunks).await;
        deliver(&deliveries, &more.chunks, way).await;
        assert_eq!(more.traces().await, once.traces().await, "{operation:?} {way:?}");
    }
    home.run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twice_in_a_row() {
    leaves_the_traces_of_one_delivery(Way::TwiceInARow).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn again_after_the_end() {
    leaves_the_traces_of_one_delivery(Way::AgainAfterTheEnd).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_two_consumers_at_once() {
    leaves_the_traces_of_one_delivery(Way::TwoConsumersAtOnce).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_four_consumers_at_once() {
    leaves_the_traces_of_one_delivery(Way::FourConsumersAtOnce).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twice_in_one_batch() {
    leaves_the_traces_of_one_delivery(Way::TwiceInOneBatch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backwards_and_late() {
    leaves_the_traces_of_one_delivery(Way::BackwardsAndLate).await;
}
