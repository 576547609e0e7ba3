//! The tree with its types checked, ready to be evaluated.
//!
//! In: [`Syntax`]. Out: [`Node`]s whose comparisons are told apart by what they compare.
//! On failure: the comparison that cannot be, with what to write instead.

use super::ConditionError;
use super::lexer::Operator;
use super::needle::Needle;
use super::network::Network;
use super::parser::{Operand, Syntax, What};
use super::search::Search;
use crate::event::{Keys, Path};
use crate::pattern::Flags;

/// A part of a compiled condition.
#[derive(Clone, Debug)]
pub(super) enum Node {
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Not(Box<Node>),
    Constant(bool),
    Exists(Path),
    /// A text is equal to this one.
    Text {
        path: Path,
        text: Box<[u8]>,
    },
    /// Another value is equal to this one.
    Equal {
        path: Path,
        to: Scalar,
    },
    /// A value stands in this order to another one.
    Order {
        path: Path,
        order: Order,
        to: Scalar,
    },
    /// `@timestamp` stands in this order to an instant (nanoseconds since the epoch).
    Time {
        order: Order,
        to_ns: i64,
    },
    /// A value is one of these.
    OneOf {
        path: Path,
        texts: Box<[Box<[u8]>]>,
        others: Box<[Scalar]>,
    },
    /// A list holds the value, or a text holds the text.
    Holds {
        path: Path,
        value: Scalar,
        finder: Option<Box<Needle>>,
    },
    Match {
        path: Path,
        pattern: Search,
    },
    Network {
        path: Path,
        networks: Box<[Network]>,
    },
    /// Two fields compared.
    Pair {
        left: Path,
        right: Path,
        how: Pairing,
    },
}

/// A value of the condition's text.
#[derive(Clone, Debug)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<[u8]>),
}

/// What an order must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How two fields are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pairing {
    Equal,
    Order(Order),
    /// The left value is in the right list or text.
    In,
}

/// Checks a tree; names go into `keys`.
pub(super) fn check(syntax: &Syntax, keys: &mut Keys) -> Result<Node, ConditionError> {
    let mut each =
        |parts: &[Syntax]| parts.iter().map(|p| check(p, keys)).collect::<Result<_, _>>();
    Ok(match syntax {
        Syntax::All(parts) => Node::All(each(parts)?),
        Syntax::Any(parts) => Node::Any(each(parts)?),
        Syntax::Not(inner) => Node::Not(Box::new(check(inner, keys)?)),
        Syntax::Constant(value) => Node::Constant(*value),
        Syntax::Exists(operand) => Node::Exists(path(operand, keys)?),
        Syntax::Network { path: operand, networks } => Node::Network {
            path: text_path(operand, "cidr", keys)?,
            networks: networks.iter().map(network).collect::<Result<_, _>>()?,
        },
        Syntax::Compare { left, operator, place, right } => {
            let compare = Compare { left, operator: *operator, place, right };
            let (node, negated) = compare.check(keys)?;
            if negated { Node::Not(Box::new(node)) } else { node }
        }
    })
}

struct Compare<'a> {
    left: &'a Operand,
    operator: Operator,
    place: &'a std::ops::Range<usize>,
    right: &'a Operand,
}

