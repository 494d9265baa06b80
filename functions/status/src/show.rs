//! `GET /jobs/{id}`, which waits for the end of the job when the request asks for that.

use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::account::AccountId;
use domain::job::render;
use domain::job::{Job, JobId};
use domain::limits::WAIT_SECONDS;
use domain::problem::quoted;
use lambda_http::Context;
use store::StoreError;
use tokio::time::Instant;
use wire::{Agent, Failure, PathParameters, Query, Rendered, bad_parameter};

use crate::Status;

/// What is kept of the function's time for the answer.
const TIME_TO_ANSWER: Duration = Duration::from_secs(3);

/// The first and the longest time between two looks at a job that another process may end. A waiter of 20 s looks some 24 times, at a read
/// unit each.
const LOOKS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

pub(crate) async fn show(
    Agent(identity): Agent,
    State(status): State<Status>,
    PathParameters(id): PathParameters<String>,
    query: Query,
    Until(until): Until,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let wait = Wait::of(&query, &headers)?;
    let missing = || Failure::not_found(format!("No job has the id {}", quoted(&id)));
    let job_id = JobId::parse(&id).ok_or_else(missing)?;
    let until = until.min(Instant::now() + wait.time);
    let job = ended(&status, &identity.account, job_id, until).await?.ok_or_else(missing)?;
    let results = status.jobs.shown_results(&identity.account, &job).await?;
    let mut answer = Rendered(StatusCode::OK, render::job(&job, &results).into()).into_response();
    if let Some(applied) = wait.preference {
        answer.headers_mut().insert("preference-applied", applied);
    }
    Ok(answer)
}

/// The job, once it has ended, or as it is when the time is up.
async fn ended(status: &Status, account: &AccountId, id: JobId, until: Instant) -> Result<Option<Job>, StoreError> {
    let look = || status.jobs.find_job(id.of(account), status.jobs.clock().now());
    // Most requests do not wait, and owe nothing for those that do.
    if Instant::now() >= until {
        return look().await;
    }
    let (mut pause, longest) = LOOKS;
    let end = status.jobs.end_of(id);
    loop {
        // Before the look, or an end between the two would not be heard.
        let heard = end.heard();
        let job = look().await?;
        let now = Instant::now();
        if now >= until || job.as_ref().is_none_or(|job| !job.status.is_active()) {
            return Ok(job);
        }
        tokio::select! {
            () = heard => {}
            () = tokio::time::sleep_until(until.min(now + pause)) => pause = (pause * 2).min(longest),
        }
    }
}

/// How long a request wants to wait: by `wait` in its query, or else by the header `Prefer` (RFC 7240).
struct Wait {
    time: Duration,
    /// What the answer says of it, where the header asked.
    preference: Option<HeaderValue>,
}

impl Wait {
    /// # Errors
    /// 400 for a bad `wait`. A preference that cannot be read is none, as the standard has it.
    fn of(query: &Query, headers: &HeaderMap) -> Result<Self, Failure> {
        if let Some(given) = query.get("wait")? {
            let allowed = format!("a whole number of seconds from 0 to {WAIT_SECONDS}");
            let time = seconds(given).filter(|seconds| *seconds <= WAIT_SECONDS);
            let time = time.ok_or_else(|| bad_parameter("wait", &allowed, given))?;
            return Ok(Self { time: Duration::from_secs(time), preference: None });
        }
        let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let wait = preferences.flat_map(|value| value.split([',', ';'])).find_map(|preference| {
            let (name, value) = preference.split_once('=')?;
            if name.trim().eq_ignore_ascii_case("wait") { seconds(value.trim().trim_matches('"')) } else { None }
        });
        let Some(wait) = wait else { return Ok(Self { time: Duration::ZERO, preference: None }) };
        let time = wait.min(WAIT_SECONDS);
        let preference = HeaderValue::try_from(format!("wait={time}")).ok();
        Ok(Self { time: Duration::from_secs(time), preference })
    }
}

