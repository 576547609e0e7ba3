//! One thread's Lua: what a script may reach, and its limits.
//!
//! In: the code; events of a batch that is lent. Out: those events changed. Promises: no library that reaches files,
//! processes or the network is there, nor one that runs code made at work; a script that has used up its steps cannot
//! go on, not even by catching the error. On failure: the reason in one line, with the script's line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mlua::chunk::ChunkMode;
use mlua::{
    AnyUserData, Error, Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table,
    Value as LuaValue, VmState,
};

use super::super::failure::Failure;
use super::Plan;
use super::event::Current;
use super::library;
use super::value::fields_of;
use crate::event::{Batch, Key};

/// The name that Lua's errors begin with.
pub(super) const CHUNK: &str = "script";
/// Instructions between two looks at how many there were.
const LOOK_STEPS: u32 = 1000;
/// What Lua's base library has and a script has not.
const WITHHELD: [&str; 5] = ["dofile", "loadfile", "load", "require", "collectgarbage"];
/// What is left of the library `os`.
const TIMES: [&str; 4] = ["time", "date", "clock", "difftime"];

/// A loaded script.
pub(super) struct Machine {
    lua: Lua,
    current: AnyUserData,
    entry: Entry,
    list: Table,
    steps: Arc<Steps>,
}

enum Entry {
    /// The code itself, run for each event.
    Code(Function),
    /// A function of Fluent Bit's kind.
    Call(Function),
}

/// The instructions that one event has used.
struct Steps {
    used: AtomicU64,
    most: u64,
}

impl Machine {
    /// Loads a script; with `call` it is run once.
    pub(super) fn new(plan: &Arc<Plan>) -> Result<Machine, String> {
        Machine::load(plan).map_err(|error| said(&error))
    }

    fn load(plan: &Arc<Plan>) -> mlua::Result<Machine> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::UTF8 | StdLib::MATH | StdLib::OS;
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        withhold(&lua)?;
        lua.set_memory_limit(plan.memory)?;
        let list = lua.create_table()?;
        lua.globals().set("list", marker(&lua, &list)?)?;
        library::add(&lua, &list, plan)?;
        let current = lua.create_userdata(Current::new(Arc::clone(plan), list.clone()))?;
        lua.globals().set("event", &current)?;
        let steps = Arc::new(Steps { used: AtomicU64::new(0), most: plan.steps });
        watch(&lua, &steps, LOOK_STEPS)?;
        let code = match plan.call {
            None => format!("local event = ... {}", plan.code),
            Some(_) => plan.code.clone(),
        };
        let chunk = lua.load(code).set_name(format!("={CHUNK}")).set_mode(ChunkMode::Text);
        let code = chunk.into_function()?;
        let entry = match &plan.call {
            None => Entry::Code(code),
            Some(name) => {
                code.call::<()>(())?;
                match lua.globals().get(name.as_str())? {
                    LuaValue::Function(function) => Entry::Call(function),
                    _ => return Err(Error::runtime(format!("there is no function `{name}`"))),
                }
            }
        };
        Ok(Machine { lua, current, entry, list, steps })
    }

    /// Takes the batch until [`Machine::give_back`].
    pub(super) fn lend(&mut self, batch: &mut Batch) {
        if let Ok(mut current) = self.current.borrow_mut::<Current>() {
            std::mem::swap(&mut current.batch, batch);
        }
    }

    /// Gives back what was lent.
    pub(super) fn give_back(&mut self, batch: &mut Batch) {
        self.lend(batch);
    }

    /// Runs the script for one event of the lent batch.
    pub(super) fn run(&mut self, event: usize) -> Result<(), String> {
        let found = self.start(event).and_then(|()| match &self.entry {
            Entry::Code(code) => code.call::<()>(&self.current),
            Entry::Call(function) => self.call(function, event),
        });
        found.map_err(|error| {
            let message = said(&error);
            drop(error);
            // What the failed run held; what cannot be collected now will be later.
            let _ = self.lua.gc_collect();
            message
        })
    }

    /// Tags and counts an event of the lent batch.
    pub(super) fn failed(&mut self, failure: &Failure, event: usize) {
        if let Ok(mut current) = self.current.borrow_mut::<Current>() {
            failure.mark(&mut current.batch, event);
        }
    }

    fn start(&mut self, event: usize) -> mlua::Result<()> {
        if self.steps.used.swap(0, Ordering::Relaxed) > self.steps.most {
            watch(&self.lua, &self.steps, LOOK_STEPS)?;
        }
        self.current.borrow_mut::<Current>()?.event = event;
        Ok(())
    }

    /// `code, timestamp, record = f(tag, timestamp, record)`.
    fn call(&self, function: &Function, event: usize) -> mlua::Result<()> {
        let (tag, time, record) = {
            let mut current = self.current.borrow_mut::<Current>()?;
            let record = current.record(&self.lua, event)?;
            let time = current.batch.events[event].time_ns as f64 / 1e9;
            (self.lua.create_string(&*current.batch.source.input)?, time, record)
        };
        let found: (i64, LuaValue, LuaValue) =
            function.call::<MultiValue>((tag, time, record)).and_then(|many| {
                let mut many = many.into_iter();
                let code = many.next().and_then(|code| code.as_i64());
                let code = code.ok_or_else(|| {
                    Error::runtime(
                        "the function must return a code (-1, 0, 1 or 2), a timestamp and a record",
                    )
                })?;
                Ok((
                    code,
                    many.next().unwrap_or(LuaValue::Nil),
                    many.next().unwrap_or(LuaValue::Nil),
                ))
            })?;
        let mut current = self.current.borrow_mut::<Current>()?;
        let (code, time, record) = found;
        match code {
            -1 => current.batch.events[event].dropped = true,
            0 => {}
            1 | 2 => {
                let LuaValue::Table(record) = record else {
                    return Err(Error::runtime("the third result must be a record"));
                };
                if record.raw_len() > 0 {
                    return Err(Error::runtime(
                        "several records are not taken; the filter `split` makes them",
                    ));
                }
                replace(&mut current.batch, event, &record, &self.list)?;
                if let (1, Some(seconds)) = (code, time.as_f64()) {
                    current.batch.events[event].time_ns = (seconds * 1e9).round() as i64;
                }
            }
            other => {
                return Err(Error::runtime(format!("the code {other} is none of -1, 0, 1 and 2")));
            }
        }
        Ok(())
    }
}