impl Compare<'_> {
    /// The comparison without its negation, and whether it is negated.
    fn check(&self, keys: &mut Keys) -> Result<(Node, bool), ConditionError> {
        if is_constant(self.left) && is_constant(self.right) {
            let span = self.left.span.start..self.right.span.end;
            return Err(ConditionError::new(span, "no field is compared here")
                .hint("a field's name stands without quotes: level == \"ERROR\""));
        }
        match self.operator {
            Operator::Equal => Ok((self.equal(keys)?, false)),
            Operator::Unequal => Ok((self.equal(keys)?, true)),
            Operator::Less => Ok((self.order(Order::Less, keys)?, false)),
            Operator::LessOrEqual => Ok((self.order(Order::LessOrEqual, keys)?, false)),
            Operator::Greater => Ok((self.order(Order::Greater, keys)?, false)),
            Operator::GreaterOrEqual => Ok((self.order(Order::GreaterOrEqual, keys)?, false)),
            Operator::Match => Ok((self.matches(keys)?, false)),
            Operator::NoMatch => Ok((self.matches(keys)?, true)),
            Operator::In => Ok((self.within(keys)?, false)),
            Operator::NotIn => Ok((self.within(keys)?, true)),
        }
    }

    fn equal(&self, keys: &mut Keys) -> Result<Node, ConditionError> {
        let (field, value, _) = self.sides();
        match &value.what {
            What::Path(_) => self.pair(Pairing::Equal, keys),
            What::List(_) => Err(self.misfit(value, "a list", "use `in` for a list")),
            What::Pattern { .. } => Err(self.misfit(value, "a pattern", "use `=~` for a pattern")),
            _ if is_time(field) => self.time(Order::Equal, field, value),
            What::Text(text) => {
                Ok(Node::Text { path: path(field, keys)?, text: text.as_bytes().into() })
            }
            _ => Ok(Node::Equal { path: path(field, keys)?, to: scalar(value)? }),
        }
    }

    fn order(&self, order: Order, keys: &mut Keys) -> Result<Node, ConditionError> {
        let (field, value, turned) = self.sides();
        let order = if turned { order.turned() } else { order };
        match &value.what {
            // The sides of a pair are never turned.
            What::Path(_) => self.pair(Pairing::Order(order), keys),
            _ if is_time(field) => self.time(order, field, value),
            What::Integer(_) | What::Float(_) | What::Text(_) => {
                Ok(Node::Order { path: path(field, keys)?, order, to: scalar(value)? })
            }
            other => Err(self.misfit(value, kind(other), "only numbers and texts have an order")),
        }
    }

    fn time(&self, order: Order, field: &Operand, value: &Operand) -> Result<Node, ConditionError> {
        debug_assert!(is_time(field));
        let hint = "compare @timestamp with a time such as \"2026-11-22T00:00:00Z\"";
        let What::Text(text) = &value.what else {
            return Err(self.misfit(value, kind(&value.what), hint));
        };
        let parsed = text.parse::<jiff::Timestamp>().ok();
        match parsed.and_then(|t| i64::try_from(t.as_nanosecond()).ok()) {
            Some(to_ns) => Ok(Node::Time { order, to_ns }),
            None => Err(ConditionError::new(
                value.span.clone(),
                format!("`{text}` is no time of RFC 3339"),
            )
            .hint(hint)),
        }
    }

    fn matches(&self, keys: &mut Keys) -> Result<Node, ConditionError> {
        let name = self.operator.name();
        let path = text_path(self.left, name, keys)?;
        let (pattern, flags, lead) = match &self.right.what {
            What::Pattern { pattern, flags } => (pattern, *flags, 1),
            What::Text(text) => (text, Flags::default(), 1),
            other => {
                let hint = format!("write for example: {} {name} /error/i", path.as_str());
                return Err(self.misfit(self.right, kind(other), &hint));
            }
        };
        let compiled = crate::pattern::compile(pattern, flags).map_err(|mut error| {
            let from = self.right.span.start + lead;
            let end = self.right.span.end;
            error.span = (from + error.span.start).min(end)..(from + error.span.end).min(end);
            error
        })?;
        Ok(Node::Match { path, pattern: Search::new(pattern, flags, compiled) })
    }

    fn within(&self, keys: &mut Keys) -> Result<Node, ConditionError> {
        match (&self.left.what, &self.right.what) {
            (What::Path(_), What::Path(_)) => self.pair(Pairing::In, keys),
            (What::Path(_), What::List(items)) => self.one_of(items, keys),
            (What::Path(name), other) => Err(self.misfit(
                self.right,
                kind(other),
                &format!("write a list: {name} in [\"a\", \"b\"], or {name} == …"),
            )),
            (What::List(_) | What::Pattern { .. }, _) => {
                let hint = "a single value stands on the left: \"x\" in tags";
                Err(self.misfit(self.left, kind(&self.left.what), hint))
            }
            (_, What::Path(_)) => {
                let value = scalar(self.left)?;
                let finder = match &value {
                    Scalar::Text(text) => Some(Box::new(Needle::new(text))),
                    _ => None,
                };
                let path = text_path(self.right, self.operator.name(), keys)?;
                Ok(Node::Holds { path, value, finder })
            }
            _ => Err(self.misfit(self.right, kind(&self.right.what), "a field's name expected")),
        }
    }

    fn one_of(&self, items: &[Operand], keys: &mut Keys) -> Result<Node, ConditionError> {
        if items.is_empty() {
            return Err(ConditionError::new(self.right.span.clone(), "the list is empty")
                .hint("nothing is in an empty list; write its values"));
        }
        let path = text_path(self.left, self.operator.name(), keys)?;
        let (mut texts, mut others) = (Vec::new(), Vec::new());
        for item in items {
            match scalar(item)? {
                Scalar::Text(text) => texts.push(text),
                other => others.push(other),
            }
        }
        texts.sort_unstable();
        Ok(Node::OneOf { path, texts: texts.into(), others: others.into() })
    }

    fn pair(&self, how: Pairing, keys: &mut Keys) -> Result<Node, ConditionError> {
        let name = self.operator.name();
        let left = text_path(self.left, name, keys)?;
        Ok(Node::Pair { left, right: text_path(self.right, name, keys)?, how })
    }

    /// The field first, then the value; whether they were written the other way round.
    fn sides(&self) -> (&Operand, &Operand, bool) {
        if is_constant(self.left) {
            (self.right, self.left, true)
        } else {
            (self.left, self.right, false)
        }
    }

    fn misfit(&self, operand: &Operand, kind: &str, hint: &str) -> ConditionError {
        debug_assert!(self.place.start <= self.place.end);
        let message = format!("`{}` does not work with {kind}", self.operator.name());
        ConditionError::new(operand.span.clone(), message).hint(hint)
    }
}

