//! `POST /jobs`.

use std::collections::HashSet;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::account::AccountId;
use domain::chunk::{Packing, pack};
use domain::job::render;
use domain::job::{Job, JobId, JobOptions, JobStatus};
use domain::limits;
use domain::problem::{Problem, quoted};
use domain::request::json;
use domain::request::{JobRequest, LinesQuery};
use domain::timing::{LATEST_COMMIT, LATEST_TURN};
use domain::types::TypesMade;
use store::StoreError;
use store::jobs::{Commit, Earlier, Fenced, IdempotencyKey};
use store::queue::Outgoing;
use tokio::time::Instant;
use wire::{
    Agent, BASE, BodyForm, Failure, Query, Rendered, TraceContext, body_form, hashed_key, idempotency_key, read_body,
};

use crate::Accept;
use crate::encoding::{DecodeError, Encoding, Unsupported};
use crate::workbench::Place;

/// When to come back with a job that found no slot, in seconds: jobs end at any time.
const RETRY_FOR_SLOT: u32 = 5;

/// When to come back after a 503, in seconds.
const RETRY: u32 = 2;

/// Options of the request besides its body.
struct Asked {
    form: BodyForm,
    validate_only: bool,
    lines: LinesQuery,
}

impl Asked {
    fn of(headers: &HeaderMap, query: &Query) -> Result<Self, Failure> {
        let form = body_form(headers)?;
        let validate_only = query.flag("validate_only")?.unwrap_or(false);
        let of_lines = |name| match form {
            BodyForm::Json => Ok(None),
            BodyForm::Lines => query.get(name).map(|given| given.map(str::to_owned)),
        };
        let (job_type, action) = (of_lines("type")?, of_lines("action")?);
        Ok(Self {
            form,
            validate_only,
            lines: LinesQuery { job_type, action, max_failures: of_lines("max_failures")? },
        })
    }

    /// What makes two requests with equal bodies different ones. Of what says nothing beside its body, nothing.
    fn distinction(&self) -> String {
        let validates = if self.validate_only { "validate_only\n" } else { "" };
        match self.form {
            BodyForm::Json => validates.to_owned(),
            // Quoted, so that no two of them read alike.
            BodyForm::Lines => {
                let LinesQuery { job_type, action, max_failures } = &self.lines;
                format!("{validates}{job_type:?} {action:?} {max_failures:?}\n")
            }
        }
    }

    fn read<'body>(&self, body: &'body [u8]) -> Result<JobRequest<'body>, Problem> {
        let body = json::without_byte_order_mark(body);
        let request = match self.form {
            BodyForm::Json => JobRequest::parse(body),
            BodyForm::Lines => JobRequest::parse_lines(body, &self.lines),
        };
        Ok(JobRequest { validate_only: self.validate_only, ..request? })
    }
}

pub(crate) async fn create(
    Agent(identity): Agent,
    State(accept): State<Accept>,
    Extension(trace): Extension<TraceContext>,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let started = Instant::now();
    let asked = Asked::of(&headers, &query)?;
    let distinction = asked.distinction();
    let key = idempotency_key(&headers)?;
    let accepting = Accepting { accept: &accept, account: &identity.account, trace, started };
    let encoding = match Encoding::of(&headers) {
        Ok(encoding) => encoding,
        Err(unsupported) => {
            let raw = read_body(body, limits::BODY_BYTES / 4 * 3).await?;
            let key = key.map(|key| hashed_key(key, [distinction.as_bytes(), &*raw]));
            return accepting.unsupported(&unsupported, key).await;
        }
    };
    // Lines come as bytes, which the gateway hands over as base64.
    let most = if asked.form == BodyForm::Lines { limits::BODY_BYTES / 4 * 3 } else { encoding.most_bytes() };
    let raw = read_body(body, most).await?;
    let is_compressed = !encoding.is_identity();
    // Until the chunks are in the queue.
    let place = accept.workbench.place(raw.len(), is_compressed, started + LATEST_TURN).await?;
    let key = key.map(<[u8]>::to_vec);
    let decoding = place.run(move || {
        let body = encoding.decode(&raw).map_err(undecodable)?;
        let key = key.map(|key| hashed_key(&key, [distinction.as_bytes(), &*body]));
        Ok((body, key))
    });
    let (body, key) = decoding.await?;
    accepting.readable(asked, body, key, place).await
}

