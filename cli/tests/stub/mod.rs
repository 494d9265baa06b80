//! A service that knows one type and takes jobs, and that answers as badly as it is told to.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// What happens to a request that posts a job, in place of what should.
#[derive(Clone, Copy, Debug)]
pub enum Twist {
    /// It is refused, with a `Retry-After`.
    Status(u16, Option<u64>),
    /// The connection breaks before anything was done.
    HangUp,
    /// The job is made, and the connection breaks.
    AcceptAndHangUp,
    /// The job is made, and the answer never comes.
    AcceptAndWait,
}

#[derive(Default)]
struct State {
    requests: usize,
    twists: VecDeque<Twist>,
    /// What happens in place of the last page of the records.
    page_twist: Option<Twist>,
    /// Of the requests that post a job, in order.
    keys: Vec<String>,
    jobs: Vec<Vec<Value>>,
    dry_jobs: Vec<Vec<Value>>,
    job_of_key: HashMap<String, String>,
    /// How many items of a job may fail, where it says so.
    max_failures: HashMap<String, usize>,
    /// Of the last request.
    authorization: String,
    /// Method, target and body of the requests that post no job.
    asked: Vec<(String, String, String)>,
    /// How often the job that is watched was asked for.
    looks: u64,
}

pub struct Service {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Service {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { url, state }
    }

    pub fn twist(&self, twists: impl IntoIterator<Item = Twist>) {
        self.state().twists.extend(twists);
    }

    /// Twists the request for the last page of the records.
    pub fn twist_last_page(&self, twist: Twist) {
        self.state().page_twist = Some(twist);
    }

    pub fn requests(&self) -> usize {
        self.state().requests
    }

    pub fn authorization(&self) -> String {
        self.state().authorization.clone()
    }

    /// Method, target and body of the last request that posts no job.
    pub fn asked(&self) -> (String, String, String) {
        self.state().asked.last().cloned().unwrap()
    }

    pub fn keys(&self) -> Vec<String> {
        self.state().keys.clone()
    }

