//! What the deployment template says about who may do what.

use std::collections::BTreeSet;

use saphyr::Yaml;
use store::tables::TableNames;

use crate::template::{STACK, Template, logical_name, text};

/// Actions, each with the resource that it is allowed on.
pub type Permissions = BTreeSet<(String, String)>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    Allow,
    Deny,
}

/// One statement of a policy.
pub struct Statement {
    pub effect: Effect,
    pub actions: Vec<String>,
    /// As the template spells it, without the tag before it: `JobsTable.Arn`, `${JobsTable.Arn}/index/by_status`.
    pub resource: String,
    pub condition: Option<Condition>,
}

/// What has to be true of the partitions that a request names. Patterns have `*` for any text.
pub enum Condition {
    /// Each of them is like one of these.
    Each(Vec<String>),
    /// One of them, or more, is like one of these.
    One(Vec<String>),
    /// None of them is like any of these.
    None(Vec<String>),
}

impl Condition {
    /// # Panics
    /// When it is none that this reads.
    fn read(condition: &Yaml<'static>) -> Self {
        let (operator, keys) = only_member(condition);
        let (key, patterns) = only_member(keys);
        assert_eq!(key, "dynamodb:LeadingKeys");
        let patterns: Vec<_> = patterns.as_sequence().expect("patterns").iter().map(text).collect();
        assert!(patterns.iter().all(|pattern| !pattern.contains(['?', '$'])), "{patterns:?}");
        match operator.as_str() {
            "ForAllValues:StringLike" => Self::Each(patterns),
            "ForAnyValue:StringLike" => Self::One(patterns),
            "ForAllValues:StringNotLike" => Self::None(patterns),
            other => panic!("{other} is not read"),
        }
    }

    pub fn patterns(&self) -> &[String] {
        match self {
            Self::Each(patterns) | Self::One(patterns) | Self::None(patterns) => patterns,
        }
    }

    fn holds(&self, partitions: &BTreeSet<String>) -> bool {
        assert!(!partitions.is_empty(), "it is not known which partitions are named");
        let mut fits =
            partitions.iter().map(|partition| self.patterns().iter().any(|pattern| is_like(partition, pattern)));
        match self {
            Self::Each(_) => fits.all(|fits| fits),
            Self::One(_) => fits.any(|fits| fits),
            Self::None(_) => !fits.any(|fits| fits),
        }
    }
}

impl Statement {
    /// The table or `table/index` that it is about, called as in a local run.
    fn table(&self) -> String {
        let names = TableNames::with_prefix(STACK);
        let (table, index) = match self.resource.split_once("/index/") {
            Some((table, index)) => (table.trim_start_matches("${").trim_end_matches('}'), format!("/{index}")),
            None => (self.resource.as_str(), String::new()),
        };
        let name = match table {
            "JobsTable.Arn" => &names.jobs,
            "RecordsTable.Arn" => &names.records,
            "CatalogTable.Arn" => &names.catalog,
            other => panic!("{other} is no table"),
        };
        format!("{name}{index}")
    }

    /// Whether it decides about this action on rows of these partitions of a table.
    pub fn is_about(&self, action: &str, table: &str, partitions: &BTreeSet<String>) -> bool {
        self.actions.iter().any(|own| own == action)
            && self.table() == table
            && self.condition.as_ref().is_none_or(|condition| condition.holds(partitions))
    }
}

/// Whether IAM would let a function with these statements do that.
pub fn allows(statements: &[Statement], action: &str, table: &str, partitions: &BTreeSet<String>) -> bool {
    let some = |effect| {
        let mut statements = statements.iter().filter(|statement| statement.effect == effect);
        statements.any(|statement| statement.is_about(action, table, partitions))
    };
    some(Effect::Allow) && !some(Effect::Deny)
}

/// As IAM's `StringLike`, of which only `*` is used.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(text) = text.strip_prefix(before) else { return false };
    let mut ends = text.char_indices().map(|(place, _)| place).chain([text.len()]);
    ends.any(|end| is_like(&text[end..], rest))
}

impl Template {
    fn role(&self, function: &str) -> &Yaml<'static> {
        self.resource(&format!("{}Role", logical_name(function))).as_mapping_get("Properties").expect("properties")
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
            let effect = match text(statement.as_mapping_get("Effect").expect("an effect")).as_str() {
                "Allow" => Effect::Allow,
                "Deny" => Effect::Deny,
                other => panic!("{other} is no effect"),
            };
            let action = statement.as_mapping_get("Action").expect("actions");
            let actions = match action.as_sequence() {
                Some(actions) => actions.iter().map(text).collect(),
                None => vec![text(action)],
            };
            let resource = text(statement.as_mapping_get("Resource").expect("one resource"));
            let condition = statement.as_mapping_get("Condition").map(Condition::read);
            Statement { effect, actions, resource, condition }
        };
        statements.map(read).collect()
    }

    /// What the function's role allows it on tables, which are called as in a local run: in some partitions at least.
    pub fn database_actions(&self, function: &str) -> Permissions {
        self.actions_of(function, "dynamodb:", Statement::table)
    }

    /// What the function's role allows it on queues.
    pub fn queue_actions(&self, function: &str) -> Permissions {
        self.actions_of(function, "sqs:", |statement| statement.resource.trim_end_matches(".Arn").to_owned())
    }

    fn actions_of(&self, function: &str, service: &str, resource: impl Fn(&Statement) -> String) -> Permissions {
        let mut allowed = Permissions::new();
        let statements = self.statements(function).into_iter().filter(|statement| statement.effect == Effect::Allow);
        for statement in statements {
            for action in statement.actions.iter().filter(|action| action.starts_with(service)) {
                let is_new = allowed.insert((action.clone(), resource(&statement)));
                // What is allowed in some partitions may be allowed in others too.
                assert!(is_new || statement.condition.is_some(), "{function}: {action} is allowed twice");
            }
        }
        allowed
    }
}

/// The name and the value of a mapping's one member.
fn only_member<'yaml>(mapping: &'yaml Yaml<'static>) -> (String, &'yaml Yaml<'static>) {
    let members = mapping.as_mapping().expect("a mapping");
    assert_eq!(members.len(), 1, "{mapping:?}");
    let (name, value) = members.iter().next().expect("a member");
    (text(name), value)
}
