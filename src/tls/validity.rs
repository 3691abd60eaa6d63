//! When a server certificate holds, and when somebody is to be told that it does not, or soon will not (decision 17).

use std::fmt::{self, Write as _};

use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use x509_parser::prelude::{FromDer, X509Certificate};

/// How often what is wrong is said again.
const AGAIN: Duration = Duration::DAY;
/// The days before the end on which a warning is due.
const WARNINGS: [i64; 3] = [1, 7, 30];

/// When a chain of certificates holds: from the last of its beginnings to the first of its ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The serial number of the first certificate, hexadecimal, as `openssl x509 -serial` shows it.
    pub serial: String,
    /// The first second.
    pub not_before: OffsetDateTime,
    /// The last second.
    pub not_after: OffsetDateTime,
}

/// How a chain stands at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It ended.
    Expired,
    /// It ends within so many days: 1, 7 or 30.
    Ending(i64),
    /// It has not begun.
    NotYetValid,
    /// It holds, and will for some time.
    Valid,
}

impl Validity {
    /// That of a chain, leaf first; `None` if there is none, or if a certificate of it is malformed.
    pub fn of_chain(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let mut all: Option<Self> = None;
        for cert in chain {
            let (_, cert) = X509Certificate::from_der(cert).ok()?;
            let dates = cert.validity();
            let date = |timestamp| OffsetDateTime::from_unix_timestamp(timestamp).ok();
            let not_before = date(dates.not_before.timestamp())?;
            let not_after = date(dates.not_after.timestamp())?;
            match &mut all {
                None => {
                    all = Some(Self {
                        serial: hex(cert.raw_serial()),
                        not_before,
                        not_after,
                    });
                }
                Some(all) => {
                    all.not_before = all.not_before.max(not_before);
                    all.not_after = all.not_after.min(not_after);
                }
            }
        }
        all
    }

    /// How it stands at `now`. A warning that would come in the first two thirds of a short life is none.
    pub fn standing(&self, now: OffsetDateTime) -> Standing {
        if now > self.not_after {
            return Standing::Expired;
        }
        if now < self.not_before {
            return Standing::NotYetValid;
        }
        let (left, life) = (self.not_after - now, self.not_after - self.not_before);
        let due = |days: &i64| left <= Duration::days(*days) && Duration::days(*days) * 3 <= life;
        let warning = WARNINGS.into_iter().find(due);
        warning.map_or(Standing::Valid, Standing::Ending)
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "serial {}, valid until {}",
            self.serial,
            date(self.not_after)
        )
    }
}

/// What is to be told about a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether clients refuse the certificate now, rather than soon.
    pub is_error: bool,
    /// One sentence without full stop.
    pub text: String,
}

/// Remembers what has been told about one certificate.
pub struct Reminder {
    validity: Validity,
    told: Option<(Standing, OffsetDateTime)>,
}

impl Reminder {
    /// Nothing has been told yet.
    pub fn new(validity: Validity) -> Self {
        Self {
            validity,
            told: None,
        }
    }

    /// What is due at `now`: a warning 30 days, 7 days and a day before the end, an error when the certificate does not hold, and
    /// again every day.
    pub fn due(&mut self, now: OffsetDateTime) -> Option<Notice> {
        let standing = self.validity.standing(now);
        if let Some((told, at)) = self.told
            && told == standing
            && (matches!(standing, Standing::Ending(_)) || now - at < AGAIN)
        {
            return None;
        }
        let Validity {
            serial,
            not_before,
            not_after,
        } = &self.validity;
        let (is_error, what) = match standing {
            Standing::Valid => {
                self.told = None;
                return None;
            }
            Standing::Expired => (true, format!("expired on {}", date(*not_after))),
            Standing::NotYetValid => (true, format!("is not valid before {}", date(*not_before))),
            Standing::Ending(_) => (false, format!("expires on {}", date(*not_after))),
        };
        self.told = Some((standing, now));
        let remedy = if is_error {
            "clients that verify it cannot connect: replace the file, a restart is not needed"
        } else {
            "replace the file in time, a restart is not needed"
        };
        Some(Notice {
            is_error,
            text: format!("the TLS certificate with serial {serial} {what}; {remedy}"),
        })
    }
}

