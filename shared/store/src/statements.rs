//! `PartiQL` statements, and the body of a `BatchExecuteStatement` of them.
//!
//! The body is written here and not by the SDK: its way to it is a tree of values for each parameter, and took the consumer twice as
//! long as deciding what is to be written. The SDK signs it, sends it, repeats it and reads the answer. A test holds the bytes to
//! the SDK's own.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::batch_execute_statement::BatchExecuteStatementOutput;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::StoreError;
use crate::attributes::Value;

/// The name of the call.
pub(crate) const CALL: &str = "BatchExecuteStatement";

/// One conditional write, as a `PartiQL` statement and its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'row> {
    text: String,
    parameters: Vec<Value<'row>>,
}

/// What names of attributes take in a statement, about.
const NAMES_BYTES: usize = 256;

impl<'row> Statement<'row> {
    /// Builds an insert; the database refuses it when the key exists.
    pub(crate) fn insert(table: &str, key: String, attributes: Vec<(&'static str, Value<'row>)>) -> Self {
        let mut text = String::with_capacity(NAMES_BYTES);
        text.extend(["INSERT INTO \"", table, "\" VALUE {'pk':?"]);
        let mut parameters = Vec::with_capacity(attributes.len() + 1);
        parameters.push(Value::text(key));
        for (name, value) in attributes {
            text.extend([",'", name, "':?"]);
            parameters.push(value);
        }
        text.push('}');
        Self { text, parameters }
    }

    /// Builds an update on condition that the row has a given version.
    pub(crate) fn update(
        table: &str,
        key: String,
        version: u64,
        set: impl Iterator<Item = (&'static str, Value<'row>)>,
        removed: impl Iterator<Item = &'static str>,
    ) -> Self {
        let mut text = String::with_capacity(NAMES_BYTES);
        text.extend(["UPDATE \"", table, "\""]);
        let mut parameters = Vec::with_capacity(set.size_hint().1.unwrap_or_default() + 2);
        for (name, value) in set {
            text.extend([" SET \"", name, "\"=?"]);
            parameters.push(value);
        }
        for name in removed {
            text.extend([" REMOVE \"", name, "\""]);
        }
        text.push_str(" WHERE \"pk\"=? AND \"version\"=?");
        parameters.extend([Value::text(key), Value::Number(version)]);
        Self { text, parameters }
    }

