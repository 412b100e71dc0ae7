//! From the text of a search to what it asks for, with errors that say what could stand there.

use weir_sql::nearest;

use super::cursor::{Cursor, ends_word, in_name};
use super::{
    At, CONDITIONS_MAX, Call, Comparison, Condition, Direction, FUNCTIONS, Function, NESTING_MAX, REGEX_BYTES_MAX,
    ROWS_MAX, SEARCH_BYTES_MAX, STAGES, STAGES_MAX, Search, Stage, Test, Word,
};
use crate::error::{QueryError, QueryErrorCode};

/// The comparisons as they are written; longer ones before those they begin with.
const COMPARISONS: [(&str, Comparison); 6] = [
    (">=", Comparison::GreaterOrEqual),
    ("<=", Comparison::LessOrEqual),
    ("!=", Comparison::NotEqual),
    (">", Comparison::Greater),
    ("<", Comparison::Less),
    ("=", Comparison::Equal),
];

pub(super) fn search(text: &str) -> Result<Search, QueryError> {
    if text.len() > SEARCH_BYTES_MAX {
        let message = format!("the search has {} bytes; at most {SEARCH_BYTES_MAX} are read", text.len());
        return Err(QueryError::new(QueryErrorCode::TooLong, message));
    }
    let mut parser = Parser { cursor: Cursor::new(text), conditions: 0, depth: 0 };
    let condition = parser.condition()?;
    let stages = parser.stages()?;
    Ok(Search { text: text.to_owned(), condition, stages })
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    conditions: usize,
    depth: usize,
}

