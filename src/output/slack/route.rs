//! Who is told of events of a severity, and how: routes, in Alertmanager's words.
//!
//! In: the output's table and its `[[routes]]`. Out: [`Routes`]. Promises: the first route that names an event's
//! severity takes it, the output's own settings take the rest; what a route does not say it takes from the output.
//! On failure: each problem is reported with its place.

use std::sync::Arc;
use std::time::Duration;

use super::hours::Hours;
use crate::diagnostic::did_you_mean;
use crate::settings::{Secret, Section, Spanned};

/// All routes of an output; the last one takes what no other names.
#[derive(Debug)]
pub(super) struct Routes {
    pub(super) routes: Vec<Route>,
    /// The addresses that receivers name by their number.
    pub(super) webhooks: Vec<Secret>,
}

#[derive(Clone, Debug)]
pub(super) struct Route {
    /// In small letters.
    severities: Vec<String>,
    pub(super) to: Receiver,
    /// How long after it was told a kind of message is held back.
    pub(super) repeat_interval: Duration,
    /// When nobody is told.
    mute: Vec<Arc<Hours>>,
    pub(super) escalation: Option<Escalation>,
}

/// Where a message goes, and how it looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Receiver {
    pub(super) webhook: usize,
    pub(super) channel: Option<String>,
    pub(super) color: Option<String>,
    /// As Slack wants it: `<!here>`, `<@U012AB3CD>`.
    pub(super) mention: String,
}

/// Another receiver for what does not end.
#[derive(Clone, Debug)]
pub(super) struct Escalation {
    pub(super) after: Duration,
    pub(super) to: Receiver,
}

/// What the routes of an output have in common.
struct Common {
    intervals: Vec<(String, Option<Arc<Hours>>)>,
    webhooks: Vec<Secret>,
}

impl Routes {
    /// `None`: something is missing, and was reported.
    pub(super) fn load(section: &Section<'_>) -> Option<Routes> {
        let mut common = Common { intervals: Vec::new(), webhooks: Vec::new() };
        for (name, table) in section.named_sections("time_intervals") {
            common.intervals.push((name.value, Hours::load(&table).map(Arc::new)));
        }
        if section.item("webhook_url").is_none() {
            section.missing("webhook_url", "\"${SLACK_WEBHOOK_URL}\"");
        }
        let rest = common.route(section, None);
        let mut routes: Vec<Route> = Vec::new();
        for table in section.sections("routes") {
            let severities = table.required_strings("severity", "[\"critical\", \"fatal\"]");
            let mut route = common.route(&table, Some(&rest));
            for severity in severities {
                let small = severity.to_lowercase();
                if let Some(before) = routes.iter().position(|r| r.severities.contains(&small)) {
                    let message = format!("\"{}\" is a severity of an earlier route", *severity);
                    let hint = format!("`routes[{}]` takes it; leave it out here", before + 1);
                    table.error(severity.span, message, Some(hint));
                }
                route.severities.push(small);
            }
            route.escalation = table.section("escalation").map(|inner| {
                let after = inner.duration_or("after", Duration::from_secs(15 * 60));
                let to = common
                    .receiver(&inner, &Receiver { mention: String::new(), ..route.to.clone() });
                inner.finish();
                Escalation { after, to }
            });
            table.finish();
            routes.push(route);
        }
        routes.push(rest);
        (!common.webhooks.is_empty()).then_some(Routes { routes, webhooks: common.webhooks })
    }

    /// The number of the route that takes a severity.
    pub(super) fn of(&self, severity: &str) -> usize {
        let names = |route: &Route| route.severities.iter().any(|s| *s == severity);
        self.routes.iter().position(names).unwrap_or(self.routes.len() - 1)
    }
}

impl Route {
    pub(super) fn is_mute(&self, wall_ns: i64) -> bool {
        self.mute.iter().any(|hours| hours.contain(wall_ns))
    }

    /// A route to one channel without more.
    #[cfg(test)]
    pub(super) fn plain(channel: &str) -> Route {
        let to = Receiver { channel: Some(channel.to_string()), ..Receiver::default() };
        let (severities, mute) = (Vec::new(), Vec::new());
        Route { severities, to, repeat_interval: Duration::ZERO, mute, escalation: None }
    }
}