impl Order {
    /// The same with the sides exchanged.
    fn turned(self) -> Order {
        match self {
            Order::Equal => Order::Equal,
            Order::Less => Order::Greater,
            Order::LessOrEqual => Order::GreaterOrEqual,
            Order::Greater => Order::Less,
            Order::GreaterOrEqual => Order::LessOrEqual,
        }
    }

    /// Whether two values in this ordering satisfy it.
    pub(super) fn admits(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Order::Equal => ordering.is_eq(),
            Order::Less => ordering.is_lt(),
            Order::LessOrEqual => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

fn is_constant(operand: &Operand) -> bool {
    !matches!(operand.what, What::Path(_))
}

fn is_time(operand: &Operand) -> bool {
    matches!(&operand.what, What::Path(path) if path == "@timestamp")
}

fn kind(what: &What) -> &'static str {
    match what {
        What::Path(_) => "a field",
        What::Text(_) => "a text",
        What::Integer(_) | What::Float(_) => "a number",
        What::Bool(_) => "true or false",
        What::Null => "null",
        What::Pattern { .. } => "a pattern",
        What::List(_) => "a list",
    }
}

fn scalar(operand: &Operand) -> Result<Scalar, ConditionError> {
    Ok(match &operand.what {
        What::Text(text) => Scalar::Text(text.as_bytes().into()),
        What::Integer(n) => Scalar::Int(*n),
        What::Float(n) => Scalar::Float(*n),
        What::Bool(b) => Scalar::Bool(*b),
        What::Null => Scalar::Null,
        other => {
            let message = format!("a single value expected, not {}", kind(other));
            return Err(ConditionError::new(operand.span.clone(), message));
        }
    })
}

fn path(operand: &Operand, keys: &mut Keys) -> Result<Path, ConditionError> {
    let What::Path(text) = &operand.what else {
        let message = format!("a field's name expected, not {}", kind(&operand.what));
        return Err(ConditionError::new(operand.span.clone(), message)
            .hint("a field's name stands without quotes: exists(user.name)"));
    };
    Path::parse(text, keys).map_err(|error| {
        let at = (operand.span.start + error.at).min(operand.span.end.saturating_sub(1));
        let message = format!("`{text}` is no field's name: {}", error.message);
        ConditionError::new(at..at + 1, message)
    })
}

/// A path that is not `@timestamp`, which is a time and neither a text nor a list.
fn text_path(operand: &Operand, name: &str, keys: &mut Keys) -> Result<Path, ConditionError> {
    if is_time(operand) {
        let message = format!("`{name}` does not work with @timestamp");
        return Err(ConditionError::new(operand.span.clone(), message)
            .hint("compare it with a time: @timestamp >= \"2026-11-22T00:00:00Z\""));
    }
    path(operand, keys)
}

fn network(operand: &Operand) -> Result<Network, ConditionError> {
    let What::Text(text) = &operand.what else {
        return Err(ConditionError::new(operand.span.clone(), "a network in quotes expected")
            .hint("write for example \"10.0.0.0/8\""));
    };
    Network::parse(text).map_err(|why| {
        ConditionError::new(operand.span.clone(), format!("not a network: {why}"))
            .hint("write for example \"10.0.0.0/8\" or \"2001:db8::/32\"")
    })
}
