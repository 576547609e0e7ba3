//! Which names stand for what in Ruby's code.
//!
//! In: statements. Out: names that are set, those that hold times, functions. Promises: a name that holds a time in one
//! place holds times everywhere. On failure: `None`: a name is sometimes a time and sometimes not.

use super::syntax::{Expression, Statement};

/// The names of code.
#[derive(Default)]
pub(super) struct Scope {
    /// Names that are set, in their order.
    pub(super) set: Vec<String>,
    /// Those of them that hold times, as seconds.
    pub(super) times: Vec<String>,
    /// Functions.
    pub(super) functions: Vec<String>,
    /// Names of the loops and blocks around.
    pub(super) inner: Vec<String>,
}

impl Scope {
    /// The names that statements set.
    pub(super) fn of(statements: &[Statement]) -> Option<Scope> {
        let mut scope = Scope::default();
        let mut values = Vec::new();
        gather(statements, &mut scope, &mut values);
        // A time may come from a name that is set further up: as many rounds as there are names are enough.
        for _ in 0..=scope.set.len() {
            for (name, value) in &values {
                if scope.is_time(value) && !scope.times.contains(name) {
                    scope.times.push(name.clone());
                }
            }
        }
        let mixed = values.iter().any(|(name, value)| {
            scope.times.contains(name) && !scope.is_time(value) && *value != Expression::Word("nil")
        });
        (!mixed && scope.set.len() < 150).then_some(scope)
    }

    /// Whether a name stands for a value.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.inner.iter().chain(&self.set).any(|known| known == name)
    }

    /// Whether a value is a time.
    pub(super) fn is_time(&self, value: &Expression) -> bool {
        match value {
            Expression::Now | Expression::Instant(_) | Expression::Parsed(..) => true,
            Expression::Field(name) => super::path(name) == "@timestamp",
            Expression::Name(name) => self.times.contains(name) && !self.inner.contains(name),
            Expression::Call(inner, same, none) => {
                let kept = ["utc", "getutc", "gmtime", "time", "to_time", "localtime", "getlocal"];
                kept.contains(&same.as_str()) && none.is_empty() && self.is_time(inner)
            }
            Expression::Binary(left, operator, right) => {
                let moves = matches!(*operator, "+" | "-");
                moves && self.is_time(left) && !self.is_time(right)
            }
            _ => false,
        }
    }
}

fn gather(statements: &[Statement], scope: &mut Scope, values: &mut Vec<(String, Expression)>) {
    for statement in statements {
        match statement {
            Statement::Let(name, value) => {
                if !scope.set.contains(name) {
                    scope.set.push(name.clone());
                }
                values.push((name.clone(), value.clone()));
            }
            Statement::If(_, then, otherwise) => {
                gather(then, scope, values);
                gather(otherwise, scope, values);
            }
            Statement::Try(body, _, rescue) => {
                gather(body, scope, values);
                gather(rescue, scope, values);
            }
            Statement::Each(_, _, body)
            | Statement::EachIndex(_, _, body)
            | Statement::While(_, body) => gather(body, scope, values),
            Statement::Def(name, _, body) => {
                scope.functions.push(name.clone());
                gather(body, scope, values);
            }
            _ => {}
        }
    }
}

/// Whether a body leaves the round that it is in: `next`, `break`, `return`.
pub(super) fn leaves(body: &[Statement]) -> bool {
    body.iter().any(|statement| match statement {
        Statement::Next | Statement::Break | Statement::Return(_) => true,
        Statement::If(_, then, otherwise) => leaves(then) || leaves(otherwise),
        Statement::Try(body, _, rescue) => leaves(body) || leaves(rescue),
        _ => false,
    })
}