impl Common {
    fn route(&mut self, section: &Section<'_>, from: Option<&Route>) -> Route {
        let to = self.receiver(section, &from.map(|route| route.to.clone()).unwrap_or_default());
        let repeat = from.map_or(Duration::ZERO, |route| route.repeat_interval);
        let repeat_interval = section.duration_or("repeat_interval", repeat);
        let mute = match section.strings("mute_time_intervals") {
            Some(names) => names.iter().filter_map(|name| self.interval(section, name)).collect(),
            None => from.map(|route| route.mute.clone()).unwrap_or_default(),
        };
        Route { severities: Vec::new(), to, repeat_interval, mute, escalation: None }
    }

    fn receiver(&mut self, section: &Section<'_>, from: &Receiver) -> Receiver {
        let channel = section.string("channel").map(|channel| channel.value);
        let color = section.string("color").filter(|color| is_color(section, color));
        let mention = section.strings("mention").map(|who| {
            let shown: Vec<String> = who.iter().filter_map(|name| mention(section, name)).collect();
            shown.join(" ")
        });
        let webhook = section.secret("webhook_url").and_then(|url| self.webhook(section, &url));
        Receiver {
            webhook: webhook.unwrap_or(from.webhook),
            channel: channel.or_else(|| from.channel.clone()),
            color: color.map(|c| c.value).or_else(|| from.color.clone()),
            mention: mention.unwrap_or_else(|| from.mention.clone()),
        }
    }

    fn webhook(&mut self, section: &Section<'_>, url: &Spanned<Secret>) -> Option<usize> {
        if !url.reveal().starts_with("https://") && !url.reveal().starts_with("http://") {
            let hint = "copy the address that Slack shows under Incoming Webhooks".to_string();
            section.error(url.span.clone(), "`webhook_url` is not a web address", Some(hint));
            return None;
        }
        let known = self.webhooks.iter().position(|known| *known == url.value);
        Some(known.unwrap_or_else(|| {
            self.webhooks.push(url.value.clone());
            self.webhooks.len() - 1
        }))
    }

    fn interval(&self, section: &Section<'_>, name: &Spanned<String>) -> Option<Arc<Hours>> {
        if let Some((_, hours)) = self.intervals.iter().find(|(known, _)| *known == **name) {
            return hours.clone();
        }
        let message = format!("`mute_time_intervals` names `{}`, which does not exist", **name);
        let known = self.intervals.iter().map(|(name, _)| name.as_str());
        let hint = did_you_mean(name, known).map_or_else(
            || format!("write it as a table `time_intervals.{}` of the output", **name),
            |nearest| format!("did you mean `{nearest}`?"),
        );
        section.error(name.span.clone(), message, Some(hint));
        None
    }
}

fn is_color(section: &Section<'_>, color: &Spanned<String>) -> bool {
    let hex = |digits: &str| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let known = ["good", "warning", "danger"].contains(&color.as_str())
        || color.strip_prefix('#').is_some_and(hex);
    if !known {
        let message = format!("`color` is \"{}\", which is no color of Slack", **color);
        let hint = "write \"good\", \"warning\", \"danger\", or a value such as \"#d40e0d\"";
        section.error(color.span.clone(), message, Some(hint.to_string()));
    }
    known
}

/// `@here`, `@channel`, `@everyone`, or the ID of a person (`U…`, `W…`) or of a group (`S…`).
fn mention(section: &Section<'_>, name: &Spanned<String>) -> Option<String> {
    let id = |text: &str| {
        text.len() > 4 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    match name.as_str() {
        "@here" | "@channel" | "@everyone" => Some(format!("<!{}>", &name[1..])),
        person if id(person) && person.starts_with(['U', 'W']) => Some(format!("<@{person}>")),
        group if id(group) && group.starts_with('S') => Some(format!("<!subteam^{group}>")),
        _ => {
            let message =
                format!("`mention` holds \"{}\", which Slack would not understand", **name);
            let hint = "write \"@here\", \"@channel\", \"@everyone\", or an ID: of a person such as \
                        \"U012AB3CD\" (profile, copy member ID), of a group such as \"S012AB3CD\"";
            section.error(name.span.clone(), message, Some(hint.to_string()));
            None
        }
    }
}
