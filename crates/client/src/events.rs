//! The event feed: server-sent events (HTML Living Standard §9.2) that resume where they broke off.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::{Method, Response, header};
use tenure_api::log::FeedEvent;

use crate::transport::{chunk, open};
use crate::{Client, ClientError};

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// The longest line that is read: an event of the largest leaf, with what JSON escapes.
const MAX_LINE: usize = 1024 * 1024;

/// The feed. [`EventStream::next`] waits for the next event.
#[derive(Debug)]
pub struct EventStream {
    client: Client,
    after: Option<u64>,
    response: Option<Response>,
    parser: Parser,
    wait: Duration,
    follow: bool,
}

impl Client {
    /// `GET /v1/events`: every event behind the position `after`, or from the first on, as it happens.
    pub fn events(&self, after: Option<u64>) -> EventStream {
        EventStream {
            client: self.clone(),
            after,
            response: None,
            parser: Parser::default(),
            wait: FIRST_WAIT,
            follow: true,
        }
    }
}

impl EventStream {
    /// Doesn't reconnect: an interruption becomes an error.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.follow = false;
        self
    }

    /// The log index of the last event that was handed out; give it as `after` to resume.
    pub const fn position(&self) -> Option<u64> {
        self.after
    }

    /// The next event. After an interruption the feed is taken up again behind the last event, for as long as it takes;
    /// none is lost and none comes twice.
    ///
    /// # Errors
    /// The server refuses the feed, or sends what is no event.
    pub async fn next(&mut self) -> Result<FeedEvent, ClientError> {
        loop {
            if let Some(data) = self.parser.events.pop_front() {
                let event: FeedEvent = serde_json::from_str(&data)
                    .map_err(|error| ClientError::Unexpected(format!("the feed sent what is no event: {error}")))?;
                self.after = Some(event.position.index);
                self.wait = FIRST_WAIT;
                return Ok(event);
            }
            let failed = match self.read().await {
                Ok(()) => continue,
                Err(error) => error,
            };
            self.response = None;
            let passes = match &failed {
                ClientError::Transport(_) => true,
                ClientError::Problem(problem) => problem.status >= 500,
                ClientError::OAuth(_) | ClientError::Unexpected(_) | ClientError::Configuration(_) => false,
            };
            if !passes || !self.follow {
                return Err(failed);
            }
            tokio::time::sleep(self.wait).await;
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn read(&mut self) -> Result<(), ClientError> {
        if self.response.is_none() {
            let mut request =
                self.client.stream_request(Method::GET, "/v1/events").header(header::ACCEPT, "text/event-stream");
            if let Some(after) = self.after {
                request = request.header("last-event-id", after.to_string());
            }
            self.parser = Parser::default();
            self.response = Some(open(request).await?);
        }
        let Some(response) = self.response.as_mut() else {
            return Ok(());
        };
        match chunk(response).await? {
            Some(bytes) => self.parser.push(bytes.as_ref()),
            None => Err(ClientError::Transport("the feed ended".into())),
        }
    }
}

/// Takes a stream of bytes apart into the data of its events. Ids and types are in the data as well.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    data: Option<String>,
    events: VecDeque<String>,
}

impl Parser {
    fn push(&mut self, chunk: &[u8]) -> Result<(), ClientError> {
        for &byte in chunk {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.end_of_line(line.strip_suffix(b"\r").unwrap_or(&line));
            } else if self.line.len() < MAX_LINE {
                self.line.push(byte);
            } else {
                return Err(ClientError::Unexpected("the feed sent a line that is too long".into()));
            }
        }
        Ok(())
    }

    fn end_of_line(&mut self, line: &[u8]) {
        if line.is_empty() {
            self.events.extend(self.data.take());
        } else if let Some(value) = line.strip_prefix(b"data:") {
            let text = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value)).into_owned();
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(&text);
                }
                None => self.data = Some(text),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_wherever_the_chunks_end() {
        let stream =
            b": keep-alive\n\nid: 1\nevent: a\ndata: {\"x\":\ndata: 1}\n\nid: 2\r\ndata:two\r\n\r\ndata: unfinished";
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            stream.chunks(size).for_each(|chunk| parser.push(chunk).unwrap());
            assert_eq!(parser.events, ["{\"x\":\n1}", "two"], "chunks of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        assert!(Parser::default().push(&vec![b'x'; MAX_LINE + 1]).is_err());
    }
}
