//! The deployment template, as far as it says who may do what.

use saphyr::{LoadableYamlNode, Yaml};
use store::tables::TableNames;
use tests::Calls;

const TEXT: &str = include_str!("../../../infra/template.yaml");

pub struct Template {
    resources: Yaml<'static>,
}

/// One statement of a policy.
pub struct Statement {
    pub actions: Vec<String>,
    /// As the template spells it, without the tag before it: `JobsTable.Arn`, `${JobsTable.Arn}/index/by_status`.
    pub resource: String,
}

impl Template {
    pub fn read() -> Self {
        let document = Yaml::load_from_str(TEXT).expect("the template is YAML").remove(0);
        Self { resources: document.as_mapping_get("Resources").expect("resources").clone() }
    }

    fn role(&self, function: &str) -> &Yaml<'static> {
        let name = format!("{}{}Role", function[..1].to_uppercase(), &function[1..]);
        let role = self.resources.as_mapping_get(&name).unwrap_or_else(|| panic!("there is no {name}"));
        role.as_mapping_get("Properties").expect("properties")
    }

    pub fn has_managed_policies(&self, function: &str) -> bool {
        self.role(function).as_mapping_get("ManagedPolicyArns").is_some()
    }

    pub fn statements(&self, function: &str) -> Vec<Statement> {
        let policies = self.role(function).as_mapping_get("Policies").and_then(Yaml::as_sequence).expect("policies");
        let statements = policies.iter().flat_map(|policy| {
            let document = policy.as_mapping_get("PolicyDocument").expect("a document");
            document.as_mapping_get("Statement").and_then(Yaml::as_sequence).expect("statements")
        });
        let read = |statement: &Yaml<'static>| {
            assert_eq!(text(statement.as_mapping_get("Effect").expect("an effect")), "Allow");
            let action = statement.as_mapping_get("Action").expect("actions");
            let actions = match action.as_sequence() {
                Some(actions) => actions.iter().map(text).collect(),
                None => vec![text(action)],
            };
            Statement { actions, resource: text(statement.as_mapping_get("Resource").expect("one resource")) }
        };
        statements.map(read).collect()
    }

    /// What the function's role allows it on tables, which are called as in a local run.
    pub fn database_actions(&self, function: &str) -> Calls {
        let names = TableNames::with_prefix("sundial");
        let resource = |resource: &str| {
            let (table, index) = match resource.split_once("/index/") {
                Some((table, index)) => (table.trim_start_matches("${").trim_end_matches('}'), format!("/{index}")),
                None => (resource, String::new()),
            };
            let name = match table {
                "JobsTable.Arn" => &names.jobs,
                "RecordsTable.Arn" => &names.records,
                "CatalogTable.Arn" => &names.catalog,
                other => panic!("{other} is no table"),
            };
            format!("{name}{index}")
        };
        self.actions_of(function, "dynamodb:", resource)
    }

    /// What the function's role allows it on queues.
    pub fn queue_actions(&self, function: &str) -> Calls {
        self.actions_of(function, "sqs:", |resource| resource.trim_end_matches(".Arn").to_owned())
    }

    fn actions_of(&self, function: &str, service: &str, resource: impl Fn(&str) -> String) -> Calls {
        let mut allowed = Calls::new();
        for statement in self.statements(function) {
            for action in statement.actions.iter().filter(|action| action.starts_with(service)) {
                let is_new = allowed.insert((action.clone(), resource(&statement.resource)));
                assert!(is_new, "{function}: {action} is allowed twice");
            }
        }
        allowed
    }
}

/// A scalar's text, whatever tag is before it.
fn text(node: &Yaml<'static>) -> String {
    let untagged = match node {
        Yaml::Tagged(_, inner) => inner,
        other => other,
    };
    untagged.as_str().unwrap_or_else(|| panic!("{node:?} is no text")).to_owned()
}