    /// The names of all items of all jobs, in the order of the rows of each import.
    pub fn items(&self) -> Vec<String> {
        let state = self.state();
        let mut jobs: Vec<&Vec<Value>> = state.jobs.iter().collect();
        // Jobs that are under way together come in any order: within one import the first row says which is first.
        if jobs.iter().all(|job| job.len() <= 2) {
            jobs.sort_by_key(|job| row(&job[0]));
        }
        jobs.into_iter().flatten().map(|item| name(item).to_owned()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn row(item: &Value) -> u64 {
    item["client_ref"].as_str().unwrap().parse().unwrap()
}

fn name(item: &Value) -> &str {
    item["attributes"]["name"].as_str().unwrap()
}

/// Answers one request, and closes the connection.
fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let (method, target) = {
        let mut words = line.split_whitespace();
        (words.next().unwrap().to_owned(), words.next().unwrap().to_owned())
    };
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut stream = reader.into_inner();
    let is_job = method == "POST" && target.starts_with("/api/sunshine/jobs?");
    {
        let mut state = state.lock().unwrap();
        state.requests += 1;
        state.authorization = headers.get("authorization").cloned().unwrap_or_default();
        if !is_job {
            state.asked.push((method.clone(), target.clone(), String::from_utf8_lossy(&body).into_owned()));
        }
    }
    let path = target.strip_prefix("/api/sunshine").unwrap();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (status, retry_after, answer) = match (method.as_str(), path) {
        // The password that is right, and every token.
        ("GET", "/limits") if state.lock().unwrap().authorization.starts_with("Basic ") => {
            let is_right = state.lock().unwrap().authorization == "Basic YWdlbnRAZXhhbXBsZS5jb206IHN1biBzaGluZSA=";
            if is_right { (200, None, json!({"data": []})) } else { (401, None, json!({"error": "no"})) }
        }
        ("GET", "/limits") => (200, None, json!({"data": []})),
        ("GET", "/objects/records") => {
            let is_last = query.contains("cursor=2");
            let twist = state.lock().unwrap().page_twist.filter(|_| is_last);
            if let Some(Twist::AcceptAndWait) = twist {
                thread::sleep(Duration::from_secs(30));
                return;
            }
            let next = (!is_last).then_some("/api/sunshine/objects/records?type=shop&per_page=1000&cursor=2");
            let record = if is_last {
                json!({"id": "2", "external_id": null, "attributes": {"name": "b, c"}})
            } else {
                json!({"id": "1", "external_id": "x", "attributes": {"name": "a", "price": 1.5}})
            };
            match twist {
                Some(Twist::Status(status, _)) => (status, None, json!({"errors": [{"detail": "not this page"}]})),
                _ => (200, None, json!({"data": [record], "links": {"next": next, "previous": null}})),
            }
        }
        ("GET", "/jobs") => {
            let jobs = [job_head("completed", 3), job_head("processing", 1)];
            (200, None, json!({"data": jobs, "links": {"next": null, "previous": null}}))
        }
        ("GET", "/jobs/watched-0") => {
            let mut state = state.lock().unwrap();
            state.looks += 1;
            let looks = state.looks;
            (200, None, json!({"data": job_head(if looks < 3 { "processing" } else { "completed" }, looks)}))
        }
        ("GET", "/jobs/watched-0/results") => {
            let errors = json!([{"code": "UnprocessableEntity", "detail": "it is\u{1b}[31m bad"}]);
            let result = json!({"position": 2, "client_ref": "row 4", "success": false, "errors": errors});
            (200, None, json!({"data": [result], "links": {"next": null, "previous": null}}))
        }
        ("POST", "/jobs/watched-0/abort") => (202, None, json!({"data": job_head("processing", 1)})),
        ("POST", "/relationships/types") => {
            (201, None, json!({"data": {"key": "bought", "source": "zen:user", "target": ["shop"]}}))
        }
        ("POST", "/relationships/records") => (201, None, json!({"data": {"id": "r", "source": "zen:user:7"}})),
        ("GET", "/objects/records/zen:user:7/relationships/bought") => {
            (200, None, json!({"data": [{"id": "r", "source": "zen:user:7"}], "links": {"next": null}}))
        }
        ("DELETE", "/relationships/types/bought" | "/objects/types/shop") => (204, None, Value::Null),
        ("GET", "/objects/types/shop") => {
            let properties = json!({"name": {"type": "string"}, "price": {"type": "number"}});
            (200, None, json!({"data": {"schema": {"properties": properties, "required": ["name"]}}}))
        }
        ("POST", "/jobs") => match post(state, &headers, query, &body) {
            Some(answer) => answer,
            None => return,
        },
        ("GET", path) => {
            let id = path.strip_prefix("/jobs/").unwrap();
            match job(&state.lock().unwrap(), id) {
                Some(job) => (200, None, job),
                None => (404, None, json!({"errors": [{"detail": "no such job"}]})),
            }
        }
        _ => (404, None, json!({"errors": [{"detail": "no such route"}]})),
    };
    let answer = if status == 204 { String::new() } else { answer.to_string() };
    let retry_after = retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
    let head = format!("HTTP/1.1 {status} X\r\nX-Request-Id: 1\r\nConnection: close\r\n{retry_after}");
    let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{answer}", answer.len());
}

/// Makes the job, unless its key was seen or something is to go wrong. Without an answer the connection breaks.
fn post(
    state: &Mutex<State>,
    headers: &HashMap<String, String>,
    query: &str,
    body: &[u8],
) -> Option<(u16, Option<u64>, Value)> {
    let key = headers["idempotency-key"].clone();
    let mut guard = state.lock().unwrap();
    guard.keys.push(key.clone());
    let twist = guard.twists.pop_front();
    match twist {
        Some(Twist::Status(status, retry_after)) => {
            return Some((status, retry_after, json!({"errors": [{"detail": "not now"}]})));
        }
        Some(Twist::HangUp) => return None,
        _ => {}
    }
    let id = match guard.job_of_key.get(&key) {
        Some(id) => id.clone(),
        None => {
            let mut text = String::new();
            flate2::read::GzDecoder::new(body).read_to_string(&mut text).unwrap();
            let items = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let is_dry = query.contains("validate_only=true");
            let jobs = if is_dry { &mut guard.dry_jobs } else { &mut guard.jobs };
            jobs.push(items);
            let id = format!("{}-{}", if is_dry { "dry" } else { "job" }, jobs.len() - 1);
            guard.job_of_key.insert(key, id.clone());
            let limit = query.split('&').find_map(|pair| pair.strip_prefix("max_failures="));
            if let Some(limit) = limit {
                guard.max_failures.insert(id.clone(), limit.parse().unwrap());
            }
            id
        }
    };
    drop(guard);
    match twist {
        Some(Twist::AcceptAndHangUp) => None,
        Some(Twist::AcceptAndWait) => {
            thread::sleep(Duration::from_secs(30));
            None
        }
        _ => Some((201, None, json!({"data": {"id": id, "job_status": "queued"}}))),
    }
}

/// A job of three items, of which one fails.
fn job_head(status: &str, processed: u64) -> Value {
    let failed = u64::from(processed > 1);
    let progress = json!({"total": 3, "processed": processed, "succeeded": processed - failed, "failed": failed});
    json!({
        "id": "watched-0", "type": "resources", "action": "post", "job_status": status,
        "created_at": "2017-11-03T16:00:06Z", "progress": progress,
    })
}

/// A job that has ended, unless one of its items says that it is forgotten.
fn job(state: &State, id: &str) -> Option<Value> {
    let (kind, index) = id.split_once('-').unwrap();
    let jobs = if kind == "dry" { &state.dry_jobs } else { &state.jobs };
    let items = &jobs[index.parse::<usize>().unwrap()];
    let is_deletion = |item: &Value| item["attributes"].is_null();
    if items.iter().any(|item| is_deletion(item) && item["external_id"] == "forgotten") {
        return None;
    }
    let failure = |code: &str, detail: &str| json!({"success": false, "errors": [{"code": code, "detail": detail}]});
    let most = state.max_failures.get(id).copied().unwrap_or(usize::MAX);
    let mut failed = 0;
    let results = items.iter().map(|item| {
        if failed > most {
            return failure("NotProcessed", "the job was stopped");
        }
        // Whether it could be deleted: the external id says what comes of it.
        if is_deletion(item) {
            let external_id = item["external_id"].as_str().unwrap().to_lowercase();
            return match external_id.split('-').next().unwrap() {
                "new" => failure("NotFound", "there is none"),
                "used" => failure("UnprocessableEntity", "relationships use it"),
                "lost" => failure("InternalServerError", "An unexpected error occurred"),
                "stopped" => failure("NotProcessed", "the job was stopped"),
                _ => json!({"success": true, "data": {"id": "x"}}),
            };
        }
        let problem = match name(item) {
            "lost" => failure("InternalServerError", "An unexpected error occurred"),
            name if name.starts_with("bad") => failure("UnprocessableEntity", "it is bad"),
            name => return json!({"success": true, "data": {"id": format!("id-{name}")}}),
        };
        failed += 1;
        problem
    });
    let results: Vec<Value> = results.collect();
    Some(json!({"data": {"id": id, "job_status": "completed", "progress": {}, "results": results}}))
}