    fn append_to(&self, body: &mut Vec<u8>) {
        body.extend_from_slice(br#"{"Statement":"#);
        append_json(body, &self.text);
        body.extend_from_slice(br#","Parameters":["#);
        for (place, value) in self.parameters.iter().enumerate() {
            if place > 0 {
                body.push(b',');
            }
            append_value(body, value);
        }
        body.extend_from_slice(b"]}");
    }
}

fn append_value(body: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(text) => {
            body.extend_from_slice(br#"{"S":"#);
            append_json(body, text);
            body.push(b'}');
        }
        Value::Number(number) => {
            body.extend_from_slice(br#"{"N":""#);
            append_json(body, number);
            body.extend_from_slice(br#""}"#);
        }
        Value::Binary(bytes) => {
            body.extend_from_slice(br#"{"B":""#);
            let at = body.len();
            // Four letters for three bytes, the last of them filled up.
            body.resize(at + bytes.len().div_ceil(3) * 4, 0);
            // It fits, by the line above.
            let _ = STANDARD.encode_slice(bytes, &mut body[at..]);
            body.extend_from_slice(br#""}"#);
        }
        Value::Null => body.extend_from_slice(br#"{"NULL":true}"#),
        Value::True => body.extend_from_slice(br#"{"BOOL":true}"#),
    }
}

fn append_json<Json: serde::Serialize + ?Sized>(body: &mut Vec<u8>, json: &Json) {
    // Writing texts and numbers to a vector never fails.
    let _ = serde_json::to_writer(body, json);
}

/// The body of a request for these statements that wants to know what each index consumed.
fn body_of(statements: &[Statement<'_>]) -> Vec<u8> {
    /// What a small record takes, about.
    const STATEMENT_BYTES: usize = 1_024;
    let mut body = Vec::with_capacity(statements.len() * STATEMENT_BYTES);
    body.extend_from_slice(br#"{"Statements":["#);
    for (place, statement) in statements.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        statement.append_to(&mut body);
    }
    body.extend_from_slice(br#"],"ReturnConsumedCapacity":"INDEXES"}"#);
    body
}

/// Executes at most 25 statements, each of another row. The answers are in their order, and count what they consumed.
pub(crate) async fn execute(
    client: &Client,
    statements: &[Statement<'_>],
) -> Result<BatchExecuteStatementOutput, StoreError> {
    let body = Bytes::from(body_of(statements));
    let length = body.len().to_string();
    let request = client.batch_execute_statement().customize().mutate_request(move |request| {
        // The SDK makes each attempt of what it has written itself.
        *request.body_mut() = body.clone().into();
        request.headers_mut().insert("content-length", length.clone());
    });
    request.send().await.map_err(|error| StoreError::of(CALL, &error))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_dynamodb::types::{AttributeValue, BatchStatementRequest, ReturnConsumedCapacity};

    use super::*;
    use crate::answering::listening;
    use crate::clients::{self, AwsSettings};

    /// What the SDK sends of the same statements: seen, and then sent to where nobody listens.
    async fn body_of_the_sdk(statements: &[Statement<'_>]) -> Vec<u8> {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sent);
        let requests = statements.iter().map(|statement| {
            let parameters = statement.parameters.iter().cloned().map(AttributeValue::from).collect();
            let request = BatchStatementRequest::builder().statement(&statement.text).set_parameters(Some(parameters));
            request.build().unwrap()
        });
        let client = clients::dynamodb(&AwsSettings::emulator("http://127.0.0.1:1"), clients::http_client());
        let request = client
            .batch_execute_statement()
            .set_statements(Some(requests.collect()))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .customize()
            .mutate_request(move |request| {
                *seen.lock().unwrap() = request.body().bytes().unwrap().to_vec();
            });
        request.send().await.unwrap_err();
        let sent = sent.lock().unwrap();
        sent.clone()
    }

    #[tokio::test]
    async fn the_body_is_the_sdks_own() {
        let every_letter: String = (0..0x300).chain([0x2028, 0xFFFE, 0x1_F36C]).filter_map(char::from_u32).collect();
        let values = [
            Value::text(every_letter.as_str()),
            Value::text(""),
            Value::Number(0),
            Value::Number(u64::MAX),
            Value::Binary(Vec::new()),
            Value::Null,
            Value::True,
        ];
        let binaries = (0..50).map(|length| Value::Binary((0..length).map(|byte| byte * 5).collect()));
        let set: Vec<_> = values.into_iter().chain(binaries).map(|value| ("name", value)).collect();
        let statements = [
            Statement::insert("a-table", "acme#1".to_owned(), set.clone()),
            Statement::update("a-table", "acme#2".to_owned(), 7, set.into_iter(), ["gone", "too"].into_iter()),
        ];
        for statements in [&statements[..0], &statements[..1], &statements] {
            let (ours, theirs) = (body_of(statements), body_of_the_sdk(statements).await);
            let [ours, theirs] = [ours, theirs].map(|body| String::from_utf8(body).unwrap());
            assert!(statements.is_empty() || ours.contains(r#"{"N":"18446744073709551615"}"#), "{ours}");
            assert_eq!(ours, theirs);
        }
    }

    /// A retry, whose request the SDK makes anew.
    #[tokio::test]
    async fn every_attempt_has_the_body() {
        let statement = Statement::insert("test-records", "acme#1".to_owned(), vec![("version", Value::Number(1))]);
        let busy = (500, r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}"#.to_owned());
        let done = (200, r#"{"Responses":[{"TableName":"test-records"}]}"#.to_owned());
        let (aws, bodies) = listening([busy, done]).await;
        let client = clients::dynamodb(&aws, clients::http_client());
        let answer = execute(&client, std::slice::from_ref(&statement)).await.unwrap();
        assert_eq!(answer.responses().len(), 1);
        let expected = String::from_utf8(body_of(&[statement])).unwrap();
        assert_eq!(*bodies.lock().unwrap(), [expected.clone(), expected]);
    }
}
