//! Paths into a document: the part of XPath 1.0 (W3C, 1999) that log pipelines use.
//!
//! In: a path such as `/a/b[@c='d']/text()`, `//x/@y`, `a | b`, `string(//x)`. Out: the texts of what it leads to: of
//! an attribute its value, of an element its XML. Promises: a path is read once; nodes come in the document's order.
//! On failure: at load, the byte from which on a path is not understood.

use roxmltree::{Document, Node};

/// What a path may select from one document: elements within each other are selected each with all that is in it.
const SELECTED_BYTES_MAX: usize = 16 << 20;

/// A path, read.
pub(super) struct Select {
    function: Option<Function>,
    alternatives: Vec<Vec<Step>>,
}

/// What is wrong with a path.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) message: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Function {
    Text,
    Name,
    LocalName,
    Count,
}

struct Step {
    axis: Axis,
    test: Test,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Axis {
    Child,
    /// `//`
    Descendant,
    Attribute,
    /// `//@a`
    DescendantAttribute,
    Parent,
    This,
}

enum Test {
    Any,
    Text,
    Node,
    Name { prefix: Option<String>, name: String },
}

enum Condition {
    /// `[2]`, counted from 1.
    Position(usize),
    Last,
    /// `[a]`, `[@a]`
    Exists(Vec<Step>),
    /// `[a='x']`, `[@a!='x']`
    Compares {
        path: Vec<Step>,
        equal: bool,
        text: String,
    },
}

/// What a step leads to.
#[derive(Clone, Copy)]
enum Found<'a, 'input> {
    Node(Node<'a, 'input>),
    Attribute(Node<'a, 'input>, roxmltree::Attribute<'a, 'input>),
}

/// What names mean.
#[derive(Clone, Copy)]
struct Names<'a> {
    namespaces: &'a [(String, String)],
    ignored: bool,
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Select {
    /// Reads a path.
    pub(super) fn parse(text: &str) -> Result<Select, Fault> {
        let mut parser = Parser { text, at: 0 };
        parser.blanks();
        let functions = [
            ("string(", Function::Text),
            ("name(", Function::Name),
            ("local-name(", Function::LocalName),
            ("count(", Function::Count),
        ];
        let function =
            functions.into_iter().find(|(name, _)| parser.take(name)).map(|(_, function)| function);
        let mut alternatives = vec![parser.path()?];
        while parser.take("|") {
            parser.blanks();
            alternatives.push(parser.path()?);
        }
        if function.is_some() && !parser.take(")") {
            return Err(parser.fault("a closing parenthesis is expected here"));
        }
        parser.blanks();
        if parser.at < text.len() {
            return Err(parser.fault("this is not understood"));
        }
        Ok(Select { function, alternatives })
    }

    /// The texts of what the path leads to.
    pub(super) fn find(
        &self,
        document: &Document<'_>,
        namespaces: &[(String, String)],
        ignored: bool,
    ) -> Option<Vec<String>> {
        let names = Names { namespaces, ignored };
        let mut found = Vec::new();
        for path in &self.alternatives {
            found.extend(walk(path, Found::Node(document.root()), names));
        }
        if self.alternatives.len() > 1 {
            found.sort_by_key(Found::order);
            found.dedup_by_key(|found| found.order());
        }
        let first = found.first();
        let text = match self.function {
            None => {
                let mut left = SELECTED_BYTES_MAX;
                let written = found.iter().map(|found| {
                    let text = found.written(ignored);
                    left = left.checked_sub(text.len())?;
                    Some(text)
                });
                return written.collect();
            }
            Some(Function::Count) => found.len().to_string(),
            Some(Function::Text) => first.map(Found::text).unwrap_or_default(),
            Some(Function::Name) => first.map(|found| found.name(true)).unwrap_or_default(),
            Some(Function::LocalName) => first.map(|found| found.name(false)).unwrap_or_default(),
        };
        Some(vec![text])
    }
}

impl Parser<'_> {
    fn fault(&self, message: &'static str) -> Fault {
        Fault { at: self.at, message }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn take(&mut self, word: &str) -> bool {
        let is = self.rest().starts_with(word);
        self.at += if is { word.len() } else { 0 };
        is
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn path(&mut self) -> Result<Vec<Step>, Fault> {
        let mut steps = Vec::new();
        let mut deep = self.take("//");
        if !deep && self.take("/") && self.ends() {
            return Ok(vec![Step { axis: Axis::This, test: Test::Node, conditions: Vec::new() }]);
        }
        loop {
            steps.push(self.step(deep)?);
            self.blanks();
            deep = self.take("//");
            if !deep && !self.take("/") {
                return Ok(steps);
            }
        }
    }

    fn ends(&self) -> bool {
        matches!(self.rest().trim_start().chars().next(), None | Some(')' | '|' | ']'))
    }

    fn step(&mut self, deep: bool) -> Result<Step, Fault> {
        self.blanks();
        let (mut axis, mut test) = (if deep { Axis::Descendant } else { Axis::Child }, Test::Any);
        if self.take("..") {
            (axis, test) = (Axis::Parent, Test::Node);
        } else if self.take(".") {
            (axis, test) = (Axis::This, Test::Node);
        } else {
            if self.take("@") || self.take("attribute::") {
                axis = if deep { Axis::DescendantAttribute } else { Axis::Attribute };
            } else {
                self.take("child::");
            }
            if self.take("text()") {
                test = Test::Text;
            } else if self.take("node()") {
                test = Test::Node;
            } else if !self.take("*") {
                test = self.name()?;
            }
        }
        if deep && matches!(axis, Axis::Parent | Axis::This) {
            return Err(self.fault("`//` is not understood before this"));
        }
        let mut conditions = Vec::new();
        self.blanks();
        while self.take("[") {
            conditions.push(self.condition()?);
            self.blanks();
        }
        Ok(Step { axis, test, conditions })
    }

    fn word(&mut self) -> Result<String, Fault> {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let length = self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        if length == 0 {
            return Err(self.fault("a name is expected here"));
        }
        let word = self.rest()[..length].to_string();
        self.at += length;
        Ok(word)
    }

    fn name(&mut self) -> Result<Test, Fault> {
        let first = self.word()?;
        if self.rest().starts_with("::") {
            return Err(self.fault("this axis is not understood"));
        }
        if self.rest().starts_with('(') {
            return Err(self.fault("this function is not understood"));
        }
        if !self.take(":") {
            return Ok(Test::Name { prefix: None, name: first });
        }
        let name = if self.take("*") { "*".into() } else { self.word()? };
        Ok(Test::Name { prefix: Some(first), name })
    }

    fn condition(&mut self) -> Result<Condition, Fault> {
        self.blanks();
        let digits = self.rest().find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest().len());
        let condition = if digits > 0 {
            let number = self.rest()[..digits]
                .parse()
                .map_err(|_| self.fault("this number is too large"))?;
            self.at += digits;
            Condition::Position(number)
        } else if self.take("last()") {
            Condition::Last
        } else {
            let path = self.path()?;
            self.blanks();
            let differs = self.take("!=");
            if differs || self.take("=") {
                let text = self.quoted()?;
                Condition::Compares { path, equal: !differs, text }
            } else {
                Condition::Exists(path)
            }
        };
        self.blanks();
        if self.take("]") {
            Ok(condition)
        } else {
            Err(self.fault("this condition is not understood"))
        }
    }

    fn quoted(&mut self) -> Result<String, Fault> {
        self.blanks();
        let quote = self.rest().chars().next().filter(|c| matches!(c, '\'' | '"'));
        let quote = quote.ok_or_else(|| self.fault("a text in quotes is expected here"))?;
        let end =
            self.rest()[1..].find(quote).ok_or_else(|| self.fault("this quote is not closed"))?;
        let text = self.rest()[1..=end].to_string();
        self.at += end + 2;
        Ok(text)
    }
}

/// What a path leads to from one place, in the order of the document.
fn walk<'a, 'input>(
    path: &[Step],
    from: Found<'a, 'input>,
    names: Names<'_>,
) -> Vec<Found<'a, 'input>> {
    let mut places = vec![from];
    for step in path {
        let mut next = Vec::new();
        for place in places {
            let Found::Node(node) = place else { continue };
            step.from(node, names, &mut next);
        }
        next.sort_by_key(Found::order);
        next.dedup_by_key(|found| found.order());
        places = next;
    }
    places
}

impl Step {
    fn from<'a, 'input>(
        &self,
        node: Node<'a, 'input>,
        names: Names<'_>,
        out: &mut Vec<Found<'a, 'input>>,
    ) {
        let descendants =
            || node.descendants().filter(|inner| inner.is_element() || inner.is_root());
        match self.axis {
            Axis::Child => self.add(node.children().map(Found::Node), names, out),
            // `//a[1]` is the first one of each element that it stands in.
            Axis::Descendant => {
                for inner in descendants() {
                    self.add(inner.children().map(Found::Node), names, out);
                }
            }
            Axis::Attribute => {
                self.add(node.attributes().map(|a| Found::Attribute(node, a)), names, out);
            }
            Axis::DescendantAttribute => {
                for inner in descendants() {
                    self.add(inner.attributes().map(|a| Found::Attribute(inner, a)), names, out);
                }
            }
            Axis::Parent => self.add(node.parent().into_iter().map(Found::Node), names, out),
            Axis::This => self.add(std::iter::once(Found::Node(node)), names, out),
        }
    }

