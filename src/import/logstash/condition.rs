//! Logstash's conditions in our language.
//!
//! In: a condition's tree. Out: the tree of [`crate::import::conditions`]. Promises: operators keep their meaning; a
//! field alone asks whether it is there. On failure: the part that has no counterpart.

use super::syntax::{Operand, Test};
use super::values::variables;
use crate::import::conditions::{Expression, Operand as Ours};

/// A condition of ours.
///
/// # Errors
/// The part that has no counterpart.
pub fn expression(test: &Test) -> Result<Expression, String> {
    Ok(match test {
        Test::And(parts) => {
            Expression::all(parts.iter().map(expression).collect::<Result<_, _>>()?)
        }
        Test::Or(parts) => Expression::any(parts.iter().map(expression).collect::<Result<_, _>>()?),
        Test::Not(inner) => expression(inner)?.negated(),
        Test::Xor(left, right) => {
            let (left, right) = (expression(left)?, expression(right)?);
            Expression::any(vec![
                Expression::all(vec![left.clone(), right.clone().negated()]),
                Expression::all(vec![left.negated(), right]),
            ])
        }
        Test::Nand(left, right) => {
            Expression::any(vec![expression(left)?.negated(), expression(right)?.negated()])
        }
        Test::Alone(Operand::Field(names)) => Expression::Exists(names.clone()),
        Test::Alone(Operand::Bare(word)) => Expression::Constant(word != "false"),
        Test::Alone(_) => Expression::Constant(true),
        Test::Compare(left, operator, right) => compare(left, operator, right)?,
    })
}

fn compare(left: &Operand, operator: &str, right: &Operand) -> Result<Expression, String> {
    match operator {
        "=~" | "!~" => matches(left, operator == "!~", right),
        "in" | "not in" => Ok(membership(left, operator == "not in", right)),
        _ => {
            let operator = ["==", "!=", "<", "<=", ">", ">="]
                .into_iter()
                .find(|o| *o == operator)
                .unwrap_or("==");
            let (left, right) = (ours(left), ours(right));
            match (&left, &right) {
                (Ours::Field(_), _) => Ok(Expression::Compare(left, operator, right)),
                (_, Ours::Field(_)) => {
                    let turned = match operator {
                        "<" => ">",
                        "<=" => ">=",
                        ">" => "<",
                        ">=" => "<=",
                        same => same,
                    };
                    Ok(Expression::Compare(right, turned, left))
                }
                _ if operator == "==" => Ok(Expression::Constant(left == right)),
                _ if operator == "!=" => Ok(Expression::Constant(left != right)),
                _ => Err("two constants cannot be compared".to_string()),
            }
        }
    }
}

fn matches(left: &Operand, negate: bool, right: &Operand) -> Result<Expression, String> {
    let pattern = match right {
        Operand::Pattern(pattern) | Operand::Text(pattern) | Operand::Bare(pattern) => {
            pattern.clone()
        }
        Operand::Field(_) => return Err("a field cannot be used as a pattern".to_string()),
        Operand::List(_) => return Err("a list cannot be used as a pattern".to_string()),
    };
    let field = match left {
        Operand::Field(field) => field,
        // A text that was meant as a field's name: it always holds, or never.
        Operand::Text(text) | Operand::Bare(text) => {
            return match regex::Regex::new(&pattern) {
                Ok(regex) => Ok(Expression::Constant(regex.is_match(text) != negate)),
                Err(_) => Err("a pattern is compared with a field".to_string()),
            };
        }
        _ => return Err("a pattern is compared with a field".to_string()),
    };
    let (pattern, ignore_case) = match pattern.strip_prefix("(?i)") {
        Some(rest) => (rest.to_string(), true),
        None => (pattern, false),
    };
    Ok(Expression::Matches { field: field.clone(), pattern, ignore_case, negate })
}

fn membership(left: &Operand, negate: bool, right: &Operand) -> Expression {
    let operator = if negate { "not in" } else { "in" };
    match (ours(left), ours(right)) {
        (left @ Ours::Field(_), Ours::Text(text)) => {
            Expression::Compare(left, operator, Ours::List(vec![Ours::Text(text)]))
        }
        (left @ Ours::Field(_), right) => Expression::Compare(left, operator, right),
        (left, right @ Ours::Field(_)) => Expression::Compare(left, operator, right),
        (left, Ours::List(items)) => Expression::Constant(items.contains(&left) != negate),
        (Ours::Text(part), Ours::Text(whole)) => {
            Expression::Constant(whole.contains(&part) != negate)
        }
        _ => Expression::Constant(negate),
    }
}

fn ours(operand: &Operand) -> Ours {
    match operand {
        Operand::Field(names) => Ours::Field(names.clone()),
        Operand::Text(text) => Ours::Text(variables(text).0),
        Operand::Pattern(text) => Ours::Text(text.clone()),
        Operand::Bare(word) => match word.as_str() {
            "true" => Ours::Bool(true),
            "false" => Ours::Bool(false),
            word => match (word.parse::<i64>(), word.parse::<f64>()) {
                (Ok(number), _) => Ours::Integer(number),
                (_, Ok(number)) if number.is_finite() => Ours::Float(number),
                _ => Ours::Text(word.to_string()),
            },
        },
        Operand::List(items) => Ours::List(items.iter().map(ours).collect()),
    }
}