impl Parser<'_> {
    /// Everything up to the end, a pipe, or a bracket that closes.
    fn condition(&mut self) -> Result<Condition, QueryError> {
        let mut any = Vec::new();
        loop {
            let or = self.cursor.nth();
            let all = self.all()?;
            self.cursor.skip_blanks();
            let goes_on = self.cursor.take_keyword("OR");
            if all == Condition::Everything && (goes_on || !any.is_empty()) {
                return Err(self.cursor.error(or, "there is nothing on one side of OR").hint("a OR b"));
            }
            any.push(all);
            if !goes_on {
                break;
            }
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Condition::Any(any) })
    }

    fn all(&mut self) -> Result<Condition, QueryError> {
        let mut all = Vec::new();
        loop {
            self.cursor.skip_blanks();
            let before = self.cursor.nth();
            if self.cursor.take_keyword("OR") {
                self.cursor.back_to(before);
                break;
            }
            if !all.is_empty() && self.cursor.take_keyword("AND") {
                self.cursor.skip_blanks();
                if self.ended() {
                    return Err(self.cursor.error(before, "there is nothing after AND").hint("a AND b"));
                }
            }
            if self.ended() {
                break;
            }
            all.push(self.one()?);
        }
        Ok(match all.len() {
            0 => Condition::Everything,
            1 => all.remove(0),
            _ => Condition::All(all),
        })
    }

    fn ended(&self) -> bool {
        matches!(self.cursor.peek(), None | Some('|' | ')'))
    }

    fn one(&mut self) -> Result<Condition, QueryError> {
        self.conditions += 1;
        let nth = self.cursor.nth();
        if self.conditions > CONDITIONS_MAX {
            return Err(self.too_complex(nth, &format!("the search has more than {CONDITIONS_MAX} conditions")));
        }
        let dash = self.cursor.peek() == Some('-')
            && self.cursor.peek_after(1).is_some_and(|c| !ends_word(c) || c == '(' || c == '"');
        if (dash && self.cursor.take("-")) || self.cursor.take_keyword("NOT") {
            self.cursor.skip_blanks();
            if self.ended() {
                return Err(self
                    .cursor
                    .error(nth, "there is nothing after NOT")
                    .hint("NOT level:debug, or -level:debug"));
            }
            return self.deeper(nth, |parser| Ok(Condition::Not(Box::new(parser.one()?))));
        }
        match self.cursor.peek() {
            Some('(') => self.deeper(nth, Self::in_brackets),
            Some('"') => Ok(Condition::Text(Word { text: At { what: self.cursor.quoted()?, nth }, quoted: true })),
            Some(',') => {
                Err(self.cursor.error(nth, "a comma stands between nothing").hint("conditions are separated by blanks"))
            }
            _ => self.word_or_column(),
        }
    }

    fn deeper(
        &mut self,
        nth: usize,
        read: impl FnOnce(&mut Self) -> Result<Condition, QueryError>,
    ) -> Result<Condition, QueryError> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(self.too_complex(nth, &format!("conditions are nested more than {NESTING_MAX} deep")));
        }
        let condition = read(self)?;
        self.depth -= 1;
        Ok(condition)
    }

    fn in_brackets(&mut self) -> Result<Condition, QueryError> {
        let opened = self.cursor.nth();
        self.cursor.take("(");
        let condition = self.condition()?;
        self.cursor.skip_blanks();
        if !self.cursor.take(")") {
            return Err(self.cursor.error(opened, "the bracket is not closed").hint("write ) at its end"));
        }
        if condition == Condition::Everything {
            return Err(self.cursor.error(opened, "there is nothing in the brackets").hint("(a OR b)"));
        }
        Ok(condition)
    }

    fn word_or_column(&mut self) -> Result<Condition, QueryError> {
        let nth = self.cursor.nth();
        let name = self.cursor.take_while(in_name);
        // https://... and C:\... are texts
        let text_follows = matches!(self.cursor.peek_after(1), Some('/' | '\\' | ':'));
        if !name.is_empty() && self.cursor.peek() == Some(':') && !text_follows {
            self.cursor.take(":");
            self.cursor.skip_blanks();
            let column = At { what: name, nth };
            let test = self.test(&column)?;
            return Ok(Condition::Column(column, test));
        }
        self.cursor.back_to(nth);
        let text = At { what: self.cursor.take_while(|c| !ends_word(c)), nth };
        Ok(Condition::Text(Word { text, quoted: false }))
    }

    fn test(&mut self, column: &At<String>) -> Result<Test, QueryError> {
        let nth = self.cursor.nth();
        if self.cursor.take("~") {
            let regex = self.value(column)?.text;
            let built = regex::RegexBuilder::new(&regex.what).size_limit(REGEX_BYTES_MAX).build();
            built.map_err(|error| {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.cursor.error(regex.nth, format!("this is no regular expression: {why}"))
            })?;
            return Ok(Test::Matches(regex));
        }
        if let Some((_, comparison)) = COMPARISONS.into_iter().find(|(sign, _)| self.cursor.take(sign)) {
            return Ok(Test::Compared(comparison, self.value(column)?));
        }
        if self.cursor.take("(") {
            return self.one_of(column, nth);
        }
        let value = self.value(column)?;
        if value.quoted {
            return Ok(Test::OneOf(vec![value]));
        }
        if value.text.what == "*" {
            return Ok(Test::Exists);
        }
        match value.text.what.split_once("..") {
            Some((from, to)) if !from.is_empty() && !to.is_empty() => {
                let upper = value.text.nth + from.chars().count() + 2;
                let bound = |text: &str, nth| Word { text: At { what: text.to_owned(), nth }, quoted: false };
                Ok(Test::Between(bound(from, value.text.nth), bound(to, upper)))
            }
            _ => Ok(Test::OneOf(vec![value])),
        }
    }

    fn one_of(&mut self, column: &At<String>, opened: usize) -> Result<Test, QueryError> {
        let mut values = Vec::new();
        loop {
            self.cursor.skip_blanks();
            if self.cursor.take(")") {
                break;
            }
            if self.cursor.peek().is_none() {
                return Err(self.cursor.error(opened, "the bracket is not closed").hint("write ) at its end"));
            }
            if values.is_empty() || !(self.cursor.take(",") || self.cursor.take_keyword("OR")) {
                values.push(self.value(column)?);
                self.conditions += 1;
                if self.conditions > CONDITIONS_MAX {
                    return Err(
                        self.too_complex(opened, &format!("the search has more than {CONDITIONS_MAX} conditions"))
                    );
                }
            }
        }
        if values.is_empty() {
            return Err(self.cursor.error(opened, "there is nothing in the brackets").hint("level:(error OR warn)"));
        }
        Ok(Test::OneOf(values))
    }

    fn value(&mut self, column: &At<String>) -> Result<Word, QueryError> {
        self.cursor.skip_blanks();
        let nth = self.cursor.nth();
        if self.cursor.peek() == Some('"') {
            return Ok(Word { text: At { what: self.cursor.quoted()?, nth }, quoted: true });
        }
        let text = self.cursor.take_while(|c| !ends_word(c));
        if text.is_empty() {
            let name = &column.what;
            let error = self.cursor.error(nth, format!("a value for {name} is missing"));
            return Err(error.hint(format!("{name}:value, {name}:\"two words\", {name}:>5, {name}:* for any")));
        }
        Ok(Word { text: At { what: text, nth }, quoted: false })
    }

    fn too_complex(&self, nth: usize, message: &str) -> QueryError {
        QueryError { code: QueryErrorCode::TooComplex, ..self.cursor.error(nth, message) }
    }

    fn stages(&mut self) -> Result<Vec<Stage>, QueryError> {
        let mut stages = Vec::new();
        loop {
            self.cursor.skip_blanks();
            let nth = self.cursor.nth();
            if self.cursor.peek().is_none() {
                return Ok(stages);
            }
            if !self.cursor.take("|") {
                return Err(self.unexpected(nth, &stages));
            }
            if stages.len() == STAGES_MAX {
                return Err(self.too_complex(nth, &format!("the search has more than {STAGES_MAX} stages")));
            }
            stages.push(self.stage()?);
        }
    }

    fn unexpected(&self, nth: usize, stages: &[Stage]) -> QueryError {
        let found = self.cursor.peek().unwrap_or(' ');
        let error = self.cursor.error(nth, format!("\"{found}\" is not expected here"));
        match stages.last() {
            None => error.hint("a bracket that is not opened? In quotes it is a text"),
            Some(_) => error.hint("stages are separated by |"),
        }
    }

    fn stage(&mut self) -> Result<Stage, QueryError> {
        self.cursor.skip_blanks();
        let nth = self.cursor.nth();
        let name = self.cursor.take_while(in_name);
        match name.as_str() {
            "where" => match self.condition()? {
                Condition::Everything => Err(self.missing("a condition", "where took:>500")),
                condition => Ok(Stage::Where(condition)),
            },
            "count" => {
                let name = self.alias()?;
                let call = Call { function: Function::Count, column: None, name };
                Ok(Stage::Stats { calls: vec![call], by: self.by()? })
            }
            "stats" => {
                let calls = self.list(Self::call)?;
                Ok(Stage::Stats { calls, by: self.by()? })
            }
            "timeline" => Ok(Stage::Timeline { every: self.duration()?, by: self.by()?, nth }),
            "top" => Ok(Stage::Top(self.number("top 10 host")?, self.column("top 10 host")?)),
            "sort" => Ok(Stage::Sort(self.list(Self::order)?)),
            "limit" => Ok(Stage::Limit(self.number("limit 100")?)),
            "fields" => Ok(Stage::Fields(self.list(|parser| parser.column("fields ts, message"))?)),
            _ => Err(self.no_such_stage(nth, &name)),
        }
    }

    fn no_such_stage(&self, nth: usize, name: &str) -> QueryError {
        let names = STAGES.map(|(name, _)| name);
        let message = match name {
            "" => format!("a stage is missing after |; there are {}", names.join(", ")),
            _ => format!("there is no stage \"{name}\"; there are {}", names.join(", ")),
        };
        let error = self.cursor.error(nth, message);
        match nearest(name, names) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error,
        }
    }

    fn missing(&mut self, what: &str, example: &str) -> QueryError {
        self.cursor.skip_blanks();
        self.cursor.error(self.cursor.nth(), format!("{what} is missing here")).hint(example)
    }

    /// What `read` reads, once or more, separated by commas.
    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Result<T, QueryError>) -> Result<Vec<T>, QueryError> {
        let mut all = vec![read(self)?];
        loop {
            self.cursor.skip_blanks();
            if !self.cursor.take(",") {
                return Ok(all);
            }
            all.push(read(self)?);
        }
    }

    fn column(&mut self, example: &str) -> Result<At<String>, QueryError> {
        self.cursor.skip_blanks();
        let nth = self.cursor.nth();
        let what = match self.cursor.peek() {
            Some('"') => self.cursor.quoted()?,
            _ => self.cursor.take_while(in_name),
        };
        if what.is_empty() { Err(self.missing("a column", example)) } else { Ok(At { what, nth }) }
    }

    fn by(&mut self) -> Result<Vec<At<String>>, QueryError> {
        self.cursor.skip_blanks();
        if self.cursor.take_keyword("by") { self.list(|parser| parser.column("count by host")) } else { Ok(Vec::new()) }
    }

    fn alias(&mut self) -> Result<Option<String>, QueryError> {
        self.cursor.skip_blanks();
        if !self.cursor.take_keyword("as") {
            return Ok(None);
        }
        Ok(Some(self.column("count as errors")?.what))
    }

    fn call(&mut self) -> Result<Call, QueryError> {
        const EXAMPLE: &str = "stats count(), p95(took) by app";
        self.cursor.skip_blanks();
        let nth = self.cursor.nth();
        let name = self.cursor.take_while(in_name);
        let function = function_named(&name).ok_or_else(|| self.no_such_function(nth, &name))?;
        if !self.cursor.take("(") {
            return Err(self.missing(&format!("( after {name}"), EXAMPLE));
        }
        self.cursor.skip_blanks();
        let column = match self.cursor.peek() {
            Some(')') if function == Function::Count => None,
            _ => Some(self.column(EXAMPLE)?),
        };
        self.cursor.skip_blanks();
        if !self.cursor.take(")") {
            return Err(self.missing(&format!("the ) of {name}"), EXAMPLE));
        }
        Ok(Call { function, column, name: self.alias()? })
    }

    fn no_such_function(&self, nth: usize, name: &str) -> QueryError {
        let names = FUNCTIONS.map(|(name, _)| name);
        let message = match name {
            "" => format!("a function is missing here; there are {}", names.join(", ")),
            _ => format!("there is no function \"{name}\"; there are {}", names.join(", ")),
        };
        let error = self.cursor.error(nth, message);
        match nearest(name, names) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("percentiles are p50, p95, p99.9; SQL has all other functions"),
        }
    }

    fn order(&mut self) -> Result<(At<String>, Direction), QueryError> {
        let column = self.column("sort count desc")?;
        self.cursor.skip_blanks();
        let direction = if self.cursor.take_keyword("desc") {
            Direction::Descending
        } else {
            self.cursor.take_keyword("asc");
            Direction::Ascending
        };
        Ok((column, direction))
    }

    fn number(&mut self, example: &str) -> Result<u64, QueryError> {
        self.cursor.skip_blanks();
        let nth = self.cursor.nth();
        let digits = self.cursor.take_while(|c| c.is_ascii_alphanumeric());
        if digits.is_empty() {
            return Err(self.missing("a number", example));
        }
        match digits.parse() {
            Ok(number) if (1..=ROWS_MAX).contains(&number) => Ok(number),
            _ => Err(self.cursor.error(nth, format!("\"{digits}\" should be a number from 1 to {ROWS_MAX}"))),
        }
    }

    /// A duration such as `5m`, in microseconds.
    fn duration(&mut self) -> Result<i64, QueryError> {
        const EXAMPLE: &str = "timeline 5m by level";
        self.cursor.skip_blanks();
        let nth = self.cursor.nth();
        let text = self.cursor.take_while(|c| c.is_ascii_alphanumeric());
        if text.is_empty() {
            return Err(self.missing("a span of time", EXAMPLE));
        }
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &text[digits.len()..] {
            "ms" => Some(1_000),
            "s" => Some(1_000_000),
            "m" => Some(60_000_000),
            "h" => Some(3_600_000_000),
            "d" => Some(86_400_000_000),
            _ => None,
        };
        let number = digits.parse::<i64>().ok().filter(|number| *number > 0);
        let micros = number.zip(unit).and_then(|(number, unit): (i64, i64)| number.checked_mul(unit));
        micros.ok_or_else(|| {
            self.cursor
                .error(nth, format!("\"{text}\" is no span of time"))
                .hint("10s, 5m, 1h or 1d: timeline 5m by level")
        })
    }
}

fn function_named(name: &str) -> Option<Function> {
    match name {
        "count" => Some(Function::Count),
        "distinct" => Some(Function::Distinct),
        "sum" => Some(Function::Sum),
        "avg" => Some(Function::Avg),
        "min" => Some(Function::Min),
        "max" => Some(Function::Max),
        _ => percentile(name.strip_prefix('p')?).map(Function::Percentile),
    }
}

/// Tenths of a percent of `95` or `99.9`.
fn percentile(text: &str) -> Option<u16> {
    let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(tenth) || tenth.len() > 1 {
        return None;
    }
    let tenths = whole.parse::<u16>().ok()?.checked_mul(10)?.checked_add(tenth.parse().ok()?)?;
    (1..1_000).contains(&tenths).then_some(tenths)
}