    fn add<'a, 'input>(
        &self,
        candidates: impl Iterator<Item = Found<'a, 'input>>,
        names: Names<'_>,
        out: &mut Vec<Found<'a, 'input>>,
    ) {
        let mut found: Vec<_> = candidates.filter(|found| self.test.holds(found, names)).collect();
        for condition in &self.conditions {
            let count = found.len();
            let mut at = 0;
            found.retain(|found| {
                at += 1;
                condition.holds(*found, at, count, names)
            });
        }
        out.extend(found);
    }
}

impl Test {
    fn holds(&self, found: &Found<'_, '_>, names: Names<'_>) -> bool {
        let (name, space) = match found {
            Found::Node(node) if node.is_element() => {
                (node.tag_name().name(), node.tag_name().namespace())
            }
            Found::Node(node) => {
                return match self {
                    Test::Text => node.is_text(),
                    Test::Node => true,
                    _ => false,
                };
            }
            Found::Attribute(_, attribute) => (attribute.name(), attribute.namespace()),
        };
        match self {
            Test::Any | Test::Node => true,
            Test::Text => false,
            Test::Name { prefix: None, name: wanted } => {
                name == wanted && (space.is_none() || names.ignored)
            }
            Test::Name { prefix: Some(prefix), name: wanted } => {
                let configured = names
                    .namespaces
                    .iter()
                    .find(|(known, _)| known == prefix)
                    .map(|(_, uri)| uri.as_str());
                let uri = configured.or_else(|| {
                    found.node().document().root_element().lookup_namespace_uri(Some(prefix))
                });
                (wanted == "*" || name == wanted) && uri.is_some() && space == uri
            }
        }
    }
}

impl Condition {
    fn holds(&self, found: Found<'_, '_>, at: usize, count: usize, names: Names<'_>) -> bool {
        match self {
            Condition::Position(wanted) => at == *wanted,
            Condition::Last => at == count,
            Condition::Exists(path) => !walk(path, found, names).is_empty(),
            Condition::Compares { path, equal, text } => {
                walk(path, found, names).iter().any(|found| (found.text() == *text) == *equal)
            }
        }
    }
}

impl<'a, 'input> Found<'a, 'input> {
    fn node(&self) -> Node<'a, 'input> {
        match self {
            Found::Node(node) | Found::Attribute(node, _) => *node,
        }
    }

