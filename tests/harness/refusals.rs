//! What DynamoDB answers where it does not do what it was asked: to a whole request, or to some of a batch.
//!
//! The stand-ins for it are never too busy and raise no conflict, so the fault tests answer in its place.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use serde_json::{Value, json};

/// Why a request, or one of a batch, is not done now.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Refusal {
    /// The table or one of its partitions has given away its capacity.
    Throttled,
    /// The row is part of a transaction that is under way.
    Conflict,
    /// Something in DynamoDB broke before it had an effect.
    ServerError,
}

impl Refusal {
    /// The answer to a request that this happens to as a whole.
    #[must_use]
    pub fn answer(self, operation: &str, request: &Value) -> HttpResponse {
        let name = |code: &str| format!("com.amazonaws.dynamodb.v20120810#{code}");
        match self {
            Self::Throttled => {
                let message = "The level of configured provisioned throughput for the table was exceeded";
                answer(400, &json!({"__type": name("ProvisionedThroughputExceededException"), "message": message}))
            }
            Self::ServerError => {
                answer(500, &json!({"__type": name("InternalServerError"), "message": "Internal server error"}))
            }
            Self::Conflict if operation == "TransactWriteItems" => {
                let count = request["TransactItems"].as_array().map_or(1, Vec::len);
                // One row of it is in another transaction; which one is the last, for want of a better choice.
                let reasons: Vec<_> = (1..=count)
                    .map(|place| json!({"Code": if place == count { "TransactionConflict" } else { "None" }}))
                    .collect();
                answer(
                    400,
                    &json!({
                        "__type": name("TransactionCanceledException"),
                        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
                        "CancellationReasons": reasons,
                    }),
                )
            }
            Self::Conflict => answer(
                400,
                &json!({
                    "__type": name("TransactionConflictException"),
                    "message": "Transaction is ongoing for the item",
                }),
            ),
        }
    }

    /// What is said of one statement of a batch.
    fn of_statement(self) -> Value {
        let (code, message) = match self {
            Self::Throttled => ("ThrottlingError", "Throughput exceeds the current capacity of your table or index"),
            Self::Conflict => ("TransactionConflict", "Transaction is ongoing for the item"),
            Self::ServerError => ("InternalServerError", "Internal server error"),
        };
        json!({"Error": {"Code": code, "Message": message}})
    }
}

fn answer(status: u16, body: &Value) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("a status");
    HttpResponse::new(status, body.to_string().into())
}

/// What was taken out of a batch, so that the answer to the rest can say so.
#[derive(Debug)]
pub enum HeldBack {
    /// Places among the statements of a `BatchExecuteStatement`.
    Statements { places: Vec<usize>, why: Refusal },
    /// Requests of a `BatchWriteItem`, by table.
    Writes(Value),
    /// Keys of a `BatchGetItem`, by table.
    Keys(Value),
}

/// Takes some members of a batch out of a request: those, counted over the whole request, for which `is_held` says so.
/// `None` where the operation has no parts, or nothing was taken out.
#[must_use]
pub fn hold_back(
    operation: &str,
    request: &mut Value,
    why: Refusal,
    mut is_held: impl FnMut(usize) -> bool,
) -> Option<HeldBack> {
    match operation {
        "BatchExecuteStatement" => {
            let statements = request["Statements"].as_array_mut()?;
            let places: Vec<usize> = (0..statements.len()).filter(|place| is_held(*place)).collect();
            let mut place = 0..;
            statements.retain(|_| place.next().is_none_or(|place| !places.contains(&place)));
            (!places.is_empty()).then_some(HeldBack::Statements { places, why })
        }
        // Batches of these two say nothing but that some of them are not done.
        "BatchWriteItem" => take_out(request, None, is_held).map(HeldBack::Writes),
        "BatchGetItem" => take_out(request, Some("Keys"), is_held).map(HeldBack::Keys),
        _ => None,
    }
}

/// The members of the lists in `RequestItems` that are held, in the same shape; a table of which nothing is left goes.
fn take_out(request: &mut Value, member: Option<&str>, mut is_held: impl FnMut(usize) -> bool) -> Option<Value> {
    let tables = request["RequestItems"].as_object_mut()?;
    let mut taken = json!({});
    let mut place = 0;
    for (table, requests) in tables.iter_mut() {
        let mut held = requests.clone();
        let list = |requests: &mut Value| match member {
            Some(member) => requests[member].take(),
            None => requests.take(),
        };
        let (mut kept, mut out) = (Vec::new(), Vec::new());
        for one in list(requests).as_array().into_iter().flatten() {
            if is_held(place) {
                out.push(one.clone());
            } else {
                kept.push(one.clone());
            }
            place += 1;
        }
        let put = |requests: &mut Value, list: Vec<Value>| match member {
            Some(member) => requests[member] = list.into(),
            None => *requests = list.into(),
        };
        put(requests, kept);
        if !out.is_empty() {
            put(&mut held, out);
            taken[table] = held;
        }
    }
    let is_empty = |requests: &Value| {
        let list = member.map_or(requests, |member| &requests[member]);
        list.as_array().is_none_or(Vec::is_empty)
    };
    tables.retain(|_, requests| !is_empty(requests));
    taken.as_object().is_some_and(|taken| !taken.is_empty()).then_some(taken)
}

impl HeldBack {
    /// Puts what was taken out into the answer to the rest, which is `{}` where nothing was left to ask for.
    pub fn complete(self, answer: &mut Value) {
        match self {
            Self::Statements { places, why } => {
                let mut responses = answer["Responses"].as_array().cloned().unwrap_or_default();
                for place in places {
                    responses.insert(place, why.of_statement());
                }
                answer["Responses"] = responses.into();
            }
            Self::Writes(requests) => answer["UnprocessedItems"] = requests,
            Self::Keys(keys) => answer["UnprocessedKeys"] = keys,
        }
    }
}