fn date(date: OffsetDateTime) -> String {
    date.format(&Rfc3339).unwrap_or_else(|_| date.to_string())
}

/// Without the leading zero that keeps a number positive.
fn hex(serial: &[u8]) -> String {
    let digits = match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    digits.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const END: OffsetDateTime = datetime!(2025-01-01 0:00 UTC);

    fn reminder(days: i64) -> Reminder {
        Reminder::new(Validity {
            serial: "0A".into(),
            not_before: END - Duration::days(days),
            not_after: END,
        })
    }

    #[test]
    fn the_end_is_announced_three_times_and_then_every_day() {
        let mut reminder = reminder(365);
        let mut notices = Vec::new();
        // Every two hours, from 40 days before to 3 days after.
        for hour in (-40 * 24..3 * 24).step_by(2) {
            if let Some(notice) = reminder.due(END + Duration::hours(hour)) {
                notices.push((hour, notice.is_error));
            }
        }
        let expected = [
            (-30 * 24, false),
            (-7 * 24, false),
            (-24, false),
            (2, true),
            (26, true),
            (50, true),
        ];
        assert_eq!(notices, expected);
    }

    #[test]
    fn a_late_start_gets_the_nearest_warning_only() {
        let mut reminder = reminder(365);
        let notice = reminder.due(END - Duration::days(3)).unwrap();
        assert!(!notice.is_error);
        assert_eq!(
            notice.text,
            "the TLS certificate with serial 0A expires on 2025-01-01T00:00:00Z; replace the file in time, a restart is not needed"
        );
        assert_eq!(reminder.due(END - Duration::days(2)), None);
    }

    #[test]
    fn one_that_has_not_begun_is_an_error_until_it_has() {
        let mut reminder = reminder(365);
        let begin = END - Duration::days(365);
        let notice = reminder.due(begin - Duration::hours(30)).unwrap();
        assert!(notice.is_error && notice.text.contains("is not valid before 2024-01-02"));
        assert_eq!(reminder.due(begin - Duration::hours(7)), None);
        assert!(reminder.due(begin - Duration::hours(6)).unwrap().is_error);
        assert_eq!(reminder.due(begin), None);
    }

    #[test]
    fn certificates_of_short_life_are_not_warned_about_all_the_time() {
        let mut day = reminder(1);
        assert_eq!(day.due(END - Duration::hours(1)), None);
        assert!(day.due(END + Duration::hours(1)).unwrap().is_error);
        let quarter = reminder(90).validity;
        assert_eq!(
            quarter.standing(END - Duration::days(30)),
            Standing::Ending(30)
        );
        let month = reminder(30).validity;
        assert_eq!(month.standing(END - Duration::days(20)), Standing::Valid);
        assert_eq!(month.standing(END - Duration::days(7)), Standing::Ending(7));
    }

    #[test]
    fn a_chain_holds_as_long_as_all_its_certificates() {
        let cert = |from: i32, to: i32| {
            let mut params = rcgen::CertificateParams::new(vec!["a".into()]).unwrap();
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
            params.serial_number = Some(rcgen::SerialNumber::from(vec![0x8f, 1]));
            let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
            params.self_signed(&key).unwrap().der().clone()
        };
        let validity = Validity::of_chain(&[cert(2020, 2030), cert(2021, 2025)]).unwrap();
        assert_eq!(
            (validity.not_before, validity.not_after),
            (datetime!(2021-01-01 0:00 UTC), END)
        );
        assert_eq!(
            validity.to_string(),
            "serial 8F01, valid until 2025-01-01T00:00:00Z"
        );
        assert_eq!(Validity::of_chain(&[]), None);
    }
}