fn undecodable(error: DecodeError) -> Failure {
    match error {
        DecodeError::Corrupt => Failure::bad_request("The body does not decompress as its Content-Encoding says"),
        DecodeError::Wasteful => Failure::bad_request(
            "The body is compressed in a way that makes it larger instead of smaller: most of its bytes decompress to nothing",
        ),
        DecodeError::Damaged => Failure::bad_request(
            "The body does not decompress: on its way here its bytes were taken for text. \
             Send it without Content-Type, or as application/merge-patch+json, or not compressed",
        ),
        DecodeError::TooLarge => Failure::payload_too_large(format!(
            "The body must be at most {} bytes once it is decompressed",
            limits::DECOMPRESSED_BODY_BYTES
        )),
    }
}

/// One request on its way to a job.
struct Accepting<'request> {
    accept: &'request Accept,
    account: &'request AccountId,
    trace: TraceContext,
    started: Instant,
}

impl Accepting<'_> {
    /// A body that nobody here can read makes a job that has failed.
    async fn unsupported(&self, unsupported: &Unsupported, key: Option<IdempotencyKey>) -> Result<Response, Failure> {
        if let Some(earlier) = self.admission(key.as_ref()).await?.1 {
            return self.replay(&earlier, key.as_ref()).await;
        }
        let problem = Problem::unprocessable(format!(
            "Content-Encoding {} is not supported: send identity, gzip, deflate, br or zstd",
            quoted(&unsupported.coding)
        ));
        let job = Job::unreadable(JobId::new(self.accept.jobs.clock()), problem);
        self.commit(job, key.as_ref()).await
    }

    async fn readable(
        &self,
        asked: Asked,
        body: Bytes,
        key: Option<IdempotencyKey>,
        place: Place,
    ) -> Result<Response, Failure> {
        let (active, earlier) = self.admission(key.as_ref()).await?;
        if let Some(earlier) = earlier {
            return self.replay(&earlier, key.as_ref()).await;
        }
        let (account, trace, packing) = (self.account.clone(), self.trace.to_string(), self.accept.packing);
        let id = JobId::new(self.accept.jobs.clock());
        let prepare = move || {
            let request = asked.read(&body)?;
            // Cheap and not exact: a client over its limit costs no messages. The commit is exact.
            if active >= limits::ACTIVE_JOBS {
                return Err(no_slot());
            }
            Packed::new(&account, id, &request, packing, &trace)
        };
        let Packed { job, first, later } = place.run(prepare).await?;
        let sent = self.send(&job, first, later).await;
        drop(place);
        if let Err(failure) = sent {
            self.give_up(&job).await;
            return Err(failure);
        }
        self.commit(job, key.as_ref()).await
    }

    /// Tells the consumer that the job will never be there, so that it drops what was sent at once and does not wait for
    /// a commit first. Where this fails, it finds out by itself after a minute.
    async fn give_up(&self, job: &Job) {
        if let Err(error) = self.accept.jobs.fence(job.id.of(self.account)).await {
            tracing::warn!(account.id = %self.account, job.id = %job.id, reason = %error, "job given up without a fence");
        }
    }

    async fn admission(&self, key: Option<&IdempotencyKey>) -> Result<(u64, Option<Earlier>), StoreError> {
        let now = self.accept.jobs.clock().now();
        let admission = self.accept.jobs.admission(self.account, key, now).await?;
        Ok((admission.active, admission.earlier))
    }

    /// Hands over every chunk that nothing has to come before, and keeps the others for when their turn comes.
    async fn send(&self, job: &Job, first: Vec<Outgoing>, later: Vec<(u32, String)>) -> Result<(), Failure> {
        if !later.is_empty() {
            self.accept.jobs.stash(job.id.of(self.account), later, job.expires_at()).await?;
        }
        let sending = self.accept.queue.send(first);
        // Whatever arrives of a job that is not committed has no effect.
        match tokio::time::timeout_at(self.started + LATEST_COMMIT, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::unavailable(RETRY).because(error)),
            Err(_) => Err(Failure::unavailable(RETRY).because("the queue took too long")),
        }
    }

    async fn commit(&self, job: Job, key: Option<&IdempotencyKey>) -> Result<Response, Failure> {
        if self.started.elapsed() > LATEST_COMMIT {
            self.give_up(&job).await;
            return Err(Failure::unavailable(RETRY).because("no time is left to commit the job"));
        }
        let jobs = &self.accept.jobs;
        match jobs.commit(self.account, &job, key, jobs.clock().now()).await {
            Ok(Commit::Done) => Ok(accepted(&job, &job)),
            Ok(Commit::NoSlot) => {
                self.give_up(&job).await;
                Err(no_slot())
            }
            Ok(Commit::KeyTaken) => {
                self.give_up(&job).await;
                match self.admission(key).await?.1 {
                    Some(earlier) => self.replay(&earlier, key).await,
                    None => Err(Failure::unavailable(RETRY).because("an idempotency key expired during its commit")),
                }
            }
            Ok(Commit::AlreadyThere) => {
                let why = "the job was fenced";
                self.find_out(&job, why, Failure::unavailable(RETRY).because(why)).await
            }
            Err(error) => self.find_out(&job, &error.to_string(), error.into()).await,
        }
    }

    /// Settles a commit whose outcome, or whose author, is not known, by a fence: `refusal` is the answer only when the
    /// fence is there and the job is not. `why` is for the log.
    async fn find_out(&self, job: &Job, why: &str, refusal: Failure) -> Result<Response, Failure> {
        match self.accept.jobs.fence(job.id.of(self.account)).await {
            Ok(Fenced::Committed(there)) => Ok(accepted(job, &there)),
            Ok(Fenced::Never) => Err(refusal),
            Err(unsettled) => Err(Failure::internal(format!("a commit is unsettled: {why}; {unsettled}"))),
        }
    }

    /// The key was used before: the first job as it now stands, if this is the same request.
    async fn replay(&self, earlier: &Earlier, key: Option<&IdempotencyKey>) -> Result<Response, Failure> {
        if key.is_none_or(|key| key.body != earlier.body) {
            return Err(Failure::unprocessable(
                "This Idempotency-Key was used with another body within the last day: send the same body, or another key",
            ));
        }
        let jobs = &self.accept.jobs;
        let Some(job) = jobs.find_job(earlier.job.of(self.account), jobs.clock().now()).await? else {
            return Err(Failure::unavailable(RETRY).because("an idempotency key leads to no job"));
        };
        let results = jobs.shown_results(self.account, &job).await?;
        Ok(created(&job, render::job(&job, &results)))
    }
}

