//! Finds the values of certain fields in a record. Fields inside objects are named with dots; a key that has the dots
//! in itself (`{"log.level": "INFO"}`) is the same field. Of several the last wins.

use hashbrown::HashMap;

use super::escape::unescape;
use super::key_order::KeyOrder;
use super::scan::{Fault, Scanner, Span, Token};

/// A name with more parts than this is looked for with all of its dots as objects, or with none.
const PARTS_SPLIT_MAX: usize = 4;

/// No path, no node.
const NONE: u32 = u32::MAX;

/// The fields to find, and what the last record had for them.
#[derive(Debug)]
pub(crate) struct Paths {
    names: Vec<String>,
    found: Vec<Option<Token>>,
    nodes: Vec<Node>,
    /// Counts records, to tell what was met in this one.
    record: u64,
}

/// An object in which wanted fields are.
#[derive(Debug, Default)]
struct Node {
    order: KeyOrder<Meaning>,
    members: HashMap<Box<[u8]>, Meaning>,
    /// The record in which this object was last met.
    met_in: u64,
}

/// What a key stands for: a field to find, an object with such fields in it, both, or neither.
#[derive(Clone, Copy, Debug)]
struct Meaning {
    path: u32,
    node: u32,
}

const NOTHING: Meaning = Meaning { path: NONE, node: NONE };

impl Default for Paths {
    fn default() -> Self {
        Self { names: Vec::new(), found: Vec::new(), nodes: vec![Node::default()], record: 0 }
    }
}

impl Paths {
    /// Adds a field, and yields its number.
    pub(crate) fn add(&mut self, name: &str) -> u32 {
        if let Some(path) = self.names.iter().position(|known| known == name) {
            return path as u32;
        }
        let path = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.found.push(None);
        let parts: Vec<&str> = name.split('.').collect();
        self.insert(0, &parts, path);
        path
    }

    fn insert(&mut self, node: usize, parts: &[&str], path: u32) {
        for joined in
            (1..=parts.len()).filter(|joined| parts.len() <= PARTS_SPLIT_MAX || *joined == 1 || *joined == parts.len())
        {
            let key = parts[..joined].join(".").into_bytes().into_boxed_slice();
            let new_node = self.nodes.len();
            let meaning = self.nodes[node].members.entry(key).or_insert(NOTHING);
            if joined == parts.len() {
                meaning.path = path;
                continue;
            }
            if meaning.node == NONE {
                meaning.node = new_node as u32;
            }
            let child = meaning.node as usize;
            if child == new_node {
                self.nodes.push(Node::default());
            }
            self.insert(child, &parts[joined..], path);
        }
    }

    /// What the last record had for field `path`.
    #[inline]
    pub(crate) fn found(&self, path: u32) -> Option<Token> {
        self.found[path as usize]
    }

    /// Walks over a record, which has to be one object and nothing else.
    #[inline]
    pub(crate) fn read(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        self.found.fill(None);
        self.record += 1;
        scanner.skip_space();
        scanner.take(b'{', "a JSON object")?;
        self.object(0, scanner, 1)?;
        scanner.finish()
    }

    /// Walks over the object whose opening brace was taken; its members are nested `depth` deep.
    fn object(&mut self, node: usize, scanner: &mut Scanner<'_>, depth: usize) -> Result<(), Fault> {
        self.nodes[node].met_in = self.record;
        scanner.skip_space();
        if scanner.peek() == Some(b'}') {
            scanner.advance(1);
            return Ok(());
        }
        let mut place = 0;
        loop {
            let meaning = match self.nodes[node].order.recognise(place, scanner.ahead()) {
                Some((bytes, meaning, next)) => {
                    scanner.advance(bytes);
                    scanner.skip_space();
                    place = next;
                    meaning
                }
                None => self.look_up(node, scanner)?,
            };
            if meaning.node != NONE {
                self.descend(meaning, scanner, depth)?;
            } else {
                let token = scanner.value(depth)?;
                if meaning.path != NONE {
                    self.found[meaning.path as usize] = Some(token);
                }
            }
            if !scanner.comma_or(b'}', "\",\" or \"}\"")? {
                return Ok(());
            }
        }
    }

    #[cold]
    fn look_up(&mut self, node: usize, scanner: &mut Scanner<'_>) -> Result<Meaning, Fault> {
        let key = scanner.key()?;
        let node = &mut self.nodes[node];
        match key {
            Token::Escaped(span) => {
                let mut text = Vec::new();
                unescape(span.of(scanner.record()), &mut text);
                Ok(node.members.get(text.as_slice()).copied().unwrap_or(NOTHING))
            }
            Token::Plain(span) => {
                let text = span.of(scanner.record());
                let meaning = node.members.get(text).copied().unwrap_or(NOTHING);
                node.order.learn(text, meaning);
                Ok(meaning)
            }
            Token::Null | Token::Bool(_) | Token::Number(_) | Token::Object(_) | Token::Array(_) => Ok(NOTHING),
        }
    }

    fn descend(&mut self, meaning: Meaning, scanner: &mut Scanner<'_>, depth: usize) -> Result<(), Fault> {
        let child = meaning.node as usize;
        if self.nodes[child].met_in == self.record {
            self.forget(child);
        }
        let token = if scanner.peek() == Some(b'{') {
            let start = scanner.at() as u32;
            scanner.advance(1);
            self.object(child, scanner, depth + 1)?;
            Token::Object(Span { start, end: scanner.at() as u32 })
        } else {
            scanner.value(depth)?
        };
        if meaning.path != NONE {
            self.found[meaning.path as usize] = Some(token);
        }
        Ok(())
    }

    /// The object came before in this record: what was found in it does not count.
    #[cold]
    fn forget(&mut self, node: usize) {
        let members: Vec<Meaning> = self.nodes[node].members.values().copied().collect();
        for meaning in members {
            if meaning.path != NONE {
                self.found[meaning.path as usize] = None;
            }
            if meaning.node != NONE {
                self.forget(meaning.node as usize);
            }
        }
    }
}
