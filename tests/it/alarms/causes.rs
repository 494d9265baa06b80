//! What moves a metric, brought about.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bury::Bury;
use domain::chunk::{Packing, pack};
use domain::clock::Clock;
use domain::job::{Job, JobId, Operation};
use domain::limits::{ITEMS_PER_CHUNK, JOB_OVERDUE_SECONDS};
use domain::request::JobRequest;
use local::queue::QueueOptions;
use local::run::{LocalOptions, QueueHome};
use serde_json::{Value, json};
use store::Store;
use store::clients::{self, AwsSettings};
use store::jobs::Commit;
use tests::{Client, Deliveries, Delivery, Home};
use tokio::sync::{Mutex, MutexGuard};

use super::database::{Trouble, in_trouble};
use super::metrics::Metric;
use super::programs::{End, Invocation, invoke};
use crate::template::Template;

/// An account with work to do, whose chunks are in the test's hands.
pub struct Scene<'home> {
    pub template: Template,
    home: &'home Home,
    acme: Client,
    /// What keeps the queues from being emptied meanwhile.
    _deliveries: Deliveries<'home>,
    /// One sweep ends every job that is overdue, whoever had it made.
    sweeping: Mutex<()>,
}

fn product(number: usize) -> Value {
    json!({"type": "product", "external_id": format!("gum-{number}"), "attributes": {"name": "Gum"}})
}

impl<'home> Scene<'home> {
    pub async fn set(home: &'home Home) -> Self {
        let (deliveries, acme) = (Deliveries::of(home), home.acme().await);
        acme.define_product().await;
        Self { template: Template::read(), home, acme, _deliveries: deliveries, sweeping: Mutex::new(()) }
    }

