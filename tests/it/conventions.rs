//! What every route of jobs has in common.

use std::collections::HashSet;
use std::io::Read;

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, BASE, Client, Home, answer, check_error, text};

const ROUTES: [(&str, &str); 4] = [
    ("POST", "/jobs"),
    ("GET", "/jobs"),
    ("GET", "/jobs/0190163d-8694-7000-8000-000000000000"),
    ("POST", "/jobs/0190163d-8694-7000-8000-000000000000/abort"),
];

fn method(name: &str) -> Method {
    name.parse().expect("a method")
}

fn one_item() -> String {
    json!({"type": "resources", "action": "post", "data": [{"type": "product", "attributes": {"name": "Gum"}}]})
        .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_json_or_merge_patch_or_says_nothing() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let post = async |content_type: Option<&str>| {
        let request = acme.request(Method::POST, "/jobs").body(one_item());
        let request = content_type.into_iter().fold(request, |request, it| request.header("content-type", it));
        answer(request).await
    };
    for read in [
        None,
        Some("application/json"),
        Some("application/json; charset=utf-8"),
        Some("Application/JSON;charset=UTF-8"),
        Some("application/merge-patch+json"),
        Some("application/merge-patch+json; charset=utf-8"),
        // What jQuery, axios with a text body and `curl -d` say.
        Some("application/x-www-form-urlencoded"),
        Some("application/x-www-form-urlencoded; charset=UTF-8"),
        Some("application/json; charset=latin1"),
    ] {
        assert_eq!(post(read).await.status, 201, "{read:?}");
    }
    for refused in ["multipart/form-data", "application/octet-stream", "text/plain", "application/jsonx", "nonsense"] {
        let answer = post(Some(refused)).await;
        check_error(&answer, 415, "UnsupportedMediaType", "Unsupported Media Type");
        assert!(answer.error(415).1.contains(refused));
    }
    // A published client keeps one type for its whole session, on GET too.
    for (route, content_type) in [("/jobs", "application/merge-patch+json"), ("/jobs", "application/json")] {
        let answer = answer(acme.request(Method::GET, route).header("content-type", content_type)).await;
        assert_eq!(answer.status, 200, "{content_type}");
    }
    assert_eq!(acme.get("/jobs").await.data(200).as_array().map(Vec::len), Some(9));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_known_gets_the_same_401_on_every_route() {
    let home = Home::start().await;
    let wrong = [
        None,
        Some(""),
        Some("Basic"),
        Some("Basic !!!"),
        // agent@example.com without a password, and with the password as a token
        Some("Basic YWdlbnRAZXhhbXBsZS5jb20="),
        Some("Basic YWdlbnRAZXhhbXBsZS5jb20vdG9rZW46c3Vuc2hpbmU="),
        Some("Bearer"),
        Some("Bearer wrong"),
        Some("Bearer sunshine"),
        Some("Digest username=agent@example.com"),
    ];
    for credentials in wrong {
        for (verb, route) in ROUTES.into_iter().chain([("GET", "/nowhere"), ("DELETE", "/jobs")]) {
            let request = home.request(method(verb), &format!("{BASE}{route}")).body(one_item());
            let request = credentials.into_iter().fold(request, |request, it| request.header("authorization", it));
            check_unknown(&answer(request).await, &format!("{credentials:?} {verb} {route}"));
        }
    }
    // Nobody's password is tried more often than nobody has to wait for.
    for (number, (verb, route)) in ROUTES.into_iter().chain([("GET", "/nowhere"), ("DELETE", "/jobs")]).enumerate() {
        let request = home.request(method(verb), &format!("{BASE}{route}")).body(one_item());
        let request = request.basic_auth(format!("nobody-{number}@example.com"), Some("sunshine"));
        check_unknown(&answer(request).await, &format!("an unknown user {verb} {route}"));
    }
    for wrong in ["wrong", "", "Sunshine", "sunshine ", "sundial_local_token"] {
        let request = home.request(Method::GET, &format!("{BASE}/jobs"));
        check_unknown(&answer(request.basic_auth("agent@example.com", Some(wrong))).await, wrong);
    }
}

#[track_caller]
fn check_unknown(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}");
    assert_eq!(answer.body, br#"{"error":"Couldn't authenticate you"}"#);
    assert_eq!(answer.header("www-authenticate"), Some("Basic"));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(answer.header("allow"), None, "who is not known is not told which routes there are");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_known_by_password_by_api_token_and_by_bearer_token() {
    let home = Home::start().await;
    let jobs = || home.request(Method::GET, &format!("{BASE}/jobs"));
    for known in [
        jobs().basic_auth("agent@example.com", Some("sunshine")),
        jobs().basic_auth("Agent@Example.com", Some("sunshine")),
        jobs().basic_auth("agent@example.com/token", Some("sundial_local_token")),
        jobs().bearer_auth("sundial_local_token"),
    ] {
        assert_eq!(answer(known).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_user_is_known_but_may_not_use_jobs() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let user = home.end_user("acme").await;
    let job = acme.post_text("/jobs", one_item()).await.data(201);
    let [shown, aborted] = ["", "/abort"].map(|more| format!("/jobs/{}{more}", text(&job["id"])));
    for (verb, route) in ROUTES.into_iter().chain([("GET", shown.as_str()), ("POST", aborted.as_str())]) {
        let answer = answer(user.request(method(verb), route).body(one_item())).await;
        check_error(&answer, 403, "Forbidden", "Forbidden");
    }
    let basic = home.request(Method::POST, &format!("{BASE}/jobs")).basic_auth("user@example.com", Some("sunshine"));
    check_error(&answer(basic.body(one_item())).await, 403, "Forbidden", "Forbidden");
    assert_eq!(acme.get("/jobs").await.data(200).as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_route_is_a_404_and_a_wrong_method_a_405_that_names_the_right_ones() {
    let home = Home::start().await;
    let acme = home.acme().await;
    for route in ["/nowhere", "/jobs//", "/jobs/a/b", "/jobs/a/abort/b", "/job", "/JOBS", ""] {
        check_error(&acme.get(route).await, 404, "NotFound", "Not Found");
    }
    let outside = home.request(Method::GET, "/api/moonlight/jobs").bearer_auth("sundial_local_token");
    check_error(&answer(outside).await, 404, "NotFound", "Not Found");

    for (verb, route, allowed) in [
        ("DELETE", "/jobs", &["GET", "POST"][..]),
        ("PUT", "/jobs", &["GET", "POST"]),
        ("PATCH", "/jobs", &["GET", "POST"]),
        ("POST", "/jobs/0190163d-8694-7000-8000-000000000000", &["GET"]),
        ("DELETE", "/jobs/0190163d-8694-7000-8000-000000000000", &["GET"]),
        ("GET", "/jobs/0190163d-8694-7000-8000-000000000000/abort", &["POST"]),
    ] {
        let answer = answer(acme.request(method(verb), route)).await;
        check_error(&answer, 405, "MethodNotAllowed", "Method Not Allowed");
        let allow: HashSet<&str> = answer.header("allow").expect("Allow").split(',').map(str::trim).collect();
        assert!(allowed.iter().all(|it| allow.contains(it)), "{verb} {route}: {allow:?}");
        assert!(!allow.contains(verb), "{verb} {route}: {allow:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_status_has_its_code_and_its_title() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let job = acme.post_text("/jobs", one_item()).await.data(201);
    acme.wait(text(&job["id"])).await;
    check_error(&acme.post_text("/jobs", "{").await, 400, "BadRequest", "Bad Request");
    check_error(&acme.get("/jobs?status=done").await, 400, "BadRequest", "Bad Request");
    check_error(&acme.get("/jobs/none").await, 404, "NotFound", "Not Found");
    check_error(&acme.abort(&job).await, 409, "Conflict", "Conflict");
    check_error(&acme.post_text("/jobs", "{}").await, 422, "UnprocessableEntity", "Unprocessable Entity");
    let large = acme.post_text("/jobs", " ".repeat(6_000_001)).await;
    check_error(&large, 413, "PayloadTooLarge", "Payload Too Large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_a_request_id_of_its_own() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let nobody = answer(home.request(Method::GET, &format!("{BASE}/jobs"))).await;
    let claimed = acme.request(Method::GET, "/jobs").header("x-request-id", "mine");
    let answers = [
        nobody,
        answer(claimed).await,
        acme.get("/jobs").await,
        acme.get("/nowhere").await,
        acme.post_text("/jobs", one_item()).await,
        acme.post_text("/jobs", "{").await,
        acme.delete("/jobs").await,
    ];
    let ids: HashSet<&str> = answers.iter().map(|it| it.header("x-request-id").expect("X-Request-Id")).collect();
    assert_eq!(ids.len(), answers.len());
    assert!(ids.iter().all(|id| id.len() == 36), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_answers_gzip_when_asked_to() {
    let home = Home::start().await;
    let acme = home.acme().await;
    let wrong: Vec<_> = (0..100).map(|_| json!({})).collect();
    let job = acme.run_job("resources", "post", json!(wrong)).await;
    let show = format!("/jobs/{}", text(&job["id"]));
    let get = async |asked: &str| answer(acme.request(Method::GET, &show).header("accept-encoding", asked)).await;

    let plain = acme.get(&show).await;
    assert_eq!(plain.header("content-encoding"), None);
    for asked in ["gzip", "gzip, deflate, br", "deflate;q=0.5, gzip;q=1.0", "*"] {
        let packed = get(asked).await;
        assert_eq!((packed.status.as_u16(), packed.header("content-encoding")), (200, Some("gzip")), "{asked}");
        let mut body = Vec::new();
        flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut body).expect("gzip");
        assert_eq!(body, plain.body);
        assert!(packed.body.len() * 4 < body.len());
    }
    for asked in ["identity", "br", "gzip;q=0", "identity;q=0, br"] {
        let answer = get(asked).await;
        assert_eq!((answer.header("content-encoding"), &answer.body), (None, &plain.body), "{asked}");
    }
}

/// `2017-11-03T16:00:06Z`, with a digit wherever there is one.
#[track_caller]
fn check_time(value: &Value, pattern: &str) {
    let digits: String = text(value).chars().map(|it| if it.is_ascii_digit() { '0' } else { it }).collect();
    assert_eq!(digits, pattern, "{value}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_show_whole_seconds_and_records_and_types_milliseconds() {
    // A moment whose milliseconds and seconds end in zeros, which have to show all the same.
    let home = Home::start_at(1_509_724_800_000).await;
    let acme = home.acme().await;
    acme.define_product().await;
    let job = acme.post_text("/jobs", one_item()).await.data(201);
    assert_eq!(job["created_at"], "2017-11-03T16:00:00Z");
    let job = acme.wait(text(&job["id"])).await;
    for member in ["created_at", "updated_at", "completed_at"] {
        check_time(&job[member], "0000-00-00T00:00:00Z");
    }
    let record = acme.record_of(&job["results"][0]["data"]["id"]).await;
    assert_eq!(record["created_at"], "2017-11-03T16:00:00.000Z");
    check_time(&record["updated_at"], "0000-00-00T00:00:00.000Z");
    check_time(&acme.get("/objects/types/product").await.data(200)["created_at"], "0000-00-00T00:00:00.000Z");
    // Ids are lower-case UUIDs.
    for id in [&job["id"], &record["id"]] {
        let pattern: String = text(id)
            .chars()
            .map(|it| if it.is_ascii_digit() || ('a'..='f').contains(&it) { 'x' } else { it })
            .collect();
        assert_eq!(pattern, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
    }
}

async fn three_jobs(client: &Client) {
    for _ in 0..3 {
        let _ = client.post_text("/jobs", one_item()).await.data(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_relative_work_when_followed_and_carry_every_parameter() {
    let home = Home::start().await;
    let acme = home.acme().await;
    three_jobs(&acme).await;
    home.quiet().await;
    let first = acme.get("/jobs?per_page=1&status=completed&order=asc&mine=a%26b").await;
    let links = first.json()["links"].clone();
    assert_eq!(links["previous"], Value::Null);
    let next = text(&links["next"]);
    assert!(next.starts_with("/api/sunshine/jobs?per_page=1&status=completed&order=asc&mine=a%26b&cursor="), "{next}");
    let second = acme.follow(&links["next"]).await;
    assert_eq!(second.data(200).as_array().map(Vec::len), Some(1));
    let back = text(&second.json()["links"]["previous"]).to_owned();
    assert!(back.contains("mine=a%26b") && back.matches("cursor=").count() == 1, "{back}");
    assert_eq!(acme.follow(&json!(back)).await.data(200), first.data(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_has_1_to_1000_items_in_one_of_two_orders() {
    let home = Home::start().await;
    let acme = home.acme().await;
    three_jobs(&acme).await;
    for (per_page, shown) in [("1", 1), ("2", 2), ("1000", 3)] {
        let page = acme.get(&format!("/jobs?per_page={per_page}")).await.data(200);
        assert_eq!(page.as_array().map(Vec::len), Some(shown), "{per_page}");
    }
    for (parameter, value) in
        [("per_page", "0"), ("per_page", "1001"), ("per_page", "-1"), ("per_page", "ten"), ("order", "up")]
    {
        let (code, detail) = acme.get(&format!("/jobs?{parameter}={value}")).await.error(400);
        assert_eq!(code, "BadRequest");
        assert!(detail.contains(parameter), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_is_good_for_its_own_list_of_its_own_account_only() {
    let home = Home::start().await;
    let (acme, other) = (home.acme().await, home.agent("other").await);
    three_jobs(&acme).await;
    home.quiet().await;
    let cursor_of = async |path: &str| {
        let links = acme.get(path).await.json()["links"].clone();
        text(&links["next"]).rsplit_once("cursor=").expect("a cursor").1.to_owned()
    };
    let cursor = cursor_of("/jobs?per_page=1").await;
    let completed = cursor_of("/jobs?per_page=1&status=completed").await;
    assert_eq!(acme.get(&format!("/jobs?per_page=1&cursor={cursor}")).await.status, 200);

    let flipped = if cursor.ends_with('A') { "B" } else { "A" };
    let tampered = format!("{}{flipped}", &cursor[..cursor.len() - 1]);
    let cut = &cursor[..cursor.len() / 2];
    for (client, path) in [
        (&acme, "/jobs?cursor=nonsense".to_owned()),
        (&acme, format!("/jobs?cursor={tampered}")),
        (&acme, format!("/jobs?cursor=A{cursor}")),
        (&acme, format!("/jobs?cursor={cut}")),
        (&acme, format!("/jobs?cursor={completed}")),
        (&acme, format!("/jobs?status=queued&cursor={completed}")),
        (&acme, format!("/objects/types?cursor={cursor}")),
        (&acme, format!("/relationships/types?cursor={cursor}")),
        (&other, format!("/jobs?per_page=1&cursor={cursor}")),
    ] {
        let answer = client.get(&path).await;
        check_error(&answer, 400, "BadRequest", "Bad Request");
        assert!(answer.error(400).1.contains("cursor"), "{path}");
    }
}