/// Puts a record in the place of an event's fields, which keep their order.
fn replace(batch: &mut Batch, event: usize, record: &Table, list: &Table) -> mlua::Result<()> {
    let made = fields_of(batch, record, list, 0)?;
    let mut fields = std::mem::take(batch.object_mut(made));
    fields.retain(|field| field.key != Key::TIMESTAMP);
    let place = |key: Key| {
        let name = batch.key_name(key);
        batch
            .fields(event)
            .iter()
            .position(|old| batch.key_name(old.key) == name)
            .unwrap_or(usize::MAX)
    };
    fields.sort_by_cached_key(|field| place(field.key));
    fields.extend(batch.fields(event).iter().filter(|old| old.key == Key::METADATA));
    *batch.fields_mut(event) = fields;
    Ok(())
}

/// Takes away what reaches out of the script, and adds what Lua 5.1 had.
fn withhold(lua: &Lua) -> mlua::Result<()> {
    let globals = lua.globals();
    for name in WITHHELD {
        globals.set(name, LuaValue::Nil)?;
    }
    globals.get::<Table>("string")?.set("dump", LuaValue::Nil)?;
    let (all, left): (Table, Table) = (globals.get("os")?, lua.create_table()?);
    for name in TIMES {
        left.set(name, all.get::<LuaValue>(name)?)?;
    }
    globals.set("os", left)?;
    let print = |_: &Lua, said: MultiValue| {
        let said: Vec<String> =
            said.iter().map(|value| value.to_string().unwrap_or_default()).collect();
        tracing::debug!("filter script prints: {}", said.join("\t"));
        Ok(())
    };
    globals.set("print", lua.create_function(print)?)?;
    globals.set("unpack", globals.get::<Table>("table")?.get::<LuaValue>("unpack")?)?;
    let power = lua.create_function(|_, (base, exponent): (f64, f64)| Ok(base.powf(exponent)))?;
    globals.get::<Table>("math")?.set("pow", power)
}

/// `list(t)`: marks a table as a list, so that an empty one is written as one.
fn marker(lua: &Lua, list: &Table) -> mlua::Result<Function> {
    let list = list.clone();
    lua.create_function(move |lua, table: Option<Table>| {
        let table = table.map_or_else(|| lua.create_table(), Ok)?;
        table.set_metatable(Some(list.clone()))?;
        Ok(table)
    })
}

/// Looks at the number of instructions after every `every`.
fn watch(lua: &Lua, steps: &Arc<Steps>, every: u32) -> mlua::Result<()> {
    let steps = Arc::clone(steps);
    lua.set_hook(HookTriggers::new().every_nth_instruction(every), move |lua, _| {
        let used = steps.used.fetch_add(u64::from(every), Ordering::Relaxed) + u64::from(every);
        if used <= steps.most {
            return Ok(VmState::Continue);
        }
        if every > 1 {
            // From here on each instruction fails, so that a script that catches the error ends as well.
            watch(lua, &steps, 1)?;
        }
        Err(Error::runtime(format!("the limit of {} steps for an event is reached", steps.most)))
    })
}

/// An error in one line, with the line of the script.
fn said(error: &Error) -> String {
    let first = |text: &str| text.lines().next().unwrap_or_default().to_string();
    match error {
        Error::SyntaxError { message, .. } => first(message),
        Error::MemoryError(_) => "the script's limit of memory is reached".into(),
        Error::CallbackError { traceback, cause } => {
            let (place, cause) = (line_of(traceback), said(cause));
            match place {
                Some(place) if !cause.starts_with(CHUNK) => format!("{place} {cause}"),
                _ => cause,
            }
        }
        Error::RuntimeError(message) => {
            let place = line_of(message).filter(|_| !message.starts_with(CHUNK));
            place.map_or_else(|| first(message), |place| format!("{place} {}", first(message)))
        }
        other => first(&other.to_string()),
    }
}

/// `script:LINE:` of a traceback.
fn line_of(traceback: &str) -> Option<&str> {
    let start = format!("{CHUNK}:");
    let at = traceback.find(&start)?;
    let digits = traceback[at + start.len()..].find(|c: char| !c.is_ascii_digit())?;
    traceback.get(at..=at + start.len() + digits)
}
