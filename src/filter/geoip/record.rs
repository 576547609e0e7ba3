//! What a database says about an address, as the JSON of the target.
//!
//! In: a record of any of `MaxMind`'s databases (City, Country, ASN, ISP, Enterprise, by
//! "Databases" of their documentation). Out: an object with Logstash's names, of before the Elastic Common Schema or
//! of it.
//! Promises: what the record does not have is left out; names are the English ones.

use std::net::IpAddr;

use super::format::{Fault, View};
use crate::event::write_string;

/// The parts of a record that are used; each database has some of them.
#[derive(Debug, Default)]
pub(super) struct Record {
    city: Named,
    continent: Named,
    country: Named,
    location: Location,
    postal: Named,
    /// The largest, which stands first.
    subdivision: Named,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<String>,
    isp: Option<String>,
    organization: Option<String>,
}

#[derive(Debug, Default)]
struct Named {
    code: Option<String>,
    iso_code: Option<String>,
    /// In English.
    name: Option<String>,
}

#[derive(Debug, Default)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
    metro_code: Option<u32>,
    time_zone: Option<String>,
}

impl Record {
    /// Reads the record at a place.
    pub(super) fn read(view: &mut View<'_>, at: u64) -> Result<Record, Fault> {
        let mut record = Record::default();
        view.map(at, |view, key, at| {
            match key {
                b"city" => record.city = Named::read(view, at)?,
                b"continent" => record.continent = Named::read(view, at)?,
                b"country" => record.country = Named::read(view, at)?,
                b"location" => record.location = Location::read(view, at)?,
                b"postal" => record.postal = Named::read(view, at)?,
                b"subdivisions" => {
                    if let Some(first) = view.first_item(at)? {
                        record.subdivision = Named::read(view, first)?;
                    }
                }
                b"autonomous_system_number" => {
                    record.autonomous_system_number = u32::try_from(view.whole(at)?).ok();
                }
                b"autonomous_system_organization" => {
                    record.autonomous_system_organization = Some(view.text(at)?);
                }
                b"isp" => record.isp = Some(view.text(at)?),
                b"organization" => record.organization = Some(view.text(at)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(record)
    }
}

impl Named {
    fn read(view: &mut View<'_>, at: u64) -> Result<Named, Fault> {
        let mut named = Named::default();
        view.map(at, |view, key, at| {
            match key {
                b"code" => named.code = Some(view.text(at)?),
                b"iso_code" => named.iso_code = Some(view.text(at)?),
                b"names" => {
                    if let Some(at) = view.member(at, b"en")? {
                        named.name = Some(view.text(at)?);
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(named)
    }
}

impl Location {
    fn read(view: &mut View<'_>, at: u64) -> Result<Location, Fault> {
        let mut location = Location::default();
        view.map(at, |view, key, at| {
            match key {
                b"latitude" => location.latitude = Some(view.fraction(at)?),
                b"longitude" => location.longitude = Some(view.fraction(at)?),
                b"metro_code" => location.metro_code = u32::try_from(view.whole(at)?).ok(),
                b"time_zone" => location.time_zone = Some(view.text(at)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(location)
    }
}

/// A field of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names)] // they are the names of the fields
pub(super) enum Name {
    Ip,
    CityName,
    ContinentCode,
    ContinentName,
    CountryCode2,
    CountryCode3,
    CountryName,
    DmaCode,
    Latitude,
    Location,
    Longitude,
    PostalCode,
    RegionCode,
    RegionName,
    Timezone,
    Asn,
    AsOrg,
    Isp,
    Organization,
    RegionIsoCode,
}

/// The groups of the Elastic Common Schema, each with a name's place in it.
const ECS: &[(&str, &[(&str, Name)])] = &[
    ("", &[("ip", Name::Ip)]),
    (
        "geo",
        &[
            ("city_name", Name::CityName),
            ("continent_code", Name::ContinentCode),
            ("continent_name", Name::ContinentName),
            ("country_iso_code", Name::CountryCode2),
            ("country_name", Name::CountryName),
            ("location", Name::Location),
            ("postal_code", Name::PostalCode),
            ("region_iso_code", Name::RegionIsoCode),
            ("region_name", Name::RegionName),
            ("timezone", Name::Timezone),
        ],
    ),
    ("as", &[("number", Name::Asn), ("organization", Name::AsOrg)]),
    (
        "mmdb",
        &[("dma_code", Name::DmaCode), ("isp", Name::Isp), ("organization", Name::Organization)],
    ),
];

impl Name {
    /// Other words that Logstash takes for some of them.
    pub(super) const OTHER: &[(&str, Name)] = &[
        ("autonomous_system_number", Name::Asn),
        ("autonomous_system_organization", Name::AsOrg),
        ("region_iso_code", Name::RegionIsoCode),
    ];

    /// All of them, in the order in which they are written. `country_code3` is the same two letters
    /// as `country_code2`, as in Logstash: the databases have no third one.
    pub(super) const ALL: &[(&str, Name)] = &[
        ("ip", Name::Ip),
        ("city_name", Name::CityName),
        ("continent_code", Name::ContinentCode),
        ("continent_name", Name::ContinentName),
        ("country_code2", Name::CountryCode2),
        ("country_code3", Name::CountryCode3),
        ("country_name", Name::CountryName),
        ("dma_code", Name::DmaCode),
        ("latitude", Name::Latitude),
        ("longitude", Name::Longitude),
        ("location", Name::Location),
        ("postal_code", Name::PostalCode),
        ("region_code", Name::RegionCode),
        ("region_name", Name::RegionName),
        ("timezone", Name::Timezone),
        ("asn", Name::Asn),
        ("as_org", Name::AsOrg),
        ("isp", Name::Isp),
        ("organization", Name::Organization),
    ];

    fn word(self) -> &'static str {
        Name::ALL.iter().find(|(_, name)| *name == self).map_or("", |(word, _)| *word)
    }
}

/// A part that is a text.
fn text_of(text: Option<&String>) -> Option<Part<'_>> {
    text.map(|text| Part::Text(text))
}

enum Part<'a> {
    Text(&'a str),
    Whole(u32),
    Fraction(f64),
    Point(f64, f64),
    /// Two codes with a hyphen between them.
    Codes(&'a str, &'a str),
    /// An object with this name.
    Within(&'a str),
}

impl Record {
    /// Writes the object; `false` when the record has none of the names but the address itself.
    pub(super) fn write(&self, address: IpAddr, names: &[Name], out: &mut Vec<u8>) -> bool {
        let ip = address.to_string();
        let mut any = false;
        out.push(b'{');
        for name in names {
            let part = match name {
                Name::Ip => Some(Part::Text(&ip)),
                // It has a name in the schema only.
                Name::RegionIsoCode => None,
                other => self.part(*other),
            };
            let Some(part) = part else { continue };
            if out.len() > 1 {
                out.push(b',');
            }
            any |= *name != Name::Ip;
            write_string(name.word().as_bytes(), out);
            out.push(b':');
            part.write(out);
        }
        out.push(b'}');
        any
    }

    /// As [`Record::write`], with the names and groups of the Elastic Common Schema.
    pub(super) fn write_ecs(&self, address: IpAddr, names: &[Name], out: &mut Vec<u8>) -> bool {
        let ip = address.to_string();
        let mut any = false;
        out.push(b'{');
        for (group, members) in ECS {
            let begin = out.len();
            if !group.is_empty() {
                separate(out);
                write_string(group.as_bytes(), out);
                out.extend_from_slice(b":{");
            }
            let empty = out.len();
            for (word, name) in members.iter().filter(|(_, name)| is_wanted(names, *name)) {
                let part = match name {
                    Name::Ip => Some(Part::Text(&ip)),
                    Name::AsOrg => self.autonomous_system_organization.as_deref().map(Part::Within),
                    other => self.part(*other),
                };
                let Some(part) = part else { continue };
                any |= *name != Name::Ip;
                separate(out);
                write_string(word.as_bytes(), out);
                out.push(b':');
                part.write(out);
            }
            match (group.is_empty(), out.len() == empty) {
                (true, _) => {}
                (false, true) => out.truncate(begin),
                (false, false) => out.push(b'}'),
            }
        }
        out.push(b'}');
        any
    }

    fn part(&self, name: Name) -> Option<Part<'_>> {
        let place = &self.location;
        match name {
            Name::Ip => None,
            Name::CityName => text_of(self.city.name.as_ref()),
            Name::ContinentCode => text_of(self.continent.code.as_ref()),
            Name::ContinentName => text_of(self.continent.name.as_ref()),
            Name::CountryCode2 | Name::CountryCode3 => text_of(self.country.iso_code.as_ref()),
            Name::CountryName => text_of(self.country.name.as_ref()),
            Name::DmaCode => place.metro_code.map(Part::Whole),
            Name::Latitude => place.latitude.filter(|n| n.is_finite()).map(Part::Fraction),
            Name::Longitude => place.longitude.filter(|n| n.is_finite()).map(Part::Fraction),
            Name::Location => {
                let point = place.latitude.zip(place.longitude);
                point
                    .filter(|(a, b)| a.is_finite() && b.is_finite())
                    .map(|(a, b)| Part::Point(a, b))
            }
            Name::PostalCode => text_of(self.postal.code.as_ref()),
            Name::RegionCode => text_of(self.subdivision.iso_code.as_ref()),
            Name::RegionName => text_of(self.subdivision.name.as_ref()),
            Name::Timezone => text_of(place.time_zone.as_ref()),
            Name::Asn => self.autonomous_system_number.map(Part::Whole),
            Name::AsOrg => text_of(self.autonomous_system_organization.as_ref()),
            Name::Isp => text_of(self.isp.as_ref()),
            Name::Organization => text_of(self.organization.as_ref()),
            Name::RegionIsoCode => {
                let region = self.subdivision.iso_code.as_deref()?;
                Some(Part::Codes(self.country.iso_code.as_deref()?, region))
            }
        }
    }
}

/// Puts a comma where a member stands before.
fn separate(out: &mut Vec<u8>) {
    if !out.ends_with(b"{") {
        out.push(b',');
    }
}

/// Whether a member of the Elastic Common Schema is asked for; its place stands also for latitude and longitude.
fn is_wanted(names: &[Name], name: Name) -> bool {
    let also: &[Name] = match name {
        Name::Location => &[Name::Latitude, Name::Longitude],
        Name::RegionIsoCode => &[Name::RegionCode],
        Name::CountryCode2 => &[Name::CountryCode3],
        _ => &[],
    };
    names.contains(&name) || also.iter().any(|also| names.contains(also))
}

impl Part<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let number = |n: f64, out: &mut Vec<u8>| {
            out.extend_from_slice(ryu::Buffer::new().format(n).as_bytes());
        };
        match self {
            Part::Text(text) => write_string(text.as_bytes(), out),
            Part::Codes(first, second) => {
                write_string(format!("{first}-{second}").as_bytes(), out);
            }
            Part::Within(name) => {
                out.extend_from_slice(b"{\"name\":");
                write_string(name.as_bytes(), out);
                out.push(b'}');
            }
            Part::Whole(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
            Part::Fraction(n) => number(*n, out),
            Part::Point(latitude, longitude) => {
                out.extend_from_slice(b"{\"lat\":");
                number(*latitude, out);
                out.extend_from_slice(b",\"lon\":");
                number(*longitude, out);
                out.push(b'}');
            }
        }
    }
}
