//! The deployment template: what is in it, and what its expressions come to with the parameters' defaults.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::Value;

const TEXT: &str = include_str!("../../infra/template.yaml");

/// What the stack is called, and so also what its tables' names begin with: as those of a local run.
pub const STACK: &str = "sundial";

/// Every function, as the dimension `Function` of its metrics names it.
pub const FUNCTIONS: [&str; 6] = ["accept", "consume", "status", "records", "bury", "sweep"];

pub struct Template {
    document: Yaml<'static>,
    /// Parameters that were given.
    given: BTreeMap<String, String>,
}

impl Template {
    pub fn read() -> Self {
        let document = Yaml::load_from_str(TEXT).expect("the template is YAML").remove(0);
        Self { document, given: BTreeMap::new() }
    }

    /// As it is when a parameter is given.
    pub fn with(mut self, parameter: &str, value: &str) -> Self {
        self.given.insert(parameter.to_owned(), value.to_owned());
        self
    }

    fn section(&self, name: &str) -> &Yaml<'static> {
        self.document.as_mapping_get(name).unwrap_or_else(|| panic!("there is no section {name}"))
    }

    pub fn resource(&self, name: &str) -> &Yaml<'static> {
        self.section("Resources").as_mapping_get(name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// The logical names of all resources of this type.
    pub fn resources_of(&self, kind: &str) -> Vec<String> {
        let all = self.section("Resources").as_mapping().expect("a mapping");
        let of_it = all.iter().filter(|(_, resource)| {
            resource.as_mapping_get("Type").and_then(Yaml::as_str).is_some_and(|own| own == kind)
        });
        of_it.map(|(name, _)| text(name)).collect()
    }

    /// The properties of a resource, with their values.
    pub fn properties(&self, resource: &str) -> Value {
        self.value(self.resource(resource).as_mapping_get("Properties").expect("properties"))
    }

    /// What a parameter says of itself, such as its `Default` or its `MaxValue`.
    pub fn of_parameter(&self, parameter: &str, member: &str) -> Value {
        let parameter = self.section("Parameters").as_mapping_get(parameter).expect("a parameter");
        self.value(parameter.as_mapping_get(member).unwrap_or_else(|| panic!("it has no {member}")))
    }

    /// The environment that a function is started with: the globals', then its own.
    pub fn environment(&self, function: &str) -> Vec<(String, String)> {
        let globals = self.section("Globals").as_mapping_get("Function").expect("globals of functions");
        let own = self.properties(&logical_name(function));
        let both = [self.value(globals), own];
        let variables = both.iter().filter_map(|properties| properties["Environment"]["Variables"].as_object());
        // What comes to `AWS::NoValue` is not there.
        let set = variables.flatten().filter(|(_, value)| !value.is_null());
        set.map(|(name, value)| (name.clone(), plain(value))).collect()
    }

    /// What an expression comes to.
    pub fn value(&self, node: &Yaml<'static>) -> Value {
        match node {
            Yaml::Tagged(tag, inner) => self.call(&tag.suffix, inner),
            Yaml::Sequence(members) => members.iter().map(|member| self.value(member)).collect(),
            Yaml::Mapping(members) => members
                .iter()
                .map(|(name, member)| (text(name), self.value(member)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Yaml::Value(Scalar::Null) => Value::Null,
            Yaml::Value(Scalar::Boolean(value)) => (*value).into(),
            Yaml::Value(Scalar::Integer(value)) => (*value).into(),
            Yaml::Value(Scalar::FloatingPoint(value)) => value.into_inner().into(),
            Yaml::Value(Scalar::String(value)) => (&**value).into(),
            other => panic!("{other:?} is not read"),
        }
    }

    /// One of the template's own functions.
    fn call(&self, function: &str, argument: &Yaml<'static>) -> Value {
        let arguments = || argument.as_sequence().unwrap_or_else(|| panic!("{function} takes a list"));
        let first_two = || (&arguments()[0], &arguments()[1]);
        match function {
            "Ref" => self.reference(&text(argument)),
            "GetAtt" => self.attribute(&text(argument)),
            "Sub" => self.substituted(&text(argument)).into(),
            "Not" => (!self.is_true(&arguments()[0])).into(),
            "Equals" => {
                let (one, other) = first_two();
                (plain(&self.value(one)) == plain(&self.value(other))).into()
            }
            "If" => {
                let condition = self.section("Conditions").as_mapping_get(&text(&arguments()[0])).expect("a condition");
                self.value(&arguments()[if self.is_true(condition) { 1 } else { 2 }])
            }
            "Join" => {
                let (between, list) = first_two();
                let parts = match self.value(list) {
                    Value::Array(parts) => parts.iter().map(plain).collect::<Vec<_>>(),
                    // A list that is a parameter is text with commas.
                    list => plain(&list).split(',').map(str::to_owned).collect(),
                };
                parts.join(&text(between)).into()
            }
            "FindInMap" => {
                let mut found = self.section("Mappings");
                for key in arguments() {
                    found = found.as_mapping_get(&plain(&self.value(key))).expect("an entry of the mapping");
                }
                self.value(found)
            }
            other => panic!("!{other} is not read"),
        }
    }

    fn is_true(&self, condition: &Yaml<'static>) -> bool {
        self.value(condition).as_bool().expect("a condition")
    }

    fn reference(&self, name: &str) -> Value {
        match name {
            "AWS::NoValue" => return Value::Null,
            "AWS::StackName" => return STACK.into(),
            pseudo if pseudo.starts_with("AWS::") => return pseudo.into(),
            _ => {}
        }
        if let Some(given) = self.given.get(name) {
            return given.as_str().into();
        }
        if self.section("Parameters").as_mapping_get(name).is_some() {
            return self.of_parameter(name, "Default");
        }
        let resource = self.resource(name);
        let own_name = match text(resource.as_mapping_get("Type").expect("a type")).as_str() {
            "AWS::Serverless::Function" => "FunctionName",
            "AWS::DynamoDB::Table" => "TableName",
            // It would be the queue's address, which ends in its name.
            "AWS::SQS::Queue" => "QueueName",
            _ => return name.into(),
        };
        self.property(name, own_name)
    }

    fn attribute(&self, path: &str) -> Value {
        match path.split_once('.') {
            Some((queue, "QueueName")) => self.property(queue, "QueueName"),
            _ => path.into(),
        }
    }

    fn property(&self, resource: &str, name: &str) -> Value {
        let properties = self.resource(resource).as_mapping_get("Properties").expect("properties");
        self.value(properties.as_mapping_get(name).unwrap_or_else(|| panic!("{resource} has no {name}")))
    }

    fn substituted(&self, pattern: &str) -> String {
        let Some((before, rest)) = pattern.split_once("${") else { return pattern.to_owned() };
        let (name, after) = rest.split_once('}').expect("a name and its end");
        let value = if name.contains('.') { self.attribute(name) } else { self.reference(name) };
        format!("{before}{}{}", plain(&value), self.substituted(after))
    }
}

/// The logical name of a function.
pub fn logical_name(function: &str) -> String {
    format!("{}{}", function[..1].to_uppercase(), &function[1..])
}

/// API Gateway puts values into the line as they are. Each of these is a number, a time, an id or a word of its own; a message may
/// quote what it is about, and the line would be no JSON any more.
#[test]
fn no_value_in_the_access_log_can_have_a_quotation_mark_in_it() {
    const KNOWN: [&str; 11] = [
        "requestTime",
        "requestId",
        "routeKey",
        "status",
        "responseLength",
        "responseLatency",
        "integrationLatency",
        "integrationStatus",
        "error.responseType",
        "integration.integrationStatus",
        "integration.requestId",
    ];
    let template = include_str!("../../infra/template.yaml");
    let (_, format) = template.split_once("        Format: >-\n").expect("the format");
    let format: String = format.lines().map_while(|line| line.strip_prefix("          ")).collect();
    let values: Vec<&str> =
        format.split("$context.").skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).collect();
    let unknown: Vec<_> = values.iter().filter(|value| !KNOWN.contains(value)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let line =
        values.iter().fold(format.clone(), |line, value| line.replace(&format!("\"$context.{value}\""), "\"-\""));
    let line: Value = serde_json::from_str(&line).expect("JSON, with the sign that API Gateway puts for nothing");
    assert_eq!(line.as_object().map(serde_json::Map::len), Some(values.len()));
}

/// A value as `CloudFormation` hands it on where text is wanted.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A scalar's text, whatever tag is before it.
pub fn text(node: &Yaml<'static>) -> String {
    let untagged = match node {
        Yaml::Tagged(_, inner) => inner,
        other => other,
    };
    untagged.as_str().unwrap_or_else(|| panic!("{node:?} is no text")).to_owned()
}
