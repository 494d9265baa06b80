//! What each function asks of AWS, seen beneath the SDK.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use local::run::HttpClients;
use serde_json::Value;

/// What a function did.
pub type Calls = BTreeSet<Call>;

/// One thing that a function did, as an IAM policy names it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Call {
    pub action: String,
    /// The table, or `table/index`.
    pub resource: String,
    /// The partitions that it named, which IAM calls the leading keys; none where they stand in a statement.
    pub partitions: BTreeSet<String>,
}

/// Notes the calls of each function. Clones note into the same book.
#[derive(Clone, Debug, Default)]
pub struct CallBook(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    calls: BTreeMap<&'static str, Calls>,
    /// The function and the operation that get no answer.
    unanswered: Option<(&'static str, &'static str)>,
}

impl CallBook {
    /// Clients whose calls are noted here.
    #[must_use]
    pub fn clients(&self) -> HttpClients {
        let book = self.clone();
        Arc::new(move |function, inner| SharedHttpClient::new(NotingClient { function, inner, book: book.clone() }))
    }

    /// What the function has done so far.
    #[must_use]
    pub fn calls_of(&self, function: &str) -> Calls {
        self.open().calls.get(function).cloned().unwrap_or_default()
    }

    /// From now on this operation of the function, `BatchExecuteStatement` say, does not arrive; `None` lets all arrive again.
    pub fn leave_unanswered(&self, operation: Option<(&'static str, &'static str)>) {
        self.open().unanswered = operation;
    }

    fn open(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the call, and says whether it is to arrive.
    fn note(&self, function: &'static str, request: &HttpRequest) -> bool {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body = request.body().bytes().unwrap_or_default();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut book = self.open();
        book.calls.entry(function).or_default().extend(authorised_by(operation, &body));
        book.unanswered != Some((function, operation))
    }
}

/// The actions by which IAM authorises an operation of DynamoDB, each with what it is authorised for.
fn authorised_by(operation: &str, body: &Value) -> Vec<Call> {
    let call = |name: &str, resource: String, partitions: BTreeSet<String>| Call {
        action: format!("dynamodb:{name}"),
        resource,
        partitions,
    };
    match operation {
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object().into_iter().flatten();
            tables.map(|(table, requests)| call(operation, table.clone(), partitions_in(requests))).collect()
        }
        "TransactWriteItems" => {
            let members = body["TransactItems"].as_array().into_iter().flatten().filter_map(Value::as_object).flatten();
            members
                .map(|(kind, write)| {
                    let name = if kind == "ConditionCheck" { "ConditionCheckItem" } else { &format!("{kind}Item") };
                    call(name, text(&write["TableName"]), partitions_in(write))
                })
                .collect()
        }
        "BatchExecuteStatement" => {
            let statements = body["Statements"].as_array().into_iter().flatten();
            statements
                .map(|statement| {
                    let statement = text(&statement["Statement"]);
                    let verb = statement.split(' ').next().unwrap_or_default().to_lowercase();
                    let kind = format!("PartiQL{}{}", verb[..1].to_uppercase(), &verb[1..]);
                    let table = statement.split('"').nth(1).unwrap_or_default().to_owned();
                    call(&kind, table, BTreeSet::new())
                })
                .collect()
        }
        "Query" => {
            let index = body["IndexName"].as_str().map(|index| format!("/{index}")).unwrap_or_default();
            // `pk = :pk AND …`
            let value = body["KeyConditionExpression"].as_str().and_then(|text| text.split_whitespace().nth(2));
            let partition = value.map(|value| text(&body["ExpressionAttributeValues"][value]["S"]));
            vec![call(operation, format!("{}{index}", text(&body["TableName"])), partition.into_iter().collect())]
        }
        _ => vec![call(operation, text(&body["TableName"]), partitions_in(body))],
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The partition of every key and of every row in a request: they are called `pk` in each table, and nothing else in a
/// request is.
fn partitions_in(request: &Value) -> BTreeSet<String> {
    match request {
        Value::Object(members) => match members.get("pk") {
            Some(partition) => BTreeSet::from([text(&partition["S"])]),
            None => members.values().flat_map(partitions_in).collect(),
        },
        Value::Array(members) => members.iter().flat_map(partitions_in).collect(),
        _ => BTreeSet::new(),
    }
}

#[derive(Debug)]
struct NotingClient {
    function: &'static str,
    inner: SharedHttpClient,
    book: CallBook,
}

impl HttpClient for NotingClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(NotingConnector {
            function: self.function,
            inner: self.inner.http_connector(settings, components),
            book: self.book.clone(),
        })
    }
}

#[derive(Debug)]
struct NotingConnector {
    function: &'static str,
    inner: SharedHttpConnector,
    book: CallBook,
}

impl HttpConnector for NotingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if self.book.note(self.function, &request) {
            return self.inner.call(request);
        }
        HttpConnectorFuture::ready(Err(ConnectorError::timeout("it never arrives".into())))
    }
}
