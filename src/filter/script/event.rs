//! What a script sees as `event`.
//!
//! In: calls such as `event:get("a.b")`, `event:set("a.b", 1)`, or `event.a` and `event.a = 1`. Out: the event of the
//! lent batch changed. Promises: names that stand in the script as literals are not read again.
//! On failure: an error in the script: a text that is no field's name, a value that no field can hold.

use std::sync::Arc;

use mlua::{
    Error, Lua, LuaString, MetaMethod, Result, Table, UserData, UserDataMethods, Value as LuaValue,
};

use super::super::tag::remove_tag;
use super::Plan;
use super::value::{from_lua, object, to_lua};
use crate::event::{Batch, Key, Keys, Path, Source, SourceKind, Value};
use crate::timestamp::{parse_iso8601, write_iso8601_ms};

/// The batch that is lent, and the event at hand.
pub(super) struct Current {
    pub(super) batch: Batch,
    pub(super) event: usize,
    plan: Arc<Plan>,
    list: Table,
    scratch: Vec<u8>,
}

impl Current {
    /// Without a batch yet.
    pub(super) fn new(plan: Arc<Plan>, list: Table) -> Current {
        let source =
            Source { id: 0, input: "".into(), kind: SourceKind::Stream, fields: Vec::new() };
        let batch = Batch::new(Arc::new(Keys::default()), Arc::new(source));
        Current { batch, event: 0, plan, list, scratch: Vec::new() }
    }

    /// All fields of an event but `@metadata`.
    pub(super) fn record(&mut self, lua: &Lua, event: usize) -> Result<Table> {
        let root = self.batch.events[event].root;
        let record = object(lua, &mut self.batch, root, &self.list)?;
        record.raw_set("@metadata", LuaValue::Nil)?;
        Ok(record)
    }

    fn at<T>(
        &mut self,
        name: &LuaString,
        act: impl FnOnce(&mut Current, &Path) -> Result<T>,
    ) -> Result<T> {
        if self.event >= self.batch.events.len() {
            return Err(Error::runtime("there is no event yet"));
        }
        let name = name.as_bytes();
        let plan = Arc::clone(&self.plan);
        if let Some(path) = plan.paths.find(&name) {
            return act(self, path);
        }
        let text = std::str::from_utf8(&name).unwrap_or_default();
        match Path::resolve(text, &mut self.batch) {
            Some(path) => act(self, &path),
            None => Err(Error::runtime(format!(
                "`{}` is no field's name",
                String::from_utf8_lossy(&name)
            ))),
        }
    }

    fn get(&mut self, lua: &Lua, name: &LuaString) -> Result<LuaValue> {
        self.at(name, |this, path| {
            if path.segments()[0].name.as_ref() == "@timestamp" {
                this.scratch.clear();
                write_iso8601_ms(this.batch.events[this.event].time_ns, &mut this.scratch);
                return lua.create_string(&this.scratch).map(LuaValue::String);
            }
            match this.batch.get(this.event, path) {
                Some(value) => to_lua(lua, &mut this.batch, value, &this.list),
                None => Ok(LuaValue::Nil),
            }
        })
    }

    /// Nothing (`nil`) takes the field away.
    fn set(&mut self, name: &LuaString, value: &LuaValue) -> Result<()> {
        self.at(name, |this, path| {
            if path.segments()[0].name.as_ref() == "@timestamp" {
                return this.set_time(value);
            }
            if value.is_nil() {
                this.batch.remove(this.event, path);
                return Ok(());
            }
            let value = from_lua(&mut this.batch, value, &this.list, 0)?;
            this.batch.set(this.event, path, value);
            Ok(())
        })
    }

    /// Seconds since the epoch, or a text as ISO 8601 writes it.
    fn set_time(&mut self, value: &LuaValue) -> Result<()> {
        let time_ns = match value {
            LuaValue::Integer(seconds) => seconds.checked_mul(1_000_000_000),
            LuaValue::Number(seconds) if seconds.is_finite() => {
                Some((seconds * 1e9).round() as i64)
            }
            LuaValue::String(text) => parse_iso8601(&text.as_bytes()),
            _ => None,
        };
        let odd = || {
            Error::runtime("a time is a number of seconds or a text such as 2026-11-22T00:00:00Z")
        };
        self.batch.events[self.event].time_ns = time_ns.ok_or_else(odd)?;
        Ok(())
    }

    fn has_tag(&mut self, tag: &[u8]) -> bool {
        match self.batch.get_root(self.event, Key::TAGS).map(|tags| self.batch.open(tags)) {
            Some(Value::Array(tags)) => {
                let is =
                    |item: &Value| self.batch.str_bytes(*item).is_some_and(|text| *text == *tag);
                self.batch.array(tags).iter().any(is)
            }
            Some(single) => self.batch.str_bytes(single).is_some_and(|text| *text == *tag),
            None => false,
        }
    }
}

impl UserData for Current {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method_mut("get", |lua, this, name: LuaString| this.get(lua, &name));
        methods.add_method_mut("set", |_, this, (name, value): (LuaString, LuaValue)| {
            this.set(&name, &value)
        });
        methods.add_meta_method_mut(MetaMethod::Index, |lua, this, name: LuaString| {
            this.get(lua, &name)
        });
        methods.add_meta_method_mut(
            MetaMethod::NewIndex,
            |_, this, (name, value): (LuaString, LuaValue)| this.set(&name, &value),
        );
        methods.add_method_mut("remove", |lua, this, name: LuaString| {
            let value = this.get(lua, &name)?;
            this.set(&name, &LuaValue::Nil)?;
            Ok(value)
        });
        methods.add_method_mut("has", |_, this, name: LuaString| {
            this.at(&name, |this, path| Ok(this.batch.get(this.event, path).is_some()))
        });
        methods.add_method_mut("tag", |_, this, tag: LuaString| {
            this.batch.add_tag(this.event, &tag.to_string_lossy());
            Ok(())
        });
        methods.add_method_mut("untag", |_, this, tag: LuaString| {
            remove_tag(&mut this.batch, this.event, &tag.as_bytes());
            Ok(())
        });
        methods
            .add_method_mut("has_tag", |_, this, tag: LuaString| Ok(this.has_tag(&tag.as_bytes())));
        for name in ["drop", "cancel"] {
            methods.add_method_mut(name, |_, this, ()| {
                this.batch.events[this.event].dropped = true;
                Ok(())
            });
        }
        methods.add_method("time", |_, this, ()| {
            Ok(this.batch.events[this.event].time_ns as f64 / 1e9)
        });
        methods.add_method("time_ns", |_, this, ()| Ok(this.batch.events[this.event].time_ns));
        methods.add_method_mut("set_time", |_, this, value: LuaValue| this.set_time(&value));
        methods.add_method_mut("to_table", |lua, this, ()| {
            let event = this.event;
            this.record(lua, event)
        });
    }
}
