//! Who we are, shown to a broker.
//!
//! In: a user and a password. Out: what is sent to a broker, one message after another. Promises: with SCRAM the
//! password is never sent, and a broker that does not know it is told from one that does. On failure: a sentence.
//!
//! Sources: PLAIN: RFC 4616. SCRAM: RFC 5802 and RFC 7677; Kafka asks for no channel binding.

use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};

use crate::settings::{Secret, base64, base64_decoded};

/// More rounds than any broker asks for: one that is not ours shall not keep us busy.
const ROUNDS_MAX: u32 = 100_000;

/// The ways of showing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    /// As it is called on the network, and in settings.
    pub(super) const NAMES: &'static [(&'static str, Mechanism)] = &[
        ("PLAIN", Mechanism::Plain),
        ("SCRAM-SHA-256", Mechanism::ScramSha256),
        ("SCRAM-SHA-512", Mechanism::ScramSha512),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, mechanism)| *mechanism == self).map_or("", |(name, _)| name)
    }
}

/// A user.
pub(super) struct Login {
    pub(super) mechanism: Mechanism,
    pub(super) user: String,
    pub(super) password: Secret,
}

impl Login {
    /// What PLAIN sends.
    pub(super) fn plain(&self) -> Vec<u8> {
        format!("\0{}\0{}", self.user, self.password.reveal()).into_bytes()
    }

    /// Begins a conversation with SCRAM; `nonce`: letters that were never used before.
    pub(super) fn scram(&self, nonce: &str) -> Scram<'_> {
        let user = self.user.replace('=', "=3D").replace(',', "=2C");
        Scram { login: self, nonce: nonce.to_string(), first: format!("n={user},r={nonce}") }
    }
}

/// Our side of a conversation with SCRAM.
pub(super) struct Scram<'a> {
    login: &'a Login,
    nonce: String,
    first: String,
}

impl Scram<'_> {
    pub(super) fn first_message(&self) -> Vec<u8> {
        format!("n,,{}", self.first).into_bytes()
    }

    /// What we answer to the broker's first message, and what it must say at the end.
    ///
    /// # Errors
    /// Its message is none of SCRAM's, or not an answer to ours.
    pub(super) fn final_message(&self, challenge: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
        let wrong = || "the broker's answer is none of SCRAM".to_string();
        let challenge = std::str::from_utf8(challenge).map_err(|_| wrong())?;
        let part = |name: &str| challenge.split(',').find_map(|p| p.strip_prefix(name));
        let nonce = part("r=").filter(|n| n.starts_with(&self.nonce)).ok_or_else(wrong)?;
        let salt = part("s=").and_then(base64_decoded).ok_or_else(wrong)?;
        let rounds = part("i=").and_then(|n| n.parse::<NonZeroU32>().ok()).ok_or_else(wrong)?;
        if rounds.get() > ROUNDS_MAX {
            return Err(format!("the broker asks for {rounds} rounds of SCRAM, more than is safe"));
        }
        let ours = format!("c=biws,r={nonce}");
        let told = format!("{},{challenge},{ours}", self.first);
        let salted = self.salted(&salt, rounds);
        let client_key = self.keyed(&salted, b"Client Key");
        let stored_key = digest::digest(self.digest(), &client_key);
        let signature = self.keyed(stored_key.as_ref(), told.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let answer = format!("{ours},p={}", base64(&proof));
        let server_key = self.keyed(&salted, b"Server Key");
        let expected = format!("v={}", base64(&self.keyed(&server_key, told.as_bytes())));
        Ok((answer.into_bytes(), expected.into_bytes()))
    }

    fn salted(&self, salt: &[u8], rounds: NonZeroU32) -> Vec<u8> {
        let algorithm = match self.login.mechanism {
            Mechanism::ScramSha512 => pbkdf2::PBKDF2_HMAC_SHA512,
            _ => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let mut out = vec![0; self.digest().output_len()];
        let password = self.login.password.reveal().as_bytes();
        pbkdf2::derive(algorithm, rounds, salt, password, &mut out);
        out
    }

    fn keyed(&self, key: &[u8], text: &[u8]) -> Vec<u8> {
        let algorithm = match self.login.mechanism {
            Mechanism::ScramSha512 => hmac::HMAC_SHA512,
            _ => hmac::HMAC_SHA256,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), text).as_ref().to_vec()
    }

    fn digest(&self) -> &'static digest::Algorithm {
        match self.login.mechanism {
            Mechanism::ScramSha512 => &digest::SHA512,
            _ => &digest::SHA256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The conversation of RFC 7677, section 3.
    #[test]
    fn a_conversation_is_that_of_the_standard() {
        let (user, password) = ("user".to_string(), Secret::new("pencil"));
        let login = Login { mechanism: Mechanism::ScramSha256, user, password };
        let scram = login.scram("rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.first_message(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (answer, expected) = scram.final_message(challenge).unwrap();
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(expected, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_broker_that_does_not_answer_us_is_told_from_one_that_does() {
        let (user, password) = ("a=b,c".to_string(), Secret::new("p"));
        let login = Login { mechanism: Mechanism::ScramSha512, user, password };
        assert_eq!(login.scram("n").first_message(), b"n,,n=a=3Db=2Cc,r=n");
        for wrong in ["", "r=n1", "r=m,s=YQ==,i=1", "r=n1,s=?,i=1", "r=n1,s=YQ==,i=0", "\u{e9}"] {
            assert!(login.scram("n").final_message(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let busy = login.scram("n").final_message(b"r=n1,s=YQ==,i=4000000000").unwrap_err();
        assert!(busy.contains("more than is safe"), "{busy}");
        assert!(login.scram("n").final_message(b"r=n1,s=YQ==,i=4096").is_ok());
    }
}