fn seconds(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The time by which a request has to stop waiting, because Lambda would end its function. Where there is no Lambda,
/// the longest wait from now.
pub(crate) struct Until(Instant);

impl<S: Send + Sync> FromRequestParts<S> for Until {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let left = parts.extensions.get::<Context>().map(|context| {
            let end = context.deadline();
            end.duration_since(std::time::SystemTime::now()).unwrap_or_default().saturating_sub(TIME_TO_ANSWER)
        });
        Ok(Self(Instant::now() + left.unwrap_or(Duration::from_secs(WAIT_SECONDS))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::SystemTime;

    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
    use axum::http::Request;
    use domain::clock::Clock;
    use domain::job::JobStatus;
    use serde_json::json;
    use store::Store;
    use store::clients::AwsSettings;
    use store::tables::TableNames;

    use super::*;

    /// A database of one job, which is queued until anything is written.
    #[derive(Clone, Debug)]
    struct OneJob {
        id: JobId,
        is_aborted: Arc<AtomicBool>,
    }

    impl HttpClient for OneJob {
        fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    impl HttpConnector for OneJob {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let answer = if request.headers().get("x-amz-target").is_some_and(|target| target.ends_with(".GetItem")) {
                let status = if self.is_aborted.load(Ordering::Relaxed) { "aborted" } else { "queued" };
                let made_at = Clock::system().now().as_seconds().to_string();
                let later = "9999999999";
                json!({"Item": {
                    "sk": {"S": format!("JOB#{}", self.id)}, "status": {"S": status}, "expires_at": {"N": later},
                    "created_at": {"N": made_at}, "updated_at": {"N": made_at},
                    "total": {"N": "1"}, "chunks": {"N": "1"}, "succeeded": {"N": "0"}, "failed": {"N": "0"},
                }})
            } else {
                self.is_aborted.store(true, Ordering::Relaxed);
                json!({})
            };
            let mut response = HttpResponse::new(200.try_into().unwrap(), answer.to_string().into());
            response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
            HttpConnectorFuture::ready(Ok(response))
        }
    }

    /// Who waits in the process that ends the job is told when it ends, and not at the next look, which is up to a second later.
    #[tokio::test(start_paused = true)]
    async fn who_waits_hears_of_the_end_at_once() {
        let (account, clock) = (AccountId::parse("acme").unwrap(), Clock::system());
        let id = JobId::new(&clock);
        let database = OneJob { id, is_aborted: Arc::default() };
        let aws = AwsSettings::emulator("http://127.0.0.1:1");
        let open = || {
            let client = SharedHttpClient::new(database.clone());
            Store::open(&aws, client, TableNames::with_prefix("test"), clock.clone())
        };
        let store = open();
        let began = Instant::now();
        // Looks are after 0, 100, 300, 700, 1,500 and 2,500 ms.
        let ends_after = Duration::from_millis(1_700);
        let waits = |store: Store| {
            let (account, until) = (account.clone(), began + Duration::from_secs(20));
            async move {
                let job = ended(&Status::new(store), &account, id, until).await.unwrap().unwrap();
                (job.status, began.elapsed().as_millis())
            }
        };
        let ends = async {
            tokio::time::sleep(ends_after).await;
            assert!(store.jobs.abort(id.of(&account), clock.now()).await.unwrap());
        };
        // A store of its own is another process.
        let (told, told_too, looked, ()) =
            tokio::join!(waits(store.clone()), waits(store.clone()), waits(open()), ends);
        assert_eq!([told, told_too, looked], [1_700, 1_700, 2_500].map(|at| (JobStatus::Aborted, at)));
    }

    /// How long a request may wait whose function has so much time left; none where there is no Lambda.
    async fn left(seconds: Option<u64>) -> Duration {
        let mut parts = Request::new(()).into_parts().0;
        if let Some(seconds) = seconds {
            let end = SystemTime::now() + Duration::from_secs(seconds);
            let mut context = Context::default();
            context.deadline = end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis().try_into().unwrap();
            parts.extensions.insert(context);
        }
        let began = Instant::now();
        let Ok(Until(until)) = Until::from_request_parts(&mut parts, &()).await else { panic!("it refuses nobody") };
        until.saturating_duration_since(began)
    }

    #[tokio::test]
    async fn who_waits_is_answered_before_the_function_is_stopped() {
        assert_eq!(left(None).await.as_secs(), WAIT_SECONDS);
        // The function has 29 s, of which 3 are for the answer: the longest wait fits, and with less left a shorter one is made of it.
        assert!(left(Some(29)).await >= Duration::from_secs(WAIT_SECONDS));
        assert!((6..=7).contains(&left(Some(10)).await.as_secs()));
        for seconds in [0, 1, 3] {
            // Between the two looks at the clock.
            assert!(left(Some(seconds)).await < Duration::from_millis(500), "it answers at once");
        }
    }
}