/// A job and the messages that its items travel in.
struct Packed {
    job: Job,
    /// Messages of chunks that wait for no other chunk.
    first: Vec<Outgoing>,
    /// Messages of the other chunks, by their index in the job.
    later: Vec<(u32, String)>,
}

impl Packed {
    fn new(
        account: &AccountId,
        id: JobId,
        request: &JobRequest<'_>,
        packing: Packing,
        trace: &str,
    ) -> Result<Self, Failure> {
        let domain::chunk::Packed { chunks, makes, refs_bytes } = pack(account, id, request, packing);
        if refs_bytes > limits::CLIENT_REFS_BYTES {
            return Err(Failure::unprocessable(format!(
                "Every client_ref of a job together may take at most {} bytes, not {refs_bytes}",
                limits::CLIENT_REFS_BYTES
            )));
        }
        let count = |number: usize| u32::try_from(number).map_err(Failure::internal);
        let queued = Job::queued(id, request.operation, count(request.items.len())?, count(chunks.len())?);
        let JobRequest { max_failures, validate_only, .. } = *request;
        let options = JobOptions { max_failures, validate_only, has_refs: refs_bytes > 0 };
        // One that writes nothing makes no record of any type.
        let makes = if validate_only { TypesMade::default() } else { makes };
        let job = Job { makes, options, ..queued };
        let waiting: HashSet<u32> = chunks.iter().filter_map(|chunk| chunk.then).collect();
        let (mut first, mut later) = (Vec::with_capacity(chunks.len()), Vec::new());
        // Each is let go as soon as it is a message.
        for chunk in chunks {
            let body = chunk.to_message();
            if waiting.contains(&chunk.index) {
                later.push((chunk.index, body));
            } else {
                first.push(Outgoing { account: account.clone(), body, trace: Some(trace.to_owned()) });
            }
        }
        Ok(Self { job, first, later })
    }
}

/// A job that this request made, and as it stands by now.
fn accepted(made: &Job, stands: &Job) -> Response {
    telemetry::jobs_accepted();
    if made.status == JobStatus::Failed {
        telemetry::job_unreadable();
    }
    created(stands, render::job(stands, &[]))
}