    /// The place in the document.
    fn order(&self) -> (u32, usize) {
        match self {
            Found::Node(node) => (node.id().get(), 0),
            Found::Attribute(node, attribute) => {
                let at = node.attributes().position(|other| other == *attribute);
                (node.id().get(), 1 + at.unwrap_or(0))
            }
        }
    }

    /// All text within.
    fn text(&self) -> String {
        match self {
            Found::Attribute(_, attribute) => attribute.value().to_string(),
            Found::Node(node) => {
                node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect()
            }
        }
    }

    fn name(&self, full: bool) -> String {
        let (name, space) = match self {
            Found::Node(node) => (node.tag_name().name(), node.tag_name().namespace()),
            Found::Attribute(_, attribute) => (attribute.name(), attribute.namespace()),
        };
        match space
            .and_then(|uri| self.node().lookup_prefix(uri))
            .filter(|prefix| full && !prefix.is_empty())
        {
            Some(prefix) => format!("{prefix}:{name}"),
            None => name.to_string(),
        }
    }

    /// An element as it is written in the document (or `plain`, without namespaces), anything else as its text.
    fn written(&self, plain: bool) -> String {
        match self {
            Found::Node(node) if plain && node.is_element() => {
                let mut out = String::new();
                write_plain(*node, &mut out);
                out
            }
            Found::Node(node) if node.is_element() || node.is_root() => {
                node.document().input_text()[node.range()].to_string()
            }
            other => other.text(),
        }
    }
}

/// An element without prefixes and declarations of namespaces.
fn write_plain(element: Node<'_, '_>, out: &mut String) {
    let start = |node: Node<'_, '_>, out: &mut String| {
        out.push('<');
        out.push_str(node.tag_name().name());
        for attribute in node.attributes() {
            out.push(' ');
            out.push_str(attribute.name());
            out.push_str("=\"");
            write_escaped(attribute.value(), out);
            out.push('"');
        }
        out.push_str(if node.has_children() { ">" } else { "/>" });
    };
    let end = |node: Node<'_, '_>, out: &mut String| {
        if node.is_element() && node.has_children() {
            out.push_str("</");
            out.push_str(node.tag_name().name());
            out.push('>');
        }
    };
    let mut node = element;
    loop {
        if node.is_element() {
            start(node, out);
        } else if let Some(text) = node.text().filter(|_| node.is_text()) {
            write_escaped(text, out);
        }
        if let Some(child) = node.first_child() {
            node = child;
            continue;
        }
        loop {
            end(node, out);
            if node == element {
                return;
            }
            if let Some(next) = node.next_sibling() {
                node = next;
                break;
            }
            let Some(parent) = node.parent() else { return };
            node = parent;
        }
    }
}

fn write_escaped(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}
