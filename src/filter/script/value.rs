//! Values of events as values of Lua, and back.
//!
//! In and out: a value of either. Promises: what goes there and back unchanged is the same, an empty list included;
//! a table that holds itself, or is nested too deep, is an error. On failure: the reason, for the script's error.

use mlua::{Error, Lua, LuaString, Result, Table, Value as LuaValue};

use crate::event::{Batch, Field, NodeId, Value};
use crate::limits::JSON_DEPTH_MAX;

/// A value as Lua sees it; `list` is what marks tables that are lists.
pub(super) fn to_lua(lua: &Lua, batch: &mut Batch, value: Value, list: &Table) -> Result<LuaValue> {
    Ok(match batch.open(value) {
        Value::Null => LuaValue::Nil,
        Value::Bool(b) => LuaValue::Boolean(b),
        Value::Int(n) => LuaValue::Integer(n),
        Value::Float(n) => LuaValue::Number(n),
        Value::Json(span) => {
            let text = std::str::from_utf8(batch.bytes(span)).unwrap_or_default();
            text.parse().map_or(LuaValue::Nil, LuaValue::Number)
        }
        Value::Array(node) => {
            let table = lua.create_table_with_capacity(batch.array(node).len(), 0)?;
            for at in 0..batch.array(node).len() {
                let item = batch.array(node)[at];
                let item = to_lua(lua, batch, item, list)?;
                table.raw_set(at + 1, item)?;
            }
            table.set_metatable(Some(list.clone()))?;
            LuaValue::Table(table)
        }
        Value::Object(node) => LuaValue::Table(object(lua, batch, node, list)?),
        text => match batch.str_bytes(text) {
            Some(text) => LuaValue::String(lua.create_string(&*text)?),
            None => LuaValue::Nil,
        },
    })
}

/// An opened object as a table.
pub(super) fn object(lua: &Lua, batch: &mut Batch, node: NodeId, list: &Table) -> Result<Table> {
    let table = lua.create_table_with_capacity(0, batch.object(node).len())?;
    for at in 0..batch.object(node).len() {
        let field = batch.object(node)[at];
        let name = lua.create_string(batch.key_name(field.key))?;
        let value = to_lua(lua, batch, field.value, list)?;
        table.raw_set(name, value)?;
    }
    Ok(table)
}

/// A value of Lua as one of the batch.
pub(super) fn from_lua(
    batch: &mut Batch,
    value: &LuaValue,
    list: &Table,
    depth: usize,
) -> Result<Value> {
    Ok(match value {
        LuaValue::Nil => Value::Null,
        LuaValue::Boolean(b) => Value::Bool(*b),
        LuaValue::Integer(n) => Value::Int(*n),
        LuaValue::Number(n) if n.is_finite() => Value::Float(*n),
        LuaValue::Number(_) => {
            return Err(Error::runtime("a field cannot hold a number that is not finite"));
        }
        LuaValue::String(text) => text_of(batch, text),
        LuaValue::Table(_) if depth >= JSON_DEPTH_MAX => {
            return Err(Error::runtime("a table is nested too deep, or holds itself"));
        }
        LuaValue::Table(table) => {
            let marked = table.metatable().is_some_and(|meta| meta == *list);
            if marked || table.raw_len() > 0 {
                let node = batch.new_array();
                for at in 1..=table.raw_len() {
                    let item = from_lua(batch, &table.raw_get(at)?, list, depth + 1)?;
                    batch.array_mut(node).push(item);
                }
                return Ok(Value::Array(node));
            }
            Value::Object(fields_of(batch, table, list, depth + 1)?)
        }
        other => {
            let message = format!("a field cannot hold a {}", other.type_name());
            return Err(Error::runtime(message));
        }
    })
}

/// A table as an object; its members are sorted by name, for Lua keeps no order.
pub(super) fn fields_of(
    batch: &mut Batch,
    table: &Table,
    list: &Table,
    depth: usize,
) -> Result<NodeId> {
    let mut fields = Vec::new();
    for pair in table.pairs::<LuaValue, LuaValue>() {
        let (name, value) = pair?;
        let key = match &name {
            LuaValue::String(name) => {
                batch.key_named(String::from_utf8_lossy(&name.as_bytes()).as_bytes())
            }
            LuaValue::Integer(number) => batch.key_named(number.to_string().as_bytes()),
            LuaValue::Number(number) => batch.key_named(number.to_string().as_bytes()),
            other => {
                let message = format!("a field's name cannot be a {}", other.type_name());
                return Err(Error::runtime(message));
            }
        };
        let value = from_lua(batch, &value, list, depth)?;
        fields.push(Field { key, value });
    }
    fields.sort_by(|a, b| batch.key_name(a.key).cmp(batch.key_name(b.key)));
    let node = batch.new_object();
    *batch.object_mut(node) = fields;
    Ok(node)
}

/// A text; bytes that are no UTF-8 become U+FFFD.
fn text_of(batch: &mut Batch, text: &LuaString) -> Value {
    let bytes = text.as_bytes();
    Value::Str(match simdutf8::basic::from_utf8(&bytes) {
        Ok(_) => batch.push_text(&bytes),
        Err(_) => batch.push_text(String::from_utf8_lossy(&bytes).as_bytes()),
    })
}