fn created(job: &Job, json: Vec<u8>) -> Response {
    let location = format!("{BASE}/jobs/{}", job.id);
    ([(LOCATION, location)], Rendered(StatusCode::CREATED, json.into())).into_response()
}

fn no_slot() -> Failure {
    Failure::too_many(
        format!("At most {} jobs of an account may be queued or processing at the same time", limits::ACTIVE_JOBS),
        RETRY_FOR_SLOT,
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use access::{Access, Settings, open_local_account};
    use axum::http::Request;
    use database::{Sent, TestDatabase};
    use domain::chunk::Chunk;
    use domain::clock::Clock;
    use store::Store;

    use store::queue::Queue;
    use store::rows::JobRow;

    use tower::ServiceExt;
    use wire::AllowedOrigins;

    use super::*;

    async fn store() -> Store {
        TestDatabase::start("test").await.store(Clock::system())
    }

    #[tokio::test]
    async fn every_message_of_a_job_goes_on_with_the_trace_of_its_request() {
        const TRACE: &str = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1";
        let sent = Arc::new(Sent::default());
        let store = store().await;
        open_local_account(&store).await.unwrap();
        let routes = crate::routes(Accept::new(store.clone(), Arc::clone(&sent) as Arc<dyn Queue>));
        let router = wire::with_middleware(
            routes,
            Access::new(store, Settings::default()),
            AllowedOrigins::default(),
            Clock::system(),
        );
        // Given a job that takes more than one message,
        let items: Vec<_> =
            (0..600).map(|item| format!(r#"{{"type":"product","attributes":{{"item":{item}}}}}"#)).collect();
        let body = format!(r#"{{"type":"resources","action":"post","data":[{}]}}"#, items.join(","));
        let request = Request::post(format!("{BASE}/jobs"))
            .header("authorization", "Bearer sundial_local_token")
            .header("content-type", "application/json")
            .header("x-amzn-trace-id", format!("{TRACE};Lineage=16f3a795:0"));
        // when it is posted within a trace,
        let response = router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        // then each message says so.
        assert_eq!(response.status(), StatusCode::CREATED);
        let sent = sent.messages();
        assert!(sent.len() > 1);
        assert!(sent.iter().all(|message| message.trace.as_deref() == Some(TRACE)));
    }

    /// The gateway has given up by then, and the consumer may soon take the job for one that never was.
    #[tokio::test]
    async fn a_job_that_took_too_long_is_fenced_and_not_committed() {
        let sent = Arc::new(Sent::default());
        let store = store().await;
        open_local_account(&store).await.unwrap();
        let routes = crate::routes(Accept::new(store.clone(), Arc::clone(&sent) as Arc<dyn Queue>));
        let router = wire::with_middleware(
            routes,
            Access::new(store.clone(), Settings::default()),
            AllowedOrigins::default(),
            Clock::system(),
        );
        // Given a body that takes sixteen seconds to come, and a queue that takes none,
        let body = r#"{"type":"resources","action":"delete","data":["576a0d0d-fb3f-11e9-80f8-65590b274410"]}"#;
        let slow = futures_util::stream::once(async move {
            tokio::time::pause();
            tokio::time::advance(LATEST_COMMIT + Duration::from_secs(1)).await;
            tokio::time::resume();
            Ok::<_, std::convert::Infallible>(body)
        });
        let request = Request::post(format!("{BASE}/jobs"))
            .header("authorization", "Bearer sundial_local_token")
            .header("content-type", "application/json");
        let response = router.oneshot(request.body(Body::from_stream(slow)).unwrap()).await.unwrap();
        // then it is refused,
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let sent = sent.messages();
        let [message] = sent.as_slice() else { panic!("{} messages", sent.len()) };
        let chunk = Chunk::from_message(&message.body).unwrap();
        // and can never be committed any more, however late the commit comes.
        assert_eq!(store.jobs.find_job_row(chunk.job_key()).await.unwrap(), Some(JobRow::Void));
        let job = Job::queued(chunk.job, chunk.operation, 1, 1);
        let late = store.jobs.commit(&chunk.account, &job, None, store.clock().now()).await.unwrap();
        assert_eq!(late, Commit::AlreadyThere);
    }
}