    /// Waits until nobody else needs this function, where two would disturb each other.
    pub async fn alone(&self, function: &str) -> Option<MutexGuard<'_, ()>> {
        if function == "sweep" { Some(self.sweeping.lock().await) } else { None }
    }

    /// Has a function's program handle an event, with its database in this trouble.
    pub async fn invoke(&self, function: &str, event: &Value, trouble: Trouble) -> Invocation {
        let database = in_trouble(&self.home.run.dynamodb_url(), trouble).await;
        invoke(&self.template, function, &database, event, None).await
    }

    /// A function's program that is not told what a table is called.
    pub async fn invoke_without_settings(&self, function: &str) -> Invocation {
        let database = self.home.run.dynamodb_url();
        invoke(&self.template, function, &database, &json!({}), Some("TABLE_JOBS")).await
    }

    /// An event that the function handles, and then has no more to do with.
    pub async fn event_for(&self, function: &str) -> Value {
        match function {
            "accept" => self.body_that_nobody_reads(),
            "status" => self.request("GET", "/jobs"),
            "records" => self.request("GET", "/objects/types"),
            "consume" | "bury" => event_of(&self.chunk_of_a_new_job().await),
            "sweep" => json!({}),
            other => panic!("there is no function {other}"),
        }
    }

    /// An event in which a function finds a job that it ends as failed.
    pub async fn event_that_fails_a_job(&self, function: &str) -> Value {
        match function {
            "consume" => self.last_chunk_after_a_buried_one().await,
            "bury" => event_of(&self.chunk_of_a_new_job().await),
            "sweep" => {
                self.have_a_job_overdue().await;
                json!({})
            }
            other => panic!("{other} ends no jobs"),
        }
    }

    /// As the gateway hands a request over.
    fn request(&self, method: &str, path: &str) -> Value {
        let path = format!("{}{path}", tests::BASE);
        json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {
                "authorization": format!("Bearer {}", self.acme.token()),
                "content-type": "application/json",
                "host": "api.example.com",
            },
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "api",
                "domainName": "api.example.com",
                "domainPrefix": "api",
                "http": {
                    "method": method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1",
                    "userAgent": "test",
                },
                "requestId": "request",
                "routeKey": "$default",
                "stage": "$default",
                "time": "03/Nov/2017:16:00:06 +0000",
                "timeEpoch": 1_509_724_806_123_u64,
            },
            "isBase64Encoded": false,
        })
    }

    /// A job whose body has an encoding that is not read, which accept makes and fails at once.
    pub fn body_that_nobody_reads(&self) -> Value {
        let mut request = self.request("POST", "/jobs");
        request["headers"]["content-encoding"] = "compress".into();
        request["body"] = "{}".into();
        request
    }

    /// Made as accept makes it, but for the queue: its messages are delivered by the test.
    async fn chunks_of_a_new_job(&self, items: usize) -> Vec<Delivery> {
        let id = JobId::new(self.acme.store.clock());
        let items: Vec<Value> = (0..items).map(product).collect();
        let body = json!({"type": "resources", "action": "external_id_set", "data": items}).to_string();
        let request = JobRequest::parse(body.as_bytes()).expect("a request");
        let chunks = pack(&self.acme.account, id, &request, Packing::default()).chunks;
        let count = |number: usize| u32::try_from(number).expect("a small number");
        self.commit(&self.acme.store, &Job::queued(id, request.operation, count(items.len()), count(chunks.len())))
            .await;
        chunks.iter().map(|chunk| Delivery { body: chunk.to_message(), receives: 1 }).collect()
    }

    async fn chunk_of_a_new_job(&self) -> Delivery {
        self.chunks_of_a_new_job(1).await.remove(0)
    }

    async fn commit(&self, store: &Store, job: &Job) {
        let committed = store.jobs.commit(&self.acme.account, job, None, store.clock().now()).await;
        assert_eq!(committed.expect("the database"), Commit::Done);
    }

    async fn last_chunk_after_a_buried_one(&self) -> Value {
        let chunks = self.chunks_of_a_new_job(ITEMS_PER_CHUNK + 1).await;
        let [first, last] = chunks.as_slice() else { panic!("{} chunks", chunks.len()) };
        let bury = Bury::new(self.acme.store.clone(), Arc::clone(self.home.run.sender()));
        let response = bury.handle(first.event(), Instant::now() + Duration::from_mins(1)).await;
        assert!(response.batch_item_failures.is_empty(), "it is not buried");
        event_of(last)
    }

    /// A job that was committed more than 23 hours ago, and whose messages are gone.
    async fn have_a_job_overdue(&self) {
        let now = self.acme.store.clock().now();
        let past = now.minus_millis((JOB_OVERDUE_SECONDS + 60) * 1_000);
        let aws = AwsSettings::emulator(&self.home.run.dynamodb_url());
        let client = clients::dynamodb(&aws, clients::http_client());
        let store = Store::new(client, self.home.run.tables().clone(), Clock::manual(past, 7));
        let job = Job::queued(JobId::new(store.clock()), Operation::CreateObjects, 1, 1);
        self.commit(&store, &job).await;
    }
}

/// As Lambda hands a message over.
fn event_of(delivery: &Delivery) -> Value {
    serde_json::to_value(delivery.event()).expect("an event")
}

/// That the invocation went well, whatever trouble it met: it did what it was to do.
pub fn is_well(invocation: &Invocation) -> bool {
    let End::Answered(answer) = &invocation.end else { return false };
    let status = answer["statusCode"].as_u64();
    let unfinished = answer["batchItemFailures"].as_array().is_some_and(|failures| !failures.is_empty());
    status.is_none_or(|status| status < 300) && !unfinished
}

/// How much of the metric the invocation's lines tell.
pub fn told(invocation: &Invocation, metric: &Metric) -> f64 {
    invocation.measured.iter().filter(|measured| measured.metric == *metric).map(|measured| measured.value).sum()
}

/// A home of whose dead letters nobody takes care.
pub async fn home_with_dead_letters() -> Home {
    let queue = QueueOptions { visibility: Duration::from_mins(1), max_receives: 2 };
    let home = Home::start_with(LocalOptions {
        clock: Clock::shiftable(),
        queue: QueueHome::Own(queue),
        ..LocalOptions::in_memory()
    });
    home.await
}
